"""Plays tasks with one arm after another, and scores them by what is true in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from embodied_mem.planner.beliefs import Belief
from embodied_mem.planner.facts import Fact, Facts, parse_facts
from embodied_mem.planner.framing import frame
from embodied_mem.planner.knowledge import Uses
from embodied_mem.planner.monitor import Verdict
from embodied_mem.planner.plan import Plan, PlanStep
from embodied_mem.planner.solving import NoPlanError
from embodied_mem.planner.system2 import Progress
from embodied_mem.records.observation import Observation
from sim.house.chores.perfect import PerfectKnowledge
from sim.house.chores.robot import Robot
from sim.house.chores.tasks import LABELS, TYPICAL, Task, world_of
from sim.house.chores.world import World

ARMS: dict[str, Uses | None] = {
    "open loop": Uses(False, False, False, False),
    "closed loop": Uses(False, False, False, False),
    "step list": Uses(True, False, False, False),
    "+ objects": Uses(True, True, False, False),
    "+ space and episodes": Uses(True, True, True, True),
    "perfect knowledge": None,
}
_DAY_NS = 86_400_000_000_000
LIMIT, GRACE_S = 3.0, 60.0  # times as long as with perfect knowledge, and seconds more, are allowed


@dataclass(slots=True)
class Played:
    """How a task went.

    changes         share of the state changes asked for that were made; success: all goal facts hold in the end
    reference       steps of the plan with perfect knowledge, one list for each instruction; done: those that were done
    seconds, allowed simulated time taken, and the most there was
    judged          (monitor, truth) of each step: "done", "failed" or "unknown", and whether its effects were true
    found, sought   things to be found, and those whose place was reported rightly
    """

    arm: str
    changes: float = 0.0
    success: bool = False
    steps: int = 0
    replans: int = 0
    seconds: float = 0.0
    allowed: float = 0.0
    reference: list[list[str]] = field(default_factory=list)
    done: list[list[str]] = field(default_factory=list)
    judged: list[tuple[str, bool]] = field(default_factory=list)
    found: int = 0
    sought: int = 0
    looked: int = 0  # different places at which it stood or looked while something was sought
    reasons: list[str] = field(default_factory=list)


@lru_cache(maxsize=4)
def _yesterday(text: str, task: Task) -> tuple[Observation, ...]:
    """What the robot saw on its tour of the day before."""
    del text
    world = world_of(task, "yesterday")
    world.begin_ns -= _DAY_NS
    frames: list[Observation] = []
    world.watch = frames.append
    for place in world.book.places:
        world.do("go", (world.spot, place.name))
    return tuple(frames)


class _Hashed(Task):
    """A task by its text: dictionaries have no hash."""

    def __hash__(self) -> int:
        return hash(self.text)


def play(task: Task, arm: str) -> Played:
    """One robot's life: yesterday's tour, if it remembers, then the task's own tour, then its instructions."""
    played, uses = Played(arm), ARMS[arm]
    world = world_of(task)

    def settled(step: PlanStep, found: Verdict) -> None:
        played.judged.append((found.value, _really(step, world)))

    robot = Robot(
        world, uses or Uses(True, False, False, True), things=LABELS, typical=TYPICAL, seed=task.luck, settled=settled,
        known=(lambda robot: PerfectKnowledge(world)) if uses is None else None,
    )  # fmt: skip
    if uses is not None and uses.objects:
        robot.memory.remember_many(_yesterday(task.text, _hashed(task)))
    _tour(robot, task.tour)
    scores = []
    for words, texts in zip(task.instructions, task.goals, strict=True):
        goal = parse_facts(texts)
        scores.append(_one(robot, words, goal, arm, played))
    played.changes = float(np.mean([share for share, _ in scores]))
    played.success = all(success for _, success in scores)
    return played


def _hashed(task: Task) -> Task:
    return _Hashed(**{name: getattr(task, name) for name in Task.__dataclass_fields__})


