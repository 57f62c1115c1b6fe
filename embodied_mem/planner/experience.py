"""The memory of doing: steps, their outcomes and finished tasks are records of the log, and change later plans.

A step is an observation of the sensor `planner` at the robot's pose, with a caption that people can read and that is
read back here:

    task kitchen-3, step 4, try 1: pick(mug, counter, top) failed: slipped, 6.2 s
    task kitchen-3: bring the mug to the desk: begun
    task kitchen-3: bring the mug to the desk: done, 9 steps, 1 new plan, 81.0 s
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.planner.facts import Fact
from embodied_mem.records.observation import Observation

SENSOR = "planner"
DONE, FAILED, BEGUN, GIVEN_UP, SKIPPED = "done", "failed", "begun", "given up", "skipped"
_STEP = re.compile(
    r"task ([\w.:-]+), step (\d+), try (\d+): (.+?) (begun|done|failed|skipped)(?:: ([\w ]+))?(?:, ([\d.]+) s)?\Z"
)
_TASK = re.compile(r"task ([\w.:-]+): (.*): (begun|done|given up)(.*)\Z", re.DOTALL)
_PRIOR = (9.0, 1.0)  # successes and failures that a skill starts with
_BROAD = 0.5  # how much what happened to other arguments of a skill counts for these


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One try of a step, or that it was begun."""

    task: str
    step: int
    tries: int
    action: Fact
    outcome: str
    reason: str = ""
    seconds: float = 0.0
    stamp_ns: int = 0
    seq: int = 0

    @property
    def caption(self) -> str:
        """As it is written into the log."""
        reason = f": {self.reason}" if self.reason else ""
        time = f", {self.seconds:.1f} s" if self.outcome in (DONE, FAILED) else ""
        return f"task {self.task}, step {self.step}, try {self.tries}: {self.action} {self.outcome}{reason}{time}"

    @classmethod
    def parse(cls, caption: str, stamp_ns: int = 0, seq: int = 0) -> StepRecord | None:
        """The step that a caption tells of; None when it tells of none."""
        found = _STEP.match(caption)
        if found is None:
            return None
        try:
            action = Fact.parse(found[4])
        except BadInputError:
            return None
        return cls(
            found[1],
            int(found[2]),
            int(found[3]),
            action,
            found[5],
            found[6] or "",
            float(found[7] or 0),
            stamp_ns,
            seq,
        )


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task that was begun, done or given up; `told`: the rest of the sentence."""

    task: str
    instruction: str
    outcome: str
    told: str = ""
    stamp_ns: int = 0
    seq: int = 0

    @property
    def caption(self) -> str:
        return f"task {self.task}: {self.instruction}: {self.outcome}{self.told}"

    @classmethod
    def parse(cls, caption: str, stamp_ns: int = 0, seq: int = 0) -> TaskRecord | None:
        """The task that a caption tells of; None when it tells of none."""
        found = _TASK.match(caption)
        return None if found is None else cls(found[1], found[2], found[3], found[4], stamp_ns, seq)


@dataclass(eq=False)
class Experience:
    """What was done, from the log. A view: the same for the same entries."""

    steps: list[StepRecord] = field(default_factory=list)
    tasks: dict[str, TaskRecord] = field(default_factory=dict)  # the newest of each
    instructions: dict[str, str] = field(default_factory=dict)
    _added: set[tuple[str, int, str]] = field(default_factory=set)
    _outcomes: dict[tuple[str, ...], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def read(self, seq: int, obs: Observation) -> None:
        """Take in a record of the planner; others are passed over."""
        step = StepRecord.parse(obs.caption, obs.stamp_ns, seq)
        if step is not None:
            self.add(step)
            return
        task = TaskRecord.parse(obs.caption, obs.stamp_ns, seq)
        if task is not None:
            self.tasks[task.task] = task
            self.instructions.setdefault(task.task, task.instruction)

    def add(self, step: StepRecord) -> None:
        """Take in a step; one that is known already, from who did it, is known once."""
        added = (step.task, step.step, step.outcome)
        if added in self._added:
            return
        self._added.add(added)
        self.steps.append(step)
        if step.outcome in (DONE, FAILED):
            for key in _keys(step.action):
                self._outcomes[key][step.outcome] += 1
            if step.outcome == DONE:
                self._seconds[step.action.name].append(step.seconds)

    def forget_rates(self) -> None:
        """Know nothing of how often skills succeed and how long they take: only what comes from now on counts."""
        self._outcomes.clear()
        self._seconds.clear()

    def rate(self, action: Fact) -> float:
        """How likely a skill succeeds with these arguments: the mean of a Beta posterior, broad to narrow."""
        good, bad = _PRIOR
        *broader, own = _keys(action)
        for key in broader:
            counts = self._outcomes.get(key)
            if counts:
                good, bad = good + _BROAD * counts[DONE] * 0.1, bad + _BROAD * counts[FAILED] * 0.1
        counts = self._outcomes.get(own)
        if counts:
            good, bad = good * 0.2 + counts[DONE], bad * 0.2 + counts[FAILED]
        return good / (good + bad)

    def seconds(self, skill: str, usual: float) -> float:
        """How long a skill takes: the median so far, drawn to what it usually takes."""
        known = self._seconds.get(skill)
        return float(np.median([*known[-30:], usual])) if known else usual

    def in_vain(self, look: Fact, since_ns: int = 0) -> int:
        """How often look(thing, place) found nothing since a time, and since the thing was last handled or found."""
        count = 0
        for step in reversed(self.steps):
            if step.stamp_ns < since_ns:
                break
            if step.action == look and step.outcome == FAILED:
                count += 1
            elif step.outcome == DONE and step.action.arguments[:1] == look.arguments[:1]:
                break
        return count

    def unfinished(self) -> list[TaskRecord]:
        """Tasks that were begun and neither done nor given up, oldest first."""
        return sorted((task for task in self.tasks.values() if task.outcome == BEGUN), key=lambda task: task.stamp_ns)

    def of_task(self, task: str) -> list[StepRecord]:
        """The steps of a task, in order."""
        return [step for step in self.steps if step.task == task]


def _keys(action: Fact) -> list[tuple[str, ...]]:
    """From the skill alone to the skill with what matters of its arguments."""
    name, arguments = action.name, action.arguments
    if name in ("pick", "take_out"):  # by thing and grip, wherever it lies
        return [("grasp",), ("grasp", arguments[2]), ("grasp", arguments[0], arguments[2])]
    if name in ("put_on", "put_in"):
        return [(name,), (name, arguments[1])]
    return [(name,), (name, *arguments)]


def folded(steps: Iterable[StepRecord]) -> str:
    """Finished steps as one sentence for each thing or place: what working memory keeps of them."""
    about: dict[str, list[StepRecord]] = {}
    for step in steps:
        if step.outcome in (DONE, FAILED) and step.action.name != "go":
            about.setdefault(step.action.arguments[0], []).append(step)
    sentences = []
    for name, done in about.items():
        failed = sum(step.outcome == FAILED for step in done)
        last = done[-1]
        words = f"{name}: {last.action} {last.outcome}"
        sentences.append(
            words + (f" after {failed} failure{'s' * (failed > 1)}" if failed and last.outcome == DONE else "")
        )
    return "; ".join(sentences)


def observation_of(
    caption: str, stamp_ns: int, position: NDArray[np.float64], orientation: NDArray[np.float64],
    robot_id: str = "robot",
) -> Observation:  # fmt: skip
    """The record that a step or a task becomes."""
    where, turn = np.asarray(position, dtype=np.float64), np.asarray(orientation, dtype=np.float64)
    return Observation(stamp_ns, where, turn, robot_id=robot_id, sensor_id=SENSOR, caption=caption)
