"""Which views should have shown a point: the ground on which "not detected" becomes evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices, spherical
from embodied_mem.records.tables import ViewTable

_MARGIN = 0.12  # share of the field of view at its border where detectors see only parts of things


HIDDEN, FILLED, OPEN = 0, 1, 2


def look(
    views: ViewTable, points: NDArray[np.float64], front: NDArray[np.float64], back: NDArray[np.float64], reach: float
) -> NDArray[np.int8]:
    """(n, p): what view i shows of the place of a thing at point j.

    HIDDEN: nothing: it was out of the field of view or out of reach, or something stood before it. FILLED: something is
    there, perhaps the thing itself, undetected. OPEN: the sensor looked through the place.

    points (p, 3) metres in the views' map; front (p,): metres by which a return may be nearer than the point and still
    be the thing's own; back (p,): metres beyond the point from which a return lies behind the thing; reach: metres
    within which the thing can be recognised. A view without a depth grid cannot tell what is hidden.
    """
    n, p = len(views), len(points)
    seen = np.zeros((n, p), dtype=np.int8)
    if not n or not p:
        return seen
    turns = rotation_matrices(views.orientation)
    offsets = points[None] - views.position[:, None]
    far = np.linalg.norm(offsets, axis=2)
    limit = np.minimum(views.max_range, reach)[:, None]
    view, point = np.nonzero((far <= limit) & (far >= views.min_range[:, None]) & (views.depth_shape[:, :1] > 0))
    local = np.einsum("kji,kj->ki", turns[view], offsets[view, point])
    azimuth, elevation, distance = spherical(local)
    inside = np.abs(azimuth) <= views.fov_h[view] * (0.5 - _MARGIN * (views.fov_h[view] < 6.2))
    inside &= np.abs(elevation) <= views.fov_v[view] * (0.5 - _MARGIN)
    view, point, distance = view[inside], point[inside], distance[inside]
    nearest = _nearest(views, view, azimuth[inside], elevation[inside])
    shown = (nearest > 0) & (nearest >= distance - front[point])
    seen[view, point] = np.where(shown, np.where(nearest > distance + back[point], OPEN, FILLED), HIDDEN)
    return seen


def _nearest(
    views: ViewTable, i: NDArray[np.intp], azimuth: NDArray[np.float64], elevation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(k,) metres to the nearest return of view i in each direction; 0 where nothing was measured."""
    rows, cols = views.depth_shape[i, 0], views.depth_shape[i, 1]
    col = np.clip(np.floor((0.5 - azimuth / views.fov_h[i]) * cols).astype(np.int64), 0, cols - 1)
    row = np.clip(np.floor((0.5 - elevation / views.fov_v[i]) * rows).astype(np.int64), 0, rows - 1)
    return views.depth_at(i, row, col).astype(np.float64) * 1e-3
