"""Which views should have shown a point: the ground on which "not detected" becomes evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices, spherical
from embodied_mem.records.tables import ViewTable

_MARGIN = 0.07  # share of the field of view at its border where detectors see only parts of things


HIDDEN, FILLED, OPEN = 0, 1, 2
_SAMPLES = np.array([[0, 0, 0], [0.3, 0, 0], [-0.3, 0, 0], [0, 0.3, 0], [0, -0.3, 0], [0, 0, 0.3], [0, 0, -0.3]])
_COVERED = 2  # samples of these that may be hidden


def look(
    views: ViewTable,
    points: NDArray[np.float64],
    extents: NDArray[np.float64],
    front: NDArray[np.float64],
    back: NDArray[np.float64],
    reach: float,
) -> NDArray[np.int8]:
    """(n, p): what view i shows of the place of a thing at point j.

    HIDDEN: nothing: it was out of the field of view or out of reach, or something stood before much of it. FILLED:
    something is there, perhaps the thing itself, undetected. OPEN: the sensor looked through the place.

    points, extents (p, 3) metres in the views' map: middle and size of the things; front (p,): metres by which a return
    may be nearer than a point and still be the thing's own; back (p,): metres beyond it from which a return lies behind
    the thing; reach: metres within which the thing can be recognised. A view without a depth grid cannot tell what is
    hidden.
    """
    n, p = len(views), len(points)
    out = np.zeros((n, p), dtype=np.int8)
    if not n or not p:
        return out
    far = np.linalg.norm(points[None] - views.position[:, None], axis=2)
    limit = np.minimum(views.max_range, reach)[:, None]
    view, point = np.nonzero((far <= limit) & (far >= views.min_range[:, None]) & (views.depth_shape[:, :1] > 0))
    turns = rotation_matrices(views.orientation)
    azimuth, elevation, _ = _seen_from(views, turns, view, points[point])
    inside = np.abs(azimuth) <= views.fov_h[view] * (0.5 - _MARGIN * (views.fov_h[view] < 6.2))
    inside &= np.abs(elevation) <= views.fov_v[view] * (0.5 - _MARGIN)
    view, point = view[inside], point[inside]
    covered, filled = np.zeros(len(view), dtype=np.int64), np.zeros(len(view), dtype=bool)
    for sample in _SAMPLES:
        azimuth, elevation, distance = _seen_from(views, turns, view, points[point] + sample * extents[point])
        nearest = _nearest(views, view, azimuth, elevation)
        before = (nearest == 0) | (nearest < distance - front[point])
        covered += before
        filled |= ~before & (nearest <= distance + back[point])
    out[view, point] = np.where(covered > _COVERED, HIDDEN, np.where(filled, FILLED, OPEN))
    return out


def _seen_from(
    views: ViewTable, turns: NDArray[np.float64], view: NDArray[np.intp], points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth, elevation and distance (k,) of points (k, 3) from the views with the numbers (k,)."""
    return spherical(np.einsum("kji,kj->ki", turns[view], points - views.position[view]))


def _nearest(
    views: ViewTable, i: NDArray[np.intp], azimuth: NDArray[np.float64], elevation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(k,) metres to the nearest return of view i in each direction; 0 where nothing was measured."""
    rows, cols = views.depth_shape[i, 0], views.depth_shape[i, 1]
    col = np.clip(np.floor((0.5 - azimuth / views.fov_h[i]) * cols).astype(np.int64), 0, cols - 1)
    row = np.clip(np.floor((0.5 - elevation / views.fov_v[i]) * rows).astype(np.int64), 0, rows - 1)
    return views.depth_at(i, row, col).astype(np.float64) * 1e-3
