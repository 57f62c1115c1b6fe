"""The running world: a robot that sweeps the house, what its sensors measure, and what changes meanwhile.

One `step` is one camera frame. Everything is drawn from generators made of one seed, so that the same configuration
and seed give the same run, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from sim.house.changes import rearrange, support_name
from sim.house.config import SimConfig
from sim.house.explore import Explorer
from sim.house.render import CameraRenderer, LidarRenderer, ScanRenderer
from sim.house.robot import Localiser, Mount, Odometry, Robot
from sim.house.sensor import (
    DETECTOR_NAME,
    NoisyDetector,
    Silhouettes,
    find_visible,
    noisy_depth,
    noisy_points,
    noisy_scan,
)
from sim.house.truth import Event, TruthLog
from sim.house.world import House

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LidarSweep:
    """points (n, 3) metres in the LiDAR's body-convention frame, whose believed pose in the map is given."""

    points: Float32Array
    position: FloatArray
    orientation: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LaserScan:
    """ranges (n,) metres, inf = nothing; beam i points to angle_min + i * angle_increment in the scanner's frame."""

    ranges: Float32Array
    angle_min: float
    angle_increment: float
    range_min: float
    range_max: float
    position: FloatArray
    orientation: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SimFrame:
    """All that the robot gets at one time. Nothing in it is true; all is measured.

    stamp_ns               simulated time
    rgb                    (h, w, 3) uint8
    depth                  (h, w) float32 metres along the optical axis; 0 and NaN: nothing measured
    camera                 intrinsics
    boxes                  noisy detections; `classes` are all labels that the detector knows
    position, orientation  (3,) and (4,) x, y, z, w: the *camera's* body-convention frame (x forward, y left, z up) in
                           the frame map, as the localisation believes it; covariance (6, 6)
    base                   x, y, yaw of the base in the frame map, as believed
    odometry               the base in the drifting frame odom, and its speeds
    """

    index: int
    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: Float32Array
    camera: Intrinsics
    boxes: Boxes2D
    classes: tuple[str, ...]
    position: FloatArray
    orientation: FloatArray
    covariance: FloatArray
    base: tuple[float, float, float]
    odometry: Odometry
    lidar: LidarSweep | None = None
    scan: LaserScan | None = None
    frame_id: str = "map"
    detector: str = DETECTOR_NAME


