"""Plans and their steps; validation; and what must hold for a plan to go on from any of its steps.

The condition for the rest of a plan to work from step i on is the goal, regressed through the steps that follow: the
kernels of triangle tables (Fikes, Hart and Nilsson 1972). The plan goes on at the last step whose kernel holds. So a
world that is ahead of the plan skips steps, and an effect that was undone brings its step back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from embodied_mem.errors import BadInputError
from embodied_mem.planner.domain import Action, Domain
from embodied_mem.planner.facts import Fact, Facts, listed
from embodied_mem.planner.problem import Problem


class State(Enum):
    """Of a step."""

    WAITING = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3
    SKIPPED = 4


class InvalidPlanError(BadInputError):
    """A plan that would not reach its goal; it is never run."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A step: `id` counts from 1 in its plan; `expected` seconds; `state` and `outcome` say how it went."""

    id: int
    action: Action
    expected: float
    state: State = State.WAITING
    tries: int = 0
    outcome: str = ""

    @property
    def skill(self) -> str:
        return self.action.skill.name

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.action.arguments

    @property
    def words(self) -> str:
        return self.action.words

    @property
    def retries(self) -> int:
        return self.action.skill.retries

    @property
    def timeout(self) -> float:
        return max(self.action.skill.timeout, 3 * self.expected)

    def became(self, state: State, outcome: str = "", tries: int | None = None) -> PlanStep:
        """The step in another state."""
        return replace(self, state=state, outcome=outcome, tries=self.tries if tries is None else tries)


@dataclass(frozen=True)
class Plan:
    """Steps that lead to `goal`.

    start     what was taken for true when it was made, and `assumed`: what of that nobody has seen, with probabilities
    cost      seconds that it is expected to take; optimal: no cheaper plan exists for what was taken for true
    why       why it was made
    """

    goal: Facts
    steps: tuple[PlanStep, ...]
    start: Facts
    cost: float
    optimal: bool
    solver: str
    assumed: tuple[tuple[Fact, float], ...] = ()
    version: int = 1
    why: str = ""

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return "\n".join(f"{step.id}. {step.words}" for step in self.steps) or "nothing is to be done"

    @property
    def kernels(self) -> tuple[Facts, ...]:
        """(steps + 1) facts that must hold before each step for the rest to reach the goal; the last is the goal."""
        needed = self.goal
        found = [needed]
        for step in reversed(self.steps):
            needed = (needed - step.action.gives) | step.action.needs
            found.append(needed)
        return tuple(reversed(found))

    def with_step(self, step: PlanStep) -> Plan:
        """The plan with one step in another state."""
        return replace(self, steps=tuple(step if other.id == step.id else other for other in self.steps))

    @classmethod
    def of(
        cls, problem: Problem, actions: Sequence[Action], *, optimal: bool, solver: str,
        assumed: Sequence[tuple[Fact, float]] = (), version: int = 1, why: str = "",
    ) -> Plan:  # fmt: skip
        """A validated plan. Raises InvalidPlanError."""
        steps = tuple(PlanStep(i, action, problem.seconds[action]) for i, action in enumerate(actions, 1))
        plan = cls(
            problem.goal, steps, problem.state, sum(step.expected for step in steps), optimal, solver, tuple(assumed),
            version, why,
        )  # fmt: skip
        validate(plan, problem.domain)
        return plan


def validate(plan: Plan, domain: Domain) -> Facts:
    """Run a plan through in thought; the facts at its end. Raises InvalidPlanError, which names the first bad step."""
    state = plan.start
    for step in plan.steps:
        if domain.skills.get(step.skill) is not step.action.skill:
            raise InvalidPlanError(f"Step {step.id}, {step.words}: the domain has no such skill.")
        missing = step.action.needs - state
        if missing:
            raise InvalidPlanError(
                f"Step {step.id}, {step.words}, needs {', '.join(listed(missing))}, which will not hold."
            )
        state = step.action.after(state)
    missing = plan.goal - state
    if missing:
        raise InvalidPlanError(f"The plan ends without {', '.join(listed(missing))}.")
    return state
