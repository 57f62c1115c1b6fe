"""A house with things in it, a robot that can handle them, and people who move them: what is true, and what happens.

Time is simulated. A skill takes as long as it takes, moves the robot, and lets it see: each frame goes to `watch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.planner.facts import Fact, Facts, fact
from embodied_mem.planner.household import OPPOSITES
from embodied_mem.planner.places import HERE
from embodied_mem.records.observation import Observation
from sim.house.chores.building import Building
from sim.house.chores.glimpse import Eye, EyeConfig, Solids

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

SPEED = 0.6  # metres a second
_STRIDE = 1.3  # metres between frames on the way
_REACH = 0.07  # metres by which a grasp may miss the thing's middle
_APART = 0.2  # metres between the middles of two things
_EPOCH_NS = 1_700_000_000_000_000_000
SECONDS = {
    "look": 2.0, "look_in": 2.0, "pick": 6.0, "take_out": 7.0, "put_on": 5.0, "put_in": 6.0, "open": 5.0, "close": 4.0,
    "open_door": 6.0, "close_door": 5.0, "turn_on": 3.0, "turn_off": 3.0,
}  # fmt: skip


@dataclass(slots=True)
class Item:
    """A small thing: where its middle is, on or in what ("" while it is held), and how often each grip succeeds."""

    label: str
    size: tuple[float, float, float]
    typical: tuple[str, ...]
    position: FloatArray
    relation: str = "on"
    place: str = ""
    grips: dict[str, float] = field(default_factory=lambda: {"top": 1.0, "side": 1.0})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens without the robot, at the first step boundary after `at_s`, and not before its eyes.

    kind   move (to `relation`, `place`), nudge (by dx, dy on its place, when the robot reaches for it), shut, open (a
           door or container)
    """

    at_s: float
    kind: str
    name: str
    relation: str = ""
    place: str = ""
    by: tuple[float, float] = (0.0, 0.0)
    seen: bool = False  # also while the robot is in the room


@dataclass(frozen=True, slots=True)
class Did:
    """What became of a skill: `reason` is one word when it was not done."""

    done: bool
    reason: str = ""
    seconds: float = 0.0


