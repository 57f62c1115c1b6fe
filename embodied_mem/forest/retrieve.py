"""Which records answer a question: exactly, best-first through the tree, or quickly, with a beam.

The score of a record is a weighted mean of three terms, each in [0, 1]:

    meaning  (1 + cosine) / 2
    space    exp(-distance / reach), from the point that is asked about
    time     exp(-|last seen - moment| / lapse)

Every node bounds what any record below it can score: its vectors lie between two angles about its axis, so by the
triangle inequality on the sphere none comes closer to the query's vector than the gap between its angle and those; its
positions lie in a box and its times in a span. Nodes are read in order of their bounds until none can beat the k-th
best record: then the result is that of scoring every record (branch and bound, Fukunaga & Narendra 1975). Filters prune
whole nodes by box and time and are tested on every record that is left.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.compiled import dot, inner
from embodied_mem.forest.descent import cosine_to
from embodied_mem.forest.tree import ROOT, Arrays, Tree

FloatArray = NDArray[np.float64]
FOREVER = int(np.iinfo(np.int64).max)
_SLACK = 1e-3  # radians: rounding of single-precision unit vectors
_MEANING, _SPACE, _TIME = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is looked for in a tree.

    vector (d,) unit, or None; point (3,) metres with reach metres, or None; moment ns with lapse seconds, or None
    weights  of meaning, space and time; that of a term without its vector, point or moment counts as 0
    box ((3,), (3,)) corners, both ends included; sphere (4,) x, y, z, radius; start, end: [start, end) ns: a record
    passes when it was seen in between; allowed (leaf slots,) flags, or None for every leaf
    """

    k: int = 10
    vector: NDArray[np.float32] | None = None
    point: FloatArray | None = None
    reach: float = 100.0
    moment: int | None = None
    lapse: float = 86_400.0
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    box: tuple[FloatArray, FloatArray] | None = None
    sphere: FloatArray | None = None
    start: int = -FOREVER
    end: int = FOREVER
    allowed: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadInputError(f"k must be 1 or more, not {self.k}.")
        if self.reach <= 0 or self.lapse <= 0 or min(self.weights) < 0:
            raise BadInputError("The reach and lapse of a search must be above 0, and no weight below.")
        if sum(self.shares) <= 0:
            raise BadInputError("Nothing to rank by: give a vector, a point or a moment that has a weight.")
        for name in ("vector", "point"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                raise BadInputError(f"The {name} of a search must be finite numbers.")
        if self.sphere is not None and np.isnan(self.sphere).any():
            raise BadInputError("The sphere of a search holds NaN.")

    @property
    def shares(self) -> tuple[float, float, float]:
        """The weights that count."""
        given = (self.vector is not None, self.point is not None, self.moment is not None)
        return tuple(w if there else 0.0 for w, there in zip(self.weights, given, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best k records, best first; of equal ones that with the higher number comes first.

    leaves, seqs (n,); scores (n,) in [0, 1]; terms (n, 3): meaning, space, time (0 where not asked for)
    nodes_read, leaves_read: nodes bounded and records scored; exact: whether these are surely the best
    codes_read: records judged by their codes (sketch.py)
    """

    leaves: NDArray[np.int64]
    seqs: NDArray[np.int64]
    scores: FloatArray
    terms: FloatArray
    nodes_read: int
    leaves_read: int
    exact: bool = True
    codes_read: int = 0


def nothing_found() -> Found:
    """What is found in an empty tree."""
    none = np.zeros(0, np.int64)
    return Found(none, none, np.zeros(0), np.zeros((0, 3)), 0, 0)


def exact(tree: Tree, wanted: Wanted) -> Found:
    """The best records, the same as by scoring every one. Raises BadInputError for a vector of another length."""
    return _found(tree, wanted, 0)


def beam(tree: Tree, wanted: Wanted, width: int) -> Found:
    """The best records below the `width` nodes that look best at each level. Raises BadInputError."""
    if width < 1:
        raise BadInputError(f"A beam keeps 1 node or more, not {width}.")
    return _found(tree, wanted, width)


def fuse(*rankings: NDArray[np.int64], constant: float = 60.0) -> tuple[NDArray[np.int64], FloatArray]:
    """Reciprocal-rank fusion (Cormack, Clarke & Büttcher 2009): items by the sum of 1 / (constant + rank), best first.

    Of equal ones the higher number comes first.
    """
    items, places = np.unique(np.concatenate([*rankings, np.zeros(0, np.int64)]), return_inverse=True)
    ranks = np.concatenate([*map(np.arange, map(len, rankings)), np.zeros(0)]) + 1
    scores = np.bincount(places, 1 / (constant + ranks), minlength=len(items))
    order = np.lexsort((-items, -scores))
    return np.asarray(items[order], np.int64), np.asarray(scores[order], np.float64)


def diverse(vectors: NDArray[np.float32], scores: FloatArray, k: int, trade: float = 0.7) -> NDArray[np.int64]:
    """Indices of up to k of the rows (n, d), each good and unlike those before it.

    Maximal marginal relevance (Carbonell & Goldstein 1998): `trade` times the score, less 1 - `trade` times the largest
    cosine to a chosen row. `trade` 1 takes them by score alone.
    """
    if not 0 <= trade <= 1:
        raise BadInputError(f"The trade between score and diversity lies between 0 and 1, not at {trade}.")
    rows = vectors.astype(np.float64)
    closest, left = np.zeros(len(rows)), np.ones(len(rows), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):
        value = np.where(left, trade * scores - (1 - trade) * closest, -np.inf)
        best = int(np.argmax(value))
        chosen.append(best)
        left[best] = False
        closest = np.maximum(closest, rows @ rows[best]) if len(chosen) > 1 else rows @ rows[best]
    return np.array(chosen, dtype=np.int64)


def _found(tree: Tree, wanted: Wanted, width: int) -> Found:
    asked = asked_of(tree, wanted)
    if not len(tree):
        return nothing_found()
    leaves, scores, terms, nodes_read, leaves_read = (
        _beam(tree.arrays, asked, wanted.k, width) if width else _best_first(tree.arrays, asked, wanted.k)
    )
    return Found(leaves, tree.arrays.seqs[leaves], scores, terms, nodes_read, leaves_read, not width)


def asked_of(tree: Tree, wanted: Wanted) -> Any:
    """A search as the kernels take it. Raises BadInputError for a vector of another length."""
    vector = np.zeros(tree.width, np.float32) if wanted.vector is None else np.asarray(wanted.vector, np.float32)
    if vector.shape != (tree.width,):
        raise BadInputError(f"The query's vector has the shape {vector.shape}, this tree's have {tree.width} numbers.")
    shares = np.array(wanted.shares) / sum(wanted.shares)
    point = np.zeros(3) if wanted.point is None else np.asarray(wanted.point, np.float64)
    box = np.array([[-np.inf] * 3, [np.inf] * 3]) if wanted.box is None else np.array(wanted.box, np.float64)
    sphere = np.array([0.0, 0.0, 0.0, np.inf]) if wanted.sphere is None else np.asarray(wanted.sphere, np.float64)
    times = np.array([wanted.moment or 0, wanted.start, wanted.end], np.int64)
    scales = np.array([wanted.reach, wanted.lapse * 1e9])
    leaf_flags, node_flags = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    if wanted.allowed is not None:
        leaf_flags = np.asarray(wanted.allowed, np.bool_)
        node_flags = _holding(tree.arrays, leaf_flags[: tree.leaf_slots])
    return (vector, point, scales, times, shares, box, sphere, leaf_flags, node_flags)


@njit(cache=True, nogil=True)
def _holding(t: Arrays, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By node, whether any allowed leaf is below."""
    out = np.zeros(len(t.parents), dtype=np.bool_)
    for leaf in np.flatnonzero(allowed):
        node = t.above[leaf]
        while node >= 0 and not out[node]:
            out[node] = True
            node = t.parents[node]
    return out


@inner
def outside(position: FloatArray, box: FloatArray, sphere: FloatArray) -> bool:
    total = 0.0
    for axis in range(3):
        if position[axis] < box[0, axis] or position[axis] > box[1, axis]:
            return True
        total += (position[axis] - sphere[axis]) ** 2
    return total > sphere[3] * sphere[3]


@inner
def may_pass(t: Arrays, node: int, asked: Any) -> bool:
    _, _, _, times, shares, box, sphere, _, flags = asked
    if len(flags) and not flags[node]:
        return False
    if shares[_MEANING] > 0 and not t.worded_counts[node]:
        return False
    if t.times[node, 0] >= times[2] or t.times[node, 1] < times[1]:
        return False
    total = 0.0
    for axis in range(3):
        low, high = t.lows[node, axis], t.highs[node, axis]
        if high < box[0, axis] or low > box[1, axis]:
            return False
        total += max(low - sphere[axis], sphere[axis] - high, 0.0) ** 2
    return total <= sphere[3] * sphere[3]


@inner
def _bound(t: Arrays, node: int, asked: Any) -> float:
    """What no record below a node scores more than."""
    vector, point, scales, times, shares, _, _, _, _ = asked
    best = 0.0
    if shares[_MEANING] > 0:
        total = dot(t.axes[node], vector)
        angle = math.acos(min(max(total, -1.0), 1.0))
        gap = max(angle - t.angles[node, 1], t.angles[node, 0] - angle, _SLACK) - _SLACK
        best += shares[_MEANING] * (1 + math.cos(gap)) / 2
    if shares[_SPACE] > 0:
        total = 0.0
        for axis in range(3):
            total += max(t.lows[node, axis] - point[axis], point[axis] - t.highs[node, axis], 0.0) ** 2
        best += shares[_SPACE] * math.exp(-math.sqrt(total) / scales[0])
    if shares[_TIME] > 0:
        apart = max(t.times[node, 0] - times[0], times[0] - t.times[node, 1], 0)
        best += shares[_TIME] * math.exp(-np.float64(apart) / scales[1])
    return best + 1e-9


@inner
def _look(t: Arrays, node: int, asked: Any, top: Any) -> int:
    """Score the records below a node of level 1 that pass, and keep the best; returns how many were scored."""
    # Each array is unpacked once a node: handing the tree on for every record costs more than scoring it.
    vector, point, scales, times, shares, box, sphere, flags, _ = asked
    leaves, scores, terms, counts = top
    vectors, worded, positions, spans, seqs, children = t.vectors, t.worded, t.positions, t.spans, t.seqs, t.children
    read = 0
    for i in range(t.sizes[node]):
        leaf = children[node, i]
        if len(flags) and not flags[leaf]:
            continue
        if spans[leaf, 0] >= times[2] or spans[leaf, 1] < times[1] or outside(positions[leaf], box, sphere):
            continue
        meaning = space = time = 0.0
        if shares[0] > 0:
            if not worded[leaf]:
                continue
            meaning = (1 + min(max(dot(vectors[leaf], vector), -1.0), 1.0)) / 2
        if shares[1] > 0:
            away = 0.0
            for axis in range(3):
                away += (positions[leaf, axis] - point[axis]) ** 2
            space = math.exp(-math.sqrt(away) / scales[0])
        if shares[2] > 0:
            time = math.exp(-abs(np.float64(spans[leaf, 1] - times[0])) / scales[1])
        read += 1
        score = meaning * shares[0] + space * shares[1] + time * shares[2]
        place = counts[0]
        while place > 0 and (
            score > scores[place - 1] or (score == scores[place - 1] and seqs[leaf] > seqs[leaves[place - 1]])
        ):
            place -= 1
        if place == len(leaves):
            continue
        counts[0] = min(counts[0] + 1, len(leaves))
        for j in range(counts[0] - 1, place, -1):
            leaves[j], scores[j] = leaves[j - 1], scores[j - 1]
            terms[j, 0], terms[j, 1], terms[j, 2] = terms[j - 1, 0], terms[j - 1, 1], terms[j - 1, 2]
        leaves[place], scores[place] = leaf, score
        terms[place, 0], terms[place, 1], terms[place, 2] = meaning, space, time
    return read


@njit(cache=True, nogil=True)
def _best_first(t: Arrays, asked: Any, k: int) -> Any:
    top = (np.zeros(k, np.int64), np.full(k, -np.inf), np.zeros((k, 3)), np.zeros(1, np.int64))
    heap = [(-np.inf, t.head[ROOT])]
    nodes_read, leaves_read = 1, 0
    while len(heap):
        bound, node = heapq.heappop(heap)
        if top[3][0] == k and -bound < top[1][k - 1]:
            break
        if t.levels[node] == 1:
            leaves_read += _look(t, node, asked, top)
            continue
        for i in range(t.sizes[node]):
            child = t.children[node, i]
            if not may_pass(t, child, asked):
                continue
            nodes_read += 1
            best = _bound(t, child, asked)
            if top[3][0] < k or best >= top[1][k - 1]:
                heapq.heappush(heap, (-best, child))
    n = top[3][0]
    return top[0][:n], top[1][:n], top[2][:n], nodes_read, leaves_read


@njit(cache=True, nogil=True)
def _beam(t: Arrays, asked: Any, k: int, width: int) -> Any:
    top = (np.zeros(k, np.int64), np.full(k, -np.inf), np.zeros((k, 3)), np.zeros(1, np.int64))
    kept = np.array([t.head[ROOT]])
    nodes_read, leaves_read = 1, 0
    for _ in range(t.levels[kept[0]] - 1):
        nodes = np.empty(len(kept) * t.children.shape[1], np.int64)
        scores = np.empty(len(nodes))
        found = 0
        for node in kept:
            for i in range(t.sizes[node]):
                child = t.children[node, i]
                if may_pass(t, child, asked):
                    nodes[found], scores[found] = child, _promise(t, child, asked)
                    found += 1
        nodes_read += found
        kept = nodes[:found][np.argsort(-scores[:found])[:width]]
    for node in kept:
        leaves_read += _look(t, node, asked, top)
    n = top[3][0]
    return top[0][:n], top[1][:n], top[2][:n], nodes_read, leaves_read


@inner
def _promise(t: Arrays, node: int, asked: Any) -> float:
    """How good a node looks to a beam: its bound in space and time, its centroid in meaning."""
    vector, _, _, _, shares, _, _, _, _ = asked
    best = _bound(t, node, asked)
    if shares[_MEANING] > 0:
        total = dot(t.axes[node], vector)
        angle = math.acos(min(max(total, -1.0), 1.0))
        gap = max(angle - t.angles[node, 1], t.angles[node, 0] - angle, _SLACK) - _SLACK
        best += shares[_MEANING] * (cosine_to(t, node, vector) - math.cos(gap)) / 2
    return best
