"""Part C of bench/street: "go back to X". The robot was patrolling, is put somewhere it knows, and is told a name.

It drives the shortest way that its memory knows to where it remembers the name. SPL is against the shortest way on the
whole graph to the nearest node from which a landmark of that name is really in reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from bench.street_memory import City, Kept
from bench.street_metrics import spl
from sim.street.landmarks import RANGE_M, Landmarks

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One "go back to X".

    start   where the robot is put; aims (k,): the known nodes nearest to where it remembers X, none when it does not
    right   the nodes from which X is really in reach; best: metres of the shortest way to one, on the whole graph
    """

    start: int
    aims: NDArray[np.int64]
    right: frozenset[int]
    best: float


def streets(city: City, links: NDArray[np.bool_] | None = None) -> csr_matrix:
    """(n, n) metres along the links that are chosen (default: all)."""
    g = city.graph
    chosen = np.ones(len(g.links), bool) if links is None else links
    ends = g.links[chosen]
    return csr_matrix((g.lengths[chosen] + 1e-9, (ends[:, 0], ends[:, 1])), shape=(len(g), len(g)))


def trials(city: City, kept: Kept, truth: Landmarks, names_asked: Sequence[str], count: int, seed: int) -> list[Trial]:
    """truth: what stands there now; names_asked: of things that do. What nobody could reach is left out."""
    rng = np.random.default_rng(seed)
    g = city.graph
    whole = streets(city)
    explored = np.flatnonzero(kept.explored)
    tree, reach = cKDTree(g.xy[explored]), cKDTree(g.xy)
    names = np.array(truth.names, dtype=object)
    remembered = np.array(city.landmarks.names, dtype=object)
    asked = rng.choice(np.array(sorted(names_asked), dtype=object), count)
    starts = rng.choice(explored, count)
    found = []
    for name, start in zip(asked, starts, strict=True):
        rows = np.flatnonzero((remembered == name) & (kept.seen > 0))
        there = truth.xy[names == name]
        right = np.unique(np.concatenate([np.array(r, dtype=np.int64) for r in reach.query_ball_point(there, RANGE_M)]))
        if not len(right):
            continue
        best = float(dijkstra(whole, indices=start)[right].min())
        if not np.isfinite(best):
            continue
        aims = explored[tree.query(kept.where[rows] / kept.seen[rows, None])[1]] if len(rows) else rows
        found.append(Trial(int(start), aims, frozenset(right.tolist()), best))
    return found


def go_back(
    city: City, kept: Kept, truth: Landmarks, names_asked: Sequence[str], count: int, seed: int
) -> dict[str, float]:
    """Mean SPL, success and the share of trials in which the memory knew not the name, or no way."""
    known = streets(city, kept.explored[city.graph.links[:, 0]])
    values, successes, unknown = [], [], 0
    for trial in trials(city, kept, truth, names_asked, count, seed):
        driven, completed = np.inf, False
        if len(trial.aims):
            away, before = dijkstra(known, indices=trial.start, return_predecessors=True)
            aim = int(trial.aims[np.argmin(away[trial.aims])])
            driven = float(away[aim])
        if not np.isfinite(driven):
            unknown += 1
            values.append(0.0)
            successes.append(0.0)
            continue
        driven, completed = _drive(before, away, trial.start, aim, trial.right)
        values.append(spl(completed, trial.best, driven))
        successes.append(float(completed))
    return {"SPL": float(np.mean(values)), "success": float(np.mean(successes)), "says unknown": unknown / len(values)}


def _drive(
    before: NDArray[np.int32], away: FloatArray, start: int, aim: int, right: frozenset[int]
) -> tuple[float, bool]:
    """Metres until the first node from which the thing is in reach, on the way to `aim`; else to the aim, in vain."""
    way = [aim]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    for node in reversed(way):
        if node in right:
            return float(away[node]), True
    return float(away[aim]), False
