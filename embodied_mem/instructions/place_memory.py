"""A place graph as the memory that descriptions are followed with: its edges are the streets, its landmarks the names.

What was not driven is not known to a place graph, so every place of the map counts as explored: ways end where nobody
has been. What stands somewhere was seen from many places: sightings of one name whose positions are within
`_SAME_M` of each other, directly or through others, are one thing, at their mean.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from embodied_mem.instructions.instruction import Phrase
from embodied_mem.instructions.memory import Places, Streets
from embodied_mem.instructions.names import NameIndex
from embodied_mem.topology.graph import PlaceGraph

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_SAME_M = 15.0
_LEAST_SIMILAR = 0.45


class PlaceMemory:
    """A `RouteMemory` of one map of a graph, as it is at a time `now_ns`: blocked edges are no streets."""

    def __init__(self, graph: PlaceGraph, map_id: str, now_ns: int) -> None:
        self._graph, self._now = graph, now_ns
        self._inside = np.zeros(len(graph), dtype=bool)
        self._inside[graph.in_map(map_id)] = True

    def streets(self) -> Streets:
        """Places are numbered as in the graph; those of other maps have no links."""
        g = self._graph
        rows = g.edge_rows()
        rows = rows[self._inside[g.tails.data[rows]] & (g.blocked_until.data[rows] <= self._now)]
        rows = rows[np.lexsort((g.heads.data[rows], g.tails.data[rows]))]
        first = np.searchsorted(g.tails.data[rows], np.arange(len(g) + 1)).astype(np.int32)
        return Streets(first, g.heads.data[rows], np.ascontiguousarray(g.positions.data[:, :2]), self._inside)

    def named(self, phrase: Phrase) -> Places:
        """Things whose names are like the phrase."""
        xy, name, index = self._things
        if not len(name):
            return Places(np.zeros((0, 2)), np.zeros(0))
        similar = index.similarity(phrase)[name]
        likely = similar >= _LEAST_SIMILAR
        return Places(xy[likely], similar[likely])

    @cached_property
    def _things(self) -> tuple[FloatArray, IntArray, NameIndex]:
        """Where each thing stands (t, 2) metres, which name it has (t,), and the names by what is like them."""
        table = self._graph.landmarks
        place = table.place.data.astype(np.int64)
        rows = np.flatnonzero(self._inside[place])
        code, seen = table.name.data[rows].astype(np.int64), table.count.data[rows].astype(np.float64)
        at = self._graph.positions.data[place[rows], :2] + _offsets(table.toward.data[rows], table.far.data[rows])
        names = list(table.names.all())
        index = NameIndex(names, names)  # a name may be that of a class: "pharmacy"
        if not len(rows):
            return np.zeros((0, 2)), np.zeros(0, dtype=np.int64), index
        # Names lie in layers so far apart that only sightings of one name are near each other.
        layered = np.column_stack([at, code * (2 * _SAME_M)])
        pairs = cKDTree(layered).query_pairs(_SAME_M, output_type="ndarray")
        near = csr_matrix((np.ones(len(pairs)), pairs.T), shape=(len(rows), len(rows)))
        count, thing = connected_components(near, directed=False)
        weight = np.bincount(thing, seen, count)
        xy = np.column_stack([np.bincount(thing, at[:, axis] * seen, count) for axis in range(2)]) / weight[:, None]
        name = np.zeros(count, dtype=np.int64)
        name[thing] = code
        return xy, name, index


def _offsets(toward: FloatArray, far: FloatArray) -> FloatArray:
    """(n, 2) metres from a place to what was seen from it; zero where no direction or distance was given."""
    length = np.linalg.norm(toward, axis=1)
    known = (length > 0) & (far[:, 1] > 0)
    distance = np.where(known, far[:, 0] / np.where(known, far[:, 1], 1.0), 0.0)
    return np.asarray(toward / np.where(known, length, 1.0)[:, None] * distance[:, None])
