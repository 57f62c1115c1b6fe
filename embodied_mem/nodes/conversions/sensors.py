"""Sensor messages <-> arrays: images, camera_info, point clouds, scans, odometry, 2-D detections.

Images and clouds are read in place (no copy) where their layout allows.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
from embodied_mem_msgs.msg import ImageDetections
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2, PointField

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.nodes.conversions.basics import (
    make_pose,
    ns_to_stamp,
    numbers,
    orientation_of,
    position_of,
    stamp_to_ns,
    typed_array,
)
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.depth import Intrinsics, metres
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import estimated

# encoding -> type, channels, order of the channels that gives RGB
_ENCODINGS: dict[str, tuple[str, int, tuple[int, ...] | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, (2, 1, 0)),
    "rgba8": ("u1", 4, (0, 1, 2)),
    "bgra8": ("u1", 4, (2, 1, 0)),
    "8UC3": ("u1", 3, (2, 1, 0)),
    "mono8": ("u1", 1, (0, 0, 0)),
    "8UC1": ("u1", 1, (0, 0, 0)),
}
_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_FIELD_TYPES = {
    PointField.INT8: "i1", PointField.UINT8: "u1", PointField.INT16: "i2", PointField.UINT16: "u2",
    PointField.INT32: "i4", PointField.UINT32: "u4", PointField.FLOAT32: "f4", PointField.FLOAT64: "f8",
}  # fmt: skip
_DEPTH_HEADER = 12  # bytes in front of the PNG in compressedDepth


def rgb_of(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """(h, w, 3) RGB. Raises BadInputError for an encoding that is no colour or grey image."""
    if isinstance(message, CompressedImage):
        return np.asarray(_decoded(bytes(message.data), message.format).convert("RGB"))
    if message.encoding not in _ENCODINGS:
        raise BadInputError(f"Images of encoding {message.encoding!r} are not read; known are {', '.join(_ENCODINGS)}.")
    kind, channels, order = _ENCODINGS[message.encoding]
    pixels = _pixels(message, kind, channels)
    return pixels if order is None else np.ascontiguousarray(pixels[:, :, order])


def depth_of(message: Image | CompressedImage) -> NDArray[np.float32]:
    """(h, w) float32 metres, 0 where nothing was measured. Raises BadInputError."""
    if isinstance(message, CompressedImage):
        data = bytes(message.data)
        picture = _decoded(data[_DEPTH_HEADER:] if "compressedDepth" in message.format else data, message.format)
        return metres(np.asarray(picture).astype(np.uint16))
    if message.encoding not in _DEPTHS:
        raise BadInputError(f"Depth of encoding {message.encoding!r} is not read; known are {', '.join(_DEPTHS)}.")
    return metres(_pixels(message, _DEPTHS[message.encoding], 1)[:, :, 0])


def intrinsics_of(message: CameraInfo) -> Intrinsics:
    """Raises BadInputError for an unfilled camera_info."""
    fx, _, cx, _, fy, cy, *_ = (float(value) for value in message.k)
    return Intrinsics(fx, fy, cx, cy, int(message.width), int(message.height))


def points_of(message: PointCloud2) -> NDArray[np.float32]:
    """(n, 3), NaN where the sensor had no return. Raises BadInputError when the layout does not hold x, y and z."""
    fields = {field.name: field for field in message.fields}
    missing = [name for name in "xyz" if name not in fields]
    if missing:
        raise BadInputError(f"The cloud has no field {', '.join(missing)}; it has {', '.join(fields) or 'none'}.")
    order = ">" if message.is_bigendian else "<"
    columns = {name: order + _FIELD_TYPES.get(fields[name].datatype, "") for name in "xyz"}
    ends = [fields[name].offset + np.dtype(kind).itemsize for name, kind in columns.items() if len(kind) > 1]
    count = message.width * message.height
    if len(ends) < 3 or max(ends) > message.point_step or len(message.data) < count * message.point_step:
        raise BadInputError(
            f"The cloud's layout is impossible: {count} points of {message.point_step} bytes in {len(message.data)}."
        )
    dtype = np.dtype(
        {
            "names": list("xyz"),
            "formats": list(columns.values()),
            "offsets": [fields[name].offset for name in "xyz"],
            "itemsize": message.point_step,
        }
    )
    if message.row_step == message.width * message.point_step or message.height <= 1:
        rows = np.frombuffer(message.data, dtype, count)
    else:
        raw = np.frombuffer(message.data, np.uint8, message.height * message.row_step)
        used = raw.reshape(message.height, message.row_step)[:, : message.width * message.point_step]
        rows = np.frombuffer(used.tobytes(), dtype, count)
    return np.column_stack([rows[name] for name in "xyz"]).astype(np.float32, copy=False)


def scan_of(message: LaserScan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angles (n,) radians and ranges (n,) metres; what lies outside the scanner's own limits becomes infinite."""
    ranges = numbers(message.ranges, "<f4").astype(np.float64)
    if not np.isfinite([message.angle_min, message.angle_increment]).all():
        raise BadInputError("The scan's angles are not finite.")
    with np.errstate(invalid="ignore"):
        valid = (ranges >= message.range_min) & (ranges <= (message.range_max or np.inf))
    return message.angle_min + message.angle_increment * np.arange(len(ranges)), np.where(valid, ranges, np.inf)


