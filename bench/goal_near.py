"""Poses near things: can the robot stand there, get there, and see the thing, in the house as it really is?

A simulated robot explores houses; then memory is asked for a pose near every thing that it believes in. Judged by the
simulator: a pose must keep the robot's radius from every obstacle, be connected to where the robot is, and have a free
line from the eye to some point of the thing (the middle, or half way to its faces). An honest refusal (GoalNear says
that there is no such pose, and why) is counted apart, and no error.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from bench.harness import Options, Report, parse
from bench.house import remember
from embodied_mem.errors import UnreachableError
from embodied_mem.objects.locate import locate_all
from embodied_mem.octree.tree import Octree
from embodied_mem.recall import going
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.topology.goal_near import NearPose, NearSettings, Target
from embodied_mem.topology.view import TopologyView
from sim.house.scene import Scene
from sim.house.simulator import HouseSimulator

SEEDS = tuple(range(21, 33))
TARGETS = 200
ROBOT = NearSettings(radius=0.2)
_SLACK = 0.05  # metres: a cell of the truth's grid


class Judge:
    """What is true of poses in one house."""

    def __init__(self, simulator: HouseSimulator, here: np.ndarray) -> None:
        self._grid = simulator.house.grid()
        self._scene: Scene = simulator.house.scene()
        self._reached = self._grid.free_component(ROBOT.radius - _SLACK, here[:2])

    def verdict(self, pose: NearPose, target: Target) -> str:
        """ "good", or what is wrong."""
        spot = pose.position[None, :2]
        if self._grid.clearance(spot)[0] < ROBOT.radius - _SLACK:
            return "does not fit"
        row, column = self._grid.indices(spot)
        if not self._reached[row[0], column[0]]:
            return "not reachable"
        eye = np.array([*pose.position[:2], pose.position[2] + ROBOT.eye])
        rays = np.hstack([np.broadcast_to(eye, (7, 3)), target.aims() - eye]) if target.size.any() else None
        if rays is None:
            rays = np.hstack([eye, target.center - eye])[None]
        met, _ = self._scene.cast(rays.astype(np.float32))
        far = np.linalg.norm(rays[:, 3:], axis=1)
        own = np.linalg.norm(target.size) / 2 + 0.1  # what is met so near to the middle is the thing itself
        return "good" if (met * far >= far - own).any() else "not in view"


def explored(seed: int, folder: Path) -> tuple[HouseSimulator, RecordMemory]:
    """A robot that has driven through its house, and what it remembers."""
    simulator = HouseSimulator(seed=seed)
    memory = RecordMemory.open(folder)
    remember(simulator, memory)
    return simulator, memory


def targets_of(memory: RecordMemory) -> list[tuple[str, Target]]:
    """Everything that memory believes to be there."""
    return [
        (found.word, Target.at(thing.position, thing.extent))
        for found in locate_all(memory.index, Query())
        for thing in found.here
    ]


def ask(
    memory: RecordMemory, space: Octree, places: TopologyView, here: np.ndarray, target: Target
) -> NearPose | UnreachableError:
    """A pose near the target, or why there is none."""
    try:
        return going.go_to(space, places, going.Sought(target, ""), here, ROBOT, map_id=memory.map_id).pose
    except UnreachableError as refusal:
        return refusal


def run(options: Options) -> int:
    report = Report("goal_near", options, seeds={"first house": SEEDS[0]})
    verdicts: Counter[str] = Counter()
    for seed in SEEDS[:1] if options.quick else SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            simulator, memory = explored(seed, Path(folder) / "memory")
            here = going.standing(memory, memory.map_id)
            space, places = going.explored(memory)
            judge = Judge(simulator, here)
            for _, target in targets_of(memory):
                if verdicts.total() == TARGETS:
                    break
                pose = ask(memory, space.map(memory.map_id), places, here, target)
                none = isinstance(pose, UnreachableError)
                verdicts[f"refused: {pose.reason}" if none else judge.verdict(pose, target)] += 1  # type: ignore[union-attr, arg-type]
            memory.close()
    report.table("targets", ["verdict", "count"], sorted(verdicts.items(), key=lambda item: -item[1]))
    refused = sum(count for verdict, count in verdicts.items() if verdict.startswith("refused"))
    report.bar("targets asked for", verdicts.total(), at_least=20 if options.quick else TARGETS)
    report.bar(
        "reachable and in view, or an honest refusal (%)",
        100 * (verdicts["good"] + refused) / verdicts.total(),
        at_least=98,
    )
    report.bar("of these refused (%)", 100 * refused / verdicts.total(), at_most=25)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
