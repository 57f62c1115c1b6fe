"""A whole tree at once: bottom up, by agglomeration in the joint space of place and meaning.

On each level, clusters whose nearest neighbours they are to each other are merged, all such pairs in one round
(reciprocal nearest neighbours, Murtagh 1983), by Ward's criterion and within the bounds on children, until they have
`_TYPICAL` members on average; then their means are the items of the next level. A round is one matrix product. More
than `_BLOCK` items are first cut into blocks by 2-means, so that time and memory stay linear in the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from embodied_mem.forest.grow import LEAST, Growth, checked
from embodied_mem.forest.parts import aim, attach, count_in, new_node, refresh, set_root
from embodied_mem.forest.tree import Arrays, Tree

FloatArray = NDArray[np.float64]
_TYPICAL = 8  # children of a node
_BLOCK = 4096
_ROUNDS = 20  # of 2-means


def build(
    seqs: Sequence[int] | NDArray[np.int64],
    vectors: ArrayLike,
    places: ArrayLike,
    positions: ArrayLike | None = None,
    spans: ArrayLike | None = None,
    *,
    weight: float = 0.5,
    fan_out: int = 16,
) -> Tree:
    """A tree of n records; the columns are those of `Growth.add`. Raises BadInputError."""
    width, place_width = np.shape(vectors)[-1], np.shape(places)[-1]
    rows = checked(seqs, vectors, places, positions, spans, width, place_width)
    tree = Tree(width, place_width, fan_out)
    n = len(rows[0])
    if not n:
        return tree
    first = Growth(tree, weight)._store(*rows)
    items, level = np.arange(first, first + n, dtype=np.int64), 1
    means, spots, counts = rows[1].astype(np.float64), rows[2], np.ones(n)
    tree.reserve(nodes=n + 2)
    while True:
        groups = grouped(joint(means, spots, weight), LEAST, fan_out) if len(items) > fan_out else np.zeros(len(items))
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        items = _adopt(tree.arrays, level, items[order], np.append(starts, len(order)))
        if len(items) == 1:
            break
        counts = np.add.reduceat(counts[order], starts)
        lengths = np.maximum(tree.arrays.norms[items], 1e-9)
        means = tree.arrays.sums[items] / lengths[:, None]
        spots = tree.arrays.place_sums[items] / counts[:, None]
        level += 1
    _crown(tree.arrays, int(items[0]), n)
    return tree


def joint(vectors: FloatArray, places: FloatArray, weight: float) -> FloatArray:
    """(n, d + k) rows whose squared distances are those of vectors and places, each divided by its mean, weighted."""
    parts = []
    for rows, share in ((vectors, 1 - weight), (places, weight)):
        centred = rows - rows.mean(axis=0)
        parts.append(centred * np.sqrt(share / max(float((centred**2).sum() / len(rows)), 1e-12)))
    return np.hstack(parts)


def grouped(rows: FloatArray, least: int, most: int) -> NDArray[np.int64]:
    """(n,) which group each row belongs to; groups have `least` to `most` members, `_TYPICAL` on average."""
    labels, count = np.empty(len(rows), dtype=np.int64), 0
    for block in _blocks(rows, np.arange(len(rows))):
        inside = _agglomerate(rows[block], least, most)
        labels[block] = inside + count
        count += int(inside.max()) + 1
    return labels


def _blocks(rows: FloatArray, members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    if len(members) <= _BLOCK:
        return [members]
    own = rows[members]
    one = own[np.argmax(((own - own.mean(axis=0)) ** 2).sum(axis=1))]
    two = own[np.argmax(((own - one) ** 2).sum(axis=1))]
    half = len(members) // 2
    for _ in range(_ROUNDS):
        lean = own @ (two - one) * 2 + one @ one - two @ two  # positive: nearer to `two`
        border = np.clip(np.count_nonzero(lean < 0), half // 2, len(members) - half // 2)
        nearer = np.zeros(len(members), dtype=bool)
        nearer[np.argsort(lean, kind="stable")[border:]] = True
        one, two = own[~nearer].mean(axis=0), own[nearer].mean(axis=0)
    return [*_blocks(rows, members[~nearer]), *_blocks(rows, members[nearer])]


def _agglomerate(rows: FloatArray, least: int, most: int) -> NDArray[np.int64]:
    n = len(rows)
    labels, means, sizes = np.arange(n), rows.copy(), np.ones(n)
    while True:
        surplus = len(sizes) - max(n // _TYPICAL, 1)
        small = sizes < least
        if surplus <= 0 and not small.any():
            return labels
        cost, mate = _nearest(means, sizes, np.ones_like(small) if surplus > 0 else small, most)
        if not np.isfinite(cost).any():
            return labels if not small.any() else _dealt_out(labels, means, sizes, least, most)
        here = np.arange(len(sizes))
        # A small cluster late in the day takes whatever is nearest, whether or not that would rather have another.
        pairs = np.flatnonzero(np.isfinite(cost) & ((mate[mate] == here) & (here < mate) | (surplus <= 0)))
        pairs = pairs[np.argsort(cost[pairs], kind="stable")]
        pairs = pairs[: surplus if surplus > 0 else 1]
        into = here.copy()
        into[mate[pairs]] = pairs
        means[pairs] = (means[pairs] * sizes[pairs, None] + means[mate[pairs]] * sizes[mate[pairs], None]) / (
            sizes[pairs] + sizes[mate[pairs]]
        )[:, None]
        sizes[pairs] += sizes[mate[pairs]]
        kept, renamed = np.unique(into, return_inverse=True)
        labels, means, sizes = renamed[labels], means[kept], sizes[kept]


def _nearest(
    means: FloatArray, sizes: FloatArray, asking: NDArray[np.bool_], most: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """For each cluster that asks, Ward's cost of its cheapest merger and with whom; infinite where there is none."""
    squares = (means**2).sum(axis=1)
    rows = np.flatnonzero(asking)
    apart = np.maximum(squares[rows, None] + squares - 2 * means[rows] @ means.T, 0.0)
    together = sizes[rows, None] + sizes
    apart *= sizes[rows, None] * sizes / together
    apart[together > most] = np.inf
    apart[np.arange(len(rows)), rows] = np.inf
    cost, mate = np.full(len(sizes), np.inf), np.arange(len(sizes))
    mate[rows] = apart.argmin(axis=1)
    cost[rows] = apart[np.arange(len(rows)), mate[rows]]
    return cost, mate