def pose_of(message: Any) -> PoseSample:
    """Odometry, PoseWithCovarianceStamped or PoseStamped. An all-zero covariance means that there is none."""
    inner, covariance = message.pose, None
    if hasattr(inner, "covariance"):
        matrix = np.array(inner.covariance, dtype=np.float64).reshape(6, 6)
        covariance, inner = (estimated(matrix) if matrix.any() else None), inner.pose
    return PoseSample(
        stamp_to_ns(message.header.stamp), position_of(inner), orientation_of(inner), covariance,
        message.header.frame_id,
    )  # fmt: skip


def boxes_of(message: ImageDetections) -> Boxes2D:
    """Raises BadInputError when the arrays' sizes disagree."""
    n = len(message.labels)
    if len(message.scores) != n or len(message.boxes) != 4 * n:
        raise BadInputError(
            f"{n} labels need {n} scores and {4 * n} box numbers, not {len(message.scores)} and {len(message.boxes)}."
        )
    boxes = numbers(message.boxes, "<f4").astype(np.float64).reshape(n, 4)
    if n and (boxes[:, :2] > boxes[:, 2:]).any():
        raise BadInputError("A 2-D box is inverted: it is x_min, y_min, x_max, y_max in pixels.")
    return Boxes2D(tuple(message.labels), numbers(message.scores, "<f4").astype(np.float64), boxes)


# --- for what publishes sensors ---------------------------------------------------------------------------------


def image_msg(pixels: NDArray[Any], encoding: str, stamp_ns: int, frame: str) -> Image:
    """Pixels (h, w) or (h, w, c), contiguous, as an Image."""
    rows = np.ascontiguousarray(pixels)
    message = Image(
        height=rows.shape[0], width=rows.shape[1], encoding=encoding, step=rows.strides[0],
        is_bigendian=int(sys.byteorder == "big"),
    )  # fmt: skip
    message.data = typed_array("B", rows.tobytes())
    return _stamped(message, stamp_ns, frame)


def camera_info_msg(camera: Intrinsics, stamp_ns: int, frame: str) -> CameraInfo:
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model="plumb_bob", d=[0.0] * 5)
    message.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return _stamped(message, stamp_ns, frame)


def detections_msg(
    boxes: Boxes2D, detector: str, classes: tuple[str, ...], stamp_ns: int, frame: str
) -> ImageDetections:
    message = ImageDetections(detector=detector, classes=list(classes), labels=list(boxes.labels))
    message.scores = typed_array("f", boxes.scores)
    message.boxes = typed_array("f", boxes.boxes)
    return _stamped(message, stamp_ns, frame)


def odometry_msg(sample: PoseSample, child_frame: str) -> Odometry:
    message = Odometry(child_frame_id=child_frame)
    message.pose.pose = make_pose(sample.position, sample.orientation)
    if sample.covariance is not None:
        message.pose.covariance = np.asarray(sample.covariance, dtype=np.float64).ravel()
    return _stamped(message, sample.stamp_ns, sample.frame_id)


def cloud_msg(points: NDArray[np.float32], stamp_ns: int, frame: str) -> PointCloud2:
    """(n, 3) as an unordered cloud of float32 x, y, z."""
    cloud = np.ascontiguousarray(points, dtype="<f4")
    message = PointCloud2(height=1, width=len(cloud), point_step=12, row_step=12 * len(cloud), is_dense=True)
    message.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate("xyz")
    ]
    message.data = typed_array("B", cloud.tobytes())
    return _stamped(message, stamp_ns, frame)


def scan_msg(
    angles: NDArray[np.float64], ranges: NDArray[np.float64], limits: tuple[float, float], stamp_ns: int, frame: str
) -> LaserScan:
    """An evenly spaced scan; limits are the nearest and farthest range in metres."""
    step = float(angles[1] - angles[0]) if len(angles) > 1 else 0.0
    message = LaserScan(
        angle_min=float(angles[0]), angle_max=float(angles[-1]), angle_increment=step,
        range_min=limits[0], range_max=limits[1],
    )  # fmt: skip
    message.ranges = typed_array("f", ranges)
    return _stamped(message, stamp_ns, frame)


def _stamped(message: Any, stamp_ns: int, frame: str) -> Any:
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
    return message


def _pixels(message: Image, kind: str, channels: int) -> NDArray[Any]:
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    row = message.width * channels * dtype.itemsize
    if not message.height or not message.width or message.step < row:
        raise BadInputError(
            f"An image of {message.width} x {message.height} {message.encoding} cannot have a step of {message.step}."
        )
    if len(message.data) != message.step * message.height:
        raise BadInputError(
            f"The image has {len(message.data)} bytes, not {message.step} x {message.height} (its step and height)."
        )
    raw = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    if not raw.flags.c_contiguous:
        raw = np.ascontiguousarray(raw)
    return raw.view(dtype).reshape(message.height, message.width, channels)


def _decoded(data: bytes, form: str) -> Any:
    try:
        from PIL import Image as Picture
    except ImportError as error:
        raise UnavailableError("Compressed images need Pillow: install it with `pip install Pillow`.") from error
    try:
        picture = Picture.open(io.BytesIO(data))
        picture.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInputError(f"A compressed image ({form!r}, {len(data)} bytes) cannot be read: {error}") from error
    return picture
