"""Sensor messages in, observations out: what is perceived, what is left out, and that every loss is counted by name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import ImageDetections, MemoryEvent
from embodied_mem_msgs.msg import Observation as ObservationMsg
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2
from std_msgs.msg import String

from embodied_mem.errors import BadInputError
from embodied_mem.nodes import qos
from embodied_mem.nodes.conversions import sensors
from embodied_mem.nodes.conversions.basics import ns_to_stamp, typed_array
from embodied_mem.nodes.conversions.observations import observation_from_msg
from embodied_mem.nodes.perception_node import PerceptionNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.records.observation import Observation
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, Inbox, until
from tests.ros.samples import SECOND, UPRIGHT

CAMERA = Intrinsics(100.0, 100.0, 79.5, 59.5, 160, 120)
MOUNT = {"mount": "0.1 0 1.0 0 0 0", "lidar_mount": "0 0 1.5 0 0 0", "scan_mount": "0 0 0.2 0 0 0"}
RELIABLE = qos.reliable(50)


_moments = itertools.count()


def now_ns() -> int:
    """Ten seconds later at each call, so that nothing of one frame is near another."""
    return time.time_ns() + next(_moments) * 10 * SECOND


class Robot:
    """A perception node and what it publishes; publishes what a robot's drivers would."""

    def __init__(self, graph: Graph, **parameters: Any) -> None:
        self.graph = graph
        self.seen: Inbox = graph.inbox(ObservationMsg, "observations", qos.OBSERVATIONS)
        self.node = graph.up(PerceptionNode, {"reliability": "reliable", "wait": 0.3, **MOUNT, **parameters})
        until(lambda: self.node._observations.get_subscription_count(), "the reader of observations")

    def send(self, kind: type, topic: str, message: Any) -> None:
        self.graph.publisher(kind, topic, RELIABLE).publish(message)

    def pose(self, stamp: int, x: float = 0.0, frame: str = "map") -> None:
        covariance = np.diag([0.01, 0.01, 0.01, 0.001, 0.001, 0.001])
        sample = PoseSample(stamp, np.array([x, 0.0, 0.0]), UPRIGHT, covariance, frame)
        self.send(Odometry, "odom", sensors.odometry_msg(sample, "base_link"))

    def info(self, stamp: int) -> None:
        self.send(CameraInfo, "camera_info", sensors.camera_info_msg(CAMERA, stamp, "camera"))

    def frame(self, stamp: int, depth: NDArray[Any], boxes: Boxes2D | None = None, x: float = 0.0) -> None:
        self.pose(stamp, x)
        self.info(stamp)
        encoding = "16UC1" if depth.dtype == np.uint16 else "32FC1"
        self.send(Image, "depth", sensors.image_msg(depth, encoding, stamp, "camera"))
        if boxes is not None:
            found = sensors.detections_msg(boxes, "any", ("cup", "chair"), stamp, "camera")
            self.send(ImageDetections, "detections_2d", found)
        self.send(Image, "image", sensors.image_msg(np.full((120, 160, 3), 99, np.uint8), "rgb8", stamp, "camera"))

    def sees(self, stamp: int) -> Observation:
        message = self.seen.wait(lambda each: each.header.stamp == ns_to_stamp(stamp))
        return observation_from_msg(message)

    def refusal(self, counter: str, send: Any, by: int = 1) -> None:
        """`send` makes no observation, but raises the counter."""
        seen = len(self.seen.messages)
        before = int(dict(self.node.diagnose()).get(counter, 0) or self.node.counters[counter])
        send()
        until(
            lambda: int(dict(self.node.diagnose()).get(counter, 0) or self.node.counters[counter]) == before + by,
            f"{counter} counted",
        )
        assert len(self.seen.messages) == seen


@pytest.fixture(scope="module")
def robot() -> Iterator[Robot]:
    """A camera with external boxes, a LiDAR, a scanner and a captioner."""
    with Graph() as graph:
        yield Robot(graph, external_detections=True, lidar=True, scan=True, captions=True)


def wall(kind: type = np.float32) -> NDArray[Any]:
    """A wall at 3 m and a thing 40 x 40 pixels large at 2 m in the middle."""
    depth = np.full((120, 160), 3.0)
    depth[40:80, 60:100] = 2.0
    return (depth * 1000).astype(np.uint16) if kind is np.uint16 else depth.astype(kind)


