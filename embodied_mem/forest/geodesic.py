"""Coordinates in which straight distance is about the distance along the ways between places.

Landmark multidimensional scaling (de Silva & Tenenbaum 2004): distances along the graph from a few places, far from
each other, to all; the classical scaling of those between the landmarks; every other place where its distances to them
say. What is behind a wall, or on another floor, is then as far as the way there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
WIDTH = 6  # coordinates
_LANDMARKS = 24
_FEWEST = 4  # places from which there is something to be scaled
_JOINED = 0.9  # share of the places that must be joined
_APART = 2.0  # places without a way between them are so much farther than the longest way


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Places (n, 3) metres, and where they lie by the ways between them: coordinates (n, WIDTH) metres.

    vertical  how many metres in the plane a metre of height counts as, when the nearest place is looked for
    """

    places: FloatArray
    coordinates: FloatArray
    vertical: float = 10.0

    def __call__(self, positions: FloatArray) -> FloatArray:
        """(m, WIDTH) metres of positions (m, 3): those of the nearest place."""
        scale = np.array([1.0, 1.0, self.vertical])
        return self.coordinates[cKDTree(self.places * scale).query(positions * scale)[1]]

    def same(self, other: Ways | None) -> bool:
        """Whether two are the same to the last bit."""
        return (
            other is not None
            and np.array_equal(self.places, other.places)
            and np.array_equal(self.coordinates, other.coordinates)
        )


def along_ways(
    places: FloatArray, tails: NDArray[np.int64], heads: NDArray[np.int64], lengths: FloatArray, vertical: float = 10.0
) -> Ways | None:
    """The ways of a graph: places (n, 3), edges from tails to heads (m,) with lengths in metres, walked both ways.

    None for a few places, and where a tenth of them or more is not joined to the others: then nobody knows how far.
    """
    n = len(places)
    if n < _FEWEST or not len(tails):
        return None
    graph = csr_matrix((np.maximum(lengths, 1e-6), (tails, heads)), shape=(n, n))
    joined = np.bincount(connected_components(graph, directed=False)[1])
    if joined.max() < _JOINED * n:
        return None
    rows: list[FloatArray] = []
    chosen = [0]  # the first place; each next one is the farthest from all before
    while True:
        rows.append(np.asarray(dijkstra(graph, directed=False, indices=chosen[-1])))
        nearest = np.min(rows, axis=0)
        farthest = int(np.argmax(nearest))
        if len(chosen) == min(_LANDMARKS, n) or nearest[farthest] <= 0:
            break
        chosen.append(farthest)
    away = np.array(rows)
    away[np.isinf(away)] = _APART * away[np.isfinite(away)].max(initial=1.0)
    return Ways(places, _scaled(away, np.array(chosen)), vertical)


def _scaled(away: FloatArray, chosen: NDArray[np.int64]) -> FloatArray:
    """(n, WIDTH) from distances (L, n) of L landmarks, which are the places `chosen`."""
    squares = away**2
    own = squares[:, chosen]
    mean = own.mean(axis=0)
    centred = -0.5 * (own - mean - mean[:, None] + mean.mean())
    values, axes = np.linalg.eigh((centred + centred.T) / 2)
    order = np.argsort(-values, kind="stable")[:WIDTH]
    kept = order[values[order] > 1e-9 * max(float(values.max()), 1e-12)]
    signs = np.sign(axes[np.argmax(np.abs(axes[:, kept]), axis=0), kept])  # an axis has no direction of its own
    inverse = (axes[:, kept] * signs / np.sqrt(values[kept])).T
    out = np.zeros((away.shape[1], WIDTH))
    out[:, : len(kept)] = (-0.5 * inverse @ (squares - mean[:, None])).T
    return out
