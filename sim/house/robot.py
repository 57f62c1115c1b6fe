"""A differential-drive robot that bumps into things, and the pose that it believes to have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import quaternion_from_yaw, quaternion_multiply
from sim.house.config import LocalisationConfig, RobotConfig
from sim.house.grid import Grid

FloatArray = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Odometry:
    """The base in the drifting odom frame: x, y (metres), yaw (radians), and its speeds (m/s, rad/s)."""

    x: float
    y: float
    yaw: float
    linear: float
    angular: float


class Robot:
    """True state of the base. A command is approached within the limits of speed and acceleration."""

    def __init__(self, config: RobotConfig, grid: Grid, position: FloatArray, yaw: float) -> None:
        self.config = config
        self.grid = grid
        self.position = np.array(position, dtype=np.float64)
        self.yaw = float(yaw)
        self.linear = 0.0
        self.angular = 0.0
        self.blocked = False

    def step(self, linear: float, angular: float, dt: float) -> tuple[float, float]:
        """Drive for `dt` seconds towards the commanded speeds; returns the way (metres) and turn (radians) made.

        A robot that would touch something stops there, and `blocked` says so; it may still turn, and back away.
        """
        c = self.config
        linear = float(np.clip(linear, -c.max_speed, c.max_speed))
        angular = float(np.clip(angular, -c.max_turn_rate, c.max_turn_rate))
        self.linear += float(np.clip(linear - self.linear, -c.acceleration * dt, c.acceleration * dt))
        self.angular += float(np.clip(angular - self.angular, -c.turn_acceleration * dt, c.turn_acceleration * dt))
        turn = self.angular * dt
        heading = self.yaw + turn / 2
        self.yaw = float((self.yaw + turn + np.pi) % (2 * np.pi) - np.pi)
        way = self.linear * dt
        target = self.position + way * np.array([np.cos(heading), np.sin(heading)])
        space, before = self.grid.clearance(np.stack([target, self.position]))
        self.blocked = bool(space < c.radius and space <= before and way != 0.0)
        if self.blocked:
            self.linear = 0.0
            return 0.0, turn
        self.position = target
        return way, turn


class Localiser:
    """What the robot believes of its pose: an error that wanders, now and then a jump; and drifting odometry."""

    def __init__(self, config: LocalisationConfig, rng: Rng, position: FloatArray, yaw: float) -> None:
        self.config = config
        self.rng = rng
        self._error = rng.normal(size=3) * self._spread()
        self._jump = np.zeros(3)
        self._jump_left = 0.0
        self._odometry = np.array([*position, yaw], dtype=np.float64)
        self._speeds = (0.0, 0.0)

    def _spread(self) -> FloatArray:
        return np.array([self.config.position_std, self.config.position_std, self.config.yaw_std])

    @property
    def jumping(self) -> bool:
        """Whether the pose is wrong just now (and its covariance says so)."""
        return self._jump_left > 0

    def step(self, way: float, turn: float, dt: float) -> None:
        """Tell it how far the robot really went (metres) and turned (radians) in `dt` seconds."""
        c = self.config
        keep = np.exp(-dt / c.correlation_s)
        self._error = keep * self._error + np.sqrt(1 - keep**2) * self.rng.normal(size=3) * self._spread()
        slip = self.rng.normal(size=2) * (c.odometry_slip, c.odometry_turn)
        way, turn = way * (1 + slip[0]), turn * (1 + slip[1])
        heading = self._odometry[2] + turn / 2
        self._odometry += np.array([way * np.cos(heading), way * np.sin(heading), turn])
        self._speeds = (way / dt, turn / dt)
        self._jump_left = max(0.0, self._jump_left - dt)
        if self.rng.random() < c.jumps_per_minute / 60 * dt and not self.jumping:
            angle = self.rng.uniform(-np.pi, np.pi)
            distance = self.rng.uniform(*c.jump_distance)
            self._jump = np.array(
                [*(distance * np.array([np.cos(angle), np.sin(angle)])), self.rng.normal() * c.jump_yaw]
            )
            self._jump_left = float(self.rng.uniform(*c.jump_duration_s))

    def odometry(self) -> Odometry:
        """The base in the odom frame."""
        x, y, yaw = self._odometry
        return Odometry(float(x), float(y), float((yaw + np.pi) % (2 * np.pi) - np.pi), *self._speeds)

    def believed(self, position: FloatArray, yaw: float) -> tuple[FloatArray, float, FloatArray]:
        """The base's pose in the map as the robot believes it: (2,) metres, radians, and (6, 6) covariance."""
        error = self._error + (self._jump if self.jumping else 0.0)
        c = self.config
        place = c.reported_jump_position_std if self.jumping else c.reported_position_std
        turn = c.reported_jump_yaw_std if self.jumping else c.reported_yaw_std
        covariance = np.diag([place**2, place**2, 1e-6, 1e-6, 1e-6, turn**2])
        return position + error[:2], float(yaw + error[2]), covariance


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a sensor sits on the base: metres ahead and above the floor, and its downward pitch in radians."""

    forward: float
    height: float
    pitch: float = 0.0

    @property
    def quaternion(self) -> FloatArray:
        """(4,) x, y, z, w of the sensor's body-convention frame in the base."""
        return np.array([0.0, np.sin(self.pitch / 2), 0.0, np.cos(self.pitch / 2)])

    def pose(self, position: FloatArray, yaw: float) -> tuple[FloatArray, FloatArray]:
        """The sensor's pose in the map, (3,) and (4,), when the base is at (2,) with a yaw."""
        ahead = position + self.forward * np.array([np.cos(yaw), np.sin(yaw)])
        turn = quaternion_multiply(quaternion_from_yaw(yaw), self.quaternion)
        return np.array([*ahead, self.height]), turn
