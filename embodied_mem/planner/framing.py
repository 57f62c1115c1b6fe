"""From what is known and a goal to a planning problem: what is likeliest is taken for true, and said to be assumed.

A thing whose place is not sure enough gets no `located`, so that the plan looks for it before it relies on it. Among
places where it may be, the one with the most probability for its price comes first: for places that are independent,
searching in that order finds a thing at the least expected cost (Gittins 1979; Stone 1975).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.planner.domain import Action, Names
from embodied_mem.planner.experience import Experience
from embodied_mem.planner.facts import Fact, Facts, fact
from embodied_mem.planner.household import HOUSEHOLD
from embodied_mem.planner.knowledge import Knowledge
from embodied_mem.planner.places import HERE, PlaceBook
from embodied_mem.planner.problem import Problem
from embodied_mem.planner.solving import NoPlanError

FloatArray = NDArray[np.float64]
Meters = Callable[[tuple[float, float], tuple[float, float]], float]
SPEED = 0.6  # metres a second
_LEAST = 0.01  # probability below which a place is not worth a look
_DETOUR = 1.25  # how much longer than the straight line a way is, where nothing better is known
_LOOK, _OPEN, _DOOR = 3.0, 5.5, 7.0  # seconds


class NotFoundAnywhereError(NoPlanError):
    """A thing is at none of the places where it might be."""


def straight(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two points, as far as one can say without knowing the ways."""
    return _DETOUR * float(np.hypot(a[0] - b[0], a[1] - b[1]))


@dataclass(eq=False)
class Pricing:
    """What actions cost in seconds, by the ways and by experience. `learned`: whether experience counts."""

    book: PlaceBook
    experience: Experience
    metres: Meters = straight
    learned: bool = True
    _ways: dict[tuple[str, str], float] = field(default_factory=dict)

    def travel(self, origin: str, target: str, here: tuple[float, float] | None = None) -> float:
        """Seconds from spot to spot; `here`: where the spot "here" is."""
        if origin == target:
            return 0.0
        if HERE in (origin, target):
            other = target if origin == HERE else origin
            return straight(here or (0.0, 0.0), self.book.spots[other][:2]) / SPEED + 1.0
        key = (origin, target)
        if key not in self._ways:
            way = self.metres(self.book.spots[origin][:2], self.book.spots[target][:2])
            self._ways[key] = way / SPEED + 1.0
        return self._ways[key]

    def of(self, action: Action, here: tuple[float, float] | None = None) -> float:
        """Expected seconds of an action: what a try takes, over how often it succeeds."""
        skill = action.skill
        if skill.name == "go":
            return self.travel(action.arguments[0], action.arguments[1], here)
        usual = skill.seconds + (0.01 if action.arguments[-1:] == ("side",) else 0.0)
        if not self.learned:
            return usual
        item = Fact(skill.name, action.arguments)
        return self.experience.seconds(skill.name, usual) / max(self.experience.rate(item), 0.05)


@dataclass(frozen=True)
class Framed:
    """A problem, what it takes for true without knowing it, and which goal facts are only to be verified."""

    problem: Problem
    assumed: tuple[tuple[Fact, float], ...]
    verify: Facts


def frame(
    goal: Facts, known: Knowledge, pricing: Pricing, *, rng: np.random.Generator | None = None, verify: bool = True
) -> Framed:
    """The problem of reaching a goal from what is known. Raises NotFoundAnywhereError, BadInputError.

    rng     draws where to look by probability for price instead of taking the best: for who does not remember where it
            looked
    verify  facts of the goal that seem to hold, but were not seen to, are looked at
    """
    book, spot = known.book, known.spot
    if known.last is None:
        raise NoPlanError("Nothing was seen yet, so nobody knows where the robot is.")
    here = (float(known.last.position[0]), float(known.last.position[1]))
    held = known.held
    things = dict.fromkeys(f.arguments[0] for f in sorted(goal) if f.name in ("on", "in", "seen", "located", "holding"))
    if held:
        things[held] = None
    state, assumed = {fact("holding", held) if held else fact("hand_empty"), fact("at", spot)}, []
    scope = {spot} | {name for f in goal for name in f.arguments if name in book.by_name}
    unsure: set[Fact] = set()
    for thing in things:
        if thing == held:
            state.add(fact("located", thing))
            continue
        item, p = _place_of(thing, goal, known, pricing, spot, here, rng)
        state.add(item)
        scope.add(item.arguments[1])
        judged = known.judge(item)
        doubtful = verify and item in goal and judged.holds is not True
        if known.judge(fact("located", thing)).holds and not doubtful:
            state.add(fact("located", thing))
            if known.judge(fact("seen", thing)).holds:
                state.add(fact("seen", thing))
        if doubtful:
            unsure.add(fact("seen", thing))
        if judged.holds is not True:
            assumed.append((item, p))
    if held:  # it may have to be put down to free the hand
        scope.add(_nearest_surface(spot, here, pricing))
    states, doors, more = _states(goal, scope, known)
    state |= states
    assumed += more
    if verify:
        unsure |= _unverified_states(goal, known, spot)
    names = _names(book, things, scope, doors, book.room_at(*here) if spot == HERE else "")
    wanted = frozenset(goal | unsure) if _holds(goal, state) and unsure else frozenset(goal | _seen(unsure))
    problem = Problem.of(HOUSEHOLD, names, frozenset(state), wanted, lambda action: pricing.of(action, here))
    return Framed(problem, tuple(sorted(assumed, key=lambda pair: pair[1])), frozenset(unsure))


