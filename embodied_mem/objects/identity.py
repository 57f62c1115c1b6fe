"""Which stays are of one thing that moved: something left here, and something alike appeared there.

A function of the stays of one kind as they are believed in now, so that every new frame may change the verdict. Each
stay has at most one before it and one after it; among all ways to link them the likeliest is taken (Hungarian method).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_OVERLAP_NS = 2_000_000_000  # a move may be noticed this much before the old place was last believed in
_SURE = 0.3  # share of a pair from which it is told as a move
_GONE = 0.5  # probability of having left from which a stay may be the beginning of a move
_BROUGHT = 0.15  # that what appears was brought in from elsewhere, and what left was taken out
_ALIKE = 0.5  # cosine of vectors from which they speak for the same thing
_SHARPNESS = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """n stays of one kind, real ones: see `StayTable` for the columns; left (n,) probability of having gone.

    leaving  departures a second of this kind
    came  index of the stay that it was carried from in view, or told to be the same as; -1 where none is known
    """

    first: IntArray
    last: IntArray
    looked: IntArray
    empty: IntArray
    left: FloatArray
    came: IntArray
    leaving: float
    vectors: list[FloatArray | None]  # empty where none has one
    parted: Sequence[tuple[int, int]] = ()  # pairs that somebody said are two things


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """before (n,): index of the stay where the thing was before, -1 for none; sure (n,): probability of that;
    elsewhere (n,): probability that the thing of a stay is at another stay now, as far as no look at its place tells.
    """

    before: IntArray
    sure: FloatArray
    elsewhere: FloatArray


def link(kin: Kin) -> Links:
    """The likeliest story of the stays."""
    n = len(kin.first)
    before, sure, elsewhere = np.full(n, -1), np.zeros(n), np.zeros(n)
    told = kin.came >= 0
    before[told], sure[told] = kin.came[told], 1.0
    weights = _weights(kin)
    weights[kin.came[told]] = 0.0
    weights[:, told] = 0.0
    if weights.any():
        # A source that has left wants a target, a target that arrived wants a source: the share of each pair.
        share = weights / (_BROUGHT + np.maximum(weights.sum(axis=0)[None], weights.sum(axis=1)[:, None]))
        likely = np.where(share >= _SURE, share, 0.0)
        sources, targets = np.flatnonzero(likely.any(axis=1)), np.flatnonzero(likely.any(axis=0))
        source, target = linear_sum_assignment(-likely[np.ix_(sources, targets)])
        source, target = sources[source], targets[target]
        kept = likely[source, target] > 0
        source, target = source[kept], target[kept]
        before[target], sure[target] = source, share[source, target]
        elsewhere = np.minimum(share.sum(axis=1), 1.0)
    return Links(before, sure, elsewhere)


def _weights(kin: Kin) -> FloatArray:
    """(n, n) how well stay j goes on from stay i, 0 where it cannot."""
    out = _follow(kin.first, kin.last, kin.empty > 0, kin.left > _GONE, kin.leaving)
    for i, j in kin.parted:
        out[i, j] = out[j, i] = 0.0
    if not kin.vectors:
        return out
    for i, j in np.argwhere(out > 0).tolist():
        one, other = kin.vectors[i], kin.vectors[j]
        if one is not None and other is not None and len(one) == len(other):
            cosine = one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9)
            out[i, j] *= float(np.exp(_SHARPNESS * (cosine - _ALIKE)))
    return out


@njit(cache=True, nogil=True)
def _follow(
    first: IntArray, last: IntArray, empty: NDArray[np.bool_], gone: NDArray[np.bool_], leaving: float
) -> FloatArray:
    out = np.zeros((len(first), len(first)))
    for i in range(len(first)):
        for j in range(len(first)):
            if i == j or last[i] > first[j] + _OVERLAP_NS:
                continue
            # At a place that was seen empty something arrived; where nobody had looked, it may always have been.
            if gone[i] or empty[j]:
                out[i, j] = 1.0
            else:
                out[i, j] = 1 - np.exp(-leaving * max(first[j] - last[i], 0) * 1e-9)
    return out
