"""Loop closures: places that are likely one, because a robot came back with drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.routes import Router

_DETOUR = 3.0  # times the distance: what is no farther than that by way is a neighbour, not a loop


@dataclass(frozen=True, slots=True)
class Closure:
    """Two places that are likely one; `records`: one of each, to name them by in a command of the log."""

    places: tuple[int, int]
    records: tuple[int, int]
    distance: float
    likeness: float


def proposals(graph: PlaceGraph, *, within: float, alike: float, height: float = 1.5) -> list[Closure]:
    """Pairs of places of one map that are within some metres, look alike (cosine) and are far apart by way, best first.

    Places that look alike farther apart are never proposed, nor are places without a descriptor.
    """
    descriptors = graph.descriptors()
    if descriptors is None or len(graph) < 2:
        return []
    where, codes = graph.positions.data, graph.map_codes.data
    pairs = cKDTree(where).query_pairs(within, output_type="ndarray")
    a, b = pairs[:, 0], pairs[:, 1]
    likeness = np.einsum("nd,nd->n", descriptors[a], descriptors[b], dtype=np.float64)
    kept = (codes[a] == codes[b]) & (likeness >= alike) & (np.abs(where[a, 2] - where[b, 2]) <= height)
    distance = np.linalg.norm(where[a] - where[b], axis=1)
    router = Router(graph)
    snapshot = router.snapshot
    found = []
    for i in np.flatnonzero(kept).tolist():
        ends, far = (int(a[i]), int(b[i])), float(distance[i])
        limit = max(_DETOUR * far, within)
        if any(snapshot.between(*way, 0)[0] <= limit for way in (ends, ends[::-1])):
            continue
        records = tuple(int(graph.records_of(end)[0]) if len(graph.records_of(end)) else 0 for end in ends)
        found.append(Closure(ends, (records[0], records[1]), far, float(likeness[i])))
    return sorted(found, key=lambda closure: (-closure.likeness, closure.places))
