"""The compiled parts of growing: sums along a path, nodes made and freed, 2-means in the joint space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.forest.compiled import dot, inner
from embodied_mem.forest.tree import ALIVE, FREE, LEAVES, LEVELS, MADE, NOTHING, ROOT, Arrays

_ROUNDS = 12  # of 2-means
_TIGHT = 0.1  # of a level's usual distance: less spread in space than this is noise


@inner
def new_node(t: Arrays, level: int) -> int:
    """An empty node. The caller has made room."""
    if t.head[FREE] > 0:
        t.head[FREE] -= 1
        node = t.free[t.head[FREE]]
    else:
        node = t.head[MADE]
        t.head[MADE] += 1
    t.levels[node] = level
    t.parents[node] = NOTHING
    t.sizes[node] = 0
    clear(t, node)
    return node


@inner
def free_node(t: Arrays, node: int) -> None:
    """Give a node's number back, and leave nothing of it."""
    clear(t, node)
    t.sizes[node] = 0
    t.levels[node] = 0
    t.parents[node] = NOTHING
    t.axes[node] = 0
    t.free[t.head[FREE]] = node
    t.head[FREE] += 1


@inner
def clear(t: Arrays, node: int) -> None:
    """The sums and bounds of nothing."""
    t.counts[node] = 0
    t.worded_counts[node] = 0
    t.sums[node] = 0
    t.norms[node] = 0
    t.middles[node] = 0
    t.spots[node] = 0
    t.place_sums[node] = 0
    t.angles[node, 0] = math.pi
    t.angles[node, 1] = 0
    t.aimed[node] = 0
    t.lows[node] = np.inf
    t.highs[node] = -np.inf
    t.times[node, 0] = np.iinfo(np.int64).max
    t.times[node, 1] = np.iinfo(np.int64).min
    t.versions[node] += 1


@inner
def attach(t: Arrays, node: int, child: int) -> None:
    """Append a child (a leaf below level 1), without its sums."""
    t.children[node, t.sizes[node]] = child
    t.sizes[node] += 1
    if t.levels[node] == 1:
        t.above[child] = node
    else:
        t.parents[child] = node


@inner
def detach(t: Arrays, node: int, child: int) -> None:
    """Take a child out, the others keeping their order; without its sums."""
    kept = 0
    for i in range(t.sizes[node]):
        if t.children[node, i] != child:
            t.children[node, kept] = t.children[node, i]
            kept += 1
    t.sizes[node] = kept


@inner
def include(t: Arrays, node: int, leaf: int) -> None:
    """Add a leaf to the sums and bounds of a node."""
    t.counts[node] += 1
    t.place_sums[node] += t.places[leaf]
    t.spots[node] = t.place_sums[node] / t.counts[node]
    for axis in range(3):
        t.lows[node, axis] = min(t.lows[node, axis], t.positions[leaf, axis])
        t.highs[node, axis] = max(t.highs[node, axis], t.positions[leaf, axis])
    t.times[node, 0] = min(t.times[node, 0], t.spans[leaf, 0])
    t.times[node, 1] = max(t.times[node, 1], t.spans[leaf, 1])
    t.versions[node] += 1
    if not t.worded[leaf]:
        return
    t.worded_counts[node] += 1
    total = 0.0
    for j in range(t.sums.shape[1]):
        t.sums[node, j] += t.vectors[leaf, j]
        total += t.sums[node, j] * t.sums[node, j]
    t.norms[node] = math.sqrt(total)
    center(t, node)
    if t.worded_counts[node] >= 2 * t.aimed[node]:
        aim(t, node)
    else:
        widen(t, node, leaf)


@inner
def center(t: Arrays, node: int) -> None:
    """The sum of a node's vectors as a unit vector; zero where they cancel."""
    scale = 1 / t.norms[node] if t.norms[node] > 1e-9 else 0.0
    for j in range(t.sums.shape[1]):
        t.middles[node, j] = t.sums[node, j] * scale


@inner
def widen(t: Arrays, node: int, leaf: int) -> None:
    """Let the angles about a node's axis include a leaf."""
    total = dot(t.axes[node], t.vectors[leaf])
    angle = math.acos(min(max(total, -1.0), 1.0))
    t.angles[node, 0] = min(t.angles[node, 0], angle)
    t.angles[node, 1] = max(t.angles[node, 1], angle)


@inner
def aim(t: Arrays, node: int) -> None:
    """Choose the axis anew, along the sum, and measure the angles to every vector below."""
    t.aimed[node] = t.worded_counts[node]
    t.angles[node, 0] = math.pi
    t.angles[node, 1] = 0.0
    if t.norms[node] < 1e-9:  # nothing below, or vectors that cancel
        t.axes[node] = 0
        t.angles[node, 0], t.angles[node, 1] = 0.0, math.pi
        return
    for j in range(t.axes.shape[1]):
        t.axes[node, j] = t.sums[node, j] / t.norms[node]
    stack = np.empty(LEVELS * t.children.shape[1], dtype=np.int64)
    stack[0], height = node, 1
    while height:
        height -= 1
        here = stack[height]
        for i in range(t.sizes[here]):
            child = t.children[here, i]
            if t.levels[here] > 1:
                stack[height] = child
                height += 1
            elif t.worded[child]:
                widen(t, node, child)