class HouseSimulator:
    """Runs a house. `truth` and `house` are for judges and reports, never for perception or recall."""

    def __init__(self, config: SimConfig | None = None, seed: int = 0, threads: int = 1) -> None:
        self.config = config or SimConfig()
        self.seed = seed
        c = self.config
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
        self._rng_house, self._rng_sensor, rng_pose, self._rng_script, self._rng_detector = streams
        self._threads = threads
        self.house = House.generate(self._rng_house, c.house)
        self._scene = self.house.scene(threads)
        self._robot = Robot(c.robot, self.house.grid(), self.house.start, float(rng_pose.uniform(-np.pi, np.pi)))
        self._localiser = Localiser(c.localisation, rng_pose, self._robot.position, self._robot.yaw)
        self._camera = CameraRenderer(c.camera)
        self._lidar = LidarRenderer(c.lidar) if c.lidar.enabled else None
        self._scan = ScanRenderer(c.scan) if c.scan.enabled else None
        self.camera_mount = Mount(c.camera.forward, c.camera.height, radians(c.camera.pitch_deg))
        self.lidar_mount = Mount(0.0, c.lidar.height)
        self.scan_mount = Mount(0.0, c.scan.height)
        self._silhouettes = Silhouettes(c.camera)
        self._detector = NoisyDetector(c.sensor, c.camera, House.vocabulary(), self._rng_detector)
        self.intrinsics = Intrinsics(*c.camera.intrinsics, c.camera.width, c.camera.height_px)
        self.truth = TruthLog()
        self.truth.start_ns = self.truth.end_ns = c.script.epoch_ns
        self.truth.vocabulary = House.vocabulary()
        for thing in self.house.things.values():
            self.truth.place(thing, c.script.epoch_ns, support_name(self.house, thing))
        self._period_ns = round(1e9 / c.script.frame_rate)
        self._index = 0
        self._sweep = 0
        self._sweep_steps = 0
        self._last_ids: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._command: tuple[float, float] | None = None
        self._explorer: Explorer | None = None
        self.sweep_durations_s: list[float] = []

    @property
    def stamp_ns(self) -> int:
        """Simulated time of the next frame."""
        return self.config.script.epoch_ns + self._index * self._period_ns

    @property
    def done(self) -> bool:
        """Whether all sweeps are driven. Never while the robot is driven by commands."""
        return self._command is None and self._sweep >= self.config.script.sweeps

    @property
    def progress(self) -> float:
        """0..1 through the script."""
        part = self._explorer.progress if self._explorer is not None else 0.0
        return min(1.0, (self._sweep + part) / self.config.script.sweeps)

    @property
    def sweep(self) -> int:
        """Number of the sweep that is being driven, from 0."""
        return self._sweep

    @property
    def events(self) -> list[Event]:
        """What was moved, removed and added so far."""
        return self.truth.events

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label that the detector knows."""
        return self._detector.classes

    def drive(self, linear: float, angular: float) -> None:
        """Drive by command (m/s, rad/s) from now on instead of exploring; the command holds until the next one."""
        if not np.isfinite([linear, angular]).all():
            raise BadInputError(f"A velocity command must be finite, not ({linear}, {angular}).")
        self._command = (float(linear), float(angular))

    def explore(self) -> None:
        """Go on exploring after driving by command, with a new plan from where the robot is now."""
        self._command = None
        self._explorer = None

    def step(self) -> SimFrame:
        """Advance by one frame period and measure. BadInputError when the run is over (see `done`)."""
        if self.done:
            raise BadInputError("The simulation has ended: make a new HouseSimulator, or drive by command.")
        if self._index:
            self._advance()
        frame = self._measure()
        self._index += 1
        self._finish_sweep()
        return frame

    def change_now(self) -> list[Event]:
        """Move, remove and add things now, out of the robot's sight, as the script does at half-time."""
        x, y = self._robot.position
        room = self.house.plan.room_at(float(x), float(y))
        ids = [int(i) for i in self._last_ids]
        events = rearrange(self.house, self.truth, self.config.script, self._rng_script, room, ids, self.stamp_ns)
        self._scene = self.house.scene(self._threads)
        self._robot.grid = self.house.grid()
        return events

    def _advance(self) -> None:
        period = self._period_ns * 1e-9
        steps = max(1, round(period * self.config.robot.control_rate))
        dt = period / steps
        if self._command is None and self._explorer is None:
            c = self.config
            self._explorer = Explorer(
                self.house, self._scene, c.camera, c.robot, self._robot.position, c.script.view_range
            )
        for _ in range(steps):
            linear, angular = self._command or (0.0, 0.0)
            if self._command is None and self._explorer is not None:
                linear, angular = self._explorer.command(self._robot, dt)
            way, turn = self._robot.step(linear, angular, dt)
            self._localiser.step(way, turn, dt)

    def _finish_sweep(self) -> None:
        self._sweep_steps += 1
        elapsed = self._sweep_steps * self._period_ns * 1e-9
        over = self._explorer is not None and self._explorer.done
        if self._command is not None or not (over or elapsed >= self.config.script.max_sweep_s):
            return
        self.sweep_durations_s.append(elapsed)
        self._sweep += 1
        self._sweep_steps = 0
        self._explorer = None
        if self._sweep == (self.config.script.sweeps + 1) // 2 and not self.done:
            self.change_now()

    def _measure(self) -> SimFrame:
        c, stamp = self.config, self.stamp_ns
        true_pose = self.camera_mount.pose(self._robot.position, self._robot.yaw)
        image = self._camera.render(self._scene, *true_pose)
        visible = find_visible(image, self.house.things, self._silhouettes, c.sensor, true_pose)
        self._last_ids = visible.ids
        base, yaw, covariance = self._localiser.believed(self._robot.position, self._robot.yaw)
        position, orientation = self.camera_mount.pose(base, yaw)
        self.truth.saw(stamp, visible, trusted=not self._localiser.jumping)
        x, y = self._robot.position
        self.truth.path.append((stamp, float(x), float(y), self._robot.yaw))
        return SimFrame(
            index=self._index,
            stamp_ns=stamp,
            rgb=image.rgb,
            depth=noisy_depth(image.depth, c.sensor, c.camera, self._rng_sensor),
            camera=self.intrinsics,
            boxes=self._detector.detect(visible, self.house.things),
            classes=self.classes,
            position=position,
            orientation=orientation,
            covariance=covariance,
            base=(float(base[0]), float(base[1]), yaw),
            odometry=self._localiser.odometry(),
            lidar=self._measure_lidar(base, yaw),
            scan=self._measure_scan(base, yaw),
        )

    def _measure_lidar(self, base: FloatArray, yaw: float) -> LidarSweep | None:
        if self._lidar is None:
            return None
        ranges = self._lidar.render(self._scene, *self.lidar_mount.pose(self._robot.position, self._robot.yaw))
        points = noisy_points(ranges, self._lidar.directions, self.config.lidar, self._rng_sensor)
        return LidarSweep(points, *self.lidar_mount.pose(base, yaw))

    def _measure_scan(self, base: FloatArray, yaw: float) -> LaserScan | None:
        if self._scan is None:
            return None
        c = self.config.scan
        ranges = self._scan.render(self._scene, *self.scan_mount.pose(self._robot.position, self._robot.yaw))
        return LaserScan(
            noisy_scan(ranges, c, self._rng_sensor),
            self._scan.angle_min,
            self._scan.angle_increment,
            c.min_range,
            c.max_range,
            *self.scan_mount.pose(base, yaw),
        )