class World:
    """`truth` is for judges. Skills and events change it; `watch` gets every frame."""

    def __init__(
        self, building: Building, items: list[Item], rng: Rng, *, eye: EyeConfig | None = None,
        classes: tuple[str, ...] = (), watch: Callable[[Observation], object] = lambda frame: None,
        begin_ns: int = _EPOCH_NS, clock: Callable[[], int] | None = None,
    ) -> None:  # fmt: skip
        self.building, self.book = building, building.book
        self.items = {item.label: item for item in items}
        self.shut: dict[str, bool] = {place.name: True for place in self.book.places if place.container}
        self.shut |= {door.name: False for door in self.book.doors}
        self.running = {place.name: False for place in self.book.places if place.appliance}
        self.rng, self.watch, self.begin_ns = rng, watch, begin_ns
        self._clock = clock  # time in ns, where it is not simulated
        self.seconds = 0.0
        self.spot, self.held = "", ""
        self.pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self.events: list[Event] = []
        self.happened: list[str] = []
        self.frames = 0
        self.eye = Eye(eye or EyeConfig(), classes or tuple(sorted(self.items)), rng)
        self.place_robot(next(iter(self.book.spots)))

    # --- what is true ------------------------------------------------------------------------------------------

    @property
    def stamp_ns(self) -> int:
        return self.begin_ns + round(self.seconds * 1e9) if self._clock is None else self._clock()

    @property
    def truth(self) -> Facts:
        """Everything that holds now."""
        found = {fact("at", self.spot or HERE), fact("holding", self.held) if self.held else fact("hand_empty")}
        found |= {fact(item.relation, item.label, item.place) for item in self.items.values() if item.place}
        doors = {door.name for door in self.book.doors}
        for name, shut in self.shut.items():
            found.add(fact(("door_" if name in doors else "") + ("shut" if shut else "open"), name))
        return frozenset(found | {fact("running" if on else "idle", name) for name, on in self.running.items()})

    @property
    def room(self) -> str:
        return self.book.room_of.get(self.spot, "")

    def place_robot(self, spot: str) -> None:
        """Put the robot down somewhere."""
        self.spot, self.pose = spot, self.book.spots[spot]

    # --- seeing ------------------------------------------------------------------------------------------------

    def frame(self) -> Observation:
        """What the robot sees and reports now."""
        lying = [item for item in self.items.values() if item.place]
        labels = tuple(item.label for item in lying)
        centers = np.array([item.position for item in lying]).reshape(-1, 3)
        sizes = np.array([item.size for item in lying]).reshape(-1, 3)
        solids = Solids(self.building.lows, self.building.highs, self._blocking())
        seen = self.eye.look(self.pose, solids, centers, sizes)
        said = self.eye.reports(self._states_in_view())
        said += [str(fact("holding", self.held))] if self.held else ["hand_empty"]
        said += [str(fact("at", self.spot))] if self.spot else []
        self.frames += 1
        return self.eye.observe(seen, self.pose, labels, centers, sizes, said, self.stamp_ns)

    def see(self, count: int = 1) -> None:
        """Make some frames, a third of a second apart."""
        for _ in range(count):
            self.watch(self.frame())
            self.seconds += 0.34

    def _blocking(self) -> NDArray[np.bool_]:
        return np.array([not owner or self.shut[owner] for owner in self.building.owners])

    def _states_in_view(self) -> list[tuple[str, str]]:
        """(true, false) of what can open or run and is within view."""
        out = []
        x, y, yaw = self.pose
        doors = {door.name: np.mean([side[:2] for side in door.sides], axis=0) for door in self.book.doors}
        for name in (*self.shut, *self.running):
            place = self.book.by_name.get(name)
            if place is not None and place.room != self.book.room_at(x, y):
                continue
            middle = doors[name] if place is None else (np.array(place.low) + np.array(place.high))[:2] / 2
            ahead = np.arctan2(middle[1] - y, middle[0] - x) - yaw
            ahead = abs((ahead + np.pi) % (2 * np.pi) - np.pi)
            if np.hypot(middle[0] - x, middle[1] - y) > 3.0 or ahead > 0.75:
                continue
            kinds = []
            if name in self.shut:
                word = ("door_" if place is None else "") + ("shut" if self.shut[name] else "open")
                kinds.append(word)
            if name in self.running:
                kinds.append("running" if self.running[name] else "idle")
            out += [(str(fact(word, name)), str(fact(OPPOSITES[word], name))) for word in dict.fromkeys(kinds)]
        return list(dict.fromkeys(out))

    # --- keeping it ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What has become of it, as plain values."""
        items = {label: [item.position.tolist(), item.relation, item.place] for label, item in self.items.items()}
        return {
            "items": items, "shut": self.shut, "running": self.running, "spot": self.spot, "pose": self.pose,
            "held": self.held, "seconds": self.seconds,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        for label, (position, relation, place) in state["items"].items():
            item = self.items[label]
            item.position, item.relation, item.place = np.array(position), relation, place
        self.shut, self.running = dict(state["shut"]), dict(state["running"])
        self.spot, self.held, self.seconds = state["spot"], state["held"], state["seconds"]
        x, y, yaw = state["pose"]
        self.pose = (x, y, yaw)

    # --- putting things somewhere ------------------------------------------------------------------------------

    def free_position(self, label: str, relation: str, place: str, rng: Rng | None = None) -> FloatArray | None:
        """(3,) a middle for a thing on or in a place, apart from what is there; None when there is no room."""
        rng = rng or self.rng
        where, item = self.book.by_name[place], self.items[label]
        low, high = np.array(where.low), np.array(where.high)
        if relation == "on":
            z = high[2] + item.size[2] / 2
            if where.label == "bookshelf":
                z = high[2] - float(rng.integers(2)) * 0.42 + item.size[2] / 2
        else:
            z = low[2] + min(0.4, (high[2] - low[2]) / 2) + item.size[2] / 2
        margin = np.minimum(np.array(item.size[:2]) / 2, (high - low)[:2] / 2 - 0.01)
        others = [o.position for o in self.items.values() if o.label != label and o.place == place]
        spare = None
        for _ in range(40):
            x, y = rng.uniform(low[:2] + margin, high[:2] - margin)
            if relation == "in":  # towards the front, where it is seen when it is open
                x, y = np.array([x, y]) + 0.3 * (np.array(where.stand[:2]) - [x, y]) / 3
                x, y = np.clip([x, y], low[:2] + 0.03, high[:2] - 0.03)
            at = np.array([x, y, z])
            if all(np.linalg.norm(other - at) >= _APART for other in others):
                if self.building.in_view(where, at[None])[0]:
                    return at
                spare = at if spare is None else spare
        return spare

    def lay(self, label: str, relation: str, place: str, rng: Rng | None = None) -> bool:
        """Put a thing somewhere by hand; False when there is no room."""
        at = self.free_position(label, relation, place, rng)
        if at is None:
            return False
        item = self.items[label]
        item.position, item.relation, item.place = at, relation, place
        return True

    # --- skills ------------------------------------------------------------------------------------------------

    def do(self, skill: str, arguments: tuple[str, ...], aim: FloatArray | None = None) -> Did:
        """Let the robot do one skill. `aim` (3,): where the controller takes the thing to be, for a grasp."""
        begin = self.seconds
        self._happen(arguments[0] if skill in ("pick", "take_out") else "")
        reason = self._go(arguments[1]) if skill == "go" else self._handle(skill, arguments, aim)
        self._happen()
        return Did(not reason, reason, self.seconds - begin)

    def _go(self, target: str) -> str:
        if self.spot not in self.book.spots or target not in self.book.spots:
            return "unknown"
        closed = [door for door in self.book.doors_between(self.room, self.book.room_of[target]) if self.shut[door]]
        goal = target
        if closed:
            door = self.book.door_named(closed[0])
            passed = self.book.doors_between(self.room, self.book.room_of[target])
            room = self.room
            for name in passed[: passed.index(door.name)]:
                rooms = self.book.door_named(name).rooms
                room = rooms[1] if rooms[0] == room else rooms[0]
            goal = door.side(room)
        self._walk(self.building.way(self.spot, goal))
        self.place_robot(goal)
        self.see(2)
        return "shut" if closed else ""

    def _walk(self, line: FloatArray) -> None:
        """Along way-points (m, 2), with a frame every few steps."""
        legs = np.diff(line, axis=0)
        lengths = np.linalg.norm(legs, axis=1)
        ends = np.cumsum(lengths)
        total = float(ends[-1]) if len(ends) else 0.0
        begin = self.seconds
        for way in np.arange(_STRIDE, total, _STRIDE):
            k = int(np.searchsorted(ends, way))
            x, y = line[k] + legs[k] * (way - ends[k] + lengths[k]) / lengths[k]
            self.seconds = begin + float(way) / SPEED
            self.spot, self.pose = "", (float(x), float(y), float(np.arctan2(legs[k, 1], legs[k, 0])))
            self.watch(self.frame())
        self.seconds = begin + total / SPEED + 1.0

    def _handle(self, skill: str, arguments: tuple[str, ...], aim: FloatArray | None) -> str:
        self.seconds += SECONDS[skill]
        if skill in ("look", "look_in"):
            reason = self._look(arguments)
        elif skill in ("pick", "take_out"):
            reason = self._pick(arguments, aim)
        elif skill in ("put_on", "put_in"):
            reason = self._put(skill, arguments)
        else:
            reason = self._switch(skill, arguments)
        self.see(2)
        return reason

    def _look(self, arguments: tuple[str, ...]) -> str:
        if self.spot != arguments[1]:
            return "not_there"
        self.see(2)
        return ""

    def _pick(self, arguments: tuple[str, ...], aim: FloatArray | None) -> str:
        label, place, grip = arguments
        item = self.items.get(label)
        if self.held:
            return "hand_full"
        if self.spot != place or item is None or item.place != place:
            return "not_there"
        if item.relation == "in" and self.shut[place]:
            return "shut"
        if aim is None or float(np.linalg.norm(aim[:2] - item.position[:2])) > _REACH:
            return "missed"
        if self.rng.random() >= item.grips.get(grip, 0.0):
            return "slipped"
        item.place, self.held = "", label
        return ""

    def _put(self, skill: str, arguments: tuple[str, ...]) -> str:
        label, place = arguments
        if self.held != label:
            return "hand_empty"
        if self.spot != place:
            return "not_there"
        relation = "in" if skill == "put_in" else "on"
        if relation == "in" and self.shut[place]:
            return "shut"
        if not self.lay(label, relation, place):
            return "full"
        self.held = ""
        return ""

    def _switch(self, skill: str, arguments: tuple[str, ...]) -> str:
        name = arguments[0]
        spots = (
            [name]
            if name in self.book.by_name
            else [self.book.door_named(name).side(r) for r in self.book.door_named(name).rooms]
        )
        if self.spot not in spots:
            return "not_there"
        if self.held:
            return "hand_full"
        if skill in ("turn_on", "turn_off"):
            self.running[name] = skill == "turn_on"
        else:
            opens = skill.startswith("open")
            if self.shut[name] != opens:
                return "already"
            self.shut[name] = not opens
        return ""

    # --- people ------------------------------------------------------------------------------------------------

    def _happen(self, grasped: str = "") -> None:
        """Events that are due, and that the robot is not in the way of. `grasped`: what it is reaching for."""
        due = [e for e in self.events if e.at_s <= self.seconds and (e.kind != "nudge" or e.name == grasped)]
        self.events = [event for event in self.events if event not in due or not self._try(event)]

    def _try(self, event: Event) -> bool:
        item = self.items.get(event.name)
        if event.kind in ("move", "nudge"):
            if item is None:
                return True
            if not item.place or (not event.seen and self.book.by_name[item.place].room == self.room):
                return False
            if event.kind == "move":
                if not event.seen and self.book.by_name[event.place].room == self.room:
                    return False
                if self.lay(event.name, event.relation, event.place):
                    self.happened.append(f"somebody put the {event.name} {event.relation} the {event.place}")
                return True
            place = self.book.by_name[item.place]
            at = item.position + np.array([*event.by, 0.0])
            at[:2] = np.clip(at[:2], np.array(place.low[:2]) + 0.03, np.array(place.high[:2]) - 0.03)
            item.position = at
            self.happened.append(f"the {event.name} was pushed by {np.hypot(*event.by):.2f} m")
            return True
        if not event.seen and self._room_of(event.name) == self.room:
            return False
        self.shut[event.name] = event.kind == "shut"
        self.happened.append(f"somebody {'shut' if event.kind == 'shut' else 'opened'} the {event.name}")
        return True

    def _room_of(self, name: str) -> str:
        place = self.book.by_name.get(name)
        return place.room if place is not None else ""

    def copy(self, rng: Rng, watch: Callable[[Observation], object]) -> World:
        """The same state, with other luck from here on."""
        items = [replace(item, position=item.position.copy(), grips=dict(item.grips)) for item in self.items.values()]
        other = World(
            self.building,
            items,
            rng,
            eye=self.eye.config,
            classes=self.eye.classes,
            watch=watch,
            begin_ns=self.begin_ns,
        )
        other.shut, other.running = dict(self.shut), dict(self.running)
        other.seconds, other.spot, other.pose, other.held = self.seconds, self.spot, self.pose, self.held
        other.events = list(self.events)
        return other


def holds(world: World, items: Facts) -> dict[Fact, bool]:
    """Which of some facts are true."""
    truth = world.truth
    return {item: item in truth for item in items}
