"""Retrieval by codes: every record is judged by the signs of its vector, a bit each, and only the best are read whole.

The sum of the query's numbers, each with the sign that the record has there, estimates the cosine (asymmetric signed
projections, Charikar 2002; Dong, Charikar & Li 2008): a code is a 32nd of its vector, and eight signs are one look into
a table. Filters hold exactly and prune the tree. What is returned is scored exactly; only which records are looked at
is a guess.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.retrieve import Found, Wanted, asked_of, may_pass, nothing_found, outside
from embodied_mem.forest.tree import ROOT, Arrays, Tree

FloatArray = NDArray[np.float64]
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64) * 2 - 1  # (256, 8) of -1, 1


def sketch(tree: Tree, wanted: Wanted, full: int) -> Found:
    """The best k of the `full` records whose codes look best. Raises BadInputError for less than k, or no vector."""
    if full < wanted.k:
        raise BadInputError(f"Of {full} records that are read whole, the best {wanted.k} cannot be chosen.")
    if wanted.vector is None:
        raise BadInputError("Codes stand for vectors: give one, or search exactly.")
    if not len(tree):
        return nothing_found()
    asked = asked_of(tree, wanted)
    leaves, guesses, nodes = _guessed(tree.arrays, asked, _table(asked[0]))
    if len(leaves) > full:
        best = np.argpartition(-guesses, full - 1)[:full]
        leaves = leaves[best]
    scores, terms = _scored(tree, leaves, asked)
    order = np.lexsort((-tree.arrays.seqs[leaves], -scores))[: wanted.k]
    chosen = leaves[order]
    return Found(
        chosen, tree.arrays.seqs[chosen], scores[order], terms[order], nodes, len(leaves),
        exact=len(guesses) <= full, codes_read=len(guesses),
    )  # fmt: skip


def _table(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """(d / 8, 256) what each byte of a code adds to the estimated cosine."""
    padded = np.zeros(-(-len(vector) // 8) * 8)
    padded[: len(vector)] = vector
    scale = math.sqrt(math.pi / 2 / len(vector))  # the mean size of a unit vector's numbers, were they normal
    return np.asarray(scale * padded.reshape(-1, 8) @ _BITS.T, np.float32)


def _scored(tree: Tree, leaves: NDArray[np.int64], asked: Any) -> tuple[FloatArray, FloatArray]:
    """(n,) scores and (n, 3) terms of records, as `exact` has them."""
    vector, point, scales, times, shares = asked[:5]
    arrays, terms = tree.arrays, np.zeros((len(leaves), 3))
    if shares[0] > 0:
        cosines = arrays.vectors[leaves].astype(np.float64) @ vector.astype(np.float64)
        terms[:, 0] = (1 + np.clip(cosines, -1, 1)) / 2
    if shares[1] > 0:
        terms[:, 1] = np.exp(-np.linalg.norm(arrays.positions[leaves] - point, axis=1) / scales[0])
    if shares[2] > 0:
        terms[:, 2] = np.exp(-np.abs((arrays.spans[leaves, 1] - times[0]).astype(np.float64)) / scales[1])
    return terms @ shares, terms


@njit(cache=True, nogil=True)
def _guessed(t: Arrays, asked: Any, table: NDArray[np.float32]) -> Any:
    """The records that pass the filters, what they may score, and how many nodes were looked at."""
    _, point, scales, times, shares, box, sphere, flags, _ = asked
    leaves, guesses = np.empty(t.counts[t.head[ROOT]], np.int64), np.empty(t.counts[t.head[ROOT]])
    found, nodes = 0, 1
    stack = [t.head[ROOT]]
    while len(stack):
        node = stack.pop()
        for i in range(t.sizes[node]):
            child = t.children[node, i]
            if t.levels[node] > 1:
                nodes += 1
                if may_pass(t, child, asked):
                    stack.append(child)
                continue
            if len(flags) and not flags[child]:
                continue
            if t.spans[child, 0] >= times[2] or t.spans[child, 1] < times[1]:
                continue
            if (shares[0] > 0 and not t.worded[child]) or outside(t.positions[child], box, sphere):
                continue
            guess = np.float32(0.0)
            for b in range(len(table)):
                guess += table[b, t.codes[child, b]]
            score = shares[0] * (1 + guess) / 2
            if shares[1] > 0:
                away = 0.0
                for axis in range(3):
                    away += (t.positions[child, axis] - point[axis]) ** 2
                score += shares[1] * math.exp(-math.sqrt(away) / scales[0])
            if shares[2] > 0:
                score += shares[2] * math.exp(-abs(np.float64(t.spans[child, 1] - times[0])) / scales[1])
            leaves[found], guesses[found] = child, score
            found += 1
    return leaves[:found], guesses[:found], nodes
