"""Fewer places, and ways between them that are hardly longer: a small graph in the place of a large one.

1. Places that one can only pass through go, and the edges along them become one edge of the same length. Ways between
   the places that stay keep their length exactly (chains.py).
2. Of the edges that are left, the shortest first, one is kept only if the edges kept so far do not already lead from
   its tail to its head within `stretch` times its length (the greedy spanner of Althöfer et al., On Sparse Spanners of
   Weighted Graphs, 1993; it holds for directed edges too). Every edge of a shortest way is stretched that much at most,
   so the way is.
3. Where an edge went there are more places to pass through: they go as in 1.

Edges with a block stay, with their ends, and no other edge goes for their sake: the bound holds at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.heap import pop, push
from embodied_mem.topology.arrays import FloatArray, IntArray
from embodied_mem.topology.chains import arcs_of_chains, find_chains
from embodied_mem.topology.graph import OPEN, PlaceGraph
from embodied_mem.topology.search import Floats, Ints, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Compressed:
    """A graph of k of n places.

    kept (k,)       which places they were, ascending
    place_of (n,)   for each place that was, the number in `graph` of the kept one nearest by way, in either direction
    away (n,)       how far that is, metres
    """

    graph: PlaceGraph
    kept: IntArray
    place_of: IntArray
    away: FloatArray


class _Arcs(NamedTuple):
    """Directed edges by column, as in PlaceGraph."""

    tails: Ints
    heads: Ints
    lengths: Floats
    headings: Floats
    traversals: IntArray
    last_used: IntArray
    blocked_until: IntArray

    def at(self, rows: NDArray[np.intp]) -> _Arcs:
        return _Arcs._make(column[rows] for column in self)

    @property
    def blocked(self) -> NDArray[np.bool_]:
        return np.asarray(self.blocked_until != OPEN)


def compress(graph: PlaceGraph, *, stretch: float = 1.0, keep: ArrayLike = ()) -> Compressed:
    """A graph with fewer places, between any two of which the way is at most `stretch` times as long as it was.

    keep   places that must stay, such as those with landmarks; ends of blocked edges and their neighbours do anyway
    What was known of a place that went (visits, records, descriptor, landmarks without their bearings) is told of the
    kept one nearest by way. An edge in the place of several was travelled as often as the least of them.
    Raises BadInputError for a stretch below 1, NotFoundError for places to keep that there are not.
    """
    if not 1 <= stretch < np.inf:
        raise BadInputError(f"A way can be stretched by a finite factor of at least 1, not by {stretch}.")
    rows = graph.edge_rows()
    arcs = _Arcs(
        graph.tails.data[rows], graph.heads.data[rows], graph.lengths.data[rows], graph.headings.data[rows],
        graph.traversals.data[rows], graph.last_used.data[rows], graph.blocked_until.data[rows],
    )  # fmt: skip
    pinned = _pinned(len(graph), arcs, np.atleast_1d(np.asarray(keep, dtype=np.int64)))
    first, fewer = _without_chains(arcs, pinned)
    order = np.argsort(fewer.lengths, kind="stable").astype(np.int32)
    sparse = _spanner(len(first), fewer.tails, fewer.heads, fewer.lengths, fewer.blocked, order, stretch)
    second, fewest = _without_chains(fewer.at(np.flatnonzero(sparse)), pinned[first])
    kept = first[second]
    nearest, away = _nearest(len(graph), arcs, kept)
    return Compressed(_folded(graph, kept, nearest, fewest), kept, nearest, away)


def _pinned(n: int, arcs: _Arcs, keep: IntArray) -> NDArray[np.bool_]:
    """The places that must stay. Neighbours of a block do, so that no two edges between the same places arise there."""
    if len(keep) and not (keep.min() >= 0 and keep.max() < n):
        raise NotFoundError(f"Places to keep are numbered from 0 to {n - 1}, not {keep.min()} to {keep.max()}.")
    ends = np.zeros(n, dtype=bool)
    ends[arcs.tails[arcs.blocked]] = ends[arcs.heads[arcs.blocked]] = True
    pinned = ends.copy()
    pinned[arcs.heads[ends[arcs.tails]]] = pinned[arcs.tails[ends[arcs.heads]]] = True
    pinned[keep] = True
    return pinned


def _without_chains(arcs: _Arcs, pinned: NDArray[np.bool_]) -> tuple[NDArray[np.intp], _Arcs]:
    """The places that are more than passed through, and edges between them by their new numbers, by tail and head."""
    n = len(pinned)
    arcs = arcs.at(np.lexsort((arcs.heads, arcs.tails)))
    starts = np.searchsorted(arcs.tails, np.arange(n + 1)).astype(np.int32)
    chains = find_chains(Rows(starts, arcs.heads, np.zeros((n, 3))), pinned)
    along, begins = arcs_of_chains(chains)
    members = np.flatnonzero(chains.chain < 0)
    if not len(along):
        return members, arcs.at(np.zeros(0, dtype=np.intp))
    first, parts = begins[:-1], arcs.at(along.astype(np.intp))
    whole = _Arcs(
        chains.junction[parts.tails[first]], chains.core.heads, np.add.reduceat(parts.lengths, first),
        parts.headings[first], np.minimum.reduceat(parts.traversals, first),
        np.minimum.reduceat(parts.last_used, first), np.maximum.reduceat(parts.blocked_until, first),
    )  # fmt: skip
    whole = whole.at(np.lexsort((whole.lengths, whole.heads, whole.tails)))
    pairs = whole.tails.astype(np.int64) << 32 | whole.heads
    return members, whole.at(np.flatnonzero(np.diff(pairs, prepend=-1)))  # of two between the same places the shorter


@njit(cache=True, nogil=True)
def _spanner(
    n: int, tails: Ints, heads: Ints, lengths: Floats, blocked: NDArray[np.bool_], order: Ints, stretch: float
) -> NDArray[np.bool_]:
    """(m,) which edges to keep, looked at in `order`. Blocked ones are kept, and lead nowhere for the others."""
    m = len(tails)
    kept = blocked.copy()
    latest, before = (
        np.full(n, -1, dtype=np.int32),
        np.full(m, -1, dtype=np.int32),
    )  # kept edges from each place, chained
    reached = np.full(n, np.inf)
    touched = np.empty(m + 1, dtype=np.int32)
    keys, items = np.empty(m + 1), np.empty(m + 1, dtype=np.int32)
    for arc in order:
        if blocked[arc]:
            continue
        limit = stretch * lengths[arc]
        reached[tails[arc]], touched[0], count = 0.0, tails[arc], 1
        size = push(keys, items, 0, 0.0, tails[arc])
        while size and items[0] != heads[arc]:
            cost, node = keys[0], items[0]
            size = pop(keys, items, size)
            if cost > reached[node]:
                continue
            way = latest[node]
            while way >= 0:
                further = cost + lengths[way]
                if further <= limit and further < reached[heads[way]]:
                    reached[heads[way]] = further
                    touched[count] = heads[way]
                    count += 1
                    size = push(keys, items, size, further, heads[way])
                way = before[way]
        if not size:
            kept[arc] = True
            before[arc], latest[tails[arc]] = latest[tails[arc]], arc
        for i in range(count):
            reached[touched[i]] = np.inf
    return kept


def _nearest(n: int, arcs: _Arcs, kept: IntArray) -> tuple[IntArray, FloatArray]:
    """For each place the kept one (by its new number) that is nearest by way in either direction, and how far it is."""
    if not n:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    costs = np.maximum(arcs.lengths, np.finfo(np.float64).tiny)  # a sparse matrix has no edge of no length
    network = csr_matrix((costs, (arcs.tails, arcs.heads)), shape=(n, n))
    away, _, source = dijkstra(network, directed=False, indices=kept, min_only=True, return_predecessors=True)
    return np.searchsorted(kept, source), away


def _folded(graph: PlaceGraph, kept: IntArray, nearest: IntArray, arcs: _Arcs) -> PlaceGraph:
    """The kept places where they were, with what was known of the others, and edges between them."""
    k, maps, made = len(kept), graph.maps.all(), PlaceGraph()
    if not k:
        return made
    last = graph.last_seen.data[kept]
    np.maximum.at(last, nearest, graph.last_seen.data)
    sums = None
    if graph.descriptor_sums is not None:
        sums = np.zeros((k, graph.descriptor_sums.data.shape[1]))
        np.add.at(sums, nearest, graph.descriptor_sums.data)
    visits, observed = np.zeros(k, dtype=np.int64), np.zeros(k, dtype=np.int64)
    np.add.at(visits, nearest, graph.visits.data)
    np.add.at(observed, nearest, graph.observed.data)
    made.add_places(
        graph.positions.data[kept], map_ids=[maps[code] for code in graph.map_codes.data[kept]], descriptors=sums,
        visits=visits, observed=observed, last_seen_ns=last,
    )  # fmt: skip
    made.add_edges(
        arcs.tails, arcs.heads, arcs.lengths, headings=arcs.headings, traversals=arcs.traversals,
        last_used_ns=arcs.last_used,
    )  # fmt: skip
    made.blocked_until.data[:] = arcs.blocked_until  # edges stand as they were given: by tail and head
    made.add_evidence(nearest[graph.evidence.data[:, 0]], graph.evidence.data[:, 1])
    _move_landmarks(graph, made, kept, nearest)
    return made


def _move_landmarks(graph: PlaceGraph, made: PlaceGraph, kept: IntArray, nearest: IntArray) -> None:
    """Landmarks of places that went are told of the nearest kept one: seen near it, in no known direction."""
    table = graph.landmarks
    if not len(table):
        return
    place = nearest[table.place.data]
    known = (kept[place] == table.place.data) & table.toward.data.any(axis=1)
    measured = (kept[place] == table.place.data) & (table.far.data[:, 1] > 0)
    made.landmarks.add(
        place, table.names.all(), np.where(known, np.arctan2(table.toward.data[:, 1], table.toward.data[:, 0]), np.nan),
        which=table.name.data, stamps_ns=table.last_seen.data, records=table.record.data, counts=table.count.data,
        distances=np.where(measured, table.far.data[:, 0] / np.maximum(table.far.data[:, 1], 1), np.nan),
    )  # fmt: skip
