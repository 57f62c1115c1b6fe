"""Which places are meant: by where they are, by what is seen from them, by what was said there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView
from embodied_mem.tokens.view import TokenView
from embodied_mem.topology.graph import PlaceGraph

_HITS_A_PLACE = 20  # a place may have as many records that match


@dataclass(frozen=True, slots=True)
class PlacesFound:
    """places (numbers) and their scores, best first; reason: why there is none, or what they are ranked by."""

    places: tuple[int, ...]
    scores: tuple[float, ...]
    reason: str


def recall_places(
    view: RecordView, graph: PlaceGraph, map_id: str, *, k: int, position: NDArray[np.float64] | None = None,
    radius: float = 0.0, landmark: str = "", text: str = "", tokens: TokenView | None = None,
) -> PlacesFound:  # fmt: skip
    """The k best places of a map. Position (3,) and landmark restrict; text ranks, else closeness, else visits.

    tokens answers for a text in the place of the log's vectors (docs/tokens.md)
    score  the cosine of the best record made there; 1 / (1 + metres); or the share of the most visits
    Raises what `RecordView.query` raises for a text that cannot be compared.
    """
    places = graph.in_map(map_id)
    if not len(places):
        return PlacesFound((), (), f"Not found: the map {map_id!r} has no places yet.")
    if landmark.strip():
        try:
            rows = graph.landmarks.rows_named(landmark)
        except NotFoundError as error:
            return PlacesFound((), (), f"Not found: {error}")
        places = np.intersect1d(places, graph.landmarks.place.data[rows])
    away = np.full(len(places), np.nan)
    if position is not None:
        away = np.linalg.norm(graph.positions.data[places] - position, axis=1)
        if radius > 0:
            places, away = places[away <= radius], away[away <= radius]
    if not len(places):
        return PlacesFound((), (), "Not found: no place passes what restricts the search.")
    if text.strip():
        if tokens is not None:
            return _by_tokens(view, graph, map_id, places, k, text, tokens)
        return _by_text(view, graph, map_id, places, k, text)
    if position is not None:
        scores, why = 1 / (1 + away), "by how near they are"
    else:
        visits = graph.visits.data[places]
        scores, why = visits / max(int(visits.max()), 1), "by how often they were visited"
    order = np.argsort(-scores, kind="stable")[:k]
    return PlacesFound(tuple(places[order].tolist()), tuple(scores[order].tolist()), f"Ranked {why}.")


def _by_text(
    view: RecordView, graph: PlaceGraph, map_id: str, places: NDArray[np.int64], k: int, text: str
) -> PlacesFound:
    pairs = graph.evidence.data[np.isin(graph.evidence.data[:, 0], places)]
    found = view.query(Query(text=text, seqs=pairs[:, 1].copy(), map_id=map_id, k=min(k * _HITS_A_PLACE, 10_000)))
    place_of = dict(zip(pairs[:, 1].tolist(), pairs[:, 0].tolist(), strict=True))
    best: dict[int, float] = {}
    for hit in found.hits:  # best first
        best.setdefault(place_of[hit.record.seq], hit.score)
    chosen = list(best.items())[:k]
    reason = "Ranked by the record made there that matches best." if chosen else found.reason
    return PlacesFound(tuple(place for place, _ in chosen), tuple(score for _, score in chosen), reason)


def _by_tokens(
    view: RecordView, graph: PlaceGraph, map_id: str, places: NDArray[np.int64], k: int, text: str, tokens: TokenView
) -> PlacesFound:
    """As `_by_text`, of what the tokens of the places give back; a place's token goes by its smallest record."""
    pairs = graph.evidence.data[np.isin(graph.evidence.data[:, 0], places)]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first = np.append(True, np.diff(pairs[:, 0]) != 0)[: len(pairs)]
    place_of = dict(zip(pairs[first, 1].tolist(), pairs[first, 0].tolist(), strict=True))
    keys, scores = tokens.best_places(view.embed(text), map_id, k, pairs[first, 1])
    reason = "Ranked by what the place's token gives back that matches best." if len(keys) else "Not found: no token."
    return PlacesFound(tuple(place_of[key] for key in keys.tolist()), tuple(scores.tolist()), reason)
