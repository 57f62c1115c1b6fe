"""What a bag says besides pictures: how sure the pose is, and what a detector found when it was recorded."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.perception.captions import caption_of
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import BODY_FROM_OPTICAL, body_pose
from embodied_mem.perception.keyframes import CloudKeyframer
from embodied_mem.perception.readers import messages
from embodied_mem.perception.readers.tf import Track
from embodied_mem.perception.rgbd import RgbdFrame, RgbdObserver
from embodied_mem.records.observation import Detections

LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
CAMERA = Intrinsics(60.0, 60.0, 39.5, 29.5, 80, 60)


def odometry(covariance: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(pose=SimpleNamespace(covariance=covariance.reshape(-1)))


def test_a_covariance_is_read() -> None:
    given = np.diag([0.04, 0.09, 0.01, 0.02, 0.03, 0.05])
    assert np.array_equal(messages.covariance(odometry(given)), given)  # type: ignore[arg-type]


def test_what_a_planar_robot_does_not_estimate_is_no_doubt() -> None:
    """Drivers of wheeled robots write 1e6 for height, roll and pitch."""
    given = np.diag([0.04, 0.09, 1e6, 1e6, 1e6, 0.05])
    given[0, 2] = given[2, 0] = 3.0
    assert np.array_equal(messages.covariance(odometry(given)), np.diag([0.04, 0.09, 0, 0, 0, 0.05]))  # type: ignore[arg-type]
    lost = np.diag([1e6, 1e6, 0, 0, 0, 1e6])
    assert messages.covariance(odometry(lost))[0, 0] == 1e6, "a lost robot stays lost"  # type: ignore[index]


@pytest.mark.parametrize("value", [np.zeros((6, 6)), np.full((6, 6), np.nan)])
def test_no_covariance_is_none(value: np.ndarray) -> None:
    assert messages.covariance(odometry(value)) is None
    assert messages.covariance(SimpleNamespace(pose=SimpleNamespace(position=None))) is None


def test_the_nearest_covariance_in_time_is_taken() -> None:
    track = Track()
    for stamp in (30, 10, 20):  # in any order
        track.add(stamp, np.array([stamp, 0.0, 0.0]), LEVEL, np.eye(6) * stamp)
    assert [track.covariance_at(stamp)[0, 0] for stamp in (-5, 12, 14, 16, 24, 26, 99)] == [10, 10, 10, 20, 20, 30, 30]  # type: ignore[index]
    assert track.at(15, 10)[0, 3] == pytest.approx(15)  # type: ignore[index]
    track.add(40, np.array([40.0, 0, 0]), LEVEL)
    assert track.covariance_at(41) is None and track.at(35, 10)[0, 3] == pytest.approx(35)  # type: ignore[index]
    assert Track().covariance_at(0) is None


def test_detections_need_four_numbers_each() -> None:
    found = SimpleNamespace(labels=["cup"], scores=[0.5], boxes=[1, 2, 3, 4], detector="d", classes=["cup", "bed"])
    boxes, name, classes = messages.detections(found)
    assert boxes.boxes.tolist() == [[1, 2, 3, 4]] and (name, classes) == ("d", ("cup", "bed"))
    found.boxes = [1, 2, 3]
    with pytest.raises(BadInputError, match="need 4 numbers"):
        messages.detections(found)


def test_a_planar_scanner_that_tilts_sees_something_new() -> None:
    def pitched(angle: float) -> np.ndarray:
        return np.array([0, np.sin(angle / 2), 0, np.cos(angle / 2)])

    place, plain, planar = np.zeros(3), CloudKeyframer(angle=0.2), CloudKeyframer(angle=0.2, tilt=0.03)
    angles = np.arange(21) * 0.0201
    assert sum(plain.due(place, pitched(angle)) for angle in angles) == 3
    assert sum(planar.due(place, pitched(angle)) for angle in angles) == 11
    turned = [np.array([0, 0, np.sin(angle / 2), np.cos(angle / 2)]) for angle in np.arange(1, 6) * 0.02]
    planar = CloudKeyframer(angle=0.2, tilt=0.03)
    assert [planar.due(place, turn) for turn in (LEVEL, *turned)] == [True] + 5 * [False], "a turn in its plane"


class Fixed:
    """A detector that always finds a bed."""

    name, classes = "fixed", ("bed",)

    def detect(self, rgb: np.ndarray) -> Boxes2D:
        return Boxes2D(("bed",), np.array([0.9]), np.array([[0.0, 0, 79, 59]]))


def frame(**fields: object) -> RgbdFrame:
    depth = np.full((60, 80), 2.0, np.float32)
    return RgbdFrame(1, np.zeros((60, 80, 3), np.uint8), depth, CAMERA, np.zeros(3), LEVEL, **fields)  # type: ignore[arg-type]


def test_recorded_boxes_are_used_unless_another_detector_is_wanted() -> None:
    cup = Boxes2D(("cup",), np.array([0.8]), np.array([[30.0, 20, 50, 40]]))
    recorded = frame(boxes=cup, detector="then", classes=("cup",))
    assert RgbdObserver().observe(recorded).detections.labels == ("cup",)
    assert RgbdObserver().observe(recorded).view.detector == "then"
    again = RgbdObserver(Fixed()).observe(recorded)
    assert again.detections.labels == ("bed",) and again.view.detector == "fixed"
    assert RgbdObserver().observe(frame()).view.detector == "", "nobody looked"
    empty = RgbdObserver().observe(frame(boxes=Boxes2D(), detector="then", classes=("cup",)))
    assert empty.view.detector == "then", "an empty list is evidence too"


def stacked() -> Detections:
    """A cup whose box stands on that of a table, as the map's z axis sees it."""
    centers, sizes = np.array([[2, 0, 0.8], [2, 0, 0.35]]), np.array([[0.1, 0.1, 0.1], [1, 1, 0.7]])
    return Detections(("cup", "table"), np.array([0.9, 0.8]), centers, sizes, np.zeros(2))


def test_what_is_on_what_is_said_only_where_z_is_a_height() -> None:
    assert caption_of(stacked()) == "I see a cup on a table."
    assert caption_of(stacked(), stacked=False) == "I see a cup and a table."


def test_a_map_in_the_camera_s_optical_frame_has_no_height() -> None:
    """A cup before a wall: with y down, the wall's nearer end may look like a top."""
    depth = np.full((60, 80), 2.0, np.float32)
    depth[20:40, 30:50] = 1.9
    boxes = Boxes2D(("cup", "wall"), np.array([0.9, 0.9]), np.array([[30.0, 20, 50, 40], [0, 0, 80, 60]]))
    place, turn = body_pose(np.eye(4))
    assert np.allclose(BODY_FROM_OPTICAL.T @ [1, 0, 0], [0, 0, 1])
    optical = RgbdFrame(1, np.zeros((60, 80, 3), np.uint8), depth, CAMERA, place, turn, boxes=boxes, detector="d")
    assert " on " not in RgbdObserver().observe(optical).caption
