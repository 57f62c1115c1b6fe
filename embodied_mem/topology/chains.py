"""Chains: stretches of a graph without a choice. Searching only where there is one is exact, and much faster.

A node with exactly two neighbours is passed through or turned round in, and the latter is never on a shortest path.
So a graph is as good as its junctions (every other node) with one arc for each chain of such nodes between two of
them. A route from or to the middle of a chain begins or ends with a piece of it. (The contraction of nodes of degree
two, the first step of most speed-up techniques: Bast et al., Route Planning in Transportation Networks, 2016.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.topology.search import Floats, Ints, Rows, a_star, tail_of


class Chains(NamedTuple):
    """c chains and the graph of j junctions that they form.

    bounds (c + 1,)   the nodes of chain i are nodes[bounds[i] : bounds[i + 1]], both junctions included
    forward, backward (nodes,)  the arc from each node to the next, and from the next to it; -1 where there is none
    chain, at (n,)    for a node between junctions: its chain, and its index in `nodes`; else -1
    junction (n,)     its number among the junctions, or -1
    core              the junctions' graph
    arc_chain (a,)    2 x the chain of each of its arcs, + 1 when the arc goes backward
    """

    bounds: Ints
    nodes: Ints
    forward: Ints
    backward: Ints
    chain: Ints
    at: Ints
    junction: Ints
    core: Rows
    arc_chain: Ints


def find_chains(rows: Rows, kept: NDArray[np.bool_] | None = None) -> Chains:
    """The chains of a graph without loops and double arcs. kept (n,): nodes that count as junctions in any case."""
    starts, heads, xyz = rows
    n = len(starts) - 1
    tails = np.repeat(np.arange(n, dtype=np.int64), np.diff(starts))
    pairs = np.unique(np.concatenate([tails << 32 | heads, heads.astype(np.int64) << 32 | tails]))
    neighbours = (pairs & 0xFFFFFFFF).astype(np.int32)
    begins = np.searchsorted(pairs, np.arange(n + 1, dtype=np.int64) << 32).astype(np.int32)
    bounds, nodes, chain, at = _trace(begins, neighbours, np.zeros(n, dtype=bool) if kept is None else kept)
    forward, backward = _steps(rows, bounds, nodes)
    members = np.flatnonzero(chain < 0)
    junction = np.full(n, -1, dtype=np.int32)
    junction[members] = np.arange(len(members))
    tail, head, arc_chain = _junction_arcs(bounds, nodes, forward, backward, junction)
    order = np.argsort(tail, kind="stable")
    core = Rows(
        np.searchsorted(tail[order], np.arange(len(members) + 1)).astype(np.int32), head[order],
        np.ascontiguousarray(xyz[members]),
    )  # fmt: skip
    return Chains(bounds, nodes, forward, backward, chain, at, junction, core, arc_chain[order])


@njit(cache=True, nogil=True)
def _trace(begins: Ints, neighbours: Ints, kept: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints, Ints]:
    """Follow every chain from its end with the smaller number. See `Chains` for what is returned."""
    n = len(begins) - 1
    between = np.zeros(n, dtype=np.bool_)
    for node in range(n):
        between[node] = begins[node + 1] - begins[node] == 2 and not kept[node]
    chain, at = np.full(n, -1, dtype=np.int32), np.full(n, -1, dtype=np.int32)
    bounds = np.zeros(len(neighbours) + 1, dtype=np.int32)
    nodes = np.empty(3 * len(neighbours) + 2, dtype=np.int32)
    count = size = 0
    for rings in (False, True):  # what is left after the first round are rings without a junction: one is made
        for first in range(n):
            if between[first] and (not rings or chain[first] >= 0):
                continue
            if rings and not between[first]:
                continue
            between[first] = False
            for i in range(begins[first], begins[first + 1]):
                start, before, here = size, first, neighbours[i]
                nodes[size] = first
                size += 1
                while between[here]:
                    nodes[size] = here
                    size += 1
                    a, b = neighbours[begins[here]], neighbours[begins[here] + 1]
                    before, here = here, (b if a == before else a)
                nodes[size] = here
                size += 1
                if first > here or (first == here and nodes[start + 1] > before):
                    size = start  # it is followed from its other end
                    continue
                for k in range(start + 1, size - 1):
                    chain[nodes[k]], at[nodes[k]] = count, k
                count += 1
                bounds[count] = size
    return bounds[: count + 1].copy(), nodes[:size].copy(), chain, at


@njit(cache=True, nogil=True)
def _arc(rows: Rows, tail: int, head: int) -> int:
    for arc in range(rows.starts[tail], rows.starts[tail + 1]):
        if rows.heads[arc] == head:
            return arc
    return -1


@njit(cache=True, nogil=True)
def _steps(rows: Rows, bounds: Ints, nodes: Ints) -> tuple[Ints, Ints]:
    """`forward` and `backward` of `Chains`."""
    forward, backward = np.full(len(nodes), -1, dtype=np.int32), np.full(len(nodes), -1, dtype=np.int32)
    for i in range(len(bounds) - 1):
        for k in range(bounds[i], bounds[i + 1] - 1):
            forward[k] = _arc(rows, nodes[k], nodes[k + 1])
            backward[k] = _arc(rows, nodes[k + 1], nodes[k])
    return forward, backward


@njit(cache=True, nogil=True)
def _junction_arcs(bounds: Ints, nodes: Ints, forward: Ints, backward: Ints, junction: Ints) -> tuple[Ints, Ints, Ints]:
    """Tail, head and chain of each arc between two junctions; a chain back to its own junction is none."""
    most = 2 * (len(bounds) - 1)
    tail, head, which = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    count = 0
    for i in range(len(bounds) - 1):
        first, last = junction[nodes[bounds[i]]], junction[nodes[bounds[i + 1] - 1]]
        if first == last:
            continue
        there, back = True, True
        for k in range(bounds[i], bounds[i + 1] - 1):
            there, back = there and forward[k] >= 0, back and backward[k] >= 0
        if there:
            tail[count], head[count], which[count] = first, last, 2 * i
            count += 1
        if back:
            tail[count], head[count], which[count] = last, first, 2 * i + 1
            count += 1
    return tail[:count].copy(), head[:count].copy(), which[:count].copy()


@njit(cache=True, nogil=True)
def costs_of_chains(chains: Chains, costs: Floats) -> Floats:
    """(a,) what each arc between junctions costs, given what the arcs of the graph cost (m,)."""
    total = np.zeros(len(chains.arc_chain))
    for i in range(len(total)):
        steps = chains.backward if chains.arc_chain[i] & 1 else chains.forward
        for k in range(chains.bounds[chains.arc_chain[i] >> 1], chains.bounds[(chains.arc_chain[i] >> 1) + 1] - 1):
            total[i] += costs[steps[k]]
    return total


@njit(cache=True, nogil=True)
def arcs_of_chains(chains: Chains) -> tuple[Ints, Ints]:
    """The graph's arcs along each arc between junctions, one after another, and (a + 1,) where those of each begin."""
    begins = np.zeros(len(chains.arc_chain) + 1, dtype=np.int32)
    arcs = np.empty(2 * len(chains.nodes), dtype=np.int32)
    for i in range(len(chains.arc_chain)):
        first, last = chains.bounds[chains.arc_chain[i] >> 1], chains.bounds[(chains.arc_chain[i] >> 1) + 1] - 1
        piece = _piece(chains, last, first) if chains.arc_chain[i] & 1 else _piece(chains, first, last)
        begins[i + 1] = begins[i] + len(piece)
        arcs[begins[i] : begins[i + 1]] = piece
    return arcs[: begins[-1]].copy(), begins


