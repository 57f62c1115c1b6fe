"""Records as messages and back, without ROS: the classes come from a rosbags typestore.

Angles, metres and frames are the same on both sides; fields that the messages keep as float32 lose the digits beyond.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import FloatArray, quaternion_from_yaw, yaw_of
from embodied_mem.records.clouds import decode_cloud, encode_cloud
from embodied_mem.records.observation import Detections, Observation, Record, View

OBSERVATION_KIND = 1
_SECOND = 1_000_000_000


class MessageMaker:
    """Makes messages of a typestore."""

    def __init__(self, store: Any) -> None:
        self._types = store.types

    def make(self, name: str, /, **fields: Any) -> Any:
        """The message `name` ("package/msg/Type") with these fields."""
        return self._types[name](**fields)

    def time(self, stamp_ns: int) -> Any:
        return self.make("builtin_interfaces/msg/Time", sec=stamp_ns // _SECOND, nanosec=stamp_ns % _SECOND)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        return self.make("std_msgs/msg/Header", stamp=self.time(stamp_ns), frame_id=frame_id)

    def point(self, position: Any) -> Any:
        return self.make("geometry_msgs/msg/Point", **_xyz(position))

    def vector3(self, values: Any) -> Any:
        return self.make("geometry_msgs/msg/Vector3", **_xyz(values))

    def pose(self, position: Any, orientation: Any) -> Any:
        x, y, z, w = (float(value) for value in orientation)
        turn = self.make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
        return self.make("geometry_msgs/msg/Pose", position=self.point(position), orientation=turn)

    def record(self, record: Record) -> Any:
        """An `embodied_mem_msgs/msg/Record`."""
        return self.make(
            "embodied_mem_msgs/msg/Record",
            seq=record.seq,
            kind=OBSERVATION_KIND,
            logged=self.time(record.logged_ns),
            observation=self.observation(record.observation),
            about=0,
            command="",
            epoch=0,
        )

    def observation(self, obs: Observation) -> Any:
        """An `embodied_mem_msgs/msg/Observation`."""
        covariance = (
            np.zeros(36) if obs.covariance is None else np.asarray(obs.covariance, dtype=np.float64).reshape(36)
        )
        pose = self.pose(obs.position, obs.orientation)
        cloud = b"" if obs.cloud is None else encode_cloud(obs.cloud)
        return self.make(
            "embodied_mem_msgs/msg/Observation",
            header=self.header(obs.stamp_ns, obs.frame_id),
            map_id=obs.map_id,
            robot_id=obs.robot_id,
            session_id=obs.session_id,
            sensor_id=obs.sensor_id,
            pose=self.make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance),
            has_covariance=obs.covariance is not None,
            caption=obs.caption,
            detections=self._detections(obs.detections),
            view=self._view(obs.view),
            vector=np.zeros(0, np.float32) if obs.vector is None else np.asarray(obs.vector, dtype=np.float32),
            vector_model=obs.vector_model,
            cloud=np.frombuffer(cloud, dtype=np.uint8),
            thumbnail=np.frombuffer(obs.thumbnail, dtype=np.uint8),
        )

    def _detections(self, found: Detections) -> list[Any]:
        turns = quaternion_from_yaw(found.yaws)
        none = np.zeros(0, np.float32)
        return [
            self.make(
                "embodied_mem_msgs/msg/Detection",
                label=label,
                score=float(found.scores[i]),
                pose=self.pose(found.centers[i], turns[i]),
                size=self.vector3(found.sizes[i]),
                vector=none if found.vectors is None else np.asarray(found.vectors[i], dtype=np.float32),
            )
            for i, label in enumerate(found.labels)
        ]

    def _view(self, view: View) -> Any:
        rows, cols = (0, 0) if view.depth is None else view.depth.shape
        return self.make(
            "embodied_mem_msgs/msg/View",
            kind=view.kind,
            fov_h=view.fov_h,
            fov_v=view.fov_v,
            min_range=view.min_range,
            max_range=view.max_range,
            intrinsics=np.asarray(() if view.intrinsics is None else view.intrinsics, dtype=np.float64),
            detector=view.detector,
            classes=list(view.classes),
            depth_rows=rows,
            depth_cols=cols,
            depth=np.zeros(0, np.uint16) if view.depth is None else view.depth.reshape(-1),
        )


def record_of(message: Any) -> Record:
    """The record of a `Record` message of kind OBSERVATION. Raises BadInputError, StorageError (a damaged cloud)."""
    if message.kind != OBSERVATION_KIND:
        raise BadInputError(f"Record {message.seq} is no observation but of kind {message.kind}.")
    observation = observation_of(message.observation)
    return Record(int(message.seq), observation, stamp_of(message.logged), 1, observation.stamp_ns)


def observation_of(message: Any) -> Observation:
    """The observation of an `Observation` message. Raises StorageError for a damaged cloud."""
    position, orientation = _pose_arrays(message.pose.pose)
    covariance = np.asarray(message.pose.covariance, dtype=np.float64).reshape(6, 6) if message.has_covariance else None
    cloud = bytes(np.asarray(message.cloud, dtype=np.uint8))
    return Observation(
        stamp_ns=stamp_of(message.header.stamp),
        position=position,
        orientation=orientation,
        frame_id=message.header.frame_id,
        map_id=message.map_id,
        robot_id=message.robot_id,
        session_id=message.session_id,
        sensor_id=message.sensor_id,
        covariance=covariance,
        caption=message.caption,
        detections=_detections_of(message.detections),
        view=_view_of(message.view),
        vector=np.array(message.vector, dtype=np.float32) if len(message.vector) else None,
        vector_model=message.vector_model,
        cloud=decode_cloud(cloud) if cloud else None,
        thumbnail=bytes(np.asarray(message.thumbnail, dtype=np.uint8)),
    )


def stamp_of(time: Any) -> int:
    """A Time message as nanoseconds."""
    return int(time.sec) * _SECOND + int(time.nanosec)


def _detections_of(messages: list[Any]) -> Detections:
    if not messages:
        return Detections()
    poses = [_pose_arrays(message.pose) for message in messages]
    vectors = [np.asarray(message.vector, dtype=np.float32) for message in messages]
    return Detections(
        labels=tuple(message.label for message in messages),
        scores=np.array([message.score for message in messages], dtype=np.float64),
        centers=np.array([position for position, _ in poses]),
        sizes=np.array([[message.size.x, message.size.y, message.size.z] for message in messages], dtype=np.float64),
        yaws=yaw_of(np.array([orientation for _, orientation in poses])),
        vectors=np.stack(vectors) if all(len(row) for row in vectors) else None,
    )


def _view_of(message: Any) -> View:
    intrinsics, depth = None, None
    if len(message.intrinsics) == 6:
        fx, fy, cx, cy, width, height = (float(value) for value in message.intrinsics)
        intrinsics = (fx, fy, cx, cy, int(width), int(height))
    if len(message.depth):
        depth = np.array(message.depth, dtype=np.uint16).reshape(message.depth_rows, message.depth_cols)
    ranges = (float(message.fov_h), float(message.fov_v), float(message.min_range), float(message.max_range))
    return View(message.kind, *ranges, intrinsics, message.detector, tuple(message.classes), depth)


def _pose_arrays(pose: Any) -> tuple[FloatArray, FloatArray]:
    p, q = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w])


def _xyz(values: Any) -> dict[str, float]:
    x, y, z = (float(value) for value in values)
    return {"x": x, "y": y, "z": z}