CUP = Boxes2D(("Cup",), np.array([0.8]), np.array([[60.0, 40.0, 99.0, 79.0]]))


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_a_box_becomes_a_thing_in_space_with_a_caption_and_a_view(robot: Robot, kind: type) -> None:
    stamp = now_ns()
    robot.frame(stamp, wall(kind), CUP, x=5.0 if kind is np.float32 else 8.0)
    found = robot.sees(stamp)
    x = 5.1 if kind is np.float32 else 8.1
    assert found.detections.labels == ("cup",) and "cup" in found.caption
    assert found.detections.centers[0] == pytest.approx([x + 2.0, 0.0, 1.0], abs=0.03)
    assert found.detections.sizes[0][1:] == pytest.approx([0.76, 0.76], abs=0.08)
    assert found.position == pytest.approx([x, 0, 1.0]) and found.frame_id == "map"
    assert found.view.detector == "any" and found.view.classes == ("cup", "chair")
    assert found.view.depth is not None and set(np.unique(found.view.depth // 500)) <= {0, 3, 4, 5, 6, 7, 8}
    assert found.covariance is not None and found.covariance[0, 0] == pytest.approx(0.01)
    assert found.cloud is not None and found.thumbnail[:2] == b"\xff\xd8"


def test_what_depth_could_not_measure_never_becomes_a_point(robot: Robot) -> None:
    stamp = now_ns()
    millimetres = wall(np.uint16)
    millimetres[1::2] = 65535
    millimetres[:, 1::2] = 0
    robot.frame(stamp, millimetres, CUP, x=20.0)
    metric = wall()
    metric[1::2], metric[:, 1::2], metric[0, :40] = np.nan, np.inf, -1.0
    robot.frame(stamp + SECOND, metric, CUP, x=30.0)
    for found, x in ((robot.sees(stamp), 20.1), (robot.sees(stamp + SECOND), 30.1)):
        assert found.detections.centers[0] == pytest.approx([x + 2.0, 0, 1], abs=0.1)
        assert found.cloud is not None and np.isfinite(found.cloud).all()
        assert found.cloud[:, 0].min() > 1.9 and found.cloud[:, 0].max() < 3.1


def test_a_box_without_depth_is_left_out_and_counted_but_the_look_is_evidence(robot: Robot) -> None:
    stamp = now_ns()
    before = robot.node._perceiver.counters["boxes_without_depth"]
    robot.frame(stamp, np.zeros((120, 160), np.float32), CUP, x=40.0)
    found = robot.sees(stamp)
    assert not len(found.detections) and found.view.detector == "any"
    assert robot.node._perceiver.counters["boxes_without_depth"] == before + 1


def test_a_lidar_a_scanner_and_a_captioner_are_perceived_from_their_own_mounts(robot: Robot) -> None:
    stamp = now_ns()
    robot.pose(stamp, x=50.0)
    points = np.array([[1, 2, 0], [4, 0, 1], [np.nan, 0, 0], [0, 0, 900]], np.float32)
    robot.send(PointCloud2, "points", sensors.cloud_msg(points, stamp, "lidar"))
    ranges = np.array([2.0, np.inf, np.nan, 0.01])
    scan = sensors.scan_msg(np.array([0.0, 0.1, 0.2, 0.3]), ranges, (0.1, 10.0), stamp, "scanner")
    robot.send(LaserScan, "scan", scan)
    by_sensor = {}
    for sensor in ("lidar", "scan"):
        by_sensor[sensor] = observation_from_msg(
            robot.seen.wait(lambda m: m.sensor_id == sensor and m.header.stamp == ns_to_stamp(stamp))  # noqa: B023
        )
    assert by_sensor["lidar"].position == pytest.approx([50, 0, 1.5])
    cloud = by_sensor["lidar"].cloud
    assert cloud is not None and sorted(np.round(cloud[:, 0]).tolist()) == [1, 4]
    assert by_sensor["scan"].position == pytest.approx([50, 0, 0.2])
    flat = by_sensor["scan"].cloud
    assert flat is not None and len(flat) == 1 and flat[0] == pytest.approx([2, 0, 0], abs=0.05)

    robot.pose(time.time_ns(), x=51.0)
    robot.send(String, "caption", String(data="a corridor with two doors"))
    robot.pose(time.time_ns() + SECOND // 2, x=51.0)
    spoken = observation_from_msg(robot.seen.wait(lambda m: m.caption == "a corridor with two doors"))
    assert spoken.sensor_id == "captioner" and spoken.position == pytest.approx([51.1, 0, 1.0])


def test_between_keyframes_a_cloud_says_nothing_new(robot: Robot) -> None:
    def again() -> None:
        stamp = now_ns()
        robot.pose(stamp, x=60.0)
        robot.send(PointCloud2, "points", sensors.cloud_msg(np.ones((5, 3), np.float32), stamp, "lidar"))

    again()
    robot.seen.wait(lambda m: m.sensor_id == "lidar" and m.pose.pose.position.x == 60.0)
    robot.refusal("nothing_new", again)


def test_a_frame_without_depth_or_pose_is_given_up_and_counted_by_name(robot: Robot) -> None:
    def without_depth() -> None:
        stamp = now_ns()
        robot.pose(stamp)
        robot.send(Image, "image", sensors.image_msg(np.zeros((120, 160, 3), np.uint8), "rgb8", stamp, "camera"))

    def without_pose() -> None:
        far = now_ns() - 3600 * SECOND
        scan = sensors.scan_msg(np.array([0.0, 0.1]), np.ones(2), (0.1, 10.0), far, "scanner")
        robot.send(LaserScan, "scan", scan)

    robot.refusal("image_without_depth", without_depth)
    robot.refusal("scan_without_pose", without_pose)


def _shifted(field: str, value: Any) -> Any:
    """An image message with one field changed."""
    message = sensors.image_msg(np.zeros((120, 160, 3), np.uint8), "rgb8", 1, "camera")
    setattr(message, field, value)
    return message


BAD_IMAGES = {
    "an unknown encoding": _shifted("encoding", "bayer_rggb8"),
    "fewer bytes than it says": _shifted("height", 500),
    "an impossible step": _shifted("step", 3),
    "no width": _shifted("width", 0),
    "another size than the depth": sensors.image_msg(np.zeros((60, 80, 3), np.uint8), "rgb8", 1, "camera"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_malformed_image_is_counted_and_the_next_one_works(robot: Robot, name: str) -> None:
    def bad() -> None:
        stamp = now_ns()
        robot.pose(stamp)
        robot.info(stamp)
        robot.send(Image, "depth", sensors.image_msg(wall(), "32FC1", stamp, "camera"))
        robot.send(ImageDetections, "detections_2d", sensors.detections_msg(CUP, "any", ("cup",), stamp, "camera"))
        message = BAD_IMAGES[name]
        message.header.stamp = ns_to_stamp(stamp)
        robot.send(Image, "image", message)

    robot.refusal("malformed", bad)
    stamp = now_ns()
    robot.frame(stamp, wall(), CUP)
    assert robot.sees(stamp).detections.labels == ("cup",)
    assert not robot.node.counters["faults_failed"]


def _cloud(**changes: Any) -> PointCloud2:
    message = sensors.cloud_msg(np.ones((4, 3), np.float32), 1, "lidar")
    for field, value in changes.items():
        setattr(message, field, value)
    return message


BAD_OTHERS: dict[str, tuple[type, str, Any]] = {
    "a cloud without fields": (PointCloud2, "points", _cloud(fields=[])),
    "a cloud with fewer bytes than it says": (PointCloud2, "points", _cloud(width=1000)),
    "a cloud with an impossible step": (PointCloud2, "points", _cloud(point_step=4)),
    "a cloud of nothing but NaN": (
        PointCloud2, "points", sensors.cloud_msg(np.full((4, 3), np.nan, np.float32), 1, "lidar")),
    "a scan with angles of NaN": (LaserScan, "scan", LaserScan(angle_min=float("nan"), ranges=[1.0, 2.0])),
    "a scan of nothing": (LaserScan, "scan", LaserScan(angle_increment=0.1, range_max=9.0)),
    "boxes and labels that disagree": (
        ImageDetections, "detections_2d", ImageDetections(labels=["cup", "cup"], scores=[0.5, 0.5], boxes=[0.0] * 4)),
    "an inverted box": (
        ImageDetections, "detections_2d", ImageDetections(labels=["cup"], scores=[0.5], boxes=[9.0, 9.0, 1.0, 1.0])),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_OTHERS)
def test_other_malformed_messages_are_counted_too(robot: Robot, name: str) -> None:
    kind, topic, message = BAD_OTHERS[name]

    def bad() -> None:
        stamp = now_ns()
        robot.pose(stamp, x=float(np.random.default_rng().integers(1000, 10**6)))  # a new place: a keyframe
        message.header.stamp = ns_to_stamp(stamp)
        robot.send(kind, topic, message)
        if topic == "detections_2d":
            robot.info(stamp)
            robot.send(Image, "depth", sensors.image_msg(wall(), "32FC1", stamp, "camera"))
            picture = sensors.image_msg(np.zeros((120, 160, 3), np.uint8), "rgb8", stamp, "camera")
            robot.send(Image, "image", picture)

    robot.refusal("malformed", bad)
    assert not robot.node.counters["faults_failed"]


def test_a_camera_alone_reads_compressed_images_and_needs_its_camera_info(graph: Graph) -> None:
    import io

    pictures = pytest.importorskip("PIL.Image")
    robot = Robot(graph, compressed=True)
    buffer = io.BytesIO()
    pictures.fromarray(np.zeros((120, 160, 3), np.uint8)).save(buffer, "JPEG")

    def send(stamp: int, data: bytes) -> None:
        robot.pose(stamp)
        robot.send(Image, "depth", sensors.image_msg(wall(), "32FC1", stamp, "camera"))
        message = CompressedImage(format="jpeg", data=typed_array("B", data))
        message.header.stamp = ns_to_stamp(stamp)
        robot.send(CompressedImage, "image", message)

    events = graph.inbox(MemoryEvent, "memory_events", qos.EVENTS)
    until(lambda: robot.node._events.get_subscription_count(), "the reader of events")
    robot.refusal("frames_without_camera_info", lambda: send(now_ns(), buffer.getvalue()))
    assert not events.messages  # nothing is said of the frame: whoever waits for it may send it again
    robot.info(now_ns())
    until(lambda: robot.node._camera_info is not None, "camera_info")
    robot.refusal("malformed", lambda: send(now_ns(), buffer.getvalue()[:100]))
    assert events.wait().type == "skipped"
    stamp = now_ns()
    send(stamp, buffer.getvalue())
    found = robot.sees(stamp)
    assert found.cloud is not None and found.view.detector == ""  # nobody looked for things


@pytest.mark.parametrize("mount", ["", "1 2 3", "0 0 0 0 0 nan", "a b c d e f"])
def test_a_mount_that_is_none_leaves_the_node_unconfigured(graph: Graph, mount: str) -> None:
    node = graph.add(PerceptionNode, {"mount": mount})
    graph.on_thread(node.trigger_configure)
    assert node.lifecycle_state == "unconfigured" and "six numbers" in node.problem


def test_a_detector_that_is_not_there_leaves_the_node_unconfigured(graph: Graph) -> None:
    node = graph.add(PerceptionNode, {"detector": "/nonexistent.onnx", "detector_names": "/nonexistent.names"})
    graph.on_thread(node.trigger_configure)
    assert node.lifecycle_state == "unconfigured" and "/nonexistent" in node.problem


def test_an_unfilled_camera_info_is_refused() -> None:
    with pytest.raises(BadInputError, match="camera_info"):
        sensors.intrinsics_of(CameraInfo(width=160, height=120))


def test_what_the_record_node_could_not_hear_is_sent_again_until_it_has(graph: Graph, tmp_path: Path) -> None:
    robot = Robot(graph, external_detections=True)
    stamps = [now_ns() for _ in range(3)]
    for number, stamp in enumerate(stamps):
        robot.frame(stamp, wall(), CUP, x=float(number))
        robot.sees(stamp)
    assert len(robot.node._outbox) == 3

    record = graph.up(RecordNode, {"memory": str(tmp_path), "future": 1e6, **SMALL})

    until(lambda: len(record.memory.index) == 3, "all three are remembered")
    until(lambda: len(robot.node._outbox) == 0, "perception has heard so")
    kept = [entry.observation.stamp_ns for entry in record.memory.entries(1, 99) if entry.observation is not None]
    assert kept == stamps and robot.node._outbox.counters["unheard_dropped"] == 0