def _holds(goal: Facts, state: set[Fact]) -> bool:
    return goal <= state


def _seen(facts: set[Fact]) -> Facts:
    return frozenset(item for item in facts if item.name == "seen")


def _place_of(
    thing: str, goal: Facts, known: Knowledge, pricing: Pricing, spot: str, here: tuple[float, float] | None,
    rng: np.random.Generator | None,
) -> tuple[Fact, float]:  # fmt: skip
    """Where a thing is taken to be, and how probable that is."""
    belief, book = known.belief(thing), known.book
    for item in goal:
        if item.name in ("on", "in") and item.arguments[0] == thing and known.judge(item).likely:
            return item, belief.of(item, book)
    if belief.sure >= known.sure:
        region, p = book.regions[belief.best], belief.sure
        return Fact(region.name, (thing, region.arguments[1])), p
    scores = np.zeros(len(book.regions))
    for i in np.flatnonzero(belief.probability >= _LEAST):
        region = book.regions[i]
        place = region.arguments[1]
        seconds = _LOOK + (pricing.travel(spot, place, here) if place != spot else 0.0)
        if region.name == "in" and not known.judge(fact("open", place)).likely:
            seconds += _OPEN
        room = book.room_of.get(spot) or (book.room_at(*here) if here else "")
        shut = (d for d in book.doors_between(room, book.room_of[place]) if known.judge(fact("door_shut", d)).likely)
        seconds += _DOOR * sum(1 for _ in shut)
        scores[i] = belief.probability[i] / seconds
    if not scores.any():
        raise NotFoundAnywhereError(f"The {thing} is at none of the places where it might be: {belief.why}.")
    best = int(np.argmax(scores)) if rng is None else int(rng.choice(len(scores), p=scores / scores.sum()))
    region = book.regions[best]
    return Fact(region.name, (thing, region.arguments[1])), float(belief.probability[best])


def _nearest_surface(spot: str, here: tuple[float, float] | None, pricing: Pricing) -> str:
    surfaces = [place.name for place in pricing.book.places if place.surface]
    return min(surfaces, key=lambda name: pricing.travel(spot, name, here))


def _states(goal: Facts, scope: set[str], known: Knowledge) -> tuple[set[Fact], list[str], list[tuple[Fact, float]]]:
    """What opens, shuts and runs within the scope, as it is likeliest; the doors that matter; what of it is assumed."""
    book = known.book
    state: set[Fact] = set()
    assumed = []
    pairs: list[tuple[Fact, Fact]] = []
    for name in sorted(scope & book.by_name.keys()):
        place = book.by_name[name]
        if place.container:
            pairs.append((fact("open", name), fact("shut", name)))
        if place.appliance:
            pairs.append((fact("running", name), fact("idle", name)))
    doors = []
    for door in book.doors:
        yes, no = fact("door_open", door.name), fact("door_shut", door.name)
        pairs.append((yes, no))
        if not known.judge(yes).likely or {yes, no} & goal:
            doors.append(door.name)
    for yes, no in pairs:
        judged = known.judge(yes)
        state.add(yes if judged.likely else no)
        if judged.holds is None and yes.arguments[0] in scope:
            assumed.append((yes if judged.likely else no, max(judged.probability, 1 - judged.probability)))
    return state, doors, assumed


def _unverified_states(goal: Facts, known: Knowledge, spot: str) -> set[Fact]:
    """Where to go to see whether what opens or runs is as it should be: one spot at a time."""
    for item in sorted(goal):
        if item.name in ("on", "in", "seen", "located", "holding", "hand_empty", "at"):
            continue
        judged = known.judge(item)
        if judged.holds is None and judged.likely:
            name = item.arguments[0]
            place = known.book.by_name.get(name)
            side = name if place is not None else known.book.door_named(name).side(known.book.door_named(name).rooms[1])
            return {fact("at", side)}
    return set()


def _names(book: PlaceBook, things: Mapping[str, None], scope: set[str], doors: list[str], here: str) -> Names:
    every = book.names(things, here)
    spots = {s for s in scope if s in book.spots} | ({HERE} if here else set())
    spots |= {book.door_named(door).side(room) for door in doors for room in book.door_named(door).rooms}
    kept = {
        kind: tuple(name for name in names if kind in ("thing", "grip", "door") or name in scope or name in spots)
        for kind, names in every.by_type.items()
    }
    fixed = frozenset(
        item for item in every.fixed
        if all(name in spots for name in (item.arguments[1:] if item.name in ("on_way", "beside") else ()))
    )  # fmt: skip
    return Names(kept, fixed)
