"""From pixels to things in space, on images whose answers are known, and on the real kitchen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import quaternion_from_yaw, spherical
from embodied_mem.perception.captions import caption_of
from embodied_mem.perception.depth import Intrinsics, back_project, metres
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import body_pose, to_body, to_optical
from embodied_mem.perception.keyframes import CloudKeyframer, thin
from embodied_mem.perception.lift import lift
from embodied_mem.perception.rgbd import RgbdFrame, RgbdObserver
from embodied_mem.perception.view import depth_grid, view_of_camera
from embodied_mem.records.observation import Detections

CAMERA = Intrinsics(100.0, 100.0, 79.5, 59.5, 160, 120)
LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
NOWHERE = np.zeros(3)


def wall(distance: float = 3.0) -> np.ndarray:
    return np.full((120, 160), distance, dtype=np.float32)


def with_box(distance: float, rows: slice, cols: slice, behind: float = 3.0) -> np.ndarray:
    depth = wall(behind)
    depth[rows, cols] = distance
    return depth


def frame(depth: np.ndarray, **fields: object) -> RgbdFrame:
    values = {"position": NOWHERE, "orientation": LEVEL, **fields}
    return RgbdFrame(10**18, np.zeros((*depth.shape, 3), np.uint8), depth, CAMERA, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[0, 65535, 1500]], np.uint16), [[0, 0, 1.5]]),
        (np.array([[np.nan, np.inf, -1.0, 2.5]], np.float32), [[0, 0, 0, 2.5]]),
        (np.array([[1.25]], np.float64), [[1.25]]),
    ],
)
def test_what_was_not_measured_is_zero(image: np.ndarray, expected: list[list[float]]) -> None:
    assert np.allclose(metres(image), expected)


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint16), np.zeros((0, 5), np.float32)]
)
def test_other_depth_images_are_refused(image: np.ndarray) -> None:
    with pytest.raises(BadInputError):
        metres(image)


def test_depth_errors_never_become_points() -> None:
    depth = metres(np.array([[0, 65535], [1000, 2000]], np.uint16))
    points = back_project(depth, Intrinsics(1, 1, 0, 0, 2, 2))
    assert np.allclose(points, [[1, 0, -1], [2, -2, -2]])


def test_the_axes_are_those_of_rep_103() -> None:
    assert np.allclose(to_body([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), [[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    points = np.random.default_rng(0).normal(size=(20, 3))
    assert np.allclose(to_optical(to_body(points)), points)
    level_optical = np.eye(4)
    level_optical[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    level_optical[:3, 3] = 1, 2, 3
    position, orientation = body_pose(level_optical)
    assert np.allclose(position, [1, 2, 3]) and np.allclose(orientation, LEVEL)
    for bad in (np.eye(3), np.full((4, 4), np.nan), np.diag([2.0, 2, 2, 1]), np.diag([1.0, 1, -1, 1])):
        with pytest.raises(BadInputError):
            body_pose(bad)


def test_a_box_before_a_wall_is_lifted_to_its_own_place_and_size() -> None:
    depth = with_box(1.5, slice(50, 70), slice(90, 110))
    boxes = Boxes2D(("Mug ",), np.array([0.8]), np.array([[88.0, 48, 112, 72]]))
    found, lost = lift(boxes, depth, CAMERA, np.array([10.0, 0, 1]), quaternion_from_yaw(np.pi / 2))
    assert lost == 0 and found.labels == ("mug",)
    # 1.5 m ahead of a camera that looks along +y, 20 px = 0.3 m right of its axis, at its height.
    assert np.allclose(found.centers, [[10.3, 1.5, 1.0]], atol=0.02)
    assert np.allclose(found.sizes[0, [0, 2]], 0.285, atol=0.03) and found.sizes[0, 1] < 0.01


def test_boxes_without_depth_have_no_place_and_are_counted() -> None:
    depth = with_box(0.0, slice(40, 80), slice(40, 80))
    boxes = Boxes2D(
        ("cup", "cup", "cup"), np.array([0.9, 0.2, 0.9]), np.array([[42.0, 42, 78, 78], [1, 1, 9, 9], [5, 5, 5, 5]])
    )
    found, lost = lift(boxes, depth, CAMERA, NOWHERE, LEVEL, min_score=0.5)
    assert len(found) == 0 and lost == 2


def test_boxes_are_checked() -> None:
    for labels, scores, boxes in (
        (("a",), np.zeros(2), np.zeros((1, 4))),
        (("a",), np.array([np.nan]), np.zeros((1, 4))),
    ):
        with pytest.raises(BadInputError):
            Boxes2D(labels, scores, boxes)


def test_the_view_holds_the_nearest_return_in_each_direction() -> None:
    depth = with_box(1.0, slice(0, 60), slice(0, 80))  # the upper left quarter is near
    view = view_of_camera(CAMERA, back_project(depth, CAMERA), min_range=0.1, max_range=5)
    assert view.depth is not None and view.depth.shape == (24, 32)
    assert 1000 <= view.depth[6, 8] < 1700 and view.depth[18, 8] >= 3000 and view.depth[6, 24] >= 3000
    assert view.fov_h == pytest.approx(2 * np.arctan(0.8), abs=0.01)


def test_the_grid_goes_around_a_lidar() -> None:
    points = np.array([[2, 0.3, 0], [-2, 0.1, 0], [0.5, 3, 0], [0.2, -4, 0]], dtype=np.float32)
    grid = depth_grid(points, (1, 8), 2 * np.pi, 0.1)[0].tolist()
    azimuth, _, reach = spherical(points)
    expected = [0] * 8
    for a, r in zip(azimuth, reach, strict=True):
        expected[int((0.5 - a / (2 * np.pi)) * 8) % 8] = round(float(r) * 1000)
    assert grid == expected


def test_one_flying_pixel_does_not_close_a_cell() -> None:
    points = np.array([[0.5, 0, 0.001]] + [[3, 0.01 * i, 0.001] for i in range(5)], dtype=np.float32)
    assert depth_grid(points, (1, 1), 1.0, 1.0)[0, 0] == 500
    assert depth_grid(points[:1], (1, 1), 1.0, 1.0, quantile_points=2)[0, 0] == 0


def test_clouds_are_kept_when_the_sensor_moved_or_turned() -> None:
    keyframer = CloudKeyframer(0.5, 0.5)
    poses = [(0.0, 0.0), (0.3, 0.0), (0.6, 0.0), (0.6, 0.4), (0.6, 0.7)]
    kept = [keyframer.due(np.array([x, 0.0, 0.0]), quaternion_from_yaw(yaw)) for x, yaw in poses]
    assert kept == [True, False, True, False, True]


def test_thinning_keeps_one_point_a_cube() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (2000, 3)).astype(np.float32)
    kept = thin(points, 0.25)
    cubes = {tuple(cell) for cell in np.floor(points / np.float32(0.25)).astype(int)}
    assert len(kept) == len(cubes) == len({tuple(cell) for cell in np.floor(kept / np.float32(0.25)).astype(int)})
    assert {tuple(point) for point in kept} <= {tuple(point) for point in points}


def things(*items: tuple[str, float, tuple[float, float, float], tuple[float, float, float]]) -> Detections:
    labels, scores, centers, sizes = zip(*items, strict=True)
    return Detections(labels, np.array(scores), np.array(centers, float), np.array(sizes, float), np.zeros(len(labels)))


def test_captions_name_what_is_on_what() -> None:
    table = ("table", 0.9, (0.0, 0.0, 0.4), (1.0, 1.0, 0.8))
    mug = ("mug", 0.8, (0.1, 0.1, 0.85), (0.1, 0.1, 0.1))
    chair = ("chair", 0.7, (2.0, 0.0, 0.4), (0.5, 0.5, 0.8))
    other = ("chair", 0.6, (3.0, 0.0, 0.4), (0.5, 0.5, 0.8))
    assert caption_of(things(table, mug, chair, other)) in (
        "I see a mug on a table and two chairs.",
        "I see two chairs and a mug on a table.",
    )
    assert caption_of(things(("orange", 0.9, (0, 0, 0), (0.1, 0.1, 0.1)))) == "I see an orange."
    assert caption_of(things(("mug", 0.1, (0, 0, 0), (0.1, 0.1, 0.1)))) == ""
    assert caption_of(Detections()) == ""


def test_an_empty_frame_of_a_detector_is_still_an_observation() -> None:
    observation = RgbdObserver().observe(frame(wall()), Boxes2D(), detector_name="sim", classes=("Mug",))
    assert observation.view.detector == "sim" and observation.view.classes == ("mug",) and observation.caption == ""
    without = RgbdObserver(keyframer=None).observe(frame(wall()))
    assert without.view.detector == "" and without.view.depth is not None and without.cloud is None


def test_images_that_do_not_fit_are_refused() -> None:
    observer = RgbdObserver()
    wrong = RgbdFrame(1, np.zeros((5, 5, 3), np.uint8), wall(), CAMERA, NOWHERE, LEVEL)
    with pytest.raises(BadInputError, match="register depth to colour"):
        observer.observe(wrong)
    with pytest.raises(BadInputError, match="camera_info of the depth"):
        observer.observe(
            RgbdFrame(1, np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.float32), CAMERA, NOWHERE, LEVEL)
        )
    with pytest.raises(BadInputError, match="uint8"):
        observer.observe(RgbdFrame(1, np.zeros((120, 160)), wall(), CAMERA, NOWHERE, LEVEL))  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="impossible"):
        Intrinsics(0, 100, 1, 1, 10, 10)


def test_cups_of_the_real_kitchen_stay_where_they_are(shared_data: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from embodied_mem.perception.onnx_detector import OnnxDetector
    from embodied_mem.perception.readers.folder import FrameFolder

    model = shared_data / "perception" / "nanodet_coco80.onnx"
    folder = FrameFolder(shared_data / "rgbd_7scenes")
    observer = RgbdObserver(OnnxDetector(model, shared_data / "perception" / "coco80.names"), keyframer=None)
    cups = []
    for number, image in enumerate(folder):
        if number % 6 == 0:
            found = observer.observe(image).detections
            cups += [found.centers[i] for i, label in enumerate(found.labels) if label == "cup"]
    places = np.array(cups)
    assert len(places) >= 10
    left, right = places[places[:, 0] < -0.5], places[places[:, 0] > 0]
    assert len(left) >= 5 and len(right) >= 2
    # Two cups stand 0.1 m apart on the left; all sightings of a side lie within 0.2 m of its middle.
    for side in (left, right):
        assert (np.linalg.norm(side - np.median(side, axis=0), axis=1) < 0.2).mean() > 0.9
