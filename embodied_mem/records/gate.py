"""The admission gate: only well-localised, finite, time-sane observations become records; the rest get a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from embodied_mem.errors import RefusedError
from embodied_mem.records.observation import Observation

_SECOND = 1_000_000_000


@dataclass(frozen=True)
class GateLimits:
    """What the gate lets in.

    max_position_std  metres: largest standard deviation of the position along any axis of the covariance
    max_yaw_std       radians
    require_covariance  refuse observations of a localiser that gives no covariance
    frames            frame_ids that name a fixed map frame; others are refused
    lateness_s        how far an observation may lag behind the newest of its robot, session and sensor
    future_s          how far a stamp may be ahead of the clock
    max_coordinate    metres: a position beyond is a bug somewhere upstream
    max_caption       characters
    max_detections    a frame
    """

    max_position_std: float = 0.5
    max_yaw_std: float = 0.35
    require_covariance: bool = False
    frames: tuple[str, ...] = ("map", "odom", "world")
    lateness_s: float = 10.0
    future_s: float = 10.0
    max_coordinate: float = 1e7
    max_caption: int = 10_000
    max_detections: int = 1_000

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
                raise ValueError(f"The gate's {item.name} must be above 0, not {value}.")


class AdmissionGate:
    """Judges observations one by one; `counters` holds the refusals by reason."""

    def __init__(self, limits: GateLimits | None = None) -> None:
        self.limits = limits or GateLimits()
        self.counters: Counter[str] = Counter()
        self._newest: dict[tuple[str, str, str], int] = {}

    def check(self, obs: Observation, now_ns: int | None) -> None:
        """Raise RefusedError (counted) unless the observation may become a record; `now_ns` None: no clock test."""
        try:
            _check_shape(obs, self.limits)
            _check_localisation(obs, self.limits)
            self._check_time(obs, now_ns)
        except RefusedError as refusal:
            self.refuse(refusal)

    def refuse(self, refusal: RefusedError) -> None:
        """Count a refusal and raise it."""
        self.counters[refusal.reason] += 1
        raise refusal

    def admitted(self, obs: Observation) -> None:
        """Remember the newest stamp of the observation's stream."""
        stream = (obs.robot_id, obs.session_id, obs.sensor_id)
        self._newest[stream] = max(obs.stamp_ns, self._newest.get(stream, 0))

    def _check_time(self, obs: Observation, now_ns: int | None) -> None:
        if obs.stamp_ns <= 0:
            raise RefusedError("The observation has no stamp: fill header.stamp with ROS time.", "no_stamp")
        if now_ns is not None and obs.stamp_ns > now_ns + self.limits.future_s * _SECOND:
            ahead = (obs.stamp_ns - now_ns) / _SECOND
            raise RefusedError(
                f"The observation is stamped {ahead:.1f} s ahead of the clock: set use_sim_time alike everywhere.",
                "future",
            )
        newest = self._newest.get((obs.robot_id, obs.session_id, obs.sensor_id), 0)
        if obs.stamp_ns < newest - self.limits.lateness_s * _SECOND:
            late = (newest - obs.stamp_ns) / _SECOND
            raise RefusedError(
                f"The observation is {late:.1f} s older than the newest of its sensor, over the lateness window of "
                f"{self.limits.lateness_s:g} s: start a new session to replay old data.",
                "late",
            )


def _finite(values: object) -> bool:
    return bool(np.all(np.isfinite(np.asarray(values, dtype=np.float64))))


