"""The run of a simulated world, without ROS: pace, lock-step, and going on where it was. A thread of the sim node."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.nodes.settings import SimSettings

_PATIENCE_S = 10.0  # for somebody to listen before the first frame
_REPEATS = 60  # of a frame in lock-step, before the run goes on without it: a node may be long in coming back


class World(Protocol):
    """What can be run: the simulated house, a player of recorded frames, or the streets of a city."""

    @property
    def done(self) -> bool: ...

    @property
    def progress(self) -> float: ...

    def step(self) -> Any:
        """The next frame (see sim.house.simulator.SimFrame)."""
        ...


def make_world(settings: SimSettings) -> World:
    """Raises BadInputError for settings that do not fit, NotFoundError without data, UnavailableError for packages."""
    if settings.world == "frames":
        if not settings.frames:
            raise BadInputError("Parameter 'world' is frames, so 'frames' must name their folder.")
        if settings.drive == "cmd_vel":
            raise BadInputError("Recorded frames cannot be driven: set 'drive' to explore, or 'world' to house.")
        from sim.frames import FramePlayer

        return FramePlayer(settings.frames)
    if settings.world == "street":
        if settings.drive == "cmd_vel":
            raise BadInputError("Streets are patrolled: set 'drive' to explore, or 'world' to house.")
        from sim.street.simulator import PATROL, load_street

        return load_street(settings.street, settings.seed, settings.max_frames or PATROL)
    try:
        from sim.house.config import SimConfig
        from sim.house.simulator import HouseSimulator
    except ImportError as error:
        raise UnavailableError(f"The simulated house needs a package that is missing: {error}") from error
    from dataclasses import replace

    config = SimConfig.load(settings.config) if settings.config else SimConfig()
    lidar = replace(config.lidar, enabled=config.lidar.enabled or settings.points)
    scan = replace(config.scan, enabled=config.scan.enabled or settings.scan)
    world = HouseSimulator(replace(config, lidar=lidar, scan=scan), settings.seed)
    if settings.drive == "cmd_vel":
        world.drive(0.0, 0.0)
    return world


class Run:
    """Steps a world on a thread of its own and hands its frames to `publish`.

    In lock-step a frame that is not heard of is published again, since a node that was killed may have had it; memory
    folds repetitions.

    listening  () -> is somebody there to take the first frame?
    finished   called once, when the world is done
    """

    def __init__(
        self,
        world: World,
        settings: SimSettings,
        publish: Callable[[Any], None],
        *,
        listening: Callable[[], bool],
        finished: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.world, self._settings = world, settings
        self._publish, self._listening, self._finished, self._failed = publish, listening, finished, failed
        self.counters: Counter[str] = Counter(frames=0, lock_step_timeouts=0)
        self.stamp_ns = 0  # of the newest frame
        self._awaited_ns = 0  # the frame that lock-step waits to hear of
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._resumed = False

    @property
    def done(self) -> bool:
        return self.world.done or 0 < self._settings.max_frames <= self.counters["frames"]

    def start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._main, name="world", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(10.0)

    def perceived(self, stamp_ns: int) -> None:
        """The frame of this time was remembered (or refused): lock-step may go on."""
        with self._changed:
            if stamp_ns == self._awaited_ns:
                self._awaited_ns = 0
                self._changed.notify_all()

    def _main(self) -> None:
        try:
            self._resume()
            self._wait(self._listening, _PATIENCE_S)
            self._go()
        except Exception as error:
            self._failed(error)

    def _go(self) -> None:
        due, last_ns = time.monotonic(), 0
        while not self._stopping and not self.done:
            frame = self.world.step()
            if last_ns and self._settings.real_time_factor:
                due += (frame.stamp_ns - last_ns) * 1e-9 / self._settings.real_time_factor
                self._wait(lambda: False, due - time.monotonic())
                due = max(due, time.monotonic() - 1.0)  # what cannot keep up is not made up for
            last_ns = self.stamp_ns = self._awaited_ns = frame.stamp_ns
            self._publish(frame)
            self.counters["frames"] += 1
            self._save()
            if not self._settings.real_time_factor:
                self._wait_until_perceived(frame)
        if self.done:
            self._finished()

    def _wait_until_perceived(self, frame: Any) -> None:
        for _ in range(_REPEATS):
            heard = self._wait(lambda: self._awaited_ns != frame.stamp_ns, self._settings.lock_step_timeout)
            if heard or self._stopping:
                return
            self.counters["lock_step_timeouts"] += 1
            self._publish(frame)

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Until the condition holds; True then. Conditions that nobody announces are looked at every 50 ms."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._stopping and not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.05))
        return condition()

    # --- going on after a restart ------------------------------------------------------------------------------

    def _save(self) -> None:
        if self._settings.checkpoint:
            mark = {"seed": self._settings.seed, "frames": self.counters["frames"]}
            write_atomically(Path(self._settings.checkpoint), json.dumps(mark))

    def _resume(self) -> None:
        """The same seed gives the same run: step unseen to where it was."""
        path = Path(self._settings.checkpoint or "/nonexistent")
        if self._resumed or not path.is_file():
            return
        self._resumed = True
        try:
            mark = json.loads(path.read_text(encoding="utf-8"))
            frames = int(mark["frames"]) if mark["seed"] == self._settings.seed else 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"The checkpoint {path} cannot be read ({error}): delete it to begin anew.") from error
        stamp_ns = 0
        while self.counters["frames"] < frames and not self.done and not self._stopping:
            stamp_ns = self.world.step().stamp_ns
            self.counters["frames"] += 1
        self.stamp_ns = stamp_ns  # only now: the clock must not run through what is past


def write_truth(world: Any, path: Path) -> None:
    """What really was where, as JSON: for judges, never for the memory. Worlds without a truth write nothing."""
    truth = getattr(world, "truth", None)
    if truth is None:
        return
    tree = {
        "things": [asdict(thing) for thing in truth.things.values()],
        "events": [asdict(event) for event in truth.events],
        "path": truth.path,
        "start_ns": truth.start_ns,
        "end_ns": truth.end_ns,
        "vocabulary": list(truth.vocabulary),
    }
    write_atomically(path, json.dumps(tree))


def write_atomically(path: Path, text: str) -> None:
    """Whoever reads sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
