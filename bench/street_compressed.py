"""Part C of bench/street, with a smaller memory of the streets: what does compression cost a robot that goes back?

The known streets are a place graph, compressed with more and more stretch allowed. The robot is put somewhere it knew,
drives to the kept place that this one was told of, along the kept edges (which are real streets) to the kept place
that X's was told of, and stops at the first node from which X is in reach. So what is lost counts twice: ways get
longer, and places from which X was seen may be gone; keeping those is an arm of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from bench.street_memory import City, Kept
from bench.street_metrics import spl
from bench.street_return import Trial, streets, trials
from embodied_mem.topology.compress import Compressed, compress
from embodied_mem.topology.graph import PlaceGraph

PLACE_BYTES, EDGE_BYTES = 24, 16  # a position with a number; two ends, a length and a time
STRETCHES = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0)


def known_streets(city: City, kept: Kept) -> tuple[PlaceGraph, NDArray[np.int64]]:
    """The explored nodes as places, with the links between them; and which nodes they are."""
    g = city.graph
    nodes = np.flatnonzero(kept.explored)
    number = np.full(len(g), -1)
    number[nodes] = np.arange(len(nodes))
    ends = number[g.links]
    inside = np.all(ends >= 0, axis=1)
    graph = PlaceGraph()
    graph.add_places(g.xy[nodes])
    graph.add_edges(ends[inside, 0], ends[inside, 1], lengths=g.lengths[inside])
    return graph, nodes


def seen_from(city: City, kept: Kept, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places nearest to where something with a name is remembered."""
    named = np.array([bool(name) for name in city.landmarks.names]) & (kept.seen > 0)
    return np.unique(cKDTree(city.graph.xy[nodes]).query(kept.where[named] / kept.seen[named, None])[1])


def compression_table(
    city: City, kept: Kept, names: Sequence[str], count: int, seed: int
) -> list[list[float | int | str | None]]:
    """A row for each stretch, without and with the places kept from which something with a name was seen."""
    graph, nodes = known_streets(city, kept)
    asked = [each for each in trials(city, kept, city.landmarks, names, count, seed) if len(each.aims)]
    rows: list[list[float | int | str | None]] = []
    roads = _Roads(city, kept)
    for what, keep in (("junctions", np.zeros(0, np.int64)), ("+ what has a name", seen_from(city, kept, nodes))):
        for stretch in STRETCHES:
            small = compress(graph, stretch=stretch, keep=keep)
            results = [_go(roads, small, nodes, trial) for trial in asked]
            edges = len(small.graph.edge_rows())
            rows.append([
                what, stretch, len(small.kept), edges, PLACE_BYTES * len(small.kept) + EDGE_BYTES * edges,
                round(100 * float(np.mean([value for value, _ in results])), 1),
                round(100 * float(np.mean([success for _, success in results])), 1),
            ])  # fmt: skip
    whole = [_go(roads, None, nodes, trial) for trial in asked]
    edges = len(graph.edge_rows())
    first: list[float | int | str | None] = [
        "everything", None, len(graph), edges, PLACE_BYTES * len(graph) + EDGE_BYTES * edges,
        *(round(100 * float(np.mean(column)), 1) for column in zip(*whole, strict=True)),
    ]  # fmt: skip
    return [first, *rows]


class _Roads:
    """The known streets, for driving from one known node to another by the shortest way."""

    def __init__(self, city: City, kept: Kept) -> None:
        g = city.graph
        self._known = streets(city, kept.explored[g.links[:, 0]] & kept.explored[g.links[:, 1]])
        self._ways: dict[tuple[int, int], list[tuple[int, float]]] = {}

    def way(self, start: int, end: int, limit: float = np.inf) -> list[tuple[int, float]]:
        """The nodes after `start` up to `end` with metres from `start`; none where it is farther than `limit`."""
        if (start, end) not in self._ways:
            away, before = dijkstra(self._known, indices=start, return_predecessors=True, limit=limit)
            nodes, node = [], end
            while np.isfinite(away[end]) and node != start:
                nodes.append((node, float(away[node])))
                node = int(before[node])
            self._ways[start, end] = nodes[::-1]
        return self._ways[start, end]


def _go(roads: _Roads, small: Compressed | None, nodes: NDArray[np.int64], trial: Trial) -> tuple[float, float]:
    """(SPL, success) of one trial."""
    legs = _whole_legs(roads, trial) if small is None else _legs(small, nodes, trial)
    driven, at = 0.0, trial.start
    if at in trial.right:
        return spl(True, trial.best, 0.0), 1.0
    for node, limit in legs:
        way = roads.way(at, node, limit)
        if not way and node != at:
            return 0.0, 0.0
        for step, metres in way:
            if step in trial.right:
                return spl(True, trial.best, driven + metres), 1.0
        at, driven = node, driven + (way[-1][1] if way else 0.0)
    return 0.0, 0.0


def _whole_legs(roads: _Roads, trial: Trial) -> list[tuple[int, float]]:
    """To the nearest aim, at one go."""
    ways = [(roads.way(trial.start, int(aim)), int(aim)) for aim in trial.aims]
    return [(min(ways, key=lambda item: item[0][-1][1] if item[0] else np.inf)[1], np.inf)]


def _legs(small: Compressed, nodes: NDArray[np.int64], trial: Trial) -> list[tuple[int, float]]:
    """The kept nodes to drive to one after the other, each with the most metres that its leg can have."""
    number = {int(node): i for i, node in enumerate(nodes)}
    start = int(small.place_of[number[trial.start]])
    aims = small.place_of[[number[int(aim)] for aim in trial.aims]]
    g = small.graph
    edges = g.edge_rows()
    tails, heads, lengths = g.tails.data[edges], g.heads.data[edges], g.lengths.data[edges]
    ways = csr_matrix((lengths + 1e-9, (tails, heads)), shape=(len(g), len(g)))
    away, before = dijkstra(ways, indices=start, return_predecessors=True)
    aim = int(aims[np.argmin(away[aims])])
    if not np.isfinite(away[aim]):
        return []
    path = [aim]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    path.reverse()
    metres = np.diff(away[path])
    first = (int(nodes[small.kept[start]]), np.inf)
    return [first] + [
        (int(nodes[small.kept[place]]), float(length) + 1.0) for place, length in zip(path[1:], metres, strict=True)
    ]
