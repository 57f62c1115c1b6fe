"""LiDAR, scans and captions become observations; what is not finite or in range is dropped."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.perception.keyframes import CloudKeyframer
from embodied_mem.perception.ranges import observe_caption, observe_cloud, observe_scan

HERE, LEVEL = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])


def test_a_sweep_keeps_what_is_finite_and_in_range() -> None:
    points = np.array([[1, 0, 0], [np.nan, 0, 0], [0, np.inf, 0], [500, 0, 0], [0.1, 0, 0], [0, 2, 0.5]], np.float32)
    seen = observe_cloud(5, points, HERE, LEVEL, map_id="m")
    assert seen is not None and seen.cloud is not None
    assert seen.cloud.tolist() == [[1, 0, 0], [0, 2, 0.5]] and seen.map_id == "m"
    assert seen.view.kind == "lidar" and seen.view.depth is not None and (seen.view.depth > 0).sum() == 2


@pytest.mark.parametrize(
    "points", [np.zeros((0, 3)), np.full((4, 3), np.nan), np.zeros((4, 2)), np.full((2, 3), 900.0)]
)
def test_sweeps_without_a_point_are_refused(points: np.ndarray) -> None:
    with pytest.raises(BadInputError):
        observe_cloud(5, points, HERE, LEVEL)


def test_between_keyframes_nothing_is_observed() -> None:
    keyframer = CloudKeyframer(0.5, 0.5)
    points = np.ones((5, 3), np.float32)
    assert observe_cloud(5, points, HERE, LEVEL, keyframer=keyframer) is not None
    assert observe_cloud(6, points, HERE + 0.1, LEVEL, keyframer=keyframer) is None


def test_a_scan_lies_in_its_plane() -> None:
    angles = np.linspace(-np.pi / 2, np.pi / 2, 5)
    seen = observe_scan(5, angles, [2, np.inf, 3, np.nan, 0.001], HERE, LEVEL)
    assert seen is not None and seen.cloud is not None
    assert np.allclose(seen.cloud, [[0, -2, 0], [3, 0, 0]], atol=1e-6)
    assert seen.view.kind == "scan" and seen.view.fov_h == pytest.approx(np.pi)


@pytest.mark.parametrize(("angles", "ranges"), [([0, 1], [1]), ([], []), ([0.0], [np.inf]), ([[0.0]], [[1.0]])])
def test_malformed_scans_are_refused(angles: list[float], ranges: list[float]) -> None:
    with pytest.raises(BadInputError):
        observe_scan(5, angles, ranges, HERE, LEVEL)


def test_a_robot_with_words_only() -> None:
    assert observe_caption(5, "  a red\n door ", HERE, LEVEL).caption == "a red door"
    with pytest.raises(BadInputError):
        observe_caption(5, " \n", HERE, LEVEL)
