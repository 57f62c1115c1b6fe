"""Shortest paths on compressed sparse rows: A* from several places to several, and Dijkstra to all.

A* (Hart, Nilsson & Raphael 1968) with a binary heap whose stale entries are passed over when they come up. Costs of
arcs are not negative; an infinite one is a closed arc. The heuristic is `scale` times the straight distance to the
nearest of `goals`: never more than the cost that is left as long as no arc is cheaper than `scale` times its distance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.heap import pop, push

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """A directed graph of n nodes and m arcs in compressed sparse rows.

    starts (n + 1,)  the arcs of node i are starts[i] .. starts[i + 1] - 1
    heads (m,)       where each arc leads to
    xyz (n, 3)       metres
    """

    starts: Ints
    heads: Ints
    xyz: Floats


@njit(cache=True, nogil=True)
def _remaining(xyz: Floats, goals: Floats, scale: float, node: int) -> float:
    """The heuristic; 0 without goals."""
    if not len(goals):
        return 0.0
    best = np.inf
    for goal in goals:
        dx, dy, dz = xyz[node, 0] - goal[0], xyz[node, 1] - goal[1], xyz[node, 2] - goal[2]
        best = min(best, dx * dx + dy * dy + dz * dz)
    return scale * np.sqrt(best)


@njit(cache=True, nogil=True)
def a_star(
    rows: Rows,
    costs: Floats,
    goals: Floats,
    scale: float,
    sources: Ints,
    source_costs: Floats,
    targets: Ints,
    target_costs: Floats,
    limit: float,
) -> tuple[float, int, Ints, int]:
    """The cheapest way from any source, entered at its cost, to any target, left at its.

    costs (m,) of the arcs; goals (g, 3) metres. Returns the cost below `limit` (else infinity), the index of the target
    (-1: none), the arcs along the way, and how many nodes were looked at.
    """
    starts, heads, xyz = rows
    n = len(starts) - 1
    reached = np.full(n, np.inf)
    came_by = np.full(n, -1, dtype=np.int32)
    settled = np.zeros(n, dtype=np.bool_)
    leaving = np.full(n, -1, dtype=np.int32)
    for i in range(len(targets)):
        known = leaving[targets[i]]
        if known < 0 or target_costs[i] < target_costs[known]:
            leaving[targets[i]] = i
    keys = np.empty(len(heads) + len(sources) + 1)
    items = np.empty(len(heads) + len(sources) + 1, dtype=np.int32)
    size = 0
    for i in range(len(sources)):
        if source_costs[i] < reached[sources[i]]:
            reached[sources[i]] = source_costs[i]
            size = push(keys, items, size, source_costs[i] + _remaining(xyz, goals, scale, sources[i]), sources[i])
    best, chosen, looked_at = limit, -1, 0
    while size and keys[0] < best:
        node = items[0]
        size = pop(keys, items, size)
        if settled[node]:
            continue
        settled[node] = True
        looked_at += 1
        if leaving[node] >= 0 and reached[node] + target_costs[leaving[node]] < best:
            best, chosen = reached[node] + target_costs[leaving[node]], leaving[node]
        for arc in range(starts[node], starts[node + 1]):
            head = heads[arc]
            cost = reached[node] + costs[arc]
            if cost < reached[head]:
                reached[head] = cost
                came_by[head] = arc
                size = push(keys, items, size, cost + _remaining(xyz, goals, scale, head), head)
    if chosen < 0:
        return np.inf, -1, np.empty(0, dtype=np.int32), looked_at
    return best, chosen, way_back(starts, came_by, targets[chosen]), looked_at


@njit(cache=True, nogil=True)
def way_back(starts: Ints, came_by: Ints, node: int) -> Ints:
    """The arcs that led to a node, in the order of travel. `came_by` (n,): the arc by which each node was reached."""
    count, at = 0, node
    while came_by[at] >= 0:
        at = tail_of(starts, came_by[at])
        count += 1
    arcs = np.empty(count, dtype=np.int32)
    at = node
    for i in range(count - 1, -1, -1):
        arcs[i] = came_by[at]
        at = tail_of(starts, came_by[at])
    return arcs


@njit(cache=True, nogil=True)
def tail_of(starts: Ints, arc: int) -> int:
    """The node whose arc this is."""
    return int(np.searchsorted(starts, arc, side="right")) - 1


@njit(cache=True, nogil=True)
def dijkstra(rows: Rows, costs: Floats, source: int, limit: float) -> tuple[Floats, Ints]:
    """(n,) the cost from the source to every node that is nearer than `limit` (else infinity), and the arc to it."""
    starts, heads, _ = rows
    n = len(starts) - 1
    reached = np.full(n, np.inf)
    came_by = np.full(n, -1, dtype=np.int32)
    settled = np.zeros(n, dtype=np.bool_)
    keys = np.empty(len(heads) + 1)
    items = np.empty(len(heads) + 1, dtype=np.int32)
    reached[source] = 0.0
    size = push(keys, items, 0, 0.0, source)
    while size:
        node = items[0]
        size = pop(keys, items, size)
        if settled[node]:
            continue
        settled[node] = True
        for arc in range(starts[node], starts[node + 1]):
            cost = reached[node] + costs[arc]
            if cost < reached[heads[arc]] and cost < limit:
                reached[heads[arc]] = cost
                came_by[heads[arc]] = arc
                size = push(keys, items, size, cost, heads[arc])
    return reached, came_by
