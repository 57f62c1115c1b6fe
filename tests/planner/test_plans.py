"""Plans: what the search finds is valid and cheapest; bad plans are refused; a plan goes on where its kernel holds."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.planner.facts import Fact, Facts, fact, parse_facts
from embodied_mem.planner.household import HOUSEHOLD
from embodied_mem.planner.plan import InvalidPlanError, Plan, validate
from embodied_mem.planner.problem import Problem
from embodied_mem.planner.solving import ForwardSearch, NoPlanError, has_aries
from tests.planner.rooms import book


def made(goal: str, things: dict[str, str], shut: tuple[str, ...] = ("fridge", "dresser"), seed: int = 0) -> Problem:
    """A problem in the small flat: thing -> where it is, such as "on desk"."""
    flat = book()
    rng = np.random.default_rng(seed)
    state = {fact("at", "desk"), fact("hand_empty")}
    for thing, where in things.items():
        relation, place = where.split(" ", 1)
        state |= {fact(relation, thing, place), fact("located", thing)}
    for box in flat.places:
        if box.container:
            state.add(fact("shut" if box.name in shut else "open", box.name))
    for door in flat.doors:
        state.add(fact("door_shut" if door.name in shut else "door_open", door.name))
    prices: dict[str, float] = {}
    return Problem.of(
        HOUSEHOLD, flat.names(things), frozenset(state), parse_facts(goal.split(";")),
        lambda action: prices.setdefault(str(action), float(rng.integers(1, 30))),
    )  # fmt: skip


def cheapest(problem: Problem) -> float:
    """By Dijkstra over all states, without any heuristic."""
    best: dict[Facts, float] = {problem.state: 0.0}
    heap: list[tuple[float, int, Facts]] = [(0.0, 0, problem.state)]
    count = 0
    while heap:
        cost, _, state = heapq.heappop(heap)
        if problem.goal <= state:
            return cost
        if cost > best[state]:
            continue
        for action in problem.actions:
            if action.needs <= state:
                after, paid = action.after(state), cost + problem.seconds[action]
                if paid < best.get(after, np.inf):
                    best[after] = paid
                    count += 1
                    heapq.heappush(heap, (paid, count, after))
    return float("inf")


def solved(problem: Problem) -> Plan:
    found = ForwardSearch().solve(problem)
    return Plan.of(problem, found.actions, optimal=found.optimal, solver="search")


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_the_search_finds_the_cheapest_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    where = [str(rng.choice(["on desk", "in fridge", "on dresser", "in dresser"]))]
    goals = [
        "on(mug, counter)",
        "in(mug, fridge);shut(fridge)",
        "in(mug, dresser);open(fridge)",
        "holding(mug);shut(dresser)",
    ]
    shut = tuple(name for name in ("fridge", "dresser", "kitchen door") if rng.random() < 0.6)
    problem = made(goals[seed % 4], {"mug": where[0]}, shut, seed)
    plan = solved(problem)
    assert plan.optimal and plan.cost == pytest.approx(cheapest(problem))
    assert plan.goal <= validate(plan, HOUSEHOLD)


def test_a_shut_door_is_opened_with_an_empty_hand_before_anything_is_carried_through_it() -> None:
    plan = solved(made("on(mug, counter)", {"mug": "on desk"}, ("kitchen door",)))
    skills = [step.skill for step in plan.steps]
    assert skills.index("open_door") < skills.index("pick")


def test_what_cannot_be_reached_is_said() -> None:
    problem = made("on(mug, counter)", {"mug": "on desk"})
    hopeless = replace(problem, actions=tuple(a for a in problem.actions if a.skill.name != "put_on"))
    with pytest.raises(NoPlanError, match=r"on\(mug, counter\)"):
        ForwardSearch().solve(hopeless)


@pytest.mark.parametrize("spoil", ["drop", "swap", "end"])
def test_a_plan_that_would_not_work_is_never_made(spoil: str) -> None:
    problem = made("in(mug, fridge);shut(fridge)", {"mug": "on desk"})
    actions = list(ForwardSearch().solve(problem).actions)
    if spoil == "drop":
        actions = [action for action in actions if action.skill.name != "open"]
    elif spoil == "swap":
        actions = actions[::-1]
    else:
        actions.pop()
    with pytest.raises(InvalidPlanError):
        Plan.of(problem, actions, optimal=False, solver="nonsense")


def test_kernels_say_from_where_a_plan_can_go_on() -> None:
    problem = made("in(mug, fridge);shut(fridge)", {"mug": "on desk"})
    plan = solved(problem)
    state = plan.start
    for step, kernel in zip(plan.steps, plan.kernels[:-1], strict=True):
        assert kernel <= state
        state = step.action.after(state)
    assert plan.kernels[-1] == plan.goal <= state
    opened = frozenset(plan.start - {fact("shut", "fridge"), fact("at", "desk")}) | {
        fact("open", "fridge"),
        fact("at", "fridge"),
    }
    ahead = [i for i, kernel in enumerate(plan.kernels) if kernel <= opened]
    assert ahead and max(ahead) > 0  # somebody opened the fridge: its opening is skipped


def test_facts_of_unknown_things_or_wrong_types_are_refused() -> None:
    names = book().names(["mug"])
    for text in ("fly(mug)", "on(mug)", "on(unicorn, desk)", "on(desk, mug)", "in(mug, desk)"):
        with pytest.raises(BadInputError):
            HOUSEHOLD.check(Fact.parse(text), names)
    for text in ("", "on(", "On(Mug)", "on(mug, desk", "on(;)", "3"):
        with pytest.raises(BadInputError):
            Fact.parse(text)


@pytest.mark.skipif(not has_aries(), reason="unified-planning and up-aries are not installed: the extra [aries]")
def test_our_plan_is_valid_in_the_eyes_of_unified_planning() -> None:
    import unified_planning.shortcuts as up
    from unified_planning.plans import ActionInstance, SequentialPlan

    from embodied_mem.planner.aries import to_unified

    problem = made("in(mug, fridge);shut(fridge)", {"mug": "on desk"}, ("fridge", "kitchen door"))
    theirs, numbers = to_unified(problem)
    names = {number: name for name, number in numbers.items()}
    order = {id(action): number for number, action in enumerate(problem.actions)}
    steps = [theirs.action(names[order[id(step.action)]]) for step in solved(problem).steps]
    with up.PlanValidator(problem_kind=theirs.kind) as validator:
        assert validator.validate(theirs, SequentialPlan([ActionInstance(step) for step in steps]))
        assert not validator.validate(theirs, SequentialPlan([ActionInstance(step) for step in steps[:-1]]))
