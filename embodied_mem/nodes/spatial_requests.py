"""What the services of the spatial node have in common: of which map a request is, where it starts, its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.inference.select import default_embedder
from embodied_mem.nodes.conversions import places
from embodied_mem.nodes.conversions.answers import evidence_of_hit
from embodied_mem.recall import going
from embodied_mem.records.query import Query

if TYPE_CHECKING:
    from embodied_mem.nodes.spatial_node import SpatialNode
    from embodied_mem.nodes.spatial_view import SpatialView


async def view_of(node: SpatialNode, request: Any, response: Any) -> tuple[SpatialView, str]:
    """The view and the map that a request is about; says in the response which it is. Raises UnknownMapError."""
    view = await node.settled(request.read_to)
    map_id = view.index.maps.resolve(request.map_id)
    response.map_id, response.watermark = map_id, view.watermark
    return view, map_id


def start_of(view: SpatialView, request: Any, map_id: str) -> NDArray[np.float64]:
    """(3,) the start of a request, else where the newest record was made. Raises BadInputError, NotFoundError."""
    given = places.position_if(request.use_start, request.start, "start")
    return going.standing(view, map_id) if given is None else given


def evidence_of(view: SpatialView, map_id: str, records: Sequence[int]) -> list[Any]:
    """Messages of the records that an answer rests on."""
    if not records:
        return []
    found = view.query(Query(seqs=np.array(records, dtype=np.int64), map_id=map_id, k=len(records)))
    return [evidence_of_hit(hit) for hit in found.hits]


def with_embedder(view: SpatialView, kind: str) -> SpatialView:
    """The view, able to compare words: the model is loaded with the first question that needs it."""
    view.embedder = view.embedder or default_embedder(kind)
    return view
