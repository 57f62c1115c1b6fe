"""The landmark-cut heuristic (Helmert and Domshlak 2009): a lower bound on what is still to be paid.

Nothing is ever made untrue in the relaxed problem. Again and again one finds a set of actions of which any relaxed plan
uses at least one (a cut), pays the cheapest of them, and takes that much off all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.heap import pop, push

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
BITS = 64
NEVER = np.int64(1) << np.int64(60)


@njit(cache=True, nogil=True)
def turned(offsets: Int32Array, items: Int32Array, count: int) -> tuple[Int32Array, Int32Array]:
    """Rows of items -> for each item, the rows that hold it."""
    starts = np.zeros(count + 1, dtype=np.int32)
    for item in items:
        starts[item + 1] += 1
    for i in range(count):
        starts[i + 1] += starts[i]
    rows = np.empty(len(items), dtype=np.int32)
    fill = starts.copy()
    for row in range(len(offsets) - 1):
        for k in range(offsets[row], offsets[row + 1]):
            rows[fill[items[k]]] = row
            fill[items[k]] += 1
    return starts, rows


@njit(cache=True, nogil=True)
def _levels(
    state: NDArray[np.uint64], facts: int, goal: Int32Array, left: Int64Array, costs: Int64Array,
    needs_o: Int32Array, needs_f: Int32Array, gives_o: Int32Array, gives_f: Int32Array,
    users_o: Int32Array, users_a: Int32Array, free: Int32Array,
    level: Int64Array, support: Int32Array, open_needs: Int32Array, heap_k: Int64Array, heap_i: Int32Array,
) -> tuple[Any, Any]:  # fmt: skip
    """h_max of every fact into `level`, and each action's dearest condition into `support` (-1: none).

    Returns the goal's level and its dearest fact. A fact may be in the heap several times; only the first counts.
    """
    level[:] = NEVER
    support[:] = -2
    size = 0
    for a in range(len(costs)):
        open_needs[a] = needs_o[a + 1] - needs_o[a]
    for f in range(facts):
        if (state[f // BITS] >> np.uint64(f % BITS)) & np.uint64(1):
            level[f] = 0
            heap_k[size], heap_i[size] = 0, f
            size += 1
    for a in free:
        support[a] = -1
        for k in range(gives_o[a], gives_o[a + 1]):
            f = gives_f[k]
            if left[a] < level[f]:
                level[f] = left[a]
                size = push(heap_k, heap_i, size, left[a], f)
    while size:
        key, f = heap_k[0], heap_i[0]
        size = pop(heap_k, heap_i, size)
        if key > level[f]:
            continue
        for u in range(users_o[f], users_o[f + 1]):
            a = users_a[u]
            open_needs[a] -= 1
            if open_needs[a]:
                continue
            support[a] = f  # facts come in order of their level, so the last is the dearest
            reached = key + left[a]
            for k in range(gives_o[a], gives_o[a + 1]):
                g = gives_f[k]
                if reached < level[g]:
                    level[g] = reached
                    size = push(heap_k, heap_i, size, reached, g)
    worst, dearest = np.int64(0), np.int32(-1)
    for f in goal:
        if level[f] > worst or dearest < 0:
            worst, dearest = level[f], f
    return worst, dearest


@njit(cache=True, nogil=True)
def lmcut(
    state: NDArray[np.uint64], facts: int, goal: Int32Array, costs: Int64Array,
    needs_o: Int32Array, needs_f: Int32Array, gives_o: Int32Array, gives_f: Int32Array,
    users_o: Int32Array, users_a: Int32Array, givers_o: Int32Array, givers_a: Int32Array, free: Int32Array,
) -> Any:  # fmt: skip
    """Milliseconds that every plan from `state` (words,) costs at least; NEVER when the goal cannot be reached."""
    m = len(costs)
    left = costs.copy()
    level = np.empty(facts, dtype=np.int64)
    support, open_needs = np.empty(m, dtype=np.int32), np.empty(m, dtype=np.int32)
    room = facts + len(gives_f) + 1
    heap_k, heap_i = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32)
    zone, reach = np.empty(facts, dtype=np.bool_), np.empty(facts, dtype=np.bool_)
    stack, cut = np.empty(facts + m, dtype=np.int32), np.empty(m, dtype=np.int32)
    # For each fact, the actions that it supports: rebuilt in each round as a linked list.
    first, following = np.empty(facts + 1, dtype=np.int32), np.empty(m, dtype=np.int32)
    total = np.int64(0)
    while True:
        worst, dearest = _levels(
            state, facts, goal, left, costs, needs_o, needs_f, gives_o, gives_f, users_o, users_a, free, level,
            support, open_needs, heap_k, heap_i,
        )  # fmt: skip
        if worst >= NEVER:
            return NEVER
        if worst == 0:
            return total
        # Facts from which the goal's dearest fact comes for nothing.
        zone[:] = False
        zone[dearest] = True
        stack[0], depth = dearest, 1
        while depth:
            depth -= 1
            f = stack[depth]
            for k in range(givers_o[f], givers_o[f + 1]):
                a = givers_a[k]
                source = support[a]
                if left[a] == 0 and source >= 0 and not zone[source]:
                    zone[source] = True
                    stack[depth] = source
                    depth += 1
        first[:] = -1
        for a in range(m):
            if support[a] >= -1:
                source = support[a] if support[a] >= 0 else facts  # `facts` stands for "nothing is needed"
                following[a] = first[source]
                first[source] = a
        # Forward from what holds, up to the edge of that zone: the actions that cross it are the cut.
        reach[:] = False
        depth, size, price = 0, 0, NEVER
        for f in range(facts):
            if level[f] == 0 and (state[f // BITS] >> np.uint64(f % BITS)) & np.uint64(1) and not zone[f]:
                reach[f] = True
                stack[depth] = f
                depth += 1
        node = facts
        while True:
            a = first[node]
            while a >= 0:
                crosses = False
                for k in range(gives_o[a], gives_o[a + 1]):
                    if zone[gives_f[k]]:
                        crosses = True
                        break
                if crosses:
                    cut[size] = a
                    size += 1
                    price = min(price, left[a])
                else:
                    for k in range(gives_o[a], gives_o[a + 1]):
                        g = gives_f[k]
                        if not reach[g]:
                            reach[g] = True
                            stack[depth] = g
                            depth += 1
                a = following[a]
            if depth == 0:
                break
            depth -= 1
            node = stack[depth]
        for k in range(size):
            left[cut[k]] -= price
        total += price
