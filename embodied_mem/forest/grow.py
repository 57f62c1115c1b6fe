"""How a tree grows, shrinks and stays balanced.

A record goes to the node of level 1 to which it belongs best (descent.py). An overfull node is split by 2-means in the
joint space of place and meaning, and so is one that took a record in which does not belong (below the level's cut); an
underfull one is merged into the sibling that is most alike. Splits go upward: the root is split into up to four parts
under a new root, so that no child of it holds nearly everything. All leaves stay at one depth; every node but the root
has `least` to `fan_out` children, the root at least two (except with a single record): so the depth is at most
log(n) / log(least), and no node has one child.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.compiled import inner
from embodied_mem.forest.descent import belonging, cosine_to, descend, distance_to
from embodied_mem.forest.parts import (
    aim,
    attach,
    count_in,
    detach,
    features,
    free_node,
    include,
    new_node,
    refresh,
    set_root,
    two_means,
)
from embodied_mem.forest.tree import CUT, LEAVES, LEVELS, NOTHING, ROOT, TAU, Arrays, Tree

LEAST = 3  # children of a node
_STEP = 4096  # records between two looks at the room that is left


class Growth:
    """Puts records into a tree, takes them out and moves them.

    weight  a in S: what place counts against meaning, 0 to 1
    """

    def __init__(self, tree: Tree, weight: float = 0.5) -> None:
        if not 0 <= weight <= 1:
            raise BadInputError(f"The weight of place against meaning lies between 0 and 1, not at {weight}.")
        self.tree, self.weight = tree, weight

    def add(
        self,
        seqs: Sequence[int] | NDArray[np.int64],
        vectors: ArrayLike,
        places: ArrayLike,
        positions: ArrayLike | None = None,
        spans: ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Insert n records in this order; returns their leaves (n,).

        vectors (n, d) unit, or all zero for a record without; places (n, k) metres; positions (n, 3) metres (default:
        the places); spans (n, 2) ns first and last seen (default: 0). Raises BadInputError; then nothing is inserted.
        """
        tree = self.tree
        rows = checked(seqs, vectors, places, positions, spans, tree.width, tree.place_width)
        first = self._store(*rows)
        leaves = np.arange(first, first + len(rows[0]), dtype=np.int64)
        self.insert(leaves)
        return leaves

    def insert(self, leaves: NDArray[np.int64]) -> None:
        """Put leaves in that are stored already and have no place in the tree."""
        for start in range(0, len(leaves), _STEP):
            some = leaves[start : start + _STEP]
            self.tree.reserve(nodes=len(some) + LEVELS)  # a record makes less than one node on average
            _insert_all(self.tree.arrays, some, self.weight, LEAST)

    def remove(self, leaf: int) -> None:
        """Take a record out, and every trace of it out of the sums and bounds above. Raises BadInputError."""
        self._check_inside(leaf)
        self.tree.reserve(nodes=2 * LEVELS)
        _remove(self.tree.arrays, leaf, self.weight, LEAST)
        self._wipe(leaf)

    def move(self, leaf: int, place: ArrayLike, position: ArrayLike | None = None) -> None:
        """The record is elsewhere now: it is taken out and put in where it belongs. Raises BadInputError."""
        self._check_inside(leaf)
        arrays = self.tree.arrays
        where = np.asarray(place, dtype=np.float64)
        there = where[:3] if position is None else np.asarray(position, dtype=np.float64)
        if where.shape != (self.tree.place_width,) or there.shape != (3,) or not np.isfinite([*where, *there]).all():
            raise BadInputError(f"A place is {self.tree.place_width} finite numbers, a position 3.")
        self.tree.reserve(nodes=2 * LEVELS)
        _remove(arrays, leaf, self.weight, LEAST)
        arrays.places[leaf], arrays.positions[leaf] = where, there
        self.insert(np.array([leaf], dtype=np.int64))

    def _store(
        self,
        seqs: NDArray[np.int64],
        vectors: NDArray[np.float32],
        places: NDArray[np.float64],
        positions: NDArray[np.float64],
        spans: NDArray[np.int64],
    ) -> int:
        tree = self.tree
        tree.reserve(leaves=len(seqs))
        first = tree.leaf_slots
        new = slice(first, first + len(seqs))
        arrays = tree.arrays
        arrays.seqs[new], arrays.vectors[new], arrays.places[new] = seqs, vectors, places
        arrays.positions[new], arrays.spans[new], arrays.above[new] = positions, spans, NOTHING
        arrays.worded[new] = vectors.any(axis=1)
        arrays.codes[new] = np.packbits(vectors > 0, axis=1)
        arrays.head[LEAVES] += len(seqs)
        return first

    def _check_inside(self, leaf: int) -> None:
        if not 0 <= leaf < self.tree.leaf_slots or self.tree.arrays.above[leaf] == NOTHING:
            raise BadInputError(f"The tree has no leaf {leaf}.")

    def _wipe(self, leaf: int) -> None:
        arrays = self.tree.arrays
        arrays.vectors[leaf], arrays.places[leaf], arrays.positions[leaf], arrays.spans[leaf] = 0, 0, 0, 0
        arrays.worded[leaf], arrays.codes[leaf] = 0, 0


