"""A planning problem: what holds, what shall hold, and what may be done; and its form in arrays for the search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.planner.domain import Action, Domain, Names, Price
from embodied_mem.planner.facts import Fact, Facts

Int32Array = NDArray[np.int32]
_MS = 1000  # costs are whole milliseconds, so that sums are exact


@dataclass(frozen=True)
class Problem:
    """`actions` that may be used, each at a price in seconds; `state` holds now; all of `goal` shall hold."""

    domain: Domain
    names: Names
    state: Facts
    goal: Facts
    actions: tuple[Action, ...]
    seconds: Mapping[Action, float] = field(repr=False, default_factory=dict)

    @classmethod
    def of(cls, domain: Domain, names: Names, state: Facts, goal: Facts, price: Price | None = None) -> Problem:
        """Ground the domain over the names, and keep what could ever help. Raises BadInputError for unknown facts."""
        for item in (*sorted(state), *sorted(goal)):
            domain.check(item, names)
        actions = tuple(_useful(_possible(domain.ground(names), state), goal))
        asked = price or (lambda action: action.skill.seconds)
        return cls(domain, names, state, goal, actions, {action: asked(action) for action in actions})


def _possible(actions: Iterable[Action], state: Facts) -> list[Action]:
    """Actions whose conditions could hold some time if nothing were ever made untrue."""
    reached, waiting = set(state), list(actions)
    possible: list[Action] = []
    while True:
        ready = [action for action in waiting if action.needs <= reached]
        if not ready:
            return possible
        possible += ready
        waiting = [action for action in waiting if not action.needs <= reached]
        for action in ready:
            reached |= action.gives


def _useful(actions: list[Action], goal: Facts) -> list[Action]:
    """Actions that bring about what the goal needs, or what such actions need."""
    wanted, chosen = set(goal), set()
    while True:
        fresh = [action for action in actions if action not in chosen and action.gives & wanted]
        if not fresh:
            return [action for action in actions if action in chosen]
        chosen.update(fresh)
        for action in fresh:
            wanted |= action.needs


@dataclass(frozen=True, eq=False)
class Arrays:
    """A problem with facts as bits.

    Rows of `needs`, `gives`, `takes` are pairs (first, past the last) into their `..._facts`: compressed sparse rows.
    state (words,) uint64; goal (g,) fact numbers; costs (actions,) milliseconds
    """

    facts: tuple[Fact, ...]
    actions: tuple[Action, ...]
    state: NDArray[np.uint64]
    goal: Int32Array
    needs: tuple[Int32Array, Int32Array]
    gives: tuple[Int32Array, Int32Array]
    takes: tuple[Int32Array, Int32Array]
    costs: NDArray[np.int64]

    @classmethod
    def of(cls, problem: Problem) -> Arrays:
        """Facts that no action touches and the goal does not ask for are left out: they stay as they are."""
        actions = problem.actions
        said = set(problem.goal).union(*(a.needs | a.gives for a in actions)) if actions else set(problem.goal)
        facts = tuple(sorted(said))
        number = {item: i for i, item in enumerate(facts)}
        state = np.zeros((len(facts) + 63) // 64 or 1, dtype=np.uint64)
        for item in problem.state & said:
            state[number[item] // 64] |= np.uint64(1) << np.uint64(number[item] % 64)
        needs, gives, takes = (
            _rows([[number[item] for item in sorted(part) if item in number] for part in parts])
            for parts in ([a.needs for a in actions], [a.gives for a in actions], [a.takes for a in actions])
        )
        costs = np.array([max(round(problem.seconds[a] * _MS), 1) for a in actions], dtype=np.int64)
        goal = np.array([number[item] for item in sorted(problem.goal)], dtype=np.int32)
        return cls(facts, actions, state, goal, needs, gives, takes, costs)


def _rows(lists: Sequence[Sequence[int]]) -> tuple[Int32Array, Int32Array]:
    offsets = np.zeros(len(lists) + 1, dtype=np.int32)
    np.cumsum([len(items) for items in lists], out=offsets[1:])
    return offsets, np.array([item for items in lists for item in items], dtype=np.int32)
