"""How long planning and a tick take, and whether a language model that talks nonsense can do harm."""

from __future__ import annotations

import json
import time

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.planner.framing import frame
from embodied_mem.planner.goal_model import read_goal
from embodied_mem.planner.knowledge import Uses
from embodied_mem.planner.plan import Plan, validate
from embodied_mem.planner.solving import ForwardSearch, NoPlanError
from embodied_mem.planner.system2 import Progress
from sim.house.chores.perfect import PerfectKnowledge
from sim.house.chores.robot import Robot
from sim.house.chores.tasks import LABELS, TYPICAL, make_task, world_of

_NONSENSE = (
    "", "I'm sorry, I can't do that.", "{}", "[]", "null", '{"goal": []}', '{"goal": "on(mug, desk)"}',
    '{"goal": [1, 2]}', '{"goal": ["fly(moon)"]}', '{"goal": ["on(desk, mug)"]}', '{"goal": ["on(unicorn, desk)"]}',
    '{"plan": ["go(desk)"]}',
    '{"goal": ["open(fridge)", "shut(fridge)"]}', '{"goal": ["on(mug)"]}', '{"goal": ["at(desk)"]}', "[" * 3000,
    '{"goal": ["in(mug, fridge)", "on(mug, desk)"]}', '{"goal": ["in(mug, desk)"]}', "```json\n{\n```", "\x00\xff",
)  # fmt: skip


class Babbler:
    """A language model that answers anything."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def generate(self, prompt: str, schema: dict[str, object]) -> str:
        """Nonsense, or bits of the prompt thrown together as facts."""
        if self.rng.random() < 0.5:
            return _NONSENSE[int(self.rng.integers(len(_NONSENSE)))]
        words = prompt.replace(",", " ").split()
        facts = []
        for _ in range(int(self.rng.integers(1, 4))):
            a, b, c = (words[int(i)].strip(".;:()").lower() for i in self.rng.integers(len(words), size=3))
            facts.append(f"{['on', 'in', 'open', 'seen', a][int(self.rng.integers(5))]}({b}, {c})")
        return json.dumps({"goal": facts})


def _robot(seed: int) -> Robot:
    world = world_of(make_task("Ideal", seed, 0))
    known = PerfectKnowledge(world)
    robot = Robot(world, Uses(), things=LABELS, typical=TYPICAL, known=lambda robot: known)
    world.see()
    robot.known.begin(world.stamp_ns)
    return robot


def planning_times(count: int) -> NDArray[np.float64]:
    """CPU seconds of making the problem and the plan, for goals whose plans have 18 to 26 steps."""
    seconds: list[float] = []
    seed = 100
    while len(seconds) < count:
        seed += 1
        robot = _robot(seed)
        rng, book = np.random.default_rng(seed), robot.world.book
        labels = sorted(robot.world.items)
        words = []
        for i in rng.permutation(len(labels))[:4]:
            inside = bool(rng.random() < 0.4)
            places = [p.name for p in book.places if (p.container if inside else p.surface)]
            name = places[int(rng.integers(len(places)))]
            words.append(
                f"put the {labels[i]} {'in' if inside else 'on'} the {name}" + (f", close the {name}" if inside else "")
            )
        goal = read_goal(", and ".join(words), book, LABELS).facts
        begin = time.process_time()
        try:
            framed = frame(goal, robot.known, robot.pricing)
            found = ForwardSearch().solve(framed.problem)
        except NoPlanError:
            continue
        spent = time.process_time() - begin
        if 18 <= len(found.actions) <= 26:
            seconds.append(spent)
    return np.array(seconds)


def tick_times() -> NDArray[np.float64]:
    """CPU seconds of ticks while steps run, with the whole memory and a frame between ticks."""
    task = make_task("Ideal", 101, 0)
    world = world_of(task)
    robot = Robot(world, Uses(), things=LABELS, typical=TYPICAL)
    world.see()
    robot.planner.begin(task.instructions[0])
    robot.planner.tick()
    robot.controller.start = lambda step, key, context: None  # type: ignore[method-assign]
    robot.controller.poll = lambda: None  # type: ignore[method-assign]
    robot.planner.suspend()
    robot.planner.tick()
    seconds = []
    for _ in range(200):
        world.see()
        begin = time.thread_time()
        progress = robot.planner.tick()
        seconds.append(time.thread_time() - begin)
        if progress is not Progress.GOING:
            break
    return np.array(seconds)


def nonsense(count: int) -> tuple[int, int]:
    """How many invalid plans came of a model's nonsense, and how many answers it gave."""
    robot, bad = _robot(101), 0
    book = robot.world.book
    for seed in range(count):
        try:
            goal = read_goal("make it nice in here for the guests", book, LABELS, Babbler(seed))
            framed = frame(goal.facts, robot.known, robot.pricing)
            found = ForwardSearch().solve(framed.problem)
            plan = Plan.of(framed.problem, found.actions, optimal=found.optimal, solver="search")
        except (BadInputError, NoPlanError):
            continue
        bad += not goal.facts <= validate(plan, framed.problem.domain)
    return bad, count