def _dealt_out(
    labels: NDArray[np.int64], means: FloatArray, sizes: FloatArray, least: int, most: int
) -> NDArray[np.int64]:
    """Fill small clusters that fit nowhere as a whole with members of the fullest ones nearby."""
    for small in np.flatnonzero(sizes < least).tolist():
        near = np.argsort(((means - means[small]) ** 2).sum(axis=1), kind="stable")
        for other in near[1:].tolist():
            while sizes[small] < least and sizes[other] > least:
                labels[np.flatnonzero(labels == other)[-1]] = small
                sizes[small] += 1
                sizes[other] -= 1
    return np.unique(labels, return_inverse=True)[1]


@njit(cache=True, nogil=True)
def _adopt(t: Arrays, level: int, items: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Make a node over each run items[bounds[i] : bounds[i + 1]]; returns them."""
    nodes = np.empty(len(bounds) - 1, dtype=np.int64)
    for i in range(len(nodes)):
        nodes[i] = new_node(t, level)
        for item in items[bounds[i] : bounds[i + 1]]:
            attach(t, nodes[i], item)
        refresh(t, nodes[i])
        aim(t, nodes[i])
    return nodes


@njit(cache=True, nogil=True)
def _crown(t: Arrays, root: int, records: int) -> None:
    set_root(t, root)
    count_in(t, records)
