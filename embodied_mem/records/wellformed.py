"""Whether an observation is well-formed: everything that the log, the index and the views take for granted.

What passes here can be stored, read back and searched. What does not would fail later, where nobody can be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from embodied_mem.errors import RefusedError
from embodied_mem.records.clouds import MAX_EXTENT, MAX_POINTS
from embodied_mem.records.observation import Detections, Observation

_MAX_CELLS = 1_000_000  # of a depth grid
_MAX_THUMBNAIL = 16 * 2**20  # bytes
_MAX_NAME = 500  # characters
_LATEST = np.iinfo(np.int64).max


def check_form(obs: Observation, *, max_coordinate: float, max_caption: int, max_detections: int) -> None:
    """Raise RefusedError, with the reason to count it by, where an observation is malformed. See `GateLimits`."""
    _check_stamp(obs)
    _check_texts(obs, max_caption)
    _check_pose(obs, max_coordinate)
    _check_detections(obs, max_coordinate, max_detections)
    _check_view(obs)
    _check_vector(obs)
    _check_blobs(obs)
    if not _says_something(obs):
        raise RefusedError(
            "The observation is empty: no caption, detection, vector, cloud or depth, and no detector ran.", "empty"
        )


def normal(obs: Observation) -> Observation:
    """The observation with arrays where lists of numbers were given, and Python's own integer as its stamp."""
    changes: dict[str, Any] = {}
    if isinstance(obs.stamp_ns, np.integer):
        changes["stamp_ns"] = int(obs.stamp_ns)
    changes |= _as_arrays(obs, ("position", "orientation", "covariance"))
    found = _as_arrays(obs.detections, ("scores", "centers", "sizes", "yaws"))
    if found:
        changes["detections"] = replace(obs.detections, **found)
    return replace(obs, **changes) if changes else obs


def is_finite(values: object) -> bool:
    """Whether `values` are numbers, none of them NaN or infinite."""
    try:
        if type(values) is tuple:  # a few numbers are quicker without an array
            return all(map(math.isfinite, values))
        return bool(np.isfinite(np.asarray(values, dtype=np.float64)).all())
    except (TypeError, ValueError):
        return False