@njit(cache=True, nogil=True)
def route_on_chains(
    chains: Chains, chain_costs: Floats, costs: Floats, goal: Floats, scale: float, source: int, target: int
) -> tuple[float, Ints, int]:
    """The cheapest way between two nodes of the whole graph: its cost, its arcs, and how many junctions were looked at.

    costs (m,) of the graph's arcs, chain_costs of the junctions' (`costs_of_chains`); goal (1, 3): where the target is
    """
    best, direct = np.inf, np.empty(0, dtype=np.int32)
    if source == target:
        return 0.0, direct, 0
    if chains.chain[source] >= 0 and chains.chain[source] == chains.chain[target]:
        direct = _piece(chains, chains.at[source], chains.at[target])
        best = _sum(direct, costs)
    sources, entry = _ends(chains, costs, source, True)
    targets, leave = _ends(chains, costs, target, False)
    cost, chosen, over, looked_at = a_star(chains.core, chain_costs, goal, scale, sources, entry, targets, leave, best)
    if chosen < 0:
        return best, direct, looked_at
    begin = targets[chosen]
    if len(over):
        begin = tail_of(chains.core.starts, over[0])
    entered = 0
    if len(sources) == 2 and (sources[0] != begin or (sources[1] == begin and entry[1] < entry[0])):
        entered = 1
    return cost, _joined(chains, source, entered, over, target, chosen), looked_at


