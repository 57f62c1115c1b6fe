"""What is wrong with the measurements is wrong as often as the settings say, and not at all when they say so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from embodied_mem.geometry import pose_matrix, transform_points
from sim.house.config import CameraConfig, LidarConfig, LocalisationConfig, ScanConfig, SensorConfig
from sim.house.objects import SIMILAR
from sim.house.sensor import NoisyDetector, Visible, noisy_depth
from sim.house.simulator import HouseSimulator
from tests.sim.conftest import SMALL, STEADY, Whole, path_of, steady

CAMERA = CameraConfig(width=128, height_px=96)
PERFECT = SensorConfig(
    depth_std=0.0, depth_std_z2=0.0, dropout=0.0, edge_zero=0.0, edge_nan=0.0, edge_flying=0.0
)  # fmt: skip


def scene() -> np.ndarray:
    """A wall at 4 m, and before its left half something at 2 m."""
    depth = np.full((96, 128), 4.0, dtype=np.float32)
    depth[:, :64] = 2.0
    return depth


def test_a_perfect_camera_measures_the_truth() -> None:
    measured = noisy_depth(scene(), PERFECT, CAMERA, np.random.default_rng(0))
    assert np.array_equal(measured, scene())


def test_depth_has_holes_as_often_as_asked() -> None:
    sensor = replace(PERFECT, dropout=0.3)
    measured = noisy_depth(scene(), sensor, CAMERA, np.random.default_rng(0))
    nothing = ~np.isfinite(measured) | (measured == 0)
    assert nothing.mean() == pytest.approx(0.3, abs=0.02)
    assert np.array_equal(measured[~nothing], scene()[~nothing])


def test_edges_are_where_depth_goes_wrong() -> None:
    sensor = replace(PERFECT, edge_zero=0.25, edge_nan=0.25, edge_flying=0.5)
    measured = np.concatenate(
        [noisy_depth(scene(), sensor, CAMERA, np.random.default_rng(seed)) for seed in range(20)]
    )  # fmt: skip
    away = np.delete(measured, [62, 63, 64, 65], axis=1)
    assert np.isfinite(away).all() and set(np.unique(away)) == {2.0, 4.0}
    edge = measured[:, 63:65]
    spoilt = edge[(edge != 2.0) & (edge != 4.0)]
    assert (spoilt == 0).mean() == pytest.approx(0.25, abs=0.05)
    assert np.isnan(spoilt).mean() == pytest.approx(0.25, abs=0.05)
    flying = spoilt[spoilt > 0]
    assert len(flying) and (flying > 2).all() and (flying < 4).all()


def test_noise_grows_with_distance() -> None:
    sensor = replace(PERFECT, depth_std=0.003, depth_std_z2=0.0015)
    error = noisy_depth(scene(), sensor, CAMERA, np.random.default_rng(1)) - scene()
    assert error[:, :60].std() == pytest.approx(0.003 + 0.0015 * 4, rel=0.1)
    assert error[:, 68:].std() == pytest.approx(0.003 + 0.0015 * 16, rel=0.1)


def test_nothing_is_measured_out_of_range() -> None:
    depth = np.array([[0.1, 1.0, 7.0, 0.0]], dtype=np.float32)
    measured = noisy_depth(depth, PERFECT, CAMERA, np.random.default_rng(0))
    assert measured.tolist() == [[0, 1, 0, 0]]


def test_frames_of_the_house_have_both_kinds_of_hole(whole: Whole) -> None:
    depth = np.stack([frame.depth for frame in whole.frames[::20]])
    assert np.isnan(depth).any() and (depth == 0).any()
    known = depth[depth > 0]
    assert known.max() < 6.5 and 0.5 < len(known) / depth.size < 0.999


@dataclass(frozen=True)
class Mug:
    """All of a thing that the detector looks at."""

    label: str = "mug"


def detections(sensor: SensorConfig, frames: int) -> tuple[list[str], np.ndarray]:
    """Labels and scores over many frames that each show the same ten mugs."""
    boxes = np.array([[i * 10, 20, i * 10 + 9, 40] for i in range(10)], dtype=np.float64)
    n = np.arange(1, 11)
    whole, distances = np.ones(10, dtype=np.float64), np.full(10, 2.0, dtype=np.float64)
    visible = Visible(n, n * 0 + 180, whole, boxes, distances, n > 0)
    things: Any = {int(i): Mug() for i in n}
    detector = NoisyDetector(sensor, CAMERA, ("bed", "bowl", "candle", "mug", "sofa"), np.random.default_rng(7))
    found = [detector.detect(visible, things) for _ in range(frames)]
    return [label for each in found for label in each.labels], np.concatenate([each.scores for each in found])


def test_the_detector_misses_and_confuses_at_the_rates_that_are_set() -> None:
    labels, _ = detections(SensorConfig(miss_rate=0.2, confusion_rate=0.1, false_rate=0.0), 500)
    assert len(labels) / 5000 == pytest.approx(0.8, abs=0.02)
    wrong = [label for label in labels if label != "mug"]
    assert len(wrong) / len(labels) == pytest.approx(0.1, abs=0.02) and set(wrong) <= set(SIMILAR["mug"])


def test_the_detector_invents_at_the_rate_that_is_set_and_is_unsure_of_it() -> None:
    sensor = SensorConfig(miss_rate=1.0, confusion_rate=0.0, false_rate=0.5, false_score=(0.1, 0.3))
    labels, scores = detections(sensor, 1000)
    assert len(labels) / 1000 == pytest.approx(0.5, abs=0.08)
    assert len(set(labels)) > 3 and scores.min() >= 0.1 and scores.max() <= 0.3


def test_a_perfect_detector_sees_what_is_there_and_nothing_else() -> None:
    labels, scores = detections(SensorConfig(miss_rate=0, confusion_rate=0, false_rate=0), 20)
    assert labels == ["mug"] * 200 and scores.min() > 0.5


def test_what_is_hidden_is_not_detected(whole: Whole) -> None:
    seen = [label for frame in whole.frames for label in frame.boxes.labels]
    assert set(seen) <= set(whole.world.classes)
    there = sum(len(truth.seen_ns) for truth in whole.world.truth.things.values())
    # Of what could be seen a tenth is missed; jumps of localisation are frames that the truth does not count.
    assert len(seen) == pytest.approx(0.9 * there, rel=0.12)


def test_a_jump_of_localisation_is_admitted_in_the_covariance() -> None:
    jumpy = LocalisationConfig(jumps_per_minute=20)
    world = HouseSimulator(replace(SMALL, localisation=jumpy), seed=1)
    world.drive(0.0, 0.2)
    frames = [world.step() for _ in range(120)]
    _, path = path_of(world)
    error = np.array([np.hypot(f.base[0] - x, f.base[1] - y) for f, (x, y, _) in zip(frames, path, strict=True)])
    spread = np.sqrt([frame.covariance[0, 0] for frame in frames])
    jumped = error > 0.5
    assert 10 < jumped.sum() < 110
    assert (spread[jumped] > 1).all() and (spread[~jumped] < 0.1).all()
    assert error[jumped].min() > 0.7 and error[~jumped].max() < 0.12


def test_without_errors_the_robot_believes_the_truth() -> None:
    world = HouseSimulator(steady(), seed=6)
    frames = [world.step() for _ in range(30)]
    _, path = path_of(world)
    assert np.allclose([frame.base for frame in frames], path, atol=1e-9)
    odometry = np.array([(f.odometry.x, f.odometry.y) for f in frames])
    assert np.allclose(odometry, path[:, :2], atol=1e-6)


def test_odometry_drifts_and_the_map_pose_does_not(whole: Whole) -> None:
    _, path = path_of(whole.world)
    frames = whole.frames
    drift = np.array([np.hypot(f.odometry.x - x, f.odometry.y - y) for f, (x, y, _) in zip(frames, path, strict=True)])
    way = np.hypot(*np.diff(path[:, :2], axis=0).T).sum()
    assert drift[:5].max() < 0.05 and 0.02 < drift[-100:].max() < 0.1 * way
    good = np.array([frame.covariance[0, 0] < 0.1 for frame in frames])
    believed = np.array([frame.base[:2] for frame in frames])
    assert np.linalg.norm(believed - path[:, :2], axis=1)[good].max() < 0.12


def test_lidar_and_scan_measure_the_house() -> None:
    lidar = LidarConfig(enabled=True, columns=256, fov_down_deg=40, range_std=0.0, dropout=0.0, max_range=5.0)
    scan = ScanConfig(enabled=True, range_std=0.0, dropout=0.0)
    world = HouseSimulator(replace(SMALL, localisation=STEADY, lidar=lidar, scan=scan), seed=3)
    frame = world.step()
    assert frame.lidar is not None and frame.scan is not None
    reach = np.linalg.norm(frame.lidar.points, axis=1)
    assert len(reach) > 1000 and reach.min() > lidar.min_range and reach.max() < 5.0 + 1e-4
    points = transform_points(pose_matrix(frame.lidar.position, frame.lidar.orientation), frame.lidar.points)
    assert -0.01 < points[:, 2].min() < 0.01 and points[:, 2].max() < world.config.house.wall_height + 0.01

    beams = frame.scan.angle_min + frame.scan.angle_increment * np.arange(len(frame.scan.ranges))
    there = np.isfinite(frame.scan.ranges)
    local = (frame.scan.ranges * [np.cos(beams), np.sin(beams), 0 * beams]).T[there]
    ends = transform_points(pose_matrix(frame.scan.position, frame.scan.orientation), local)
    assert there.mean() > 0.9 and np.allclose(ends[:, 2], scan.height)
    rects = [rect.grown(0.02) for rect in world.house.obstacles()]
    assert all(any(rect.contains(float(x), float(y)) for rect in rects) for x, y, _ in ends)


def test_dropout_of_the_scan() -> None:
    scan = ScanConfig(enabled=True, dropout=0.4, beams=3600)
    frame = HouseSimulator(replace(SMALL, scan=scan), seed=3).step()
    assert frame.scan is not None and frame.lidar is None
    assert np.isinf(frame.scan.ranges).mean() == pytest.approx(0.4, abs=0.06)
