"""What happens in the house behind the robot's back: things are moved, taken away and brought in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sim.house.config import ScriptConfig
from sim.house.objects import KINDS
from sim.house.spots import NoSpotError, Spot, SpotFinder
from sim.house.thing import Thing
from sim.house.truth import Event, TruthLog
from sim.house.world import House

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

_FAR = 2.2  # metres: a thing that moved less may be taken for noise
_SEEN_ENOUGH = 6  # frames: only what the robot knows well is worth moving


def support_name(house: House, thing: Thing) -> str:
    """What a thing stands on."""
    return "floor" if thing.support is None else house.thing(thing.support).label


def rearrange(
    house: House, truth: TruthLog, script: ScriptConfig, rng: Rng, room: str, in_view: Iterable[int], stamp_ns: int
) -> list[Event]:
    """Move, remove and add as many things as the script says, all of them outside of `room` and out of view."""
    hidden = set(in_view)
    counts = house.label_counts
    away = tuple(r.name for r in house.plan.rooms if r.name not in (room, "hallway"))
    candidates = [
        thing for thing in house.objects
        if counts[thing.label] == 1 and thing.room in away and thing.id not in hidden
        and len(truth.things[thing.id].seen_ns) >= _SEEN_ENOUGH
    ]  # fmt: skip
    candidates = [candidates[int(i)] for i in rng.permutation(len(candidates))]
    finder = SpotFinder(house, rng)
    events: list[Event] = []
    while candidates and len(events) < script.moved:
        thing = candidates.pop()
        try:
            spot = finder.find(thing.mesh, thing.label, thing.position, _FAR, away)
        except NoSpotError:
            continue
        events.append(_move(house, truth, thing, spot, stamp_ns))
    for thing in candidates[: script.removed]:
        house.remove(thing.id)
        truth.leave(thing.id, stamp_ns)
        text = f"the {thing.label} was taken out of the house (it was in the {thing.room})"
        events.append(Event(stamp_ns, "removed", thing.id, thing.label, _spot_of(thing), None, text))
    events += _add(house, truth, script.added, rng, finder, away, stamp_ns)
    truth.events += events
    return events


def _move(house: House, truth: TruthLog, thing: Thing, spot: Spot, stamp_ns: int) -> Event:
    before = f"the {support_name(house, thing)} in the {thing.room}"
    moved = house.move(thing.id, spot.position, spot.yaw, spot.support)
    truth.place(moved, stamp_ns, support_name(house, moved))
    text = f"the {thing.label} was moved from {before} to the {support_name(house, moved)} in the {moved.room}"
    return Event(stamp_ns, "moved", thing.id, thing.label, _spot_of(thing), _spot_of(moved), text)


def _add(
    house: House, truth: TruthLog, count: int, rng: Rng, finder: SpotFinder, away: tuple[str, ...], stamp_ns: int
) -> list[Event]:
    events: list[Event] = []
    ever = {t.label for t in truth.things.values()}
    fresh = [kind for kind in KINDS if kind.label not in ever and kind.most == 1]
    for index in rng.permutation(len(fresh)):
        if len(events) == count:
            break
        try:
            thing = finder.place(fresh[int(index)], away)
        except NoSpotError:
            continue
        truth.place(thing, stamp_ns, support_name(house, thing))
        text = f"a {thing.label} was put on the {support_name(house, thing)} in the {thing.room}"
        events.append(Event(stamp_ns, "added", thing.id, thing.label, None, _spot_of(thing), text))
    return events


def _spot_of(thing: Thing) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in thing.center)
    return x, y, z
