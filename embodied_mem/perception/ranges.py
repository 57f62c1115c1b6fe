"""LiDAR clouds, planar scans, and captions alone -> observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.keyframes import CloudKeyframer, thin
from embodied_mem.perception.view import view_of_lidar, view_of_scan
from embodied_mem.records.observation import Observation


def observe_cloud(
    stamp_ns: int,
    points: ArrayLike,
    position: NDArray[np.float64],
    orientation: NDArray[np.float64],
    *,
    keyframer: CloudKeyframer | None = None,
    min_range: float = 0.3,
    max_range: float = 120.0,
    **fields: Any,
) -> Observation | None:
    """A LiDAR sweep (n, 3), metres in the sensor frame (x forward, y left, z up), as an observation.

    Points that are NaN, infinite or out of range are dropped. None between keyframes: nothing would be remembered.
    Raises BadInputError for another shape, or when no point is left. `fields` are further ones of Observation.
    """
    cloud = np.asarray(points, dtype=np.float32)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise BadInputError(f"A cloud must be (n, 3), not {cloud.shape}.")
    keyframer = keyframer or CloudKeyframer()
    if not keyframer.due(position, orientation):
        return None
    cloud = _in_range(cloud, min_range, max_range)
    if not len(cloud):
        raise BadInputError(f"No point of the cloud is finite and between {min_range:g} and {max_range:g} m.")
    view = view_of_lidar(cloud, min_range=min_range, max_range=max_range)
    kept = thin(cloud, keyframer.voxel)
    values = {"sensor_id": "lidar", **fields}
    return Observation(stamp_ns, position, orientation, cloud=kept, view=view, **values)


def observe_scan(
    stamp_ns: int,
    angles: ArrayLike,
    ranges: ArrayLike,
    position: NDArray[np.float64],
    orientation: NDArray[np.float64],
    *,
    keyframer: CloudKeyframer | None = None,
    min_range: float = 0.05,
    max_range: float = 30.0,
    **fields: Any,
) -> Observation | None:
    """A planar scan: angles (n,) radians about z, ranges (n,) metres, infinite or NaN where nothing came back.

    None between keyframes. Raises BadInputError when sizes disagree or no return is left.
    """
    bearing, reach = np.asarray(angles, dtype=np.float64), np.asarray(ranges, dtype=np.float64)
    if bearing.ndim != 1 or bearing.shape != reach.shape:
        raise BadInputError(f"A scan needs as many angles as ranges, not {bearing.shape} and {reach.shape}.")
    keyframer = keyframer or CloudKeyframer()
    if not keyframer.due(position, orientation):
        return None
    with np.errstate(invalid="ignore"):
        points = np.column_stack([reach * np.cos(bearing), reach * np.sin(bearing), np.zeros_like(reach)])
    cloud = _in_range(points.astype(np.float32), min_range, max_range)
    if not len(cloud):
        raise BadInputError(f"No return of the scan is finite and between {min_range:g} and {max_range:g} m.")
    fov = 2 * float(np.abs(bearing).max()) if len(bearing) else np.pi
    view = view_of_scan(cloud, fov_h=min(max(fov, 0.01), 2 * np.pi), min_range=min_range, max_range=max_range)
    values = {"sensor_id": "scan", **fields}
    return Observation(stamp_ns, position, orientation, cloud=thin(cloud, keyframer.voxel), view=view, **values)


def observe_caption(
    stamp_ns: int, caption: str, position: NDArray[np.float64], orientation: NDArray[np.float64], **fields: Any
) -> Observation:
    """A robot that only has words: what some captioner said, and where. Raises BadInputError for an empty caption."""
    text = " ".join(caption.split())
    if not text:
        raise BadInputError("The caption is empty.")
    return Observation(stamp_ns, position, orientation, caption=text, **{"sensor_id": "captioner", **fields})


def _in_range(points: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore", over="ignore"):
        reach = np.linalg.norm(points, axis=1)
        return points[np.isfinite(points).all(axis=1) & (reach >= low) & (reach <= high)]
