"""Between the optical frame of a camera (x right, y down, z forward) and the body convention (x forward, y left, z up).

REP 103 defines both. Everything that is remembered uses the body convention.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import quaternion_from_matrix

FloatArray = NDArray[np.float64]

_PLANAR = (2, 3, 4)  # z, roll, pitch
_NO_ESTIMATE = 1e4  # m^2 or rad^2

# Columns: the optical axes in body coordinates.
BODY_FROM_OPTICAL: FloatArray = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def to_body(points: ArrayLike) -> FloatArray:
    """(n, 3) points of an optical frame -> the same in the camera's body-convention frame."""
    return np.asarray(points, dtype=np.float64) @ BODY_FROM_OPTICAL.T


def to_optical(points: ArrayLike) -> FloatArray:
    """(n, 3) points of a camera's body-convention frame -> its optical frame."""
    return np.asarray(points, dtype=np.float64) @ BODY_FROM_OPTICAL


def body_pose(map_from_optical: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """(4, 4) pose of an optical frame -> position (3,) and quaternion (4,) of the body-convention sensor frame.

    A rotation that is slightly off (written with few digits) is projected to the nearest one.
    Raises BadInputError for a matrix that is no rigid transform.
    """
    matrix = np.asarray(map_from_optical, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise BadInputError("A camera pose must be a 4 x 4 matrix of finite numbers.")
    u, stretch, vt = np.linalg.svd(matrix[:3, :3])
    rotation = u @ vt
    if np.abs(stretch - 1).max() > 0.05 or np.linalg.det(rotation) < 0:
        raise BadInputError("The rotation part of a camera pose is not a rotation.")
    return matrix[:3, 3].copy(), quaternion_from_matrix(rotation @ BODY_FROM_OPTICAL.T)


def estimated(covariance: FloatArray) -> FloatArray:
    """A pose's covariance (6, 6) without what its localiser does not estimate.

    Planar robots write huge variances for height, roll and pitch, which are known: these become 0.
    """
    out = np.array(covariance, dtype=np.float64)
    for axis in _PLANAR:
        if out[axis, axis] >= _NO_ESTIMATE:
            out[axis, :] = out[:, axis] = 0
    return out
