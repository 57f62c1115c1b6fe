"""The sensor's view: what it could have seen, as a grid over azimuth and elevation with the nearest returns."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.perception.depth import Intrinsics
from embodied_mem.records.observation import View

CAMERA_GRID = (24, 32)
LIDAR_GRID = (16, 128)
SCAN_COLUMNS = 180


def depth_grid(
    points: NDArray[np.float32], shape: tuple[int, int], fov_h: float, fov_v: float, *, quantile_points: int = 1
) -> NDArray[np.uint16]:
    """The nearest return in each angular cell, millimetres along the ray; 0 where there is none.

    points (n, 3) metres in the sensor frame (x forward, y left, z up); shape (rows, cols): row 0 is the topmost
    elevation +fov_v/2, column 0 the leftmost azimuth +fov_h/2. A cell counts once it holds `quantile_points` points, so
    that a single flying pixel does not close it.
    """
    cloud = np.ascontiguousarray(points, dtype=np.float32).reshape(-1, 3)
    nearest, counts = _nearest(cloud, shape[0], shape[1], fov_h, max(fov_v, 1e-6))
    nearest[counts < quantile_points] = 0
    return nearest


@njit(cache=True, nogil=True)
def _nearest(
    points: NDArray[np.float32], rows: int, cols: int, fov_h: float, fov_v: float
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    grid = np.zeros((rows, cols), dtype=np.uint16)
    counts = np.zeros((rows, cols), dtype=np.int32)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        planar = np.sqrt(x * x + y * y)
        col = int(np.floor((0.5 - np.arctan2(y, x) / fov_h) * cols))
        row = int(np.floor((0.5 - np.arctan2(z, planar) / fov_v) * rows))
        if col == cols:  # the seam of a full turn
            col = 0 if fov_h > 6.28 else cols - 1
        if not (0 <= col < cols and 0 <= row < rows):
            continue
        reach = min(np.rint(np.sqrt(planar * planar + z * z) * 1000.0), 65534.0)
        if reach < 1.0:
            continue
        counts[row, col] += 1
        if grid[row, col] == 0 or int(reach + 0.5) < grid[row, col]:
            grid[row, col] = int(reach)
    return grid, counts


def view_of_camera(
    camera: Intrinsics,
    points: NDArray[np.float32],
    *,
    min_range: float,
    max_range: float,
    detector: str = "",
    classes: tuple[str, ...] = (),
) -> View:
    """The view of an RGB-D camera; points (n, 3) in its body-convention frame, ranges in metres along the axis."""
    fov_h, fov_v = camera.fov_h, camera.fov_v
    return View(
        kind="camera",
        fov_h=fov_h,
        fov_v=fov_v,
        min_range=min_range,
        max_range=max_range,
        intrinsics=(camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height),
        detector=detector,
        classes=classes,
        depth=depth_grid(points, CAMERA_GRID, fov_h, fov_v, quantile_points=2),
    )


def view_of_lidar(points: NDArray[np.float32], *, min_range: float, max_range: float) -> View:
    """The view of a spinning LiDAR: all around, as high and low as its points reach."""
    planar = np.hypot(points[:, 0], points[:, 1])
    steepest = float(np.abs(np.arctan2(points[:, 2], planar)).max()) if len(points) else 0.5
    fov_v = 2 * max(steepest, 0.01) * 1.001
    grid = depth_grid(points, LIDAR_GRID, 2 * np.pi, fov_v)
    return View("lidar", 2 * np.pi, fov_v, min_range, max_range, depth=grid)


def view_of_scan(points: NDArray[np.float32], *, fov_h: float, min_range: float, max_range: float) -> View:
    """The view of a planar scanner whose field of view is centred on its x axis."""
    grid = depth_grid(points, (1, SCAN_COLUMNS), fov_h, 0.02)
    return View("scan", fov_h, 0.02, min_range, max_range, depth=grid)
