"""Exploration that covers the house: few viewpoints from which every surface is seen, a short tour, and the driving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.house.config import CameraConfig, RobotConfig
from sim.house.furnish import REACH
from sim.house.grid import Paths
from sim.house.robot import Robot
from sim.house.scene import Scene

if TYPE_CHECKING:
    from sim.house.world import House

FloatArray = NDArray[np.float64]

_LOOKAHEAD = 0.32  # metres
_ARRIVED = 0.12
_ENOUGH = 0.975  # of what can be covered
_STILL_S = 2.0  # without a movement, a way is not working
_BACK_S, _BACK_SPEED = 1.0, -0.2  # then the robot backs off and plans anew; the second time it leaves the stop out
_EDGE = 0.35  # radians: a target this far inside of the picture's edge has been looked at


def coverage_targets(house: House, paths: Paths) -> FloatArray:
    """(n, 3) points that a sweep has to look at: just above every surface that may carry things, and the floor."""
    points: list[FloatArray] = []
    for thing in house.furniture:
        for surface in thing.surfaces:
            lo, hi = np.array(surface.lo), np.array(surface.hi)
            n = np.maximum(np.ceil((hi - lo) / 0.3).astype(int), 1)
            xs, ys = (lo[i] + (np.arange(n[i]) + 0.5) / n[i] * (hi[i] - lo[i]) for i in (0, 1))
            flat = thing.to_map(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2))
            height = np.full((len(flat), 1), thing.position[2] + surface.height + 0.07)
            points.append(np.concatenate([flat, height], axis=1))
    grid = paths.grid
    step = round(0.45 / grid.cell)
    rows, columns = np.nonzero(~grid.occupied)
    coarse = (rows % step == step // 2) & (columns % step == step // 2)
    floor = grid.centers(rows[coarse], columns[coarse])
    inside = np.array([bool(house.plan.room_at(float(x), float(y))) for x, y in floor])
    floor = floor[inside]
    points.append(np.concatenate([floor, np.full((len(floor), 1), 0.08)], axis=1))
    return np.concatenate(points)


def choose_viewpoints(
    house: House, scene: Scene, paths: Paths, camera: CameraConfig, view_range: float
) -> tuple[FloatArray, list[FloatArray]]:
    """Greedy cover: (k, 2) points, and for each the bearings (radians) of the targets that are looked at from there."""
    grid = paths.grid
    step = round(0.35 / grid.cell)
    where = np.round((paths.points - grid.origin) / grid.cell - 0.5).astype(int)
    spots = paths.points[(where % step == 0).all(axis=1) & (grid.clearance(paths.points) > REACH + 0.03)]
    eyes = np.concatenate([spots, np.full((len(spots), 1), camera.height)], axis=1)
    targets = coverage_targets(house, paths)
    offset = targets[None] - eyes[:, None]
    flat = np.hypot(offset[..., 0], offset[..., 1])
    elevation = np.arctan2(offset[..., 2], flat)
    half = np.arctan(camera.height_px / 2 / camera.intrinsics[1])
    pitch = np.radians(camera.pitch_deg)
    in_frame = (elevation > -pitch - half + 0.06) & (elevation < -pitch + half - 0.06)
    covers = scene.sees(eyes, targets) & in_frame & (flat < view_range)
    coverable = covers.any(axis=0)
    chosen: list[int] = []
    bearings: list[FloatArray] = []
    left = coverable.copy()
    while left.sum() > (1 - _ENOUGH) * coverable.sum():
        gain = covers[:, left].sum(axis=1)
        best = int(np.argmax(gain))
        if gain[best] < 2:
            break
        new = covers[best] & left
        chosen.append(best)
        bearings.append(np.arctan2(offset[best, new, 1], offset[best, new, 0]))
        left &= ~new
    return spots[chosen], bearings


def smallest_arc(bearings: FloatArray) -> tuple[float, float]:
    """Start (radians) and counter-clockwise length of the smallest arc that holds all bearings (n,)."""
    ordered = np.sort(bearings % (2 * np.pi))
    gaps = np.diff(ordered, append=ordered[0] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    return float(ordered[(widest + 1) % len(ordered)]), float(2 * np.pi - gaps[widest])


def shortest_tour(costs: FloatArray) -> list[int]:
    """Order of the nodes 1.. of a (n, n) cost matrix, from node 0 and not back: nearest neighbour, then 2-opt."""
    left, tour = set(range(1, len(costs))), [0]
    while left:
        nearest = min(left, key=lambda node: (costs[tour[-1], node], node))
        tour.append(nearest)
        left.remove(nearest)
    improved = True
    while improved:
        improved = False
        for i in range(1, len(tour) - 1):
            for j in range(i + 1, len(tour)):
                a, b, c = tour[i - 1], tour[i], tour[j]
                d = tour[j + 1] if j + 1 < len(tour) else None
                gain = costs[a, b] - costs[a, c] + (0.0 if d is None else costs[c, d] - costs[b, d])
                if gain > 1e-9:
                    tour[i : j + 1] = tour[i : j + 1][::-1]
                    improved = True
    return tour[1:]


class Explorer:
    """Drives one sweep: to each viewpoint of a tour, where the robot turns as far as there is something to look at."""

    def __init__(
        self, house: House, scene: Scene, camera: CameraConfig, robot: RobotConfig, start: FloatArray, view_range: float
    ) -> None:
        self.config = robot
        self.paths = Paths(house.grid(), REACH, start if house.grid().clearance(start) > REACH else house.start)
        viewpoints, bearings = choose_viewpoints(house, scene, self.paths, camera, view_range)
        stops = np.concatenate([np.asarray(start, dtype=np.float64)[None], viewpoints])
        nodes = [self.paths.node_near(stop) for stop in stops]
        costs = np.stack([self.paths.from_point(stop)[0][nodes] for stop in stops])
        order = shortest_tour(costs)
        self.stops = [stops[i] for i in order]
        arcs = [smallest_arc(bearings[i - 1]) for i in order]
        # The picture is wide: the robot itself turns less than the arc that it looks at.
        inside = np.radians(camera.hfov_deg) / 2 - _EDGE
        self._arcs = [(first + min(inside, arc / 2), max(0.0, arc - 2 * inside)) for first, arc in arcs]
        self._next = 0
        self._path: FloatArray | None = None
        self._headings: list[float] | None = None  # still to turn to at this stop, continuous (not wrapped)
        self._heading = 0.0
        self._last_yaw = 0.0
        self._still_s = 0.0
        self._back_s = 0.0
        self._rescued = -1  # the stop on the way to which the robot had to back off
        self._last_pose: tuple[float, float, float] | None = None

    @property
    def done(self) -> bool:
        return self._next >= len(self.stops)

    @property
    def progress(self) -> float:
        """0..1, by viewpoints done."""
        return self._next / max(1, len(self.stops))

    def command(self, robot: Robot, dt: float) -> tuple[float, float]:
        """Speeds (m/s, rad/s) for the next `dt` seconds."""
        self._watch(robot, dt)
        if self.done:
            return 0.0, 0.0
        if self._back_s > 0:
            self._back_s -= dt
            return _BACK_SPEED, 0.0
        if self._headings is not None:
            return self._turn(robot)
        if self._path is None or robot.blocked:
            _, before = self.paths.from_point(robot.position)
            self._path = self.paths.path(before, self.paths.node_near(self.stops[self._next]))
        end = self._path[-1]
        left = float(np.hypot(*(end - robot.position)))
        if left < _ARRIVED and len(self._path) <= 2:
            self._plan_turn(robot)
            return 0.0, 0.0
        return self._follow(robot, dt)

    def _watch(self, robot: Robot, dt: float) -> None:
        """Notice that the robot does not get on: a corner that it leans on, a path that begins inside an obstacle."""
        pose = (float(robot.position[0]), float(robot.position[1]), robot.yaw)
        moved = self._last_pose is None or max(abs(a - b) for a, b in zip(pose, self._last_pose, strict=True)) > 1e-3
        self._last_pose = pose
        self._still_s = 0.0 if moved else self._still_s + dt
        if self._still_s < _STILL_S:
            return
        self._still_s, self._path, self._headings = 0.0, None, None
        if self._rescued == self._next:
            self._next += 1
        else:
            self._rescued, self._back_s = self._next, _BACK_S

    def _follow(self, robot: Robot, dt: float) -> tuple[float, float]:
        assert self._path is not None
        while len(self._path) > 2 and np.hypot(*(self._path[1] - robot.position)) < _LOOKAHEAD * 0.6:
            self._path = self._path[1:]
        aim = self._path[1] if len(self._path) > 1 else self._path[0]
        offset = aim - robot.position
        error = _wrapped(float(np.arctan2(offset[1], offset[0])) - robot.yaw)
        # Slow down for the corner at the way-point: at full speed the robot would be carried past it.
        room = max(0.0, float(np.hypot(*offset)) - 0.04)
        corner = 0.0
        if len(self._path) > 2:
            after = self._path[2] - self._path[1]
            bend = abs(_wrapped(float(np.arctan2(after[1], after[0]) - np.arctan2(offset[1], offset[0]))))
            corner = self.config.max_speed * max(0.0, 1 - bend / 1.2)
        speed = min(self.config.max_speed, np.sqrt(corner**2 + 1.6 * self.config.acceleration * room))
        speed *= max(0.0, 1 - abs(error) / 0.7)
        return float(speed), float(np.clip(4.0 * error, -self.config.max_turn_rate, self.config.max_turn_rate))

    def _plan_turn(self, robot: Robot) -> None:
        """To the nearer end of the arc, and through it to the other end."""
        first, length = self._arcs[self._next]
        self._heading = self._last_yaw = robot.yaw
        to_first = _wrapped(first - robot.yaw)
        to_last = _wrapped(first + length - robot.yaw)
        if abs(to_first) <= abs(to_last):
            self._headings = [robot.yaw + to_first, robot.yaw + to_first + length]
        else:
            self._headings = [robot.yaw + to_last, robot.yaw + to_last - length]

    def _turn(self, robot: Robot) -> tuple[float, float]:
        assert self._headings is not None
        self._heading += _wrapped(robot.yaw - self._last_yaw)
        self._last_yaw = robot.yaw
        left = self._headings[0] - self._heading
        if abs(left) < 0.04:
            self._headings.pop(0)
            if not self._headings:
                self._headings, self._path = None, None
                self._next += 1
            return 0.0, 0.0
        rate = min(self.config.max_turn_rate, float(np.sqrt(1.6 * self.config.turn_acceleration * abs(left))))
        return 0.0, float(np.copysign(rate, left))


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