def _one(robot: Robot, words: str, goal: Facts, arm: str, played: Played) -> tuple[float, bool]:
    """One instruction: the share of its state changes that were made, and whether its goal holds."""
    world = robot.world
    before = world.truth
    best, seconds = reference(world, goal)
    played.reference.append(best)
    limit = LIMIT * seconds + GRACE_S
    played.allowed += limit
    begun = world.seconds
    sought = [item.arguments[0] for item in goal if item.name == "seen"]
    if arm == "open loop":
        reports = _open_loop(robot, words, goal, limit, played)
    else:
        reports = _closed_loop(robot, words, limit, played)
    played.seconds += world.seconds - begun
    right = {thing: _right(reports.get(thing), world, thing) for thing in sought}
    played.found += sum(right.values())
    played.sought += len(sought)
    truth = world.truth
    holds = {item: right[item.arguments[0]] if item.name == "seen" else item in truth for item in goal}
    asked = [item for item in goal if item not in before]
    return (float(np.mean([holds[item] for item in asked])) if asked else 1.0), all(holds.values())


def _closed_loop(robot: Robot, words: str, limit: float, played: Played) -> dict[str, Belief]:
    progress = robot.carry_out(words, limit_s=limit)
    run = robot.planner.run
    assert run is not None
    played.steps += run.steps
    played.replans += run.replans
    played.done.append([str(step.action) for step in run.done_steps if step.outcome == "done"])
    played.looked += len({s.action.arguments[-1] for s in run.done_steps if s.action.name in ("go", "look", "look_in")})
    if progress is Progress.GIVEN_UP:
        played.reasons.append(run.reason)
    return {thing: robot.known.belief(thing) for thing in run.goal.things}


def _open_loop(robot: Robot, words: str, goal: Facts, limit: float, played: Played) -> dict[str, Belief]:
    """Plan once, do each step once, look at nothing in between."""
    world = robot.world
    world.see()
    run = robot.planner.begin(words)
    try:
        framed = frame(goal, robot.known, robot.pricing)
        found = robot.planner.solver.solve(framed.problem)
        plan = Plan.of(framed.problem, found.actions, optimal=found.optimal, solver="search", assumed=framed.assumed)
    except NoPlanError as error:
        played.reasons.append(str(error))
        return {}
    done: list[str] = []
    believed = {thing: robot.known.belief(thing) for thing in run.goal.things}
    begun = world.seconds
    for step in plan.steps:
        if world.seconds - begun > limit:
            break
        robot.controller.start(step, f"open/{step.id}", robot.planner.context_of(step))
        played.steps += 1
        done.append(str(step.action))
    played.done.append(done)
    return believed


def reference(world: World, goal: Facts) -> tuple[list[str], float]:
    """The plan of one who knows everything, and the seconds that it takes."""
    copy = world.copy(np.random.default_rng(0), lambda frame: None)
    robot = Robot(
        copy, Uses(True, False, False, True), things=LABELS, typical=TYPICAL, known=lambda r: PerfectKnowledge(copy)
    )
    copy.see()
    robot.known.begin(copy.stamp_ns)
    try:
        framed = frame(goal, robot.known, robot.pricing)
        found = robot.planner.solver.solve(framed.problem)
    except NoPlanError:
        return [], 0.0
    seconds = sum(framed.problem.seconds[action] for action in found.actions)
    return [str(action) for action in found.actions], float(seconds)


def _tour(robot: Robot, places: Sequence[str]) -> None:
    """Go round, open what opens, look inside and shut it again; each step is written down as steps are."""
    world = robot.world
    world.see()
    number = 0
    for name in places:
        place = world.book.by_name[name]
        steps: list[tuple[str, tuple[str, ...]]] = [("go", (world.spot, name))]
        if place.container:
            steps += [("open", (name,)), ("close", (name,))]
        for skill, arguments in steps:
            if skill == "go" and world.spot == name:
                continue
            number += 1
            did = world.do(skill, arguments)
            outcome = "done" if did.done else f"failed: {did.reason}"
            robot.write(f"task tour, step {number}, try 1: {Fact(skill, arguments)} {outcome}, {did.seconds:.1f} s")
            if skill == "open":
                world.see(2)


def _really(step: PlanStep, world: World) -> bool:
    """Whether the effects of a step hold in truth."""
    truth = world.truth
    if step.skill in ("look", "look_in"):
        return Fact("on" if step.skill == "look" else "in", step.arguments) in truth
    return all(item in truth for item in step.action.gives if item.name not in ("located", "seen"))


def _right(belief: Belief | None, world: World, thing: str) -> bool:
    """Whether a reported place is where the thing is."""
    item = world.items[thing]
    if belief is None or not item.place or belief.sure < 0.5:
        return False
    return world.book.regions[belief.best] == Fact(item.relation, ("", item.place))
