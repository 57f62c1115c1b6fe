"""Which frames carry their cloud: those from a new place or in a new direction, thinned to a voxel grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices


class CloudKeyframer:
    """Remembers where the last cloud was kept; one for each sensor.

    distance   metres, and angle in radians: how far the sensor must have moved or turned for another cloud
    voxel      metres: one point is kept in each cube of this side
    tilt       radians that the sensor's z axis must have leaned, for one that measures in a plane: on a tilting unit
               each scan cuts another slice of the world; None: as any other turn
    """

    def __init__(
        self, distance: float = 0.5, angle: float = 0.5, voxel: float = 0.05, tilt: float | None = None
    ) -> None:
        self.distance, self.angle, self.voxel, self.tilt = distance, angle, voxel, tilt
        self._position: NDArray[np.float64] | None = None
        self._orientation: NDArray[np.float64] | None = None

    def due(self, position: NDArray[np.float64], orientation: NDArray[np.float64]) -> bool:
        """Whether this pose is far enough from the last keyframe's; if so it is the last one from now on."""
        if self._position is not None and self._orientation is not None:
            moved = float(np.linalg.norm(position - self._position))
            turned = 2 * float(np.arccos(np.clip(abs(orientation @ self._orientation), 0, 1)))
            leaned = self.tilt is not None and _lean(orientation, self._orientation) >= self.tilt
            if moved < self.distance and turned < self.angle and not leaned:
                return False
        self._position, self._orientation = position.copy(), orientation.copy()
        return True


def _lean(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Radians between the z axes of two orientations (4,)."""
    return float(np.arccos(np.clip(rotation_matrices(one)[:, 2] @ rotation_matrices(other)[:, 2], -1, 1)))


def thin(points: NDArray[np.float32], voxel: float) -> NDArray[np.float32]:
    """(n, 3) -> one point (the first) for each occupied cube of side `voxel` metres."""
    if not len(points):
        return points
    cells = np.floor(points / np.float32(voxel)).astype(np.int64) + (1 << 20)
    _, first = np.unique((cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2], return_index=True)
    return points[np.sort(first)]
