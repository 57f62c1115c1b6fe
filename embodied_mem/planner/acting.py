"""Has one step at a time done by System 1, and watches what the step must keep meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.planner.experience import BEGUN, StepRecord
from embodied_mem.planner.facts import Fact
from embodied_mem.planner.household import HOUSEHOLD
from embodied_mem.planner.knowledge import Knowledge
from embodied_mem.planner.plan import PlanStep

LOOKS = ("look", "look_in")
HOPELESS = (
    "shut",
    "not_there",
    "hand_full",
    "hand_empty",
    "full",
    "already",
    "unknown",
)  # trying again changes nothing
_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What memory tells the controller for a step: words, where the thing is believed to be, how sure, by what."""

    text: str
    position: NDArray[np.float64] | None = None
    probability: float = 0.0
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """What the controller says of a step. `reason`: one word when it was not done.

    seen_ns  stamp of the newest frame that was made meanwhile; 0: not told. It is waited for before anything is judged
    """

    done: bool
    reason: str = ""
    seconds: float = 0.0
    seen_ns: int = 0


class Controller(Protocol):
    """System 1. `key` is the same for the same step: what was done already is not done again."""

    def start(self, step: PlanStep, key: str, context: Context) -> None: ...

    def poll(self) -> Ended | None:
        """None while it runs."""
        ...

    def cancel(self) -> None: ...


class Acting:
    """What the tree calls to have steps done. `number` counts steps of the task; `ended` is set once one has ended."""

    def __init__(
        self, known: Knowledge, controller: Controller, write: Callable[[str], object], clock: Callable[[], int],
        task: str, number: int,
    ) -> None:  # fmt: skip
        self._known, self._controller, self._write, self._clock = known, controller, write, clock
        self.task, self.number = task, number
        self.step: PlanStep | None = None
        self.ended: Ended | None = None
        self._begun_ns = 0
        self._judged = -1

    @property
    def key(self) -> str:
        """Names the step that runs, for ever."""
        return f"{self.task}/{self.number}"

    def begin(self, step: PlanStep) -> None:
        self.number += 1
        self.step, self.ended, self._begun_ns, self._judged = step, None, self._clock(), -1
        self._write(self.record(1, BEGUN).caption)
        self._controller.start(step, self.key, self.context(step))

    def running(self, step: PlanStep) -> bool:
        ended = self._controller.poll()
        seconds = (self._clock() - self._begun_ns) / _S
        if ended is None and seconds > step.timeout:
            self._controller.cancel()
            ended = Ended(False, "timeout", seconds)
        if ended is None and (lost := self._lost(step)):
            self._controller.cancel()
            ended = Ended(False, "undone", seconds)
            self._write(f"task {self.task}: while the robot was to {step.words}: {lost}")
        self.ended = ended
        return ended is None

    def stop(self, step: PlanStep) -> None:
        self._controller.cancel()
        self.ended = Ended(False, "canceled", (self._clock() - self._begun_ns) / _S)

    def _lost(self, step: PlanStep) -> str:
        """What must go on holding and no longer does, in words."""
        if self._judged == self._known.version:
            return ""
        self._judged = self._known.version
        for item in sorted(step.action.keeps):
            if self._known.judge(item).holds is False:
                return HOUSEHOLD.say(item, False)
        return ""

    def record(self, tries: int, outcome: str, reason: str = "", seconds: float = 0.0) -> StepRecord:
        """The record of the step that runs or has just ended."""
        assert self.step is not None
        action = Fact(self.step.skill, self.step.arguments)
        return StepRecord(self.task, self.number, tries, action, outcome, reason, seconds, self._clock())

    def context(self, step: PlanStep) -> Context:
        """What memory knows for a step."""
        thing = step.arguments[0] if step.arguments else ""
        kinds = tuple(HOUSEHOLD.skills[step.skill].parameters.values())
        if not kinds or kinds[0] != "thing":
            return Context(step.words)
        belief = self._known.belief(thing)
        failed = [
            one for one in self._known.experience.steps[-200:]
            if one.outcome == "failed" and one.action.arguments[:1] == (thing,) and one.action.name == step.skill
        ]  # fmt: skip
        words = f"{step.words}; {belief.why}"
        if failed:
            words += f"; it failed {len(failed)} times before, the last time: {failed[-1].reason}"
        return Context(words, belief.position, belief.sure, belief.evidence)
