"""The same task on five days: does doing it teach anything? People put the thing back where they mostly keep it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_mem.planner.knowledge import Uses
from embodied_mem.planner.system2 import Progress
from sim.house.chores.robot import Robot
from sim.house.chores.tasks import LABELS, TYPICAL, Task, make_task, world_of

_DAY_S = 86_400.0
_KEPT = 0.85  # how often the thing is back in its usual place
_GRIPS = (0.1, 0.95)  # a thing that cannot be gripped from the top


@dataclass(frozen=True, slots=True)
class Visit:
    """How one day's task went."""

    done: bool
    steps: int
    seconds: float


def visits(seed: int, uses: Uses, days: int = 5, limit_s: float = 600.0) -> list[Visit]:
    """One robot's days in one house: each day it brings the same thing, hidden somewhere again, to the same place."""
    task: Task = make_task("Ideal", seed, 0)
    rng = np.random.default_rng([seed, 5])
    world = world_of(task)
    book = world.book
    label = sorted(task.sizes)[int(rng.integers(len(task.sizes)))]
    home = [p.name for p in book.places if p.container][int(rng.integers(sum(p.container for p in book.places)))]
    target = [p.name for p in book.places if p.surface and p.name != home][int(rng.integers(8))]
    elsewhere = [p.name for p in book.places if p.surface and p.name not in (home, target)]
    world.items[label].grips = {"top": _GRIPS[0], "side": _GRIPS[1]}
    robot = Robot(world, uses, things=LABELS, typical=TYPICAL, seed=seed)
    found = []
    for day in range(days):
        world.seconds = day * _DAY_S
        kept = bool(rng.random() < _KEPT) or day == 0
        other = elsewhere[int(rng.integers(len(elsewhere)))]
        if world.held:
            world.held = ""
        world.lay(label, *(("in", home) if kept else ("on", other)), rng=np.random.default_rng([seed, day]))
        for name in world.shut:
            world.shut[name] = name in {p.name for p in book.places if p.container}
        world.place_robot(task.start)
        begun = world.seconds
        progress = robot.carry_out(f"put the {label} on the {target}", limit_s=limit_s)
        assert robot.planner.run is not None
        done = progress is Progress.DONE and world.items[label].place == target
        found.append(Visit(done, robot.planner.run.steps, world.seconds - begun))
    return found
