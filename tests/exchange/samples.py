"""Records for tests: everything an observation can hold, from a seed."""

from __future__ import annotations

import numpy as np

from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.records.clouds import decode_cloud, encode_cloud
from embodied_mem.records.observation import Detections, Observation, Record, View

START_NS = 1_700_000_000_000_000_000
LABELS = ("mug", "chair", "lamp")


def observation(i: int, rng: np.random.Generator, *, full: bool = True) -> Observation:
    """The i-th observation of a robot that drives along x, a second apart; `full`: with cloud, picture, covariance."""
    position = np.array([i * 0.5, 0.0, 1.0])
    n = 1 + i % 3
    found = Detections(
        labels=LABELS[:n],
        scores=rng.uniform(0.5, 0.9, n),
        centers=position + rng.uniform(-1, 1, (n, 3)),
        sizes=rng.uniform(0.1, 0.5, (n, 3)),
        yaws=rng.uniform(-3, 3, n),
    )
    cloud = decode_cloud(encode_cloud(rng.normal(size=(50, 3)).astype(np.float32)))
    return Observation(
        stamp_ns=START_NS + i * 10**9,
        position=position,
        orientation=quaternion_from_yaw(0.1 * i),
        map_id="flat",
        session_id="morning",
        sensor_id="camera",
        covariance=np.eye(6) * 0.001 if full else None,
        caption=f"I see a {' and a '.join(found.labels)}, number {i} – schön.",
        detections=found,
        view=View(
            "camera",
            1.5,
            1.0,
            0.25,
            4.0,
            (300.0, 301.0, 160.0, 120.0, 320, 240),
            "sim",
            LABELS,
            rng.integers(0, 4000, (3, 4)).astype(np.uint16),
        ),
        cloud=cloud if full else None,
        thumbnail=b"\xff\xd8 not really a jpeg" if full else b"",
    )


def records(count: int, seed: int = 0) -> list[Record]:
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        obs = observation(i, rng, full=i % 2 == 0)
        made.append(Record(i + 1, obs, START_NS + i * 10**9 + 5, 1, obs.stamp_ns))
    return made


def assert_same(a: Observation, b: Observation, tolerance: float = 0.0) -> None:
    """Every field is the same; numbers within `tolerance` (messages keep some as float32)."""
    for name in ("stamp_ns", "frame_id", "map_id", "robot_id", "session_id", "sensor_id", "caption", "thumbnail"):
        assert getattr(a, name) == getattr(b, name), name
    assert np.array_equal(a.position, b.position)
    np.testing.assert_allclose(a.orientation, b.orientation, atol=1e-15)
    assert a.detections.labels == b.detections.labels
    assert np.array_equal(a.detections.centers, b.detections.centers)
    assert np.array_equal(a.detections.sizes, b.detections.sizes)
    np.testing.assert_allclose(a.detections.scores, b.detections.scores, atol=tolerance)
    np.testing.assert_allclose(a.detections.yaws, b.detections.yaws, atol=1e-12)
    _same_array(a.covariance, b.covariance)
    _same_array(a.cloud, b.cloud)
    _same_array(a.view.depth, b.view.depth)
    assert (a.view.kind, a.view.detector, a.view.classes) == (b.view.kind, b.view.detector, b.view.classes)
    assert a.view.intrinsics == b.view.intrinsics
    np.testing.assert_allclose(
        (a.view.fov_h, a.view.fov_v, a.view.min_range, a.view.max_range),
        (b.view.fov_h, b.view.fov_v, b.view.min_range, b.view.max_range),
        atol=tolerance,
    )


def _same_array(a: np.ndarray | None, b: np.ndarray | None) -> None:
    assert (a is None) == (b is None)
    if a is not None and b is not None:
        assert np.array_equal(a, b)
