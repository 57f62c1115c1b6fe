"""Other ways to the same place: different ones (penalties), or exactly the k shortest (Yen).

The k shortest ways of a street network differ by a few metres; what a robot wants when its way is closed is a way that
shares little with it. `alternatives` makes what was used dearer and asks again (the penalty method: Chen, Bell &
Bogenberger 2007; with limits on overlap and length as in Abraham et al., Alternative Routes in Road Networks, 2013).
`k_shortest` is Yen's algorithm (1971) with Lawler's rule, exact.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from embodied_mem.topology.snapshot import Snapshot

Way = tuple[float, NDArray[np.int32]]  # metres, arcs

_DEARER = 1.4  # times, for what a way has used
_TRIES = 6  # searches for each alternative


def alternatives(
    snapshot: Snapshot, source: int, target: int, k: int, now_ns: int, *, overlap: float = 0.6, stretch: float = 1.5
) -> list[Way]:
    """Up to k ways that differ, the shortest first; [] where there is none.

    overlap   the most that a way may share with any before it, as a share of its length
    stretch   the longest that a way may be, as a multiple of the shortest
    """
    length, arcs = snapshot.between(source, target, now_ns)
    if not np.isfinite(length):
        return []
    found = [(length, arcs)]
    factors = np.ones(len(snapshot.costs))
    streets = np.sort(np.column_stack([snapshot.tails, snapshot.rows.heads]), axis=1)
    for _ in range(_TRIES * (k - 1)):
        if len(found) >= k or not len(arcs):
            break
        used = np.isin(streets @ (1 << 32, 1), streets[arcs] @ (1 << 32, 1))  # in both directions
        factors[used] *= _DEARER
        arcs = snapshot.between(source, target, now_ns, factors)[1]
        own = float(snapshot.costs[arcs].sum())
        if own <= stretch * length and all(_shared(snapshot, arcs, known) <= overlap * own for _, known in found):
            found.append((own, arcs))
    return sorted(found, key=lambda way: way[0])


def k_shortest(snapshot: Snapshot, source: int, target: int, k: int, now_ns: int) -> list[Way]:
    """The k shortest ways that visit no place twice, the shortest first; fewer where there are no more."""
    starts, heads, _ = snapshot.rows
    length, arcs = snapshot.between(source, target, now_ns)
    if not np.isfinite(length):
        return []
    waiting: list[tuple[float, tuple[int, ...], int]] = [(length, tuple(arcs.tolist()), 0)]
    proposed = {waiting[0][1]}
    found: list[tuple[float, tuple[int, ...]]] = []
    while waiting and len(found) < k:
        cost, way, deviated = heapq.heappop(waiting)
        found.append((cost, way))
        for at in range(deviated, len(way)):  # Lawler: what was deviated from before was so in an earlier round
            root = way[:at]
            node = int(snapshot.tails[way[at]])
            visited = [source, *heads[list(root)].tolist()] if root else [source]
            banned = [other[at] for _, other in found if len(other) > at and other[:at] == root]
            leaving = set(range(starts[node], starts[node + 1])) - set(banned)
            if all(int(heads[arc]) in visited for arc in leaving):
                continue
            factors = np.ones(len(snapshot.costs))
            closed = np.zeros(len(snapshot), dtype=bool)
            closed[visited] = True
            factors[closed[heads]] = np.inf
            factors[banned] = np.inf
            rest, arcs = snapshot.between(node, target, now_ns, factors)
            whole = (*root, *arcs.tolist())
            if np.isfinite(rest) and whole not in proposed:
                proposed.add(whole)
                heapq.heappush(waiting, (float(snapshot.costs[list(whole)].sum()), whole, at))
    return [(cost, np.array(way, dtype=np.int32)) for cost, way in found]


def _shared(snapshot: Snapshot, arcs: NDArray[np.int32], known: NDArray[np.int32]) -> float:
    """Metres of one way that another takes too."""
    return float(snapshot.costs[arcs[np.isin(arcs, known)]].sum())
