"""Times, poses and arrays."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import pose_matrix

SECOND = 1_000_000_000
_MAX_SEC = 2**31 - 1
_CODES = {"b": "i1", "B": "u1", "H": "<u2", "f": "<f4", "d": "<f8", "q": "<i8", "Q": "<u8"}


def stamp_to_ns(stamp: Time) -> int:
    """ROS time in nanoseconds."""
    if stamp.nanosec >= SECOND:
        raise BadInputError(f"A stamp has {stamp.nanosec} nanoseconds: they must be below a second (1,000,000,000).")
    return int(stamp.sec) * SECOND + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    sec, nanosec = divmod(int(stamp_ns), SECOND)
    if not -_MAX_SEC <= sec <= _MAX_SEC:
        raise BadInputError(f"{stamp_ns} ns is not a time that ROS can express (1901 to 2038).")
    return Time(sec=sec, nanosec=nanosec)


def typed_array(code: str, values: ArrayLike | bytes) -> array[Any]:
    """What an array field of a message takes fastest: `array.array` filled from the bytes (see the type codes)."""
    filled = array(code)
    if isinstance(values, bytes):
        filled.frombytes(values)
    else:
        filled.frombytes(np.ascontiguousarray(values, dtype=_CODES[code]).tobytes())
    return filled


def numbers(field: Any, dtype: str) -> NDArray[Any]:
    """An array field as an ndarray of its own."""
    return np.array(field, dtype=dtype) if isinstance(field, list) else np.frombuffer(field, dtype=dtype).copy()


def vector3(value: Vector3 | Point) -> tuple[float, float, float]:
    return (value.x, value.y, value.z)


def point(values: ArrayLike) -> Point:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return Point(x=x, y=y, z=z)


def extent(values: ArrayLike) -> Vector3:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return Vector3(x=x, y=y, z=z)


def position_of(pose: Pose) -> NDArray[np.float64]:
    return np.array([pose.position.x, pose.position.y, pose.position.z])


def orientation_of(pose: Pose) -> NDArray[np.float64]:
    q = pose.orientation
    return np.array([q.x, q.y, q.z, q.w])


def make_pose(position: ArrayLike, orientation: ArrayLike) -> Pose:
    x, y, z, w = np.asarray(orientation, dtype=np.float64).tolist()
    return Pose(position=point(position), orientation=Quaternion(x=x, y=y, z=z, w=w))


def transform_matrix(transform: Transform) -> NDArray[np.float64]:
    """(4, 4); what is not finite or no unit quaternion is refused."""
    q = transform.rotation
    turn = np.array([q.x, q.y, q.z, q.w])
    shift = np.array(vector3(transform.translation))
    if not np.isfinite([*turn, *shift]).all() or abs(np.linalg.norm(turn) - 1) > 1e-3:
        raise BadInputError("The transform needs finite numbers and a unit quaternion (x, y, z, w).")
    return pose_matrix(shift, turn)
