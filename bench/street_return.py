"""Part C of bench/street: "go back to X". The robot was patrolling, is put somewhere it knows, and is told a name.

It drives the shortest way that its memory knows to where it remembers the name. SPL is against the shortest way on the
whole graph to the nearest node from which a landmark of that name is really in reach.
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
from sim.street.landmarks import RANGE_M, Landmarks

FloatArray = NDArray[np.float64]


def go_back(
    city: City, kept: Kept, truth: Landmarks, names_asked: Sequence[str], trials: int, seed: int
) -> dict[str, float]:
    """Mean SPL, success and the share of trials in which the memory knew not the name, or no way.

    truth: what stands there now; names_asked: of things that do.
    """
    rng = np.random.default_rng(seed)
    g = city.graph
    whole = csr_matrix((g.lengths + 1e-9, (g.links[:, 0], g.links[:, 1])), shape=(len(g), len(g)))
    known_links = kept.explored[g.links[:, 0]]
    known = csr_matrix(
        (g.lengths[known_links] + 1e-9, (g.links[known_links, 0], g.links[known_links, 1])), shape=whole.shape
    )
    explored = np.flatnonzero(kept.explored)
    tree = cKDTree(g.xy[explored])
    names = np.array(truth.names, dtype=object)
    remembered = np.array(city.landmarks.names, dtype=object)
    asked = rng.choice(np.array(sorted(names_asked), dtype=object), trials)
    starts = rng.choice(explored, trials)
    values, successes, unknown = [], [], 0
    reach = cKDTree(g.xy)
    for name, start in zip(asked, starts, strict=True):
        rows = np.flatnonzero((remembered == name) & (kept.seen > 0))
        there = truth.xy[names == name]
        right = np.unique(np.concatenate([np.array(r, dtype=np.int64) for r in reach.query_ball_point(there, RANGE_M)]))
        if not len(right):
            continue
        best = float(dijkstra(whole, indices=start)[right].min())
        if not np.isfinite(best):
            continue
        if not len(rows):
            unknown += 1
            values.append(0.0)
            successes.append(0.0)
            continue
        aims = explored[tree.query(kept.where[rows] / kept.seen[rows, None])[1]]
        away, before = dijkstra(known, indices=start, return_predecessors=True)
        aim = int(aims[np.argmin(away[aims])])
        if not np.isfinite(away[aim]):
            unknown += 1
            values.append(0.0)
            successes.append(0.0)
            continue
        driven, completed = _drive(before, away, int(start), aim, set(right.tolist()))
        values.append(spl(completed, best, driven))
        successes.append(float(completed))
    return {"SPL": float(np.mean(values)), "success": float(np.mean(successes)), "says unknown": unknown / len(values)}


def _drive(before: NDArray[np.int32], away: FloatArray, start: int, aim: int, right: set[int]) -> tuple[float, bool]:
    """Metres until the first node from which the thing is in reach, on the way to `aim`; else to the aim, in vain."""
    way = [aim]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    for node in reversed(way):
        if node in right:
            return float(away[node]), True
    return float(away[aim]), False
