"""The work of the perception node, without ROS: arrays and a pose of the robot -> an observation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import quaternion_multiply, rotation_matrices
from embodied_mem.nodes.settings import PerceptionSettings
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D, Detector
from embodied_mem.perception.keyframes import CloudKeyframer
from embodied_mem.perception.ranges import observe_caption, observe_cloud, observe_scan
from embodied_mem.perception.rgbd import RgbdFrame, RgbdObserver
from embodied_mem.records.observation import Observation


class Mount:
    """Where a sensor sits on the robot: "x y z roll pitch yaw" in metres and radians, in the frame that odom moves.

    Raises BadInputError for anything else.
    """

    def __init__(self, words: str) -> None:
        try:
            numbers = [float(word) for word in words.replace(",", " ").split()]
        except ValueError:
            numbers = []
        if len(numbers) != 6 or not np.isfinite(numbers).all():
            raise BadInputError(
                f"The sensor's mount must be six numbers, x y z roll pitch yaw in metres and radians, not {words!r}."
            )
        self._shift = np.array(numbers[:3])
        self._turn = Rotation.from_euler("xyz", numbers[3:]).as_quat()

    def sensor_pose(self, robot: PoseSample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Position (3,) and orientation (4,) of the sensor when the robot is there."""
        position = robot.position + rotation_matrices(robot.orientation) @ self._shift
        return position, quaternion_multiply(robot.orientation, self._turn)


class Perceiver:
    """Makes observations as the settings say. Raises BadInputError for settings or sensor data that cannot be used."""

    def __init__(self, settings: PerceptionSettings) -> None:
        self._settings = settings
        self._camera_mount = Mount(settings.mount)
        self._lidar_mount, self._scan_mount = Mount(settings.lidar_mount), Mount(settings.scan_mount)
        self.counters: Counter[str] = Counter(observations=0, nothing_new=0)
        self._rgbd = RgbdObserver(
            detector=_detector(settings),
            min_score=settings.detector_score,
            min_range=settings.min_range,
            max_range=settings.max_range,
            keyframer=self._keyframer() if settings.clouds else None,
            thumbnails=settings.thumbnails,
        )
        self._lidar, self._scanner = self._keyframer(), self._keyframer()

    def camera(
        self,
        stamp_ns: int,
        rgb: NDArray[np.uint8],
        depth: NDArray[np.float32],
        camera: Intrinsics,
        robot: PoseSample,
        boxes: Boxes2D | None = None,
        detector: str = "",
        classes: tuple[str, ...] = (),
        caption: str = "",
    ) -> Observation | None:
        """An RGB-D frame; `boxes` of another node with the name of its detector. None when it shows nothing new.

        caption: what another model says of the picture; else it is made of the detections.
        """
        position, orientation = self._camera_mount.sensor_pose(robot)
        named = self._named("camera", robot)
        frame = RgbdFrame(stamp_ns, rgb, depth, camera, position, orientation, covariance=robot.covariance, **named)
        seen = self._rgbd.observe(frame, boxes, detector_name=detector or "external", classes=classes)
        self.counters["boxes_without_depth"] = self._rgbd.without_depth
        return self._counted(replace(seen, caption=caption) if caption.strip() else seen)

    def lidar(self, stamp_ns: int, points: NDArray[np.float32], robot: PoseSample) -> Observation | None:
        """A LiDAR sweep; None between keyframes."""
        position, orientation = self._lidar_mount.sensor_pose(robot)
        fields = {**self._named("lidar", robot), "covariance": robot.covariance}
        reach = self._settings.lidar_range
        return self._counted(
            observe_cloud(
                stamp_ns, points, position, orientation, keyframer=self._lidar, max_range=reach, **fields
            )
        )  # fmt: skip

    def scan(
        self, stamp_ns: int, angles: NDArray[np.float64], ranges: NDArray[np.float64], robot: PoseSample
    ) -> Observation | None:
        """A planar scan; None between keyframes."""
        position, orientation = self._scan_mount.sensor_pose(robot)
        fields = {**self._named("scan", robot), "covariance": robot.covariance}
        reach = self._settings.lidar_range
        return self._counted(
            observe_scan(
                stamp_ns, angles, ranges, position, orientation, keyframer=self._scanner, max_range=reach, **fields
            )
        )  # fmt: skip

    def caption(self, stamp_ns: int, text: str, robot: PoseSample) -> Observation | None:
        """What a captioner said."""
        position, orientation = self._camera_mount.sensor_pose(robot)
        fields = {**self._named("captioner", robot), "covariance": robot.covariance}
        return self._counted(observe_caption(stamp_ns, text, position, orientation, **fields))

    def _keyframer(self) -> CloudKeyframer:
        s = self._settings
        return CloudKeyframer(s.cloud_distance, s.cloud_angle, s.cloud_voxel)

    def _named(self, sensor: str, robot: PoseSample) -> dict[str, Any]:
        s = self._settings
        return {
            "frame_id": s.map_frame or robot.frame_id, "map_id": s.map_id,
            "robot_id": s.robot_id, "sensor_id": s.sensor_id or sensor,
        }  # fmt: skip

    def _counted(self, seen: Observation | None) -> Observation | None:
        """The observation, unless nothing of it could be remembered: no words, things or cloud, and nobody looked."""
        if seen is None or not (seen.caption or len(seen.detections) or seen.view.detector or seen.cloud is not None):
            self.counters["nothing_new"] += 1
            return None
        self.counters["observations"] += 1
        return seen


def _detector(settings: PerceptionSettings) -> Detector | None:
    if not settings.detector:
        return None
    from embodied_mem.perception.onnx_detector import OnnxDetector

    if not settings.detector_names:
        raise BadInputError("Parameter 'detector' needs 'detector_names' too: a file with its classes, one a line.")
    return OnnxDetector(settings.detector, settings.detector_names, min_score=settings.detector_score)
