"""Which detection of a frame is of which stay: gating by place, size, label and vector, then one to one.

The cost of a pair is its negative log-likelihood up to a constant; pairs outside of the gates have none. What is left
falls into small groups that share nothing, and each is assigned at the least total cost (Hungarian method).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GATE = 11.34  # squared Mahalanobis distance: 99 % of three degrees of freedom
ANEW = 9.0  # cost of taking a detection for a thing that was never seen
_OTHER_NAME = 3.0  # cost of a detection under another label
_SAME_PLACE = 0.1  # metres on each axis within which another label may be a confusion,
_WITHIN = 0.25  # or this share of the size
_VOLUMES = 6.0  # ratio of volumes up to which it may
_ALIKE = 0.5  # cosine of vectors from which they speak for the same thing
_VECTOR = 6.0  # what a cosine that differs by 1 from that costs
_RANGE, _FLOOR = 0.03, 0.04  # metres: noise of a centre along the ray, for each metre of distance and at least
_ACROSS = 0.015  # the same across the ray
_PART = 0.25  # share of a thing's size by which the centre of what is seen of it wanders
_SMALL = 0.12  # metres by which it wanders at least


@dataclass(frozen=True, slots=True, eq=False)
class Sighted:
    """The m detections of a frame: centers, sizes (m, 3) metres; noise (m, 3, 3) of the centres; kinds (m,)."""

    centers: FloatArray
    sizes: FloatArray
    noise: FloatArray
    kinds: IntArray


def noise_of(centers: FloatArray, sensor: FloatArray) -> FloatArray:
    """(m, 3, 3) covariance of each centre: larger along the ray than across, and growing with the distance."""
    rays = centers - sensor
    distance = np.maximum(np.linalg.norm(rays, axis=1), 1e-6)
    rays = rays / distance[:, None]
    along, across = (_FLOOR + _RANGE * distance) ** 2, (_FLOOR + _ACROSS * distance) ** 2
    outer = np.einsum("ni,nj->nij", rays, rays)
    return across[:, None, None] * np.eye(3) + (along - across)[:, None, None] * outer


def assign(
    seen: Sighted,
    means: FloatArray,
    covs: FloatArray,
    extents: FloatArray,
    kinds: IntArray,
    lenient: NDArray[np.bool_],
    cosine: Callable[[IntArray, IntArray], FloatArray] | None = None,
    forbidden: set[tuple[int, int]] | None = None,
) -> IntArray:
    """(m,) the stay of each detection, -1 where it is of none.

    means, extents (n, 3), covs (n, 3, 3), kinds (n,) of the stays; lenient (n,): whether
    a detection under another name may be a confusion; cosine(detections (p,), stays (p,)) -> (p,) likeness
    of their vectors, NaN where one has none; forbidden: pairs
    (detection, stay) that are told not to be the same
    """
    out = np.full(len(seen.centers), -1, dtype=np.int64)
    if not len(out) or not len(means):
        return out
    which, stay, costs = _gate(seen.centers, seen.sizes, seen.noise, seen.kinds, means, covs, extents, kinds, lenient)
    if cosine is not None and len(which):
        costs = costs + np.nan_to_num(_VECTOR * (_ALIKE - cosine(which, stay)))
    kept = costs < ANEW
    if forbidden:
        kept &= np.array([(int(d), int(s)) not in forbidden for d, s in zip(which, stay, strict=True)], dtype=bool)
    which, stay, costs = which[kept], stay[kept], costs[kept]
    m, n = len(out), len(means)
    if not len(which):
        return out
    graph = coo_matrix((np.ones(len(which)), (which, m + stay)), shape=(m + n, m + n))
    group = connected_components(graph, directed=False)[1][which]
    alone = np.bincount(group)[group] == 1
    out[which[alone]] = stay[alone]
    rest = np.flatnonzero(~alone)
    rest = rest[np.argsort(group[rest], kind="stable")]
    for begin, end in pairwise(np.flatnonzero(np.diff(group[rest], prepend=-1, append=-1))):
        own = rest[begin:end]
        _solve(which[own], stay[own], costs[own], out)
    return out


def _solve(which: IntArray, stay: IntArray, costs: FloatArray, out: IntArray) -> None:
    rows, row = np.unique(which, return_inverse=True)
    columns, column = np.unique(stay, return_inverse=True)
    matrix = np.full((len(rows), len(columns) + len(rows)), 1e6)
    matrix[row, column] = costs
    matrix[np.arange(len(rows)), len(columns) + np.arange(len(rows))] = ANEW  # each may be of none of them
    chosen, at = linear_sum_assignment(matrix)
    real = at < len(columns)
    out[rows[chosen[real]]] = columns[at[real]]


@njit(cache=True, nogil=True)
def _gate(
    centers: FloatArray, sizes: FloatArray, noise: FloatArray, seen_kinds: IntArray, means: FloatArray,
    covs: FloatArray, extents: FloatArray, kinds: IntArray, lenient: NDArray[np.bool_],
) -> tuple[IntArray, IntArray, FloatArray]:  # fmt: skip
    m, n = len(centers), len(means)
    which, stay, costs = np.empty(16, np.int64), np.empty(16, np.int64), np.empty(16, np.float64)
    count = 0
    for d in range(m):
        for s in range(n):
            x, y, z = centers[d, 0] - means[s, 0], centers[d, 1] - means[s, 1], centers[d, 2] - means[s, 2]
            reach = 0.9 + 0.9 * max(extents[s, 0], extents[s, 1], extents[s, 2])
            if abs(x) > reach or abs(y) > reach or abs(z) > reach:
                continue
            same = seen_kinds[d] == kinds[s]
            ratio = 1.0
            if not same and not lenient[s]:
                continue
            if not same:
                near = True
                for axis in range(3):
                    apart = abs(centers[d, axis] - means[s, axis])
                    if apart > max(_SAME_PLACE, _WITHIN * max(extents[s, axis], sizes[d, axis])):
                        near = False
                    ratio *= sizes[d, axis] / max(extents[s, axis], 0.02)
                if not near or ratio > _VOLUMES or ratio < 1 / _VOLUMES:
                    continue
            a, b, c = noise[d, 0, 0] + covs[s, 0, 0], noise[d, 0, 1] + covs[s, 0, 1], noise[d, 0, 2] + covs[s, 0, 2]
            e, f, g = noise[d, 1, 1] + covs[s, 1, 1], noise[d, 1, 2] + covs[s, 1, 2], noise[d, 2, 2] + covs[s, 2, 2]
            wide, deep, tall = _part(extents[s, 0]), _part(extents[s, 1]), _part(extents[s, 2])
            a, e, g = a + wide, e + deep, g + tall
            # the inverse of a symmetric 3 x 3 matrix by its adjugate
            p, q, r = e * g - f * f, c * f - b * g, b * f - c * e
            det = a * p + b * q + c * r
            u, v, w = a * g - c * c, b * c - a * f, a * e - b * b
            square = (x * x * p + y * y * u + z * z * w + 2 * (x * y * q + x * z * r + y * z * v)) / det
            if square > GATE:
                continue
            cost = 0.5 * square + (0.0 if same else _OTHER_NAME)
            if count == len(costs):
                which = np.concatenate((which, np.empty_like(which)))
                stay = np.concatenate((stay, np.empty_like(stay)))
                costs = np.concatenate((costs, np.empty_like(costs)))
            which[count], stay[count], costs[count] = d, s, cost
            count += 1
    return which[:count], stay[:count], costs[:count]


@njit(cache=True, nogil=True)
def _part(extent: float) -> float:
    return max(_PART * extent, _SMALL) ** 2
