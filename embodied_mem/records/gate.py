"""The admission gate: only well-localised, finite, time-sane observations become records; the rest get a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from embodied_mem.errors import RefusedError
from embodied_mem.records.observation import Observation
from embodied_mem.records.wellformed import check_form, is_finite

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

    def check(self, obs: Observation) -> None:
        """Raise RefusedError (counted) where the observation is malformed or badly localised."""
        limits = self.limits
        try:
            check_form(
                obs,
                max_coordinate=limits.max_coordinate,
                max_caption=limits.max_caption,
                max_detections=limits.max_detections,
            )
            _check_localisation(obs, limits)
        except RefusedError as refusal:
            self.refuse(refusal)

    def check_time(self, obs: Observation, now_ns: int) -> None:
        """Raise RefusedError (counted) where the observation is from the future, or late for its stream."""
        if obs.stamp_ns > now_ns + self.limits.future_s * _SECOND:
            ahead = (obs.stamp_ns - now_ns) / _SECOND
            self.refuse(
                RefusedError(
                    f"The observation is stamped {ahead:.1f} s ahead of the clock: set use_sim_time alike everywhere.",
                    "future",
                )
            )
        newest = self._newest.get((obs.robot_id, obs.session_id, obs.sensor_id), 0)
        if obs.stamp_ns < newest - self.limits.lateness_s * _SECOND:
            late = (newest - obs.stamp_ns) / _SECOND
            self.refuse(
                RefusedError(
                    f"The observation is {late:.1f} s older than the newest of its sensor, over the lateness window "
                    f"of {self.limits.lateness_s:g} s: start a new session to replay old data.",
                    "late",
                )
            )

    def refuse(self, refusal: RefusedError) -> None:
        """Count a refusal and raise it."""
        self.counters[refusal.reason] += 1
        raise refusal

    def admitted(self, obs: Observation) -> None:
        """Remember the newest stamp of the observation's stream."""
        stream = (obs.robot_id, obs.session_id, obs.sensor_id)
        self._newest[stream] = max(obs.stamp_ns, self._newest.get(stream, 0))


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
    if np.shape(obs.covariance) != (6, 6) or not is_finite(obs.covariance):
        raise RefusedError("The covariance must be a finite 6 x 6 matrix.", "bad_covariance")
    cov = np.asarray(obs.covariance, dtype=np.float64)
    # Localisers round: what single precision can explain is forgiven.
    slack = 1e-5 * float(np.abs(cov).max()) + 1e-12
    if np.abs(cov - cov.T).max() > slack or np.linalg.eigvalsh(cov)[0] < -slack:
        raise RefusedError(
            "The covariance is none: it must be symmetric, and no direction may have a negative variance.",
            "bad_covariance",
        )
    spread = float(np.sqrt(max(np.linalg.eigvalsh(cov[:3, :3])[-1], 0)))
    turn = float(np.sqrt(max(cov[5, 5], 0)))
    if spread > limits.max_position_std or turn > limits.max_yaw_std:
        raise RefusedError(
            f"The robot is not well localised: {spread:.2f} m and {turn:.2f} rad of standard deviation "
            f"(limits {limits.max_position_std:g} m, {limits.max_yaw_std:g} rad).",
            "uncertain_pose",
        )
