"""Who finds plans: the project's own search, or up-aries where `unified-planning` and it are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from embodied_mem.errors import BadInputError, EmbodiedMemError
from embodied_mem.planner.domain import Action
from embodied_mem.planner.problem import Arrays, Problem
from embodied_mem.planner.search import FOUND, NONE, search

SOLVERS = ("search", "aries")


class NoPlanError(EmbodiedMemError, LookupError):
    """What is asked for cannot be reached from what is taken for true, or was not found in time."""

    code = 4


@dataclass(frozen=True, slots=True)
class Solution:
    """Actions in order; `optimal`: proven to be the cheapest; `looked_at`: states, 0 where the solver does not tell."""

    actions: Sequence[Action]
    optimal: bool
    looked_at: int = 0


class Solver(Protocol):
    """Finds a plan for a problem. Raises NoPlanError."""

    @property
    def name(self) -> str: ...

    def solve(self, problem: Problem) -> Solution: ...


@dataclass(frozen=True)
class ForwardSearch:
    """A* with the landmark-cut heuristic; where that would take too long, with more and more weight on it.

    efforts  pairs of a weight and the number of states to look at: about 0.1 ms each. Weight 1 is exact.
    """

    efforts: tuple[tuple[float, int], ...] = ((1.0, 4000), (1.5, 4000), (3.0, 8000), (10.0, 60_000))
    name: str = "search"

    def solve(self, problem: Problem) -> Solution:
        if problem.goal <= problem.state:
            return Solution((), True)
        arrays, total = Arrays.of(problem), 0
        reachable = problem.state.union(*(action.gives for action in problem.actions))
        if missing := problem.goal - reachable:
            raise NoPlanError(f"Nothing that can be done makes {', '.join(sorted(map(str, missing)))} true.")
        for weight, limit in self.efforts:
            status, found, looked = search(arrays, weight, limit)
            total += looked
            if status == FOUND:
                return Solution([arrays.actions[i] for i in found], weight == 1.0, total)
            if status == NONE:
                break
        wanted = ", ".join(sorted(map(str, problem.goal - problem.state)))
        raise NoPlanError(f"No plan leads to {wanted} ({total:,} states were looked at).")


def make_solver(name: str = "search") -> Solver:
    """The solver of a name. Raises BadInputError, and UnavailableError where its packages are not installed."""
    if name == "search":
        return ForwardSearch()
    if name == "aries":
        from embodied_mem.planner.aries import Aries

        return Aries()
    raise BadInputError(f"There is no solver {name!r}: the solvers are {', '.join(SOLVERS)}.")


def has_aries() -> bool:
    """Whether up-aries is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("unified_planning", "up_aries"))