@inner
def refresh(t: Arrays, node: int) -> None:
    """Make the sums and bounds of a node again from its children. The axis stays."""
    axis_kept, low_kept, high_kept = t.aimed[node], t.angles[node, 0], t.angles[node, 1]
    clear(t, node)
    t.aimed[node], t.angles[node, 0], t.angles[node, 1] = axis_kept, low_kept, high_kept
    bottom = t.levels[node] == 1
    for i in range(t.sizes[node]):
        child = t.children[node, i]
        if bottom:
            t.counts[node] += 1
            t.worded_counts[node] += t.worded[child]
            t.place_sums[node] += t.places[child]
            for j in range(t.sums.shape[1]):
                t.sums[node, j] += t.vectors[child, j]
            low, high, span = t.positions[child], t.positions[child], t.spans[child]
        else:
            t.counts[node] += t.counts[child]
            t.worded_counts[node] += t.worded_counts[child]
            t.place_sums[node] += t.place_sums[child]
            t.sums[node] += t.sums[child]
            low, high, span = t.lows[child], t.highs[child], t.times[child]
        for axis in range(3):
            t.lows[node, axis] = min(t.lows[node, axis], low[axis])
            t.highs[node, axis] = max(t.highs[node, axis], high[axis])
        t.times[node, 0] = min(t.times[node, 0], span[0])
        t.times[node, 1] = max(t.times[node, 1], span[1])
    t.norms[node] = math.sqrt(np.sum(t.sums[node] * t.sums[node]))
    t.spots[node] = t.place_sums[node] / max(t.counts[node], 1)
    center(t, node)


@inner
def features(t: Arrays, node: int) -> Any:
    """The children of a node in the joint space: (n, d) mean vectors of at most unit length, (n, k) mean places."""
    n = t.sizes[node]
    vectors, places = np.zeros((n, t.vectors.shape[1])), np.zeros((n, t.places.shape[1]))
    for i in range(n):
        child = t.children[node, i]
        if t.levels[node] == 1:
            vectors[i] = t.vectors[child]
            places[i] = t.places[child]
        else:
            vectors[i] = t.sums[child] / max(t.norms[child], 1e-9)
            places[i] = t.place_sums[child] / t.counts[child]
    return vectors, places


@inner
def two_means(
    vectors: NDArray[np.float64], places: NDArray[np.float64], weight: float, tau: float, least: int
) -> NDArray[np.bool_]:
    """(n,) which of two groups, each with `least` members or more, the rows belong to.

    2-means (Lloyd, 1982) in the joint space: squared distances of places and of vectors, each divided by its mean over
    the rows, weighted by `weight` and 1 - `weight`. The first means are two far rows; the border is moved where a group
    would be too small.
    """
    n, d, k = len(vectors), vectors.shape[1], places.shape[1]
    joint = np.empty((n, d + k))
    spread = 0.0
    for j in range(d):
        spread += float(np.var(vectors[:, j]))
    for j in range(d):
        joint[:, j] = vectors[:, j] * math.sqrt((1 - weight) / max(spread, 1e-9))
    spread = 0.0
    for j in range(k):
        spread += float(np.var(places[:, j]))
    for j in range(k):
        joint[:, d + j] = places[:, j] * math.sqrt(weight / max(spread, (_TIGHT * tau) ** 2, 1e-12))
    first = np.argmax(_apart(joint, joint[np.argmax(_apart(joint, _mean(joint, np.ones(n, np.bool_))))]))
    second = np.argmax(_apart(joint, joint[first]))
    one, two = joint[first].copy(), joint[second].copy()
    group = np.zeros(n, dtype=np.bool_)
    for _ in range(_ROUNDS):
        lean = _apart(joint, one) - _apart(joint, two)
        border = min(max(np.sum(lean < 0), least), n - least)
        fresh = np.empty(n, dtype=np.bool_)
        for i in range(n):
            fresh[i] = np.sum(lean < lean[i]) + np.sum(lean[:i] == lean[i]) >= border
        if np.array_equal(fresh, group):
            break
        group = fresh
        one, two = _mean(joint, ~group), _mean(joint, group)
    return group


@inner
def _apart(rows: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty(len(rows))
    for i in range(len(rows)):
        total = 0.0
        for j in range(len(point)):
            total += (rows[i, j] - point[j]) ** 2
        out[i] = total
    return out


@inner
def _mean(rows: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    out = np.zeros(rows.shape[1])
    for i in range(len(rows)):
        if kept[i]:
            out += rows[i]
    return out / max(float(np.sum(kept)), 1.0)


@inner
def set_root(t: Arrays, node: int) -> None:
    t.head[ROOT] = node
    if node != NOTHING:
        t.parents[node] = NOTHING


@inner
def count_in(t: Arrays, change: int) -> None:
    """One record more, or less."""
    t.head[ALIVE] += change
    if t.head[ALIVE] == 0 and change < 0:
        t.head[ROOT] = NOTHING


@inner
def next_leaf(t: Arrays) -> int:
    t.head[LEAVES] += 1
    return t.head[LEAVES] - 1
