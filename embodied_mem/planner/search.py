"""A* over states with the landmark-cut heuristic: the cheapest plan, or with a weight one that is nearly so.

With weight w the plan costs at most w times as much as the cheapest (Pohl 1970). Everything runs compiled, on one
thread, and always gives the same plan for the same problem.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.heap import pop, push
from embodied_mem.planner.lmcut import BITS, NEVER, lmcut, turned
from embodied_mem.planner.problem import Arrays

Int32Array = NDArray[np.int32]
FOUND, NONE, OUT_OF_NODES = 0, 1, 2
_TIE = np.int64(1) << np.int64(22)  # of two states with the same sum, the one that is nearer to the goal comes first


def search(arrays: Arrays, weight: float, limit: int) -> tuple[int, list[int], int]:
    """FOUND with the numbers of the plan's actions, NONE when there is no plan, or OUT_OF_NODES after `limit` states.

    The third value is how many states were looked at.
    """
    status, actions, looked = _astar(
        arrays.state, len(arrays.facts), arrays.goal, arrays.costs, *arrays.needs, *arrays.gives, *arrays.takes,
        weight, limit,
    )  # fmt: skip
    return status, actions.tolist(), looked


@njit(cache=True, nogil=True)
def _astar(
    start: NDArray[np.uint64], facts: int, goal: Int32Array, costs: NDArray[np.int64],
    needs_o: Int32Array, needs_f: Int32Array, gives_o: Int32Array, gives_f: Int32Array,
    takes_o: Int32Array, takes_f: Int32Array, weight: float, limit: int,
) -> tuple[int, Int32Array, int]:  # fmt: skip
    m, words = len(costs), len(start)
    users_o, users_a = turned(needs_o, needs_f, facts)
    givers_o, givers_a = turned(gives_o, gives_f, facts)
    free = np.flatnonzero(needs_o[1:] == needs_o[:-1]).astype(np.int32)
    needs, gives, takes = _bits(needs_o, needs_f, words), _bits(gives_o, gives_f, words), _bits(takes_o, takes_f, words)
    wanted = np.zeros(words, dtype=np.uint64)
    for f in goal:
        wanted[f // BITS] |= np.uint64(1) << np.uint64(f % BITS)

    room = limit + 1
    states = np.empty((room, words), dtype=np.uint64)
    paid, ahead = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    before, by = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    slots = 1
    while slots < 2 * room:
        slots *= 2
    table = np.full(slots, -1, dtype=np.int32)
    heap_k, heap_i = np.empty(4 * room + 16, dtype=np.int64), np.empty(4 * room + 16, dtype=np.int32)
    states[0], paid[0], before[0], by[0] = start, 0, -1, -1
    ahead[0] = lmcut(
        start, facts, goal, costs, needs_o, needs_f, gives_o, gives_f, users_o, users_a, givers_o, givers_a, free
    )
    none = np.empty(0, dtype=np.int32)
    if ahead[0] >= NEVER:
        return NONE, none, 1
    table[_slot(start, table, states)] = 0
    count, size = 1, push(heap_k, heap_i, 0, _key(0, ahead[0], weight), 0)
    state = np.empty(words, dtype=np.uint64)
    while size:
        key, node = heap_k[0], heap_i[0]
        size = pop(heap_k, heap_i, size)
        if key > _key(paid[node], ahead[node], weight):
            continue  # a cheaper way to it was found since
        done = True
        for w in range(words):
            done &= states[node, w] & wanted[w] == wanted[w]
        if done:
            return FOUND, _way(node, before, by), count
        for a in range(m):
            possible = True
            for w in range(words):
                possible &= states[node, w] & needs[a, w] == needs[a, w]
            if not possible:
                continue
            for w in range(words):
                state[w] = (states[node, w] & ~takes[a, w]) | gives[a, w]
            cost = paid[node] + costs[a]
            slot = _slot(state, table, states)
            other = table[slot]
            if other >= 0:
                if cost >= paid[other] or ahead[other] >= NEVER:
                    continue
            else:
                if count == room:
                    return OUT_OF_NODES, none, count
                other = count
                count += 1
                table[slot] = other
                states[other] = state
                ahead[other] = lmcut(
                    state, facts, goal, costs, needs_o, needs_f, gives_o, gives_f, users_o, users_a, givers_o,
                    givers_a, free,
                )  # fmt: skip
            paid[other], before[other], by[other] = cost, node, a
            if ahead[other] < NEVER:
                if size == len(heap_k):
                    return OUT_OF_NODES, none, count
                size = push(heap_k, heap_i, size, _key(cost, ahead[other], weight), other)
    return NONE, none, count


@njit(cache=True, nogil=True)
def _bits(offsets: Int32Array, facts: Int32Array, words: int) -> NDArray[np.uint64]:
    """(rows, words) the facts of each row as bits."""
    out = np.zeros((len(offsets) - 1, words), dtype=np.uint64)
    for row in range(len(out)):
        for k in range(offsets[row], offsets[row + 1]):
            out[row, facts[k] // BITS] |= np.uint64(1) << np.uint64(facts[k] % BITS)
    return out


@njit(cache=True, nogil=True)
def _key(paid: Any, ahead: Any, weight: float) -> Any:
    return (paid + np.int64(weight * ahead)) * _TIE + min(ahead, _TIE - 1)


@njit(cache=True, nogil=True)
def _slot(state: NDArray[np.uint64], table: Int32Array, states: NDArray[np.uint64]) -> Any:
    """Where a state is in the hash table, or where it would be."""
    mixed = np.uint64(1469598103934665603)
    for w in range(len(state)):
        mixed = (mixed ^ state[w]) * np.uint64(1099511628211)
        mixed ^= mixed >> np.uint64(29)
    mask = np.uint64(len(table) - 1)
    slot = np.int64(mixed & mask)
    while table[slot] >= 0:
        other, same = table[slot], True
        for w in range(len(state)):
            if states[other, w] != state[w]:
                same = False
                break
        if same:
            return slot
        slot = (slot + 1) & np.int64(mask)
    return slot


@njit(cache=True, nogil=True)
def _way(node: int, before: Int32Array, by: Int32Array) -> Int32Array:
    length, at = 0, node
    while before[at] >= 0:
        length += 1
        at = before[at]
    out = np.empty(length, dtype=np.int32)
    while before[node] >= 0:
        length -= 1
        out[length] = by[node]
        node = before[node]
    return out
