"""Rigid transforms on batches: quaternions are x, y, z, w; matrices are 4 x 4; everything float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def rotation_matrices(quaternions: ArrayLike) -> FloatArray:
    """(..., 4) unit quaternions x, y, z, w -> (..., 3, 3) rotation matrices."""
    x, y, z, w = np.moveaxis(np.asarray(quaternions, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def quaternion_from_matrix(matrix: ArrayLike) -> FloatArray:
    """(3, 3) rotation -> (4,) unit quaternion x, y, z, w with w >= 0 (Shepperd's method: largest pivot)."""
    m = np.asarray(matrix, dtype=np.float64)
    pivots = np.array([m[0, 0], m[1, 1], m[2, 2], np.trace(m)])
    i = int(np.argmax(pivots))
    q = np.empty(4)
    if i == 3:
        q[3] = 1 + pivots[3]
        q[:3] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q[i] = 1 + m[i, i] - m[j, j] - m[k, k]
        q[j], q[k], q[3] = m[j, i] + m[i, j], m[k, i] + m[i, k], m[k, j] - m[j, k]
    q /= np.linalg.norm(q)
    return q if q[3] >= 0 else -q


def quaternion_multiply(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Hamilton product of (..., 4) and (..., 4): first rotate by b, then by a."""
    ax, ay, az, aw = np.moveaxis(np.asarray(a, dtype=np.float64), -1, 0)
    bx, by, bz, bw = np.moveaxis(np.asarray(b, dtype=np.float64), -1, 0)
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def yaw_of(quaternions: ArrayLike) -> FloatArray:
    """Heading about z, radians, of (..., 4) quaternions."""
    x, y, z, w = np.moveaxis(np.asarray(quaternions, dtype=np.float64), -1, 0)
    return np.asarray(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def quaternion_from_yaw(yaw: ArrayLike) -> FloatArray:
    """(...) radians about z -> (..., 4)."""
    half = np.asarray(yaw, dtype=np.float64) / 2
    zero = np.zeros_like(half)
    return np.stack([zero, zero, np.sin(half), np.cos(half)], axis=-1)


def pose_matrix(position: ArrayLike, quaternion: ArrayLike) -> FloatArray:
    """(3,) and (4,) -> (4, 4): maps points of the pose's own frame into its parent's."""
    out = np.eye(4)
    out[:3, :3] = rotation_matrices(quaternion)
    out[:3, 3] = position
    return out


def transform_points(matrix: ArrayLike, points: ArrayLike) -> FloatArray:
    """(4, 4) applied to (n, 3)."""
    m = np.asarray(matrix, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ m[:3, :3].T + m[:3, 3]


def spherical(points: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(n, 3) points of a sensor frame (x forward, y left, z up) -> azimuth, elevation (radians), range (metres)."""
    x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
    planar = np.hypot(x, y)
    return np.arctan2(y, x), np.arctan2(z, planar), np.hypot(planar, z)