@njit(cache=True, nogil=True)
def _ends(chains: Chains, costs: Floats, node: int, leaving: bool) -> tuple[Ints, Floats]:
    """The junctions that a node reaches (`leaving`) or is reached from without passing another, and at what cost."""
    ends, prices = np.empty(2, dtype=np.int32), np.zeros(2)
    if chains.junction[node] >= 0:
        ends[0] = chains.junction[node]
        return ends[:1], prices[:1]
    here = chains.at[node]
    for side in range(2):
        end = _end_of(chains, node, side)
        ends[side] = chains.junction[chains.nodes[end]]
        prices[side] = _sum(_piece(chains, here, end) if leaving else _piece(chains, end, here), costs)
    return ends, prices


@njit(cache=True, nogil=True)
def _end_of(chains: Chains, node: int, side: int) -> int:
    """The index in `nodes` of the first (0) or last (1) junction of a node's chain."""
    return chains.bounds[chains.chain[node] + side] - side


@njit(cache=True, nogil=True)
def _piece(chains: Chains, begin: int, end: int) -> Ints:
    """The arcs from one index in `nodes` to another of the same chain."""
    arcs = np.empty(abs(end - begin), dtype=np.int32)
    for i in range(len(arcs)):
        arcs[i] = chains.forward[begin + i] if end > begin else chains.backward[begin - 1 - i]
    return arcs


@njit(cache=True, nogil=True)
def _sum(arcs: Ints, costs: Floats) -> float:
    total = 0.0
    for arc in arcs:
        total += costs[arc] if arc >= 0 else np.inf
    return total


@njit(cache=True, nogil=True)
def _joined(chains: Chains, source: int, entered: int, over: Ints, target: int, left: int) -> Ints:
    """The arcs of the piece of chain before, of the chains between, and of the piece after."""
    pieces = [np.empty(0, dtype=np.int32)]
    if chains.junction[source] < 0:
        pieces.append(_piece(chains, chains.at[source], _end_of(chains, source, entered)))
    for arc in over:
        first, last = chains.bounds[chains.arc_chain[arc] >> 1], chains.bounds[(chains.arc_chain[arc] >> 1) + 1] - 1
        if chains.arc_chain[arc] & 1:
            first, last = last, first
        pieces.append(_piece(chains, first, last))
    if chains.junction[target] < 0:
        pieces.append(_piece(chains, _end_of(chains, target, left), chains.at[target]))
    size = 0
    for piece in pieces:
        size += len(piece)
    arcs, size = np.empty(size, dtype=np.int32), 0
    for piece in pieces:
        arcs[size : size + len(piece)] = piece
        size += len(piece)
    return arcs
