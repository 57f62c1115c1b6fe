"""A made-up room with a crate and a mug on its side, and what a LiDAR measures in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = np.array([-2.0, -2.0, 0.0]), np.array([10.0, 2.0, 2.4])  # the room
BOX_LOW, BOX_HIGH = np.array([4.0, 0.6, 0.0]), np.array([4.6, 1.2, 1.0])  # what stands in it
MUG = np.array([4.3, 0.5, 0.9])  # at its side


def sweep(position: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, 3) what a LiDAR there measures, in its own frame: the room's walls, floor and ceiling, and the box."""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(0.7, 360, 1.5)), np.radians(np.arange(-59.7, 60, 1.5)))
    ways = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    ).reshape(-1, 3)
    with np.errstate(divide="ignore"):
        walls = np.where(ways > 0, (HIGH - position) / ways, (LOW - position) / ways).min(axis=1)
        near, far = (BOX_LOW - position) / ways, (BOX_HIGH - position) / ways
    enter, leave = np.minimum(near, far).max(axis=1), np.maximum(near, far).min(axis=1)
    reach = np.where((enter < leave) & (enter > 0), np.minimum(enter, walls), walls)
    return (ways * reach[:, None]).astype(np.float32)
