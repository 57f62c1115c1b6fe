"""The services of the spatial node about what is remembered at places, and around the robot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from embodied_mem_msgs.srv import RecallNearby, RecallPlace

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions import places
from embodied_mem.nodes.conversions.basics import point
from embodied_mem.nodes.spatial_requests import evidence_of, view_of, with_embedder
from embodied_mem.recall import going
from embodied_mem.recall.places import PlacesFound, recall_places
from embodied_mem.tokens.short_term import Recalled

if TYPE_CHECKING:
    from embodied_mem.nodes.spatial_node import SpatialNode

_MOST_PLACES = 1000
_FROM = {
    "short": "It is from short-term memory: what was perceived or asked for around the robot lately.",
    "long": "It is from the long-term store: short-term memory had nothing alike enough.",
    "none": "Not found: neither short-term memory nor the long-term store has anything alike within the radius.",
}


class PlaceServices:
    """What is not remembered is an answer (`found` is false, with the reason), and no error."""

    def __init__(self, node: SpatialNode) -> None:
        self._node = node
        node.serve(RecallPlace, "recall_place", self._recall_place)
        node.serve(RecallNearby, "recall_nearby", self._recall_nearby)

    async def _recall_place(self, request: Any, response: Any) -> None:
        view, map_id = await view_of(self._node, request, response)
        _check(request)
        position = places.position_if(request.use_position, request.position, "position")
        if position is None and request.radius > 0:
            position = going.standing(view, map_id)

        def find() -> PlacesFound:
            if request.text.strip():
                with_embedder(view, self._node.parameters.embedder)
            return recall_places(
                view, view.places.graph, map_id, k=request.k, landmark=request.landmark, text=request.text,
                position=position, radius=request.radius, tokens=view.tokens,
            )  # fmt: skip

        found = await self._node.thought(find)
        response.frame_id = self._node.frame
        response.found, response.reason = bool(found.places), found.reason
        response.places = [
            places.place_msg(view.places.graph.place(place), score)
            for place, score in zip(found.places, found.scores, strict=True)
        ]

    async def _recall_nearby(self, request: Any, response: Any) -> None:
        view, map_id = await view_of(self._node, request, response)
        _check(request)
        if not request.text.strip():
            raise BadInputError("The text is empty: say what is looked for nearby.")
        position = places.position_if(request.use_position, request.position, "position")

        def find() -> tuple[Recalled, list[Any]]:
            found = with_embedder(view, self._node.parameters.embedder).surroundings.recall(
                request.text, stamp_ns=self._node.now_ns(), map_id=map_id, position=position, radius=request.radius,
                k=request.k,
            )  # fmt: skip
            told = {hit.seq: hit for hit in evidence_of(view, map_id, found.records.tolist())}
            return found, [told[seq] for seq in found.records.tolist() if seq in told]

        found, hits = await self._node.thought(find)
        for hit, cosine in zip(hits, found.cosines, strict=False):
            hit.score = float(cosine)
        response.found, response.source, response.reason = bool(hits), found.source, _FROM[found.source]
        response.hits = hits
        response.relative = [point(offset) for offset in found.relative[: len(hits)]]
        response.place = point(np.array(view.surroundings.origin))
        response.best = float(found.best)


def _check(request: Any) -> None:
    if not 1 <= request.k <= _MOST_PLACES or not 0 <= request.radius < np.inf:
        raise BadInputError(f"k must be between 1 and {_MOST_PLACES}, and radius finite metres, 0 or more.")
