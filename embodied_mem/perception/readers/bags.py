"""Bags: ROS 2 (MCAP, db3) and ROS 1, read without ROS through `rosbags`.

Topics are recognised by their types. Poses come from odometry or PoseStamped topics, else from tf. RGB-D needs colour,
depth and camera_info, and takes the boxes of a detector that ran while the bag was recorded (ImageDetections); scans
and point clouds become observations by themselves. What the bag lacks is said in `notes`, in sentences; it is read as
far as it goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError, UnavailableError
from embodied_mem.geometry import quaternion_from_matrix
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import body_pose
from embodied_mem.perception.keyframes import CloudKeyframer
from embodied_mem.perception.ranges import observe_cloud, observe_scan
from embodied_mem.perception.readers import messages
from embodied_mem.perception.readers.tf import Track, TransformTree
from embodied_mem.perception.rgbd import RgbdFrame
from embodied_mem.records.observation import Observation

FloatArray = NDArray[np.float64]
MAP_FRAMES = ("map", "odom", "world", "odom_combined")
_TOLERANCE_NS = 200_000_000  # between a measurement and the poses around it
_PAIR_NS = 40_000_000  # between colour and depth
_SENSORS = ("Image", "CompressedImage", "LaserScan", "PointCloud2")
_CONTEXT = ("CameraInfo", "TFMessage", "tfMessage", "ImageDetections")
_POSES = ("Odometry", "PoseStamped", "PoseWithCovarianceStamped")


class BagReader:
    """The RGB-D frames, scans and clouds of a bag, in order of recording.

    path    a bag folder, or a .mcap, .db3 or .bag file
    notes   sentences about what could not be used and what was assumed, filled while reading
    read    sensor messages so far, of len(); between: scans and clouds from the place and direction of the last one
            kept, which say nothing new
    Raises UnavailableError without `rosbags`, BadInputError for what is no bag, and while reading for a truncated one.
    """

    def __init__(self, path: str | Path, *, map_id: str = "") -> None:
        self._path, self._map = Path(path), map_id
        self.notes: list[str] = []
        self.skipped: Counter[str] = Counter()
        self.read, self.between = 0, 0
        self._reader = _open(self._path)
        self._kinds = {c.topic: c.msgtype.rsplit("/", 1)[-1] for c in self._reader.connections}
        self._sensors = [c for c in self._reader.connections if self._kinds[c.topic] in _SENSORS]
        if not self._sensors:
            found = ", ".join(sorted(set(self._kinds.values()))) or "none"
            raise BadInputError(f"{path} has no image, laser scan or point cloud topic (message types: {found}).")
        self._tree = TransformTree()
        self._tracks: dict[tuple[str, str], Track] = {}
        self._cameras: dict[str, Intrinsics] = {}
        self._keyframers: dict[str, CloudKeyframer] = {}
        self._boxes: dict[int, tuple[Boxes2D, str, tuple[str, ...]]] = {}  # by stamp
        self._read_context()
        self._box_stamps = sorted(self._boxes)

    def __len__(self) -> int:
        """How many sensor messages there are."""
        return sum(connection.msgcount for connection in self._sensors)

    def __iter__(self) -> Iterator[RgbdFrame | Observation]:
        images: dict[str, tuple[int, NDArray[Any]]] = {}
        self.read, self.between = 0, 0
        for _, topic, message in self._messages(self._sensors):
            self.read += 1
            kind = self._kinds[topic]
            if kind in ("LaserScan", "PointCloud2"):
                observation = self._observe_ranges(topic, kind, message)
                if observation is not None:
                    yield observation
            elif (frame := self._pair(topic, message, images)) is not None:
                yield frame

    # --- poses, and what else is needed to understand a measurement ----------------------------------------------

    def _read_context(self) -> None:
        wanted = [c for c in self._reader.connections if self._kinds[c.topic] in (*_POSES, *_CONTEXT)]
        for _, topic, message in self._messages(wanted):
            kind = self._kinds[topic]
            if kind == "ImageDetections":
                try:
                    self._boxes[messages.stamp(message.header)] = messages.detections(message)
                except BadInputError as error:
                    self.skipped[str(error)] += 1
            elif kind == "CameraInfo":
                frame = message.header.frame_id.lstrip("/")
                if frame not in self._cameras:
                    self._cameras[frame] = messages.intrinsics(message)
            elif kind in ("TFMessage", "tfMessage"):
                for item in message.transforms:
                    place, turn = messages.transform(item.transform)
                    stamp = messages.stamp(item.header)
                    static = topic.endswith("tf_static")
                    self._tree.add(item.header.frame_id, item.child_frame_id, stamp, place, turn, static=static)
            else:
                parent = message.header.frame_id.lstrip("/")
                child = getattr(message, "child_frame_id", "").lstrip("/")
                place, turn = messages.pose(message)
                track = self._tracks.setdefault((parent, child), Track())
                track.add(messages.stamp(message.header), place, turn, messages.covariance(message))
        if not self._tracks and not self._tree:
            self._note("The bag has neither odometry nor tf: every measurement is taken as made at the map's origin.")

    def _pose(self, frame: str, stamp: int) -> tuple[FloatArray, str, FloatArray | None]:
        """(4, 4) of a sensor frame, the map frame that it is in, and its covariance. Raises NotFoundError."""
        frame = frame.lstrip("/")
        for (parent, child), track in self._tracks.items():
            pose = track.at(stamp, _TOLERANCE_NS)
            if pose is None:
                continue
            if child not in ("", frame) and "optical" not in child:
                if child in self._tree.ancestors(frame):
                    pose = pose @ self._tree.lookup(child, frame, stamp, _TOLERANCE_NS)
                else:
                    self._note(
                        f"No transform leads from {child!r} to {frame!r}: the sensor is taken to sit at {child!r}."
                    )
            return pose, _map_frame(parent), track.covariance_at(stamp)
        if not self._tree:
            if self._tracks:
                raise NotFoundError("no pose was recorded near that time")
            return np.eye(4), "map", None
        chain = self._tree.ancestors(frame)
        fixed = next((name for name in MAP_FRAMES if name in chain), chain[-1])
        if fixed not in MAP_FRAMES:
            self._note(f"The bag has no map or odometry frame: poses are relative to {fixed!r}, taken to stand still.")
        return self._tree.lookup(fixed, frame, stamp, _TOLERANCE_NS), _map_frame(fixed), None

    # --- measurements ------------------------------------------------------------------------------------------

    def _observe_ranges(self, topic: str, kind: str, message: Any) -> Observation | None:
        stamp = messages.stamp(message.header)
        try:
            matrix, frame_id, covariance = self._pose(message.header.frame_id, stamp)
            tilt = 0.03 if kind == "LaserScan" else None
            keyframer = self._keyframers.setdefault(topic, CloudKeyframer(distance=0.3, angle=0.2, tilt=tilt))
            place, turn = matrix[:3, 3], quaternion_from_matrix(matrix[:3, :3])
            fields: dict[str, Any] = {
                "keyframer": keyframer,
                "frame_id": frame_id,
                "covariance": covariance,
                "map_id": self._map,
                "sensor_id": topic.strip("/"),
            }
            if kind == "PointCloud2":
                seen = observe_cloud(stamp, messages.cloud(message), place, turn, **fields)
            else:
                angles, ranges = messages.scan(message)
                limits = {"min_range": max(message.range_min, 0.01), "max_range": message.range_max}
                seen = observe_scan(stamp, angles, ranges, place, turn, **fields, **limits)
            self.between += seen is None
            return seen
        except (NotFoundError, BadInputError) as error:
            self.skipped[str(error)] += 1
            return None

    def _pair(self, topic: str, message: Any, images: dict[str, tuple[int, NDArray[Any]]]) -> RgbdFrame | None:
        """The frame that an image completes, once its colour or depth partner is there."""
        stamp = messages.stamp(message.header)
        try:
            kind, image = messages.image(message, topic)
            images[kind] = (stamp, image)
            if len(images) < 2 or abs(images["color"][0] - images["depth"][0]) > _PAIR_NS:
                return None
            (stamp, color), (_, depth) = images.pop("color"), images.pop("depth")
            return self._frame(message.header.frame_id.lstrip("/"), topic, stamp, color, depth)
        except (NotFoundError, BadInputError) as error:
            self.skipped[str(error)] += 1
            return None

    def _frame(self, frame: str, topic: str, stamp: int, color: NDArray[Any], depth: NDArray[Any]) -> RgbdFrame:
        camera = self._cameras.get(frame) or next(iter(self._cameras.values()), None)
        if camera is None:
            raise BadInputError("The bag has images but no camera_info: points cannot be made of them.")
        matrix, frame_id, covariance = self._pose(frame, stamp)
        place, turn = body_pose(matrix)
        height, width = depth.shape
        boxes, detector, classes = self._boxes_at(stamp)
        if boxes is not None:
            scale = np.tile([width / color.shape[1], height / color.shape[0]], 2)
            boxes = Boxes2D(boxes.labels, boxes.scores, boxes.boxes * scale)
        return RgbdFrame(
            stamp_ns=stamp,
            rgb=messages.resized(color, width, height),
            depth=depth,
            camera=camera.scaled(width, height),
            position=place,
            orientation=turn,
            covariance=covariance,
            frame_id=frame_id,
            map_id=self._map,
            sensor_id=topic.strip("/").split("/")[0],
            boxes=boxes,
            detector=detector,
            classes=classes,
        )

    def _boxes_at(self, stamp: int) -> tuple[Boxes2D | None, str, tuple[str, ...]]:
        """The recorded boxes of the image of this time; None where no detector looked at it."""
        after = bisect_left(self._box_stamps, stamp)
        near = self._box_stamps[max(after - 1, 0) : after + 1]
        nearest = min(near, key=lambda other: abs(other - stamp), default=None)
        if nearest is None or abs(nearest - stamp) > _PAIR_NS:
            return None, "", ()
        return self._boxes[nearest]

    def _messages(self, connections: list[Any]) -> Iterator[tuple[int, str, Any]]:
        try:
            for connection, stamp, raw in self._reader.messages(connections=connections):
                try:
                    yield stamp, connection.topic, self._reader.deserialize(raw, connection.msgtype)
                except (AssertionError, KeyError, ValueError, IndexError) as error:
                    self.skipped[f"unreadable message on {connection.topic} ({error})"] += 1
        except (OSError, EOFError, AssertionError, ValueError) as error:
            raise BadInputError(
                f"{self._path} ends too early or is damaged ({error}): what came before was read."
            ) from error

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _map_frame(frame: str) -> str:
    """The name under which a fixed frame is remembered: one that the gate lets in."""
    return frame if frame in ("map", "odom", "world") else "odom"


def _open(path: Path) -> Any:
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise UnavailableError("Reading bags needs rosbags: pip install embodied_mem[tools].") from error
    if not path.exists():
        raise BadInputError(f"There is no bag at {path}.")
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
    except (AnyReaderError, OSError, ValueError, AssertionError, KeyError, EOFError) as error:
        raise BadInputError(f"{path} is not a readable bag ({str(error)[:160]}).") from error
    except Exception as error:  # rosbags raises a kind of its own for each format
        raise BadInputError(f"{path} is not a readable bag ({type(error).__name__}: {str(error)[:160]}).") from error
    return reader