def _check_shape(obs: Observation, limits: GateLimits) -> None:
    if np.shape(obs.position) != (3,) or np.shape(obs.orientation) != (4,):
        raise RefusedError("A pose needs a position of 3 numbers and a quaternion of 4.", "wrong_shape")
    if not (_finite(obs.position) and _finite(obs.orientation)):
        raise RefusedError(
            "The pose holds NaN or infinity: publish no observation while the robot is not localised.", "not_finite"
        )
    if np.abs(obs.position).max() > limits.max_coordinate:
        raise RefusedError(f"The position {np.round(obs.position, 1).tolist()} m is beyond any map.", "too_far")
    if abs(float(np.linalg.norm(obs.orientation)) - 1) > 1e-3:
        raise RefusedError("The orientation is not a unit quaternion (x, y, z, w).", "bad_quaternion")
    if len(obs.caption) > limits.max_caption:
        raise RefusedError(
            f"The caption has {len(obs.caption):,} characters, over {limits.max_caption:,}.", "too_large"
        )
    if not _says_something(obs):
        raise RefusedError(
            "The observation is empty: no caption, detection, vector, cloud or depth, and no detector ran.", "empty"
        )
    if obs.cloud is not None and (np.ndim(obs.cloud) != 2 or np.shape(obs.cloud)[1] != 3 or len(obs.cloud) == 0):
        raise RefusedError("The cloud is empty or not of the shape (n, 3): leave it out instead.", "bad_cloud")
    if obs.cloud is not None and not _finite(obs.cloud):
        raise RefusedError("The cloud holds NaN or infinity: drop such points before sending it.", "bad_cloud")
    _check_detections(obs, limits)
    _check_vector(obs)


def _says_something(obs: Observation) -> bool:
    senses = obs.view.detector or obs.view.depth is not None
    return bool(obs.caption.strip() or len(obs.detections) or senses or obs.cloud is not None or obs.vector is not None)


def _check_detections(obs: Observation, limits: GateLimits) -> None:
    found, n = obs.detections, len(obs.detections)
    if n > limits.max_detections:
        raise RefusedError(f"The frame has {n:,} detections, over {limits.max_detections:,}.", "too_large")
    shapes = (found.scores.shape, found.centers.shape, found.sizes.shape, found.yaws.shape)
    if shapes != ((n,), (n, 3), (n, 3), (n,)):
        raise RefusedError(f"The detections' arrays disagree with their {n} labels: {shapes}.", "wrong_shape")
    if not n:
        return
    if not all(_finite(values) for values in (found.scores, found.centers, found.sizes, found.yaws)):
        raise RefusedError("A detection holds NaN or infinity: leave out what has no valid depth.", "not_finite")
    if (found.sizes < 0).any() or (found.scores < 0).any() or (found.scores > 1).any():
        raise RefusedError("A detection has a negative size or a score outside 0..1.", "bad_detection")
    if not all(label.strip() for label in found.labels):
        raise RefusedError("A detection has an empty label.", "bad_detection")


def _check_vector(obs: Observation) -> None:
    if obs.vector is None:
        return
    if obs.vector.ndim != 1 or not len(obs.vector) or not _finite(obs.vector):
        raise RefusedError("The vector must be one row of finite numbers.", "bad_vector")
    if not obs.vector_model:
        raise RefusedError("A vector needs the name of the model that made it (vector_model).", "bad_vector")
    if abs(float(np.linalg.norm(obs.vector)) - 1) > 1e-2:
        raise RefusedError("The vector is not L2 normalised.", "bad_vector")


def _check_localisation(obs: Observation, limits: GateLimits) -> None:
    if obs.frame_id not in limits.frames:
        raise RefusedError(
            f"The frame {obs.frame_id!r} is not a map frame (known: {', '.join(limits.frames)}): "
            "transform the pose first, or add the frame to the gate's `frames`.",
            "unknown_frame",
        )
    if obs.covariance is None:
        if limits.require_covariance:
            raise RefusedError("The pose has no covariance, and the gate requires one.", "no_covariance")
        return
    cov = np.asarray(obs.covariance, dtype=np.float64)
    if cov.shape != (6, 6) or not _finite(cov) or (np.diag(cov) < 0).any():
        raise RefusedError(
            "The covariance must be a finite 6 x 6 matrix with a diagonal of at least 0.", "bad_covariance"
        )
    spread = float(np.sqrt(max(np.linalg.eigvalsh(cov[:3, :3])[-1], 0)))
    turn = float(np.sqrt(cov[5, 5]))
    if spread > limits.max_position_std or turn > limits.max_yaw_std:
        raise RefusedError(
            f"The robot is not well localised: {spread:.2f} m and {turn:.2f} rad of standard deviation "
            f"(limits {limits.max_position_std:g} m, {limits.max_yaw_std:g} rad).",
            "uncertain_pose",
        )