def checked(
    seqs: Sequence[int] | NDArray[np.int64],
    vectors: ArrayLike,
    places: ArrayLike,
    positions: ArrayLike | None,
    spans: ArrayLike | None,
    width: int,
    place_width: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The columns of n records as arrays. Raises BadInputError that names what does not fit."""
    numbers = np.asarray(seqs, dtype=np.int64)
    n = len(numbers)
    rows, where = np.asarray(vectors, dtype=np.float32), np.asarray(places, dtype=np.float64)
    there = where[:, :3] if positions is None else np.asarray(positions, dtype=np.float64)
    times = np.zeros((n, 2), np.int64) if spans is None else np.asarray(spans, dtype=np.int64)
    for name, array, shape in (
        ("vectors", rows, (n, width)), ("places", where, (n, place_width)), ("positions", there, (n, 3)),
        ("spans", times, (n, 2)),
    ):  # fmt: skip
        if array.shape != shape:
            raise BadInputError(f"{n} records need {name} of the shape {shape}, not {array.shape}.")
        if not np.isfinite(array).all():
            raise BadInputError(f"The {name} hold NaN or infinity.")
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    wrong = np.flatnonzero((np.abs(lengths - 1) > 1e-3) & (lengths != 0))
    if len(wrong):
        raise BadInputError(f"Vector {wrong[0]} has the length {lengths[wrong[0]]:.3g}: normalise it, or give zeros.")
    if (times[:, 0] > times[:, 1]).any():
        raise BadInputError("A record is last seen before it is first seen.")
    return numbers, rows, where, there, times


@njit(cache=True, nogil=True)
def _insert_all(t: Arrays, leaves: NDArray[np.int64], weight: float, least: int) -> None:
    for leaf in leaves:
        count_in(t, 1)
        if t.head[ROOT] == NOTHING:
            set_root(t, new_node(t, 1))
            bottom, score = t.head[ROOT], np.inf
        else:
            bottom, score = descend(t, t.vectors[leaf], t.places[leaf], weight)
        attach(t, bottom, leaf)
        node = bottom
        while node != NOTHING:
            include(t, node, leaf)
            node = t.parents[node]
        alien = score < t.scales[1, CUT] and t.sizes[bottom] >= 2 * least and t.parents[bottom] != NOTHING
        if alien or t.sizes[bottom] == t.children.shape[1]:
            _split(t, bottom, weight, least)


@inner
def _split(t: Arrays, node: int, weight: float, least: int) -> None:
    """Split a node, and its ancestors while they are overfull; a root into two to four nodes under a new root."""
    while t.parents[node] != NOTHING:
        parent = t.parents[node]
        attach(t, parent, _halve(t, node, weight, least))
        if t.sizes[parent] < t.children.shape[1]:
            return
        node = parent
    root, part = new_node(t, t.levels[node] + 1), node
    attach(t, root, node)
    attach(t, root, _halve(t, node, weight, least))
    for i in range(2):
        part = t.children[root, i]
        if t.sizes[part] >= 2 * least:
            attach(t, root, _halve(t, part, weight, least))
    refresh(t, root)
    aim(t, root)
    set_root(t, root)


@inner
def _halve(t: Arrays, node: int, weight: float, least: int) -> int:
    """Move one of two groups of a node's children into a new node of the same level; returns that."""
    vectors, places = features(t, node)
    group = two_means(vectors, places, weight, t.scales[t.levels[node], TAU], least)
    new = new_node(t, t.levels[node])
    kept = 0
    for i in range(len(group)):
        child = t.children[node, i]
        if group[i]:
            attach(t, new, child)
        else:
            t.children[node, kept] = child
            kept += 1
    t.sizes[node] = kept
    refresh(t, node)
    refresh(t, new)
    aim(t, node)
    aim(t, new)
    return new


@njit(cache=True, nogil=True)
def _remove(t: Arrays, leaf: int, weight: float, least: int) -> None:
    count_in(t, -1)
    node = t.above[leaf]
    detach(t, node, leaf)
    t.above[leaf] = NOTHING
    while node != NOTHING:
        parent = t.parents[node]
        if parent == NOTHING:
            _settle_root(t, node)
            return
        refresh(t, node)
        if t.sizes[node] < least:
            _merge(t, node, parent, weight, least)
        node = parent


@inner
def _settle_root(t: Arrays, root: int) -> None:
    """A root without children goes; one with a single node below gives way to it."""
    if t.sizes[root] == 0:
        free_node(t, root)
        set_root(t, NOTHING)
        return
    refresh(t, root)
    if t.levels[root] > 1 and t.sizes[root] == 1:
        only = t.children[root, 0]
        free_node(t, root)
        set_root(t, only)
        refresh(t, only)


@inner
def _merge(t: Arrays, node: int, parent: int, weight: float, least: int) -> None:
    """Give an underfull node's children to the sibling that is most alike, which is split where it overflows."""
    mean, place = t.middles[node].copy(), t.spots[node].copy()
    space = t.children.shape[1]
    moved = t.sizes[node]
    while True:
        best, chosen = -np.inf, node
        for i in range(t.sizes[parent]):
            other = t.children[parent, i]
            score = belonging(t, t.levels[node], distance_to(t, other, place), cosine_to(t, other, mean), weight)
            if other != node and score > best:
                best, chosen = score, other
        if t.sizes[chosen] + moved <= space:
            break
        attach(t, parent, _halve(t, chosen, weight, least))  # then the parent may be overfull until `node` is gone
    for i in range(moved):
        attach(t, chosen, t.children[node, i])
    detach(t, parent, node)
    free_node(t, node)
    refresh(t, chosen)
    aim(t, chosen)
    if t.sizes[chosen] > space - 1:
        attach(t, parent, _halve(t, chosen, weight, least))
