"""The top-down picture of what was seen: an occupancy map of depth views and clouds, seen from above."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import FloatArray, pose_matrix, transform_points
from embodied_mem.octree.tree import Octree
from embodied_mem.records.observation import Observation
from embodied_mem.report.model import Ground

_CELLS = 360  # along the longer side
_SMALLEST_CELL = 0.05  # metres
_FLOOR_BAND = 0.15  # metres above the lowest surface
_CEILING = 2.1  # metres above the lowest surface: what is higher would hide the rooms
_REACH = 8.0  # metres: a ray clears space no farther


def ground_of(observations: Iterable[Observation]) -> Ground | None:
    """The picture, or None when no record holds depth or a cloud. Clouds are used where they were loaded."""
    scans = [(obs.position, points) for obs in observations if len(points := seen_points(obs))]
    if not scans:
        return None
    points = np.concatenate([points for _, points in scans])
    lowest = float(np.percentile(points[:, 2], 1))
    flat = float(np.percentile(points[:, 2], 99)) - lowest < 2 * _FLOOR_BAND  # a 2-D laser: all it hits is an obstacle
    shown = points[points[:, 2] < lowest + _CEILING, :2]
    low, high = np.percentile(shown, 0.2, axis=0), np.percentile(shown, 99.8, axis=0)
    tree = Octree(max(float((high - low).max()) / _CELLS, _SMALLEST_CELL))
    for position, scan in scans:
        tree.insert(scan, origin=position, max_range=_REACH)
    above_floor = lowest - _FLOOR_BAND if flat else lowest + _FLOOR_BAND
    solid = tree.project(above_floor, lowest + _CEILING, low, high)
    known = tree.project(lowest - _FLOOR_BAND, lowest + _CEILING, low, high).cells >= 0
    corner = solid.origin + np.array(solid.cells.shape[::-1]) * solid.resolution
    walls = (solid.cells == 100).astype(np.float32)
    return Ground(walls[::-1], known[::-1].astype(np.float32), solid.origin, corner)


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
