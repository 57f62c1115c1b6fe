"""Arrays from ROS messages, whoever deserialised them: only fields are read, no message class is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.depth import Intrinsics, metres
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import estimated
from embodied_mem.perception.readers.images import decode_depth, decode_rgb

FloatArray = NDArray[np.float64]
_POINT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # sensor_msgs/PointField
_COLORS = {"rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0))}
_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}


def stamp(header: Any) -> int:
    """Nanoseconds of a header's stamp (ROS 2 `nanosec`, ROS 1 `nsec`)."""
    time = header.stamp
    nanoseconds = time.nanosec if hasattr(time, "nanosec") else time.nsec
    return int(time.sec) * 1_000_000_000 + int(nanoseconds)


def transform(message: Any) -> tuple[FloatArray, FloatArray]:
    """geometry_msgs/Transform -> translation (3,), quaternion (4,)."""
    t, r = message.translation, message.rotation
    return np.array([t.x, t.y, t.z], dtype=np.float64), np.array([r.x, r.y, r.z, r.w], dtype=np.float64)


def pose(message: Any) -> tuple[FloatArray, FloatArray]:
    """Odometry, PoseStamped or PoseWithCovarianceStamped -> position (3,), quaternion (4,)."""
    inner = message.pose
    inner = inner.pose if hasattr(inner, "pose") else inner
    p, q = inner.position, inner.orientation
    return np.array([p.x, p.y, p.z], dtype=np.float64), np.array([q.x, q.y, q.z, q.w], dtype=np.float64)


def covariance(message: Any) -> FloatArray | None:
    """Odometry or PoseWithCovarianceStamped -> (6, 6); None where there is none (PoseStamped, all zeros, not finite).

    What a planar robot does not estimate becomes 0 (`frames.estimated`).
    """
    values = getattr(message.pose, "covariance", None)
    if values is None:
        return None
    matrix = np.array(values, dtype=np.float64).reshape(6, 6)
    if not matrix.any() or not np.isfinite(matrix).all():
        return None
    return estimated(matrix)


def detections(message: Any) -> tuple[Boxes2D, str, tuple[str, ...]]:
    """embodied_mem_msgs/ImageDetections -> boxes, the detector's name, its classes. Raises BadInputError."""
    labels = tuple(message.labels)
    scores = np.asarray(message.scores, dtype=np.float64)
    boxes = np.asarray(message.boxes, dtype=np.float64)
    if boxes.size != 4 * len(labels):
        raise BadInputError(f"{len(labels)} labels need {4 * len(labels)} numbers for their boxes, not {boxes.size}.")
    return Boxes2D(labels, scores, boxes.reshape(-1, 4)), str(message.detector), tuple(message.classes)


def intrinsics(message: Any) -> Intrinsics:
    """sensor_msgs/CameraInfo -> the pinhole model. Raises BadInputError for an empty one."""
    k = message.k if hasattr(message, "k") else message.K
    return Intrinsics(float(k[0]), float(k[4]), float(k[2]), float(k[5]), int(message.width), int(message.height))


def image(message: Any, topic: str = "") -> tuple[str, NDArray[Any]]:
    """Image or CompressedImage -> ("color", (h, w, 3) uint8) or ("depth", (h, w) float32 metres); or BadInputError."""
    if hasattr(message, "format"):
        compressed = bytes(message.data)
        if "depth" in topic.lower() or message.format.startswith(("16UC1", "32FC1")):
            return "depth", decode_depth(compressed, f"A depth image on {topic}")
        return "color", decode_rgb(compressed, f"An image on {topic}")
    encoding, height, width = message.encoding, int(message.height), int(message.width)
    data = np.frombuffer(memoryview(message.data), dtype=np.uint8)
    order = ">" if message.is_bigendian else "<"
    if encoding in _DEPTHS:
        size = int(_DEPTHS[encoding][1])
        rows = _rows(data, height, width * size, int(message.step), topic)
        depth = np.ascontiguousarray(rows).view(order + _DEPTHS[encoding]).reshape(height, width)
        return "depth", metres(depth.astype(depth.dtype.newbyteorder("=")))
    if encoding in _COLORS:
        channels, order_of = _COLORS[encoding]
        rows = _rows(data, height, width * channels, int(message.step), topic)
        return "color", np.ascontiguousarray(rows.reshape(height, width, channels)[:, :, list(order_of)])
    if encoding in ("mono8", "8UC1"):
        grey = _rows(data, height, width, int(message.step), topic)
        return "color", np.repeat(grey[:, :, None], 3, axis=2)
    raise BadInputError(f"Images in the encoding {encoding!r} are not read: use rgb8, bgr8, mono8, 16UC1 or 32FC1.")


def resized(color: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The colour image at the depth image's resolution."""
    if color.shape[:2] == (height, width):
        return color
    from PIL import Image

    return np.asarray(Image.fromarray(color).resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)


def cloud(message: Any) -> NDArray[np.float32]:
    """sensor_msgs/PointCloud2 -> (n, 3) float32, NaN included. Raises BadInputError without x, y and z."""
    fields = {field.name: field for field in message.fields}
    if not {"x", "y", "z"} <= fields.keys():
        raise BadInputError(f"The point cloud has no x, y and z (fields: {', '.join(fields) or 'none'}).")
    order = ">" if message.is_bigendian else "<"
    axes = [fields[axis] for axis in "xyz"]
    if any(axis.datatype not in _POINT_TYPES for axis in axes):
        raise BadInputError("The point cloud's x, y and z have an unknown type.")
    layout = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [order + _POINT_TYPES[axis.datatype] for axis in axes],
            "offsets": [axis.offset for axis in axes],
            "itemsize": int(message.point_step),
        }
    )
    count = int(message.width) * int(message.height)
    data = np.frombuffer(memoryview(message.data), dtype=np.uint8)
    if len(data) < count * layout.itemsize:
        raise BadInputError(
            f"The point cloud has {len(data)} bytes for {count} points of {layout.itemsize}: truncated."
        )
    points = data[: count * layout.itemsize].view(layout)
    return np.column_stack([points[axis] for axis in "xyz"]).astype(np.float32)


def scan(message: Any) -> tuple[FloatArray, FloatArray]:
    """sensor_msgs/LaserScan -> angles (n,) radians and ranges (n,) metres."""
    ranges = np.asarray(message.ranges, dtype=np.float64)
    return message.angle_min + np.arange(len(ranges)) * message.angle_increment, ranges


def _rows(data: NDArray[np.uint8], height: int, row_bytes: int, step: int, topic: str) -> NDArray[np.uint8]:
    step = step or row_bytes
    if step < row_bytes or len(data) < step * (height - 1) + row_bytes or height < 1:
        raise BadInputError(f"An image on {topic or 'a topic'} has {len(data)} bytes, too few for its size: truncated.")
    padded = data if len(data) >= step * height else np.pad(data, (0, step * height - len(data)))
    return padded[: step * height].reshape(height, step)[:, :row_bytes]
