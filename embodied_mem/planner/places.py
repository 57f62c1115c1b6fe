"""What the robot knows of the house itself: rooms, doors, and the places that things can be on or in."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.planner.domain import Names
from embodied_mem.planner.facts import Fact, fact

FloatArray = NDArray[np.float64]
HERE = "here"  # the spot where the robot is, when that is none of the named ones
GRIPS = ("top", "side")
_SLACK = 0.06  # metres by which a thing may stick out, or be measured wrong
_STACK = 0.45  # metres above a surface up to which something stands on it


@dataclass(frozen=True, slots=True)
class Place:
    """Something with things on it or in it.

    stand       x, y, yaw of the robot when it works there (metres, radians, map)
    low, high   corners of its box, metres; `top`: height of its surface, NaN without one
    """

    name: str
    label: str
    room: str
    stand: tuple[float, float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    surface: bool = True
    container: bool = False
    appliance: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """A door between two rooms, with a spot to stand on either side: `sides[i]` (x, y, yaw) is in `rooms[i]`."""

    name: str
    rooms: tuple[str, str]
    sides: tuple[tuple[float, float, float], tuple[float, float, float]]

    def side(self, room: str) -> str:
        """The name of the spot on the side of a room."""
        return f"{self.name}, {room} side".replace(",", "")


@dataclass(frozen=True)
class PlaceBook:
    """Every place and door by name. Raises BadInputError for two of one name."""

    places: tuple[Place, ...]
    doors: tuple[Door, ...] = ()

    def __post_init__(self) -> None:
        names = [*(place.name for place in self.places), *(door.name for door in self.doors)]
        if len(set(names)) < len(names):
            raise BadInputError("Two places or doors have one name: give each its own.")

    @cached_property
    def by_name(self) -> Mapping[str, Place]:
        return {place.name: place for place in self.places}

    @cached_property
    def spots(self) -> Mapping[str, tuple[float, float, float]]:
        """Where the robot can stand, by name: x, y, yaw."""
        found = {place.name: place.stand for place in self.places}
        for door in self.doors:
            found |= {door.side(room): side for room, side in zip(door.rooms, door.sides, strict=True)}
        return found

    @cached_property
    def room_of(self) -> Mapping[str, str]:
        """The room of every spot."""
        found = {place.name: place.room for place in self.places}
        for door in self.doors:
            found |= {door.side(room): room for room in door.rooms}
        return found

    @cached_property
    def rooms(self) -> tuple[str, ...]:
        return tuple(sorted({*self.room_of.values()}))

    def place(self, name: str) -> Place:
        """NotFoundError for an unknown name."""
        try:
            return self.by_name[name]
        except KeyError:
            raise NotFoundError(f"There is no place {name!r}; known are {', '.join(self.by_name)}.") from None

    def door_named(self, name: str) -> Door:
        """NotFoundError for an unknown name."""
        found = next((door for door in self.doors if door.name == name), None)
        if found is None:
            raise NotFoundError(f"There is no door {name!r}.")
        return found

    @cached_property
    def _doors_between(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Doors on the way with the fewest of them, for every two rooms."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for start in self.rooms:
            found[start, start] = ()
            queue = deque([start])
            while queue:
                room = queue.popleft()
                for door in self.doors:
                    for a, b in (door.rooms, door.rooms[::-1]):
                        if a == room and (start, b) not in found:
                            found[start, b] = (*found[start, room], door.name)
                            queue.append(b)
        return found

    def doors_between(self, room: str, other: str) -> tuple[str, ...]:
        """Names of the doors on the way from one room to another."""
        return self._doors_between.get((room, other), ())

    def place_at(self, position: FloatArray) -> Fact | None:
        """on(., place) or in(., place) for a point (3,) metres, with "" for the thing; None for nowhere known."""
        index = int(self.places_at(np.asarray(position, dtype=np.float64)[None])[0])
        return None if index < 0 else self.regions[index]

    @cached_property
    def regions(self) -> tuple[Fact, ...]:
        """Every "on" and "in" that there is, with "" for the thing."""
        found = [fact("on", "", place.name) for place in self.places if place.surface]
        return (*found, *(fact("in", "", place.name) for place in self.places if place.container))

    @cached_property
    def boxes(self) -> tuple[FloatArray, FloatArray]:
        """(regions, 3) low and high corners of where the middles of things are that are on or in each place."""
        low, high = np.empty((len(self.regions), 3)), np.empty((len(self.regions), 3))
        for i, region in enumerate(self.regions):
            place = self.by_name[region.arguments[1]]
            low[i], high[i] = place.low, place.high
            if region.name == "on":
                closed = place.container or place.label not in ("bookshelf",)
                low[i, 2] = place.high[2] - 0.02 if closed else place.low[2] + 0.2
                high[i, 2] = place.high[2] + _STACK
            low[i, :2] -= _SLACK
            high[i, :2] += _SLACK
        return low, high

    def places_at(self, positions: FloatArray) -> NDArray[np.int64]:
        """(n, 3) metres -> (n,) index into `regions`, -1 for nowhere known: the one whose middle is nearest."""
        low, high = self.boxes
        inside = np.all((positions[:, None] >= low) & (positions[:, None] <= high), axis=2)
        away = np.linalg.norm(positions[:, None, :2] - ((low + high) / 2)[None, :, :2], axis=2)
        best = np.where(inside, away, np.inf).argmin(axis=1) if len(low) else np.zeros(len(positions), np.int64)
        return np.where(inside.any(axis=1), best, -1)

    def names(self, things: Iterable[str], here: str = "") -> Names:
        """Every name by type; `here`: the room of the robot when it stands at no named spot."""
        rooms = {**self.room_of, **({HERE: here} if here else {})}
        fixed = set()
        for a, room in rooms.items():
            for b, other in rooms.items():
                fixed |= {fact("on_way", door, a, b) for door in self.doors_between(room, other)}
        for door in self.doors:
            fixed |= {fact("beside", door.name, door.side(room)) for room in door.rooms}
        return Names(
            {
                "spot": tuple(rooms),
                "place": tuple(self.by_name),
                "surface": tuple(place.name for place in self.places if place.surface),
                "container": tuple(place.name for place in self.places if place.container),
                "appliance": tuple(place.name for place in self.places if place.appliance),
                "door": tuple(door.name for door in self.doors),
                "thing": tuple(things),
                "grip": GRIPS,
            },
            frozenset(fixed),
        )

    def nearest_spot(self, x: float, y: float, within: float = 0.6) -> str:
        """The named spot at a point of the map, "" when none is within some metres."""
        best, away = self._nearest(x, y)
        return best if away <= within else ""

    def room_at(self, x: float, y: float) -> str:
        """The room of the spot nearest to a point."""
        return self.room_of.get(self._nearest(x, y)[0], "")

    @cached_property
    def _stands(self) -> tuple[tuple[str, ...], FloatArray]:
        return tuple(self.spots), np.array([spot[:2] for spot in self.spots.values()]).reshape(-1, 2)

    def _nearest(self, x: float, y: float) -> tuple[str, float]:
        names, at = self._stands
        if not names:
            return "", float("inf")
        away = np.hypot(at[:, 0] - x, at[:, 1] - y)
        return names[int(away.argmin())], float(away.min())

    # --- files -------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """As text, for a file."""
        return json.dumps(
            {"places": [asdict(p) for p in self.places], "doors": [asdict(d) for d in self.doors]}, indent=1
        )

    @classmethod
    def from_json(cls, text: str, where: str = "the place book") -> PlaceBook:
        """Raises BadInputError."""
        try:
            tree: Any = json.loads(text)
            places = tuple(
                Place(**{**p, "stand": tuple(p["stand"]), "low": tuple(p["low"]), "high": tuple(p["high"])})
                for p in tree["places"]
            )
            doors = tuple(
                Door(d["name"], (d["rooms"][0], d["rooms"][1]), (tuple(d["sides"][0]), tuple(d["sides"][1])))
                for d in tree["doors"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{where} cannot be read: {error!r}. It is written by PlaceBook.to_json.") from error
        numbers = [*(value for p in places for value in (*p.stand, *p.low, *p.high))]
        if not np.isfinite(np.array(numbers, dtype=np.float64)).all():
            raise BadInputError(f"{where} has coordinates that are not finite.")
        return cls(places, doors)

    @classmethod
    def load(cls, path: str | Path) -> PlaceBook:
        """Raises NotFoundError, BadInputError."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise NotFoundError(f"The place book {path} cannot be read: {error}.") from error
