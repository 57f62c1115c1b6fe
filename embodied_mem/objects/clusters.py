"""Which detections of one kind are of the same thing, by where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
Groups = NDArray[np.int64]

_LINK = (0.35, 0.9)  # metres: detections of one thing lie this close, depending on its size
_DENSE = 4  # detections within half of that make a core: a chain of single ones must not join two things
_SHARED = 0.3  # share of the smaller one's footprint from which two groups are parts of one thing
_BESIDE = 0.08  # metres beyond the sides of a group within which another one's centre is part of it


def cluster(centers: FloatArray, sizes: FloatArray) -> Groups:
    """(n,) group of each detection, from 0 on; centers and sizes (n, 3) metres, of axis-aligned boxes.

    Cores of many detections first (DBSCAN, Ester et al. 1996), then what lies near a core, then chains of what is left.
    Groups whose boxes share ground are one: of a large thing, different views show different parts.
    """
    link = float(np.clip(0.5 * np.median(sizes[:, :2].max(axis=1)), *_LINK))
    tree = cKDTree(centers)
    pairs = tree.query_pairs(link / 2, output_type="ndarray")
    n = len(centers)
    core = np.bincount(pairs.ravel(), minlength=n) >= _DENSE - 1
    groups = _components(n, pairs[core[pairs].all(axis=1)])
    if core.any() and not core.all():
        loose = np.flatnonzero(~core)
        apart, nearest = cKDTree(centers[core]).query(centers[loose], distance_upper_bound=link)
        close = np.isfinite(apart)
        groups[loose[close]] = groups[np.flatnonzero(core)[nearest[close]]]
        left = loose[~close]
        chained = tree.query_pairs(link, output_type="ndarray")
        is_left = np.zeros(n, dtype=bool)
        is_left[left] = True
        groups[left] = n + _components(n, chained[is_left[chained].all(axis=1)])[left]
    elif not core.any():
        groups = _components(n, tree.query_pairs(link, output_type="ndarray"))
    return _join_parts(np.unique(groups, return_inverse=True)[1].astype(np.int64), centers, sizes)


def extent_of(centers: FloatArray, sizes: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Low and high corner (3,) of what the boxes (n, 3) show together, without the outermost of them."""
    low, high = centers - sizes / 2, centers + sizes / 2
    return weighted_quantile(low, weights, 0.15), weighted_quantile(high, weights, 0.85)


def weighted_quantile(values: FloatArray, weights: FloatArray, q: float) -> FloatArray:
    """(d,) the weighted quantile of each column of (n, d) values."""
    order = np.argsort(values, axis=0)
    heaped = np.cumsum(weights[order], axis=0)
    place = (heaped >= heaped[-1] * q).argmax(axis=0)
    return np.take_along_axis(values, np.take_along_axis(order, place[None], axis=0), axis=0)[0]


def _components(n: int, pairs: NDArray[np.intp]) -> Groups:
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _join_parts(groups: Groups, centers: FloatArray, sizes: FloatArray) -> Groups:
    count = int(groups.max()) + 1
    if count == 1:
        return groups
    even = np.ones(len(centers))
    boxes = [extent_of(centers[groups == g], sizes[groups == g], even[groups == g]) for g in range(count)]
    low, high = (np.array(side) for side in zip(*boxes, strict=True))
    middle, span = (low + high) / 2, np.maximum(high - low, 0.02)
    shared = np.clip(np.minimum(high[:, None], high) - np.maximum(low[:, None], low), 0, None)
    ground = span[:, :2].prod(axis=1)
    joined = shared[..., :2].prod(axis=-1) >= _SHARED * np.minimum(ground[:, None], ground)
    inside = (np.abs(middle[:, None] - middle)[..., :2] <= span[:, None, :2] / 2 + _BESIDE).all(axis=-1)
    joined = (joined | inside | inside.T) & (shared[..., 2] > 0)
    return _components(count, np.argwhere(np.triu(joined, 1)))[groups]
