"""Which views should have shown a point: the ground on which "not detected" becomes evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices, spherical
from embodied_mem.records.tables import ViewTable

_MARGIN = 0.12  # share of the field of view at its border where detectors see only parts of things


def should_see(
    views: ViewTable, points: NDArray[np.float64], slack: NDArray[np.float64], reach: float
) -> NDArray[np.bool_]:
    """(n, p): whether view i had point j in its field of view, in range, and nothing stood before it.

    points (p, 3) metres in the views' map; slack (p,): metres by which a return may be nearer than the point and still
    be the thing's own; reach: metres within which the thing can be recognised.
    A view without a depth grid cannot tell what is hidden, so it shows nothing for certain.
    """
    n, p = len(views), len(points)
    if not n or not p:
        return np.zeros((n, p), dtype=bool)
    turns = rotation_matrices(views.orientation)
    seen = np.zeros((n, p), dtype=bool)
    offsets = points[None] - views.position[:, None]
    far = np.linalg.norm(offsets, axis=2)
    limit = np.minimum(views.max_range, reach)[:, None]
    view, point = np.nonzero((far <= limit) & (far >= views.min_range[:, None]) & (views.depth_shape[:, :1] > 0))
    local = np.einsum("kji,kj->ki", turns[view], offsets[view, point])
    azimuth, elevation, distance = spherical(local)
    inside = np.abs(azimuth) <= views.fov_h[view] * (0.5 - _MARGIN * (views.fov_h[view] < 6.2))
    inside &= np.abs(elevation) <= views.fov_v[view] * (0.5 - _MARGIN)
    view, point = view[inside], point[inside]
    seen[view, point] = _open(views, view, azimuth[inside], elevation[inside], distance[inside] - slack[point])
    return seen


def _open(
    views: ViewTable,
    i: NDArray[np.intp],
    azimuth: NDArray[np.float64],
    elevation: NDArray[np.float64],
    distance: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether the way to each point is free as far as the depth grid of its view knows."""
    rows, cols = views.depth_shape[i, 0], views.depth_shape[i, 1]
    col = np.clip(np.floor((0.5 - azimuth / views.fov_h[i]) * cols).astype(np.int64), 0, cols - 1)
    row = np.clip(np.floor((0.5 - elevation / views.fov_v[i]) * rows).astype(np.int64), 0, rows - 1)
    nearest = views.depth_at(i, row, col)
    return (nearest > 0) & (nearest * 1e-3 >= distance)
