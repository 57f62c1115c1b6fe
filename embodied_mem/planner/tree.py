"""A plan as a behaviour tree (py_trees): the only file that knows of trees.

The goal comes first, then the steps from the last to the first, each behind what must hold for the rest of the plan to
work from there (`Plan.kernels`): a teleo-reactive program (Nilsson 1994). So steps that the world has made needless are
passed over, and one whose effect was undone is done again. While a step runs, only what it must keep is looked at.

py_trees was taken since its trees can be printed, drawn and looked at by those who know it; a tick costs some 50 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Protocol

import py_trees
from py_trees.common import Status

from embodied_mem.planner.facts import Facts
from embodied_mem.planner.plan import Plan, PlanStep

py_trees.logging.level = py_trees.logging.Level.WARN


class Ticked(Enum):
    """What a tick came to."""

    REACHED = "the goal holds"
    RUNNING = "a step runs"
    FINISHED = "a step has ended"
    BROKEN = "no step of the plan can be done"


class Actor(Protocol):
    """Who does steps."""

    def begin(self, step: PlanStep) -> None: ...

    def running(self, step: PlanStep) -> bool:
        """Whether it still runs."""
        ...

    def stop(self, step: PlanStep) -> None: ...


class _Holds(py_trees.behaviour.Behaviour):
    def __init__(self, name: str, check: Callable[[], bool]) -> None:
        super().__init__(name)
        self._check = check

    def update(self) -> Status:
        return Status.SUCCESS if self._check() else Status.FAILURE


class _Act(py_trees.behaviour.Behaviour):
    def __init__(self, step: PlanStep, actor: Actor) -> None:
        super().__init__(step.words)
        self._step, self._actor = step, actor

    def initialise(self) -> None:
        self._actor.begin(self._step)

    def update(self) -> Status:
        return Status.RUNNING if self._actor.running(self._step) else Status.SUCCESS

    def terminate(self, new_status: Status) -> None:
        if new_status == Status.INVALID and self.status == Status.RUNNING:
            self._actor.stop(self._step)


class PlanTree:
    """`reached` says whether the goal is seen to hold, `possible` whether facts may be taken for true."""

    def __init__(
        self, plan: Plan, actor: Actor, reached: Callable[[Facts], bool], possible: Callable[[Facts], bool]
    ) -> None:
        self.root = py_trees.composites.Selector("task", memory=True)
        self._goal = _Holds("the goal holds", lambda: reached(plan.goal))
        self.root.add_child(self._goal)
        kernels = plan.kernels
        for step in reversed(plan.steps):
            kernel = kernels[step.id - 1]
            branch = py_trees.composites.Sequence(f"step {step.id}", memory=True)
            branch.add_children([_Holds("it can go on here", partial(possible, kernel)), _Act(step, actor)])
            self.root.add_child(branch)

    def tick(self) -> Ticked:
        """Do what is due now."""
        self.root.tick_once()
        if self.root.status == Status.RUNNING:
            return Ticked.RUNNING
        if self.root.status == Status.FAILURE:
            return Ticked.BROKEN
        return Ticked.REACHED if self._goal.status == Status.SUCCESS else Ticked.FINISHED

    def stop(self) -> None:
        """Stop what runs."""
        self.root.stop(Status.INVALID)

    def __str__(self) -> str:
        return str(py_trees.display.ascii_tree(self.root, show_status=True))
