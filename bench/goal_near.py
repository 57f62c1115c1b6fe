"""Poses near things: can the robot stand there, get there, and see the thing, in the house as it really is?

A simulated robot explores houses; then memory is asked for a pose near every thing that it believes in. Judged by the
simulator: a pose must keep the robot's radius from every obstacle, be connected to where the robot is, and have a free
line from the eye to some point of the thing (the middle, or half way to its faces). An honest refusal (GoalNear says
that there is no such pose, and why) is counted apart, and no error. The paths to these poses, and paths between places,
are held against the house too: does a line of them lead through something? Beside them places joined by straight lines.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from itertools import pairwise
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
TARGETS, PAIRS = 200, 50
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

    def free(self, line: np.ndarray) -> bool:
        """Whether nothing stands on a polyline (m, 3)."""
        parts = [a + (b - a) * np.linspace(0, 1, _samples(a, b))[:, None] for a, b in pairwise(line[:, :2])]
        return bool(self._grid.clearance(np.concatenate([line[:1, :2], *parts])).min() > 0)


def _samples(a: np.ndarray, b: np.ndarray) -> int:
    return 2 + int(np.linalg.norm(b - a) / _SLACK)


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
) -> going.Going | UnreachableError:
    """A pose near the target with the way there, or why there is none."""
    try:
        return going.go_to(space, places, going.Sought(target, ""), here, ROBOT, map_id=memory.map_id)
    except UnreachableError as refusal:
        return refusal


def paths_between(places: TopologyView, space: Octree, judge: Judge, seed: int) -> list[tuple[bool, bool]]:
    """For random pairs of places: whether the straight lines of the route are free, and the path along free space."""
    rng, router = np.random.default_rng(seed), places.router
    found = []
    for _ in range(PAIRS):
        a, b = rng.choice(len(places.graph), 2, replace=False)
        try:
            route = router.route(int(a), int(b))
        except UnreachableError:
            continue
        path, _ = going.path_of(space, route, z_min=ROBOT.step, z_max=ROBOT.height, radius=ROBOT.radius)
        found.append((judge.free(route.points), judge.free(path.points)))
    return found


def run(options: Options) -> int:
    report = Report("goal_near", options, seeds={"first house": SEEDS[0]})
    verdicts: Counter[str] = Counter()
    to_poses: list[bool] = []
    between: list[tuple[bool, bool]] = []
    for seed in SEEDS[:1] if options.quick else SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            simulator, memory = explored(seed, Path(folder) / "memory")
            here = going.standing(memory, memory.map_id)
            space, places = going.explored(memory)
            judge = Judge(simulator, here)
            for _, target in targets_of(memory):
                if verdicts.total() == TARGETS:
                    break
                found = ask(memory, space.map(memory.map_id), places, here, target)
                if isinstance(found, UnreachableError):
                    verdicts[f"refused: {found.reason}"] += 1
                    continue
                verdicts[judge.verdict(found.pose, target)] += 1
                to_poses.append(judge.free(found.path.points))
            between += paths_between(places, space.map(memory.map_id), judge, seed)
            memory.close()
    report.table("targets", ["verdict", "count"], sorted(verdicts.items(), key=lambda item: -item[1]))
    straight, bent = (100 * float(np.mean(column)) for column in zip(*between, strict=True))
    report.table(
        "ways on which nothing stands, %", ["ways", "count", "along free space", "places joined by straight lines"],
        [["between places", len(between), bent, straight], ["to poses", len(to_poses), 100 * np.mean(to_poses), None]],
    )  # fmt: skip
    refused = sum(count for verdict, count in verdicts.items() if verdict.startswith("refused"))
    report.bar("targets asked for", verdicts.total(), at_least=20 if options.quick else TARGETS)
    report.bar(
        "reachable and in view, or an honest refusal (%)",
        100 * (verdicts["good"] + refused) / verdicts.total(),
        at_least=98,
    )
    report.bar("of these refused (%)", 100 * refused / verdicts.total(), at_most=25)
    report.bar("paths between places on which nothing stands (%)", bent, at_least=98)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
