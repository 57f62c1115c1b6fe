"""Scores of a driven path against the one that was meant (all on node numbers; hops are links of the street graph).

TC    task completion: the last node is the goal or a neighbour of it (Chen et al., 2019)
SPD   hops from the last node to the goal, by the shortest way over links in either direction
SED   TC x (1 - Levenshtein(path, gold) / max(|path|, |gold|))
nDTW  exp(-DTW(path, gold) / (2 |gold|)), DTW over hop distances (Ilharco et al., 2019, with a threshold of 2 hops)
SPL   TC x shortest / max(driven, shortest), in metres (Anderson et al., 2018)
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
THRESHOLD_HOPS = 2.0
_FAR = 120  # hops: both ways begin at one node and have fewer than 56 links, so none of their nodes is farther apart


class Hops:
    """Hop distances on a graph of n nodes with directed links (m, 2), taken in both directions."""

    def __init__(self, n: int, links: IntArray) -> None:
        ones = np.ones(len(links))
        one_way = csr_matrix((ones, (links[:, 0], links[:, 1])), shape=(n, n))
        self._matrix = (one_way + one_way.T).tocsr()
        self._matrix.data[:] = 1.0

    def between(self, sources: IntArray, targets: IntArray) -> FloatArray:
        """(s, t) hops; inf where there is no way of up to _FAR."""
        unique, back = np.unique(np.asarray(sources), return_inverse=True)
        return np.asarray(dijkstra(self._matrix, unweighted=True, indices=unique, limit=_FAR)[:, targets][back])


def scores(hops: Hops, path: IntArray, gold: IntArray) -> dict[str, float]:
    """TC (0 or 1), SPD, SED and nDTW of one path. Both have at least one node."""
    table = hops.between(gold, path).T  # symmetric: from the shorter list of sources
    spd = float(table[-1, -1])
    tc = float(spd <= 1)
    sed = tc * (1 - levenshtein(path, gold) / max(len(path), len(gold)))
    return {"TC": tc, "SPD": spd, "SED": sed, "nDTW": float(np.exp(-warp(table) / (THRESHOLD_HOPS * len(gold))))}


@njit(cache=True, nogil=True)
def levenshtein(a: IntArray, b: IntArray) -> int:
    """Insertions, deletions and replacements that turn one path into the other."""
    row = np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        corner = row[0]
        row[0] = i
        for j in range(1, len(b) + 1):
            cost = corner + (a[i - 1] != b[j - 1])
            corner = row[j]
            row[j] = min(cost, row[j] + 1, row[j - 1] + 1)
    return row[len(b)]


@njit(cache=True, nogil=True)
def warp(costs: FloatArray) -> float:
    """Dynamic time warping: the least sum of costs (a, b) along a monotone matching of all rows and columns."""
    a, b = costs.shape
    total = np.full((a + 1, b + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, a + 1):
        for j in range(1, b + 1):
            total[i, j] = costs[i - 1, j - 1] + min(total[i - 1, j], total[i, j - 1], total[i - 1, j - 1])
    return float(total[a, b])


def spl(completed: bool, shortest_m: float, driven_m: float) -> float:
    """Success weighted by path length. A goal where the robot stands already (shortest 0) counts as success."""
    return float(completed) * (1.0 if shortest_m <= 0 else shortest_m / max(driven_m, shortest_m))


def paired_interval(a: FloatArray, b: FloatArray, seed: int = 0, draws: int = 10_000) -> tuple[float, float, float]:
    """Mean of a - b over the same episodes with its bootstrap 95 % interval: (mean, low, high)."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = np.array([difference[rng.integers(len(difference), size=len(difference))].mean() for _ in range(draws)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def mcnemar(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Exact two-sided p that paired successes differ by chance (binomial test on the discordant pairs)."""
    from scipy.stats import binomtest

    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return 1.0 if only_a + only_b == 0 else float(binomtest(only_a, only_a + only_b).pvalue)
