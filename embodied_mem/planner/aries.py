"""Plans by up-aries (MIT) through unified-planning (Apache-2.0): the optional extra `aries`.

Grounded actions become actions without parameters, since their conditions and costs depend on the world; costs become
whole milliseconds. The server that up-aries starts takes most of a second, so the own search is the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied_mem.errors import UnavailableError
from embodied_mem.planner.problem import Problem
from embodied_mem.planner.solving import NoPlanError, Solution


def to_unified(problem: Problem) -> tuple[Any, dict[str, int]]:
    """The problem for unified-planning, and the number of the action behind each name."""
    try:
        import unified_planning.shortcuts as up
    except ImportError as error:
        raise UnavailableError("unified-planning is not installed: pip install 'embodied_mem[aries]'.") from error
    up.get_environment().credits_stream = None
    made = up.Problem(problem.domain.name)
    said = sorted(set(problem.goal).union(*(a.needs | a.gives for a in problem.actions)))
    fluents = {item: up.Fluent(f"f{i}") for i, item in enumerate(said)}
    for item, fluent in fluents.items():
        made.add_fluent(fluent, default_initial_value=item in problem.state)
    costs = {}
    for number, action in enumerate(problem.actions):
        step = up.InstantaneousAction(f"a{number}")
        for item in sorted(action.needs):
            step.add_precondition(fluents[item])
        for item in sorted(action.takes & fluents.keys()):
            step.add_effect(fluents[item], False)
        for item in sorted(action.gives):
            step.add_effect(fluents[item], True)
        made.add_action(step)
        costs[step] = up.Int(max(round(1000 * problem.seconds[action]), 1))
    for item in sorted(problem.goal):
        made.add_goal(fluents[item])
    made.add_quality_metric(up.MinimizeActionCosts(costs))
    return made, {f"a{number}": number for number in range(len(problem.actions))}


@dataclass(frozen=True)
class Aries:
    """seconds  after which it gives the best plan found so far; then `optimal` is false."""

    seconds: float = 10.0
    name: str = "aries"

    def solve(self, problem: Problem) -> Solution:
        if problem.goal <= problem.state:
            return Solution((), True)
        made, numbers = to_unified(problem)
        try:
            from unified_planning.engines import PlanGenerationResultStatus as Status
            from up_aries import Aries as Engine
        except ImportError as error:
            raise UnavailableError("up-aries is not installed: pip install 'embodied_mem[aries]'.") from error
        result = Engine().solve(made, timeout=self.seconds)
        if result.plan is None:
            raise NoPlanError(f"up-aries found no plan: {result.status.name.lower().replace('_', ' ')}.")
        actions = [problem.actions[numbers[step.action.name]] for step in result.plan.actions]
        return Solution(actions, result.status == Status.SOLVED_OPTIMALLY)