def _as_arrays(owner: Observation | Detections, names: tuple[str, ...]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in names:
        values = getattr(owner, name)
        if values is None or isinstance(values, np.ndarray):
            continue
        try:
            out[name] = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            continue  # no numbers: `check_form` says so
    return out


def _check_stamp(obs: Observation) -> None:
    if not isinstance(obs.stamp_ns, int) or obs.stamp_ns > _LATEST:
        raise RefusedError(
            f"The stamp {obs.stamp_ns!r} is not a time: give whole nanoseconds of ROS time, in 64 bits.", "bad_stamp"
        )
    if obs.stamp_ns <= 0:
        raise RefusedError("The observation has no stamp: fill header.stamp with ROS time.", "no_stamp")


def _check_texts(obs: Observation, max_caption: int) -> None:
    if isinstance(obs.caption, str) and len(obs.caption) > max_caption:
        raise RefusedError(f"The caption has {len(obs.caption):,} characters, over {max_caption:,}.", "too_large")
    for what, text in _texts(obs):
        if not isinstance(text, str):
            raise RefusedError(f"The {what} is not a text but {type(text).__name__}.", "bad_text")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RefusedError(
                f"The {what} {text[:40]!a} is not valid Unicode: decode it from the encoding that it came in.",
                "bad_text",
            ) from error
        if what != "caption" and len(text) > _MAX_NAME:
            raise RefusedError(f"The {what} has {len(text):,} characters, over {_MAX_NAME}.", "too_large")


def _texts(obs: Observation) -> Iterator[tuple[str, object]]:
    yield "caption", obs.caption
    for name in ("frame_id", "map_id", "robot_id", "session_id", "sensor_id", "vector_model"):
        yield name, getattr(obs, name)
    yield "view's kind", obs.view.kind
    yield "detector's name", obs.view.detector
    for label in obs.detections.labels:
        yield "label", label
    for name in obs.view.classes:
        yield "detector's class", name


def _check_pose(obs: Observation, max_coordinate: float) -> None:
    if np.shape(obs.position) != (3,) or np.shape(obs.orientation) != (4,):
        raise RefusedError("A pose needs a position of 3 numbers and a quaternion of 4.", "wrong_shape")
    place, turn = _plain(obs.position), _plain(obs.orientation)
    if not is_finite((*place, *turn)):
        raise RefusedError(
            "The pose holds NaN or infinity: publish no observation while the robot is not localised.", "not_finite"
        )
    if max(map(abs, place)) > max_coordinate:
        raise RefusedError(f"The position {np.round(obs.position, 1).tolist()} m is beyond any map.", "too_far")
    if abs(math.hypot(*turn) - 1) > 1e-3:
        raise RefusedError("The orientation is not a unit quaternion (x, y, z, w).", "bad_quaternion")


def _plain(values: Any) -> list[float]:
    """A few numbers, to be looked at one by one."""
    return list(values.tolist() if isinstance(values, np.ndarray) else values)


def _length(vector: Any) -> float:
    """The length of a row of numbers; NaN or infinite when one of them is, and when they are no numbers."""
    try:
        row = np.asarray(vector) if np.asarray(vector).dtype.kind == "f" else np.asarray(vector, dtype=np.float64)
        return math.sqrt(np.dot(row, row))
    except (TypeError, ValueError):
        return math.nan


def _check_detections(obs: Observation, max_coordinate: float, max_detections: int) -> None:
    found, n = obs.detections, len(obs.detections)
    if n > max_detections:
        raise RefusedError(f"The frame has {n:,} detections, over {max_detections:,}.", "too_large")
    shapes = tuple(np.shape(values) for values in (found.scores, found.centers, found.sizes, found.yaws))
    if shapes != ((n,), (n, 3), (n, 3), (n,)):
        raise RefusedError(f"The detections' arrays disagree with their {n} labels: {shapes}.", "wrong_shape")
    if not n:
        return
    if not all(is_finite(values) for values in (found.scores, found.centers, found.sizes, found.yaws)):
        raise RefusedError("A detection holds NaN or infinity: leave out what has no valid depth.", "not_finite")
    if np.min(found.sizes) < 0 or np.min(found.scores) < 0 or np.max(found.scores) > 1:
        raise RefusedError("A detection has a negative size or a score outside 0..1.", "bad_detection")
    if max(np.abs(found.centers).max(), np.max(found.sizes)) > max_coordinate:
        raise RefusedError("A detection is beyond any map: check the units of its depth.", "too_far")
    if not all(label.strip() for label in found.labels):
        raise RefusedError("A detection has an empty label.", "bad_detection")
    vectors = found.vectors
    if vectors is not None and (np.ndim(vectors) != 2 or len(vectors) != n or not np.size(vectors)):
        raise RefusedError(
            f"The detections' vectors have the shape {np.shape(vectors)}: give one row to each of the {n}, or none.",
            "wrong_shape",
        )
    if vectors is not None and not is_finite(vectors):
        raise RefusedError("A detection's vector holds NaN or infinity.", "not_finite")


def _check_view(obs: Observation) -> None:
    view = obs.view
    angles, ranges = (view.fov_h, view.fov_v), (view.min_range, view.max_range)
    if not is_finite((*angles, *ranges)) or min(*angles, *ranges) < 0 or max(angles) > 2 * np.pi + 1e-3:
        raise RefusedError(
            "The view's field of view (radians, at most a full turn) and ranges (metres) must be finite and not "
            "negative; 0 = unknown.",
            "bad_view",
        )
    if view.min_range > view.max_range:
        raise RefusedError(f"The view's ranges are inverted: {view.min_range:g} to {view.max_range:g} m.", "bad_view")
    if view.intrinsics is not None and (len(view.intrinsics) != 6 or not is_finite(view.intrinsics)):
        raise RefusedError("The view's intrinsics must be 6 finite numbers: fx, fy, cx, cy, width, height.", "bad_view")
    if view.depth is None:
        return
    if np.ndim(view.depth) != 2 or np.asarray(view.depth).dtype != np.uint16:
        raise RefusedError("The view's depth must be a grid (rows, columns) of uint16 millimetres.", "bad_view")
    if not 0 < view.depth.size <= _MAX_CELLS:
        raise RefusedError(
            f"The view's depth has {view.depth.size:,} cells: give 1 to {_MAX_CELLS:,}, or none.", "bad_view"
        )
    if not (view.fov_h > 0 and view.fov_v > 0):
        raise RefusedError("A view with depth needs its field of view: without, no cell has a direction.", "bad_view")


def _check_vector(obs: Observation) -> None:
    if obs.vector is None:
        return
    if np.ndim(obs.vector) != 1 or not len(obs.vector) or not (length := _length(obs.vector)) < math.inf:
        raise RefusedError("The vector must be one row of finite numbers.", "bad_vector")
    if not obs.vector_model:
        raise RefusedError("A vector needs the name of the model that made it (vector_model).", "bad_vector")
    if abs(length - 1) > 1e-2:
        raise RefusedError("The vector is not L2 normalised.", "bad_vector")


def _check_blobs(obs: Observation) -> None:
    if not isinstance(obs.thumbnail, bytes):
        raise RefusedError(f"The thumbnail is not bytes but {type(obs.thumbnail).__name__}.", "bad_thumbnail")
    if len(obs.thumbnail) > _MAX_THUMBNAIL:
        raise RefusedError(
            f"The thumbnail has {len(obs.thumbnail):,} bytes, over {_MAX_THUMBNAIL:,}: make it smaller.", "too_large"
        )
    cloud = obs.cloud
    if cloud is None:
        return
    if np.ndim(cloud) != 2 or np.shape(cloud)[1] != 3 or not len(cloud):
        raise RefusedError("The cloud is empty or not of the shape (n, 3): leave it out instead.", "bad_cloud")
    if len(cloud) > MAX_POINTS:
        raise RefusedError(
            f"The cloud has {len(cloud):,} points, over {MAX_POINTS:,}: voxel-filter it first.", "too_large"
        )
    if not is_finite(cloud) or np.abs(cloud).max() > MAX_EXTENT:
        raise RefusedError(
            "The cloud holds NaN, infinity or a point over 10 km from its sensor: drop such points before sending it.",
            "bad_cloud",
        )


def _says_something(obs: Observation) -> bool:
    senses = obs.view.detector or obs.view.depth is not None
    return bool(obs.caption.strip() or len(obs.detections) or senses or obs.cloud is not None or obs.vector is not None)
