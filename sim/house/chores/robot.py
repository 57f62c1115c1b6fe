"""A robot in the house of chores: System 1 as scripted skills on what is perceived, a memory, and System 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.objects.view import ObjectView
from embodied_mem.planner.acting import Context, Ended
from embodied_mem.planner.experience import observation_of
from embodied_mem.planner.framing import Pricing, straight
from embodied_mem.planner.knowledge import Knowledge, Uses
from embodied_mem.planner.monitor import Verdict
from embodied_mem.planner.plan import PlanStep
from embodied_mem.planner.system2 import Progress, Settings, System2
from embodied_mem.planner.ways import PlaceWays
from embodied_mem.records.entry import Entry
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.topology.view import TopologyView
from sim.house.chores.world import World

FloatArray = NDArray[np.float64]
_RECENT_NS = 3_000_000_000
_MAX_TICKS = 2000


class HouseController:
    """Skills that take a thing to be where the camera has just seen it, else where memory says that it is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._seen: dict[str, tuple[int, FloatArray]] = {}
        self._finished: dict[str, Ended] = {}
        self._ended: Ended | None = None

    def saw(self, frame: Observation) -> None:
        """Take in a frame of the camera."""
        for label, center in zip(frame.detections.labels, frame.detections.centers, strict=True):
            self._seen[label] = frame.stamp_ns, center

    def start(self, step: PlanStep, key: str, context: Context) -> None:
        before = self._finished.get(key)
        if before is not None and before.done:
            self._ended = before
            return
        did = self.world.do(step.skill, step.arguments, self._aim(step, context))
        self._ended = self._finished[key] = Ended(did.done, did.reason, did.seconds)

    def _aim(self, step: PlanStep, context: Context) -> FloatArray | None:
        seen = self._seen.get(step.arguments[0]) if step.arguments else None
        if seen is not None and self.world.stamp_ns - seen[0] <= _RECENT_NS:
            return seen[1]
        return context.position

    def poll(self) -> Ended | None:
        return self._ended

    def cancel(self) -> None:
        self._ended = None


class Robot:
    """World, memory and planner of one robot. `known`: other knowledge than that of its memory."""

    def __init__(
        self, world: World, uses: Uses, *, things: Sequence[str], typical: Mapping[str, tuple[str, ...]], seed: int = 0,
        settled: Callable[[PlanStep, Verdict], object] = lambda step, found: None,
        known: Callable[[Robot], Knowledge] | None = None, sure: float = 0.8,
    ) -> None:  # fmt: skip
        self.world, self.uses = world, uses
        self.memory = RecordMemory.in_memory(None, clock=lambda: world.stamp_ns)
        self.objects = ObjectView(self.memory.index) if uses.objects else None
        self.places = TopologyView(self.memory.index, clock=lambda: world.stamp_ns) if uses.space else None
        self.controller = HouseController(world)
        self.known = known(self) if known else Knowledge(world.book, self.objects, uses, typical, sure)
        self.memory.subscribe(self._logged)
        world.watch = self._watch
        ways = PlaceWays(self.places.router) if self.places is not None else straight
        self.pricing = Pricing(world.book, self.known.experience, ways, learned=uses.steps)
        self.planner = System2(
            self.known, self.controller, self.write, things=lambda: tuple(things), clock=lambda: world.stamp_ns,
            pricing=self.pricing, settings=Settings(remembers_looks=uses.steps or uses.objects),
            rng=np.random.default_rng(seed), saw=lambda: world.see(2),
            settled=settled,
        )  # fmt: skip

    def _watch(self, frame: Observation) -> None:
        self.controller.saw(frame)
        self.memory.remember_many([frame])

    def _logged(self, entries: Sequence[Entry]) -> None:
        if self.places is not None:
            self.places.apply(entries)
        self.known.apply(entries)

    def write(self, caption: str) -> None:
        """Write a caption into the log, at the robot's pose."""
        x, y, yaw = self.world.pose
        turn = quaternion_from_yaw(np.array([yaw]))[0]
        self.memory.remember_many([observation_of(caption, self.world.stamp_ns, np.array([x, y, 0.0]), turn)])

    def carry_out(self, instruction: str, *, limit_s: float = 0.0) -> Progress:
        """Do a task to its end."""
        self.world.see()
        self.planner.begin(instruction, limit_s=limit_s)
        for _ in range(_MAX_TICKS):
            progress = self.planner.tick()
            if progress is not Progress.GOING:
                return progress
        return self.planner.cancel("it goes round in circles")
