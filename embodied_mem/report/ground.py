"""The top-down picture of what was seen: depth views and clouds of the records, projected onto the floor plane."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import FloatArray, pose_matrix, transform_points
from embodied_mem.records.observation import Observation
from embodied_mem.report.model import Ground

_CELLS = 360  # along the longer side
_SMALLEST_CELL = 0.03  # metres
_FLOOR_BAND = 0.15  # metres above the lowest surface
_CEILING = 2.1  # metres above the lowest surface: what is higher would hide the rooms
_MOST_POINTS = 3_000_000
_MOST_RAYS = 100_000
_CLEAR_REACH = 6.0  # metres: how far along a ray space is shown as seen


def ground_of(observations: Iterable[Observation]) -> Ground | None:
    """The picture, or None when no record holds depth or a cloud. Clouds are used where they were loaded."""
    parts, origins = [], []
    for obs in observations:
        if len(points := seen_points(obs)):
            parts.append(points)
            origins.append(np.broadcast_to(obs.position, points.shape))
    if not parts:
        return None
    points, origin = np.concatenate(parts), np.concatenate(origins)
    thin = slice(None, None, 1 + len(points) // _MOST_POINTS)
    points, origin = points[thin], origin[thin]
    height = points[:, 2] - np.percentile(points[:, 2], 1)
    flat = np.percentile(height, 99) < 2 * _FLOOR_BAND  # a 2-D laser: everything it hits is an obstacle
    solid = np.ones(len(points), dtype=bool) if flat else (height >= _FLOOR_BAND) & (height < _CEILING)
    shown = points[solid | (height < _CEILING), :2]
    low, high = np.percentile(shown, 0.2, axis=0), np.percentile(shown, 99.8, axis=0)
    cell = max(float((high - low).max()) / _CELLS, _SMALLEST_CELL)
    shape = np.maximum(np.ceil((high - low) / cell).astype(int), 1)
    walls = 1 - np.exp(-_counts(points[solid, :2], low, cell, shape) / 2)
    rays = slice(None, None, 1 + len(points) // _MOST_RAYS)
    clear = _counts(_along(origin[rays, :2], points[rays, :2], cell), low, cell, shape) > 0
    return Ground(walls.astype(np.float32), clear.astype(np.float32), low, low + shape * cell)


def seen_points(obs: Observation) -> FloatArray:
    """(n, 3) points in the map frame that an observation saw: its cloud, else its view's depth grid."""
    if obs.cloud is not None and len(obs.cloud):
        local: FloatArray = np.asarray(obs.cloud, dtype=np.float64)
    elif obs.view.depth is not None and obs.view.fov_h > 0:
        local = _grid_points(obs.view.depth, obs.view.fov_h, obs.view.fov_v)
    else:
        return np.zeros((0, 3))
    return transform_points(pose_matrix(obs.position, obs.orientation), local)


def _grid_points(depth: NDArray[np.uint16], fov_h: float, fov_v: float) -> FloatArray:
    """(rows, cols) ranges in millimetres over azimuth and elevation -> (n, 3) metres in the sensor frame."""
    rows, cols = depth.shape
    azimuth = fov_h * (0.5 - (np.arange(cols) + 0.5) / cols)
    elevation = fov_v * (0.5 - (np.arange(rows) + 0.5) / rows)
    i, j = np.nonzero(depth)
    reach = depth[i, j].astype(np.float64) / 1000
    planar = reach * np.cos(elevation[i])
    columns = [planar * np.cos(azimuth[j]), planar * np.sin(azimuth[j]), reach * np.sin(elevation[i])]
    return np.stack(columns, axis=1)


def _along(starts: FloatArray, ends: FloatArray, cell: float) -> FloatArray:
    """(n, 2) rays -> (m, 2) points on them, about a cell apart, up to the reach."""
    steps = ends - starts
    length = np.minimum(np.linalg.norm(steps, axis=1), _CLEAR_REACH)
    count = np.maximum((length / cell).astype(int), 1)
    ray = np.repeat(np.arange(len(starts)), count)
    nth = np.arange(len(ray)) - np.repeat(np.cumsum(count) - count, count)
    share = nth * cell / np.maximum(np.linalg.norm(steps, axis=1), cell)[ray]
    return np.asarray(starts[ray] + steps[ray] * share[:, None])


def _counts(points: FloatArray, low: FloatArray, cell: float, shape: NDArray[np.int64]) -> FloatArray:
    """(n, 2) points -> (rows, cols) of how many fall into each cell, +y up."""
    index = np.floor((points - low) / cell).astype(int)
    index = index[((index >= 0) & (index < shape)).all(axis=1)]
    cols, rows = (int(value) for value in shape)
    flat = (rows - 1 - index[:, 1]) * cols + index[:, 0]
    return np.bincount(flat, minlength=rows * cols).reshape(rows, cols).astype(np.float64)
