"""The plan of a house: a hallway along the middle, rooms on both sides, doors, windows and the meshes of the walls.

Each room is a rectangle of a tiling; its walls are a lining inside of it, so that two rooms' linings back to back make
one wall of twice the thickness and each room has a colour of its own. x runs along the hallway (or y, when turned);
the origin is in the middle of the house.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.house.config import HouseConfig
from sim.house.shapes import Colour, Mesh, box, merge, shade

FloatArray = NDArray[np.float64]
LINING = 0.06
LINTEL = 2.05

_WALLS: dict[str, Colour] = {
    "kitchen": (0.93, 0.86, 0.66), "living room": (0.78, 0.85, 0.9), "bedroom": (0.88, 0.8, 0.9),
    "bathroom": (0.74, 0.9, 0.9), "office": (0.82, 0.89, 0.76), "hallway": (0.92, 0.9, 0.86),
}  # fmt: skip
_FLOORS: dict[str, Colour] = {
    "kitchen": (0.66, 0.62, 0.56), "living room": (0.62, 0.45, 0.3), "bedroom": (0.55, 0.42, 0.36),
    "bathroom": (0.58, 0.66, 0.7), "office": (0.56, 0.5, 0.42), "hallway": (0.66, 0.52, 0.38),
}  # fmt: skip
_WEIGHTS = {"living room": 1.3, "kitchen": 1.15, "bedroom": 1.15, "office": 0.9, "bathroom": 0.66}


@dataclass(frozen=True, slots=True)
class Rect:
    """Axis-aligned rectangle, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)

    @property
    def center(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def grown(self, by: float) -> Rect:
        return Rect(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def overlaps(self, other: Rect) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def contains(self, x: float, y: float) -> bool:
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1

    def holds(self, other: Rect) -> bool:
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1


@dataclass(frozen=True, slots=True)
class Door:
    """An opening between two rooms. `along` is the axis of the wall that it is in ("x" or "y"); x, y its middle."""

    x: float
    y: float
    width: float
    along: str
    rooms: tuple[str, str]

    def zone(self, depth: float, margin: float = 0.0) -> Rect:
        """The rectangle that reaches `depth` to both sides of the opening."""
        half = self.width / 2 + margin
        dx, dy = (half, depth) if self.along == "x" else (depth, half)
        return Rect(self.x - dx, self.y - dy, self.x + dx, self.y + dy)


@dataclass(frozen=True, slots=True)
class Room:
    """`tile` reaches to the middle of the walls, `inner` to their surface."""

    name: str
    tile: Rect

    @property
    def inner(self) -> Rect:
        return self.tile.grown(-LINING)

    @property
    def floor_colour(self) -> Colour:
        return _FLOORS[self.name]


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """Rooms, doors, and `walls`: the rectangles in which a wall stands on the floor."""

    rooms: tuple[Room, ...]
    doors: tuple[Door, ...]
    walls: tuple[Rect, ...]
    extent: Rect
    height: float

    def room_at(self, x: float, y: float) -> str:
        """Name of the room around a point, "" outside."""
        return next((room.name for room in self.rooms if room.tile.contains(x, y)), "")

    def room(self, name: str) -> Room:
        return next(room for room in self.rooms if room.name == name)


def make_plan(rng: np.random.Generator, config: HouseConfig) -> FloorPlan:
    """Draw a plan: two rooms on one side of the hallway, three on the other, mirrored and turned at random."""
    rows, hall = rng.uniform(2.95, 3.3, size=2), rng.uniform(1.5, 1.7)
    depth = float(rows.sum() + hall)
    low, high = max(config.min_area / depth, 8.9), max(config.max_area / depth, 9.0)
    length = float(rng.uniform(low, min(high, 11.2) if high > low else low))
    large = [str(name) for name in rng.permutation(["living room", "kitchen", "bedroom"])]
    small = [str(name) for name in rng.permutation([large.pop(), "office", "bathroom"])]
    hall_low = -depth / 2 + float(rows[0])
    tiles = {"hallway": Rect(-length / 2, hall_low, length / 2, hall_low + hall)}
    for names, y0, y1 in ((large, -depth / 2, hall_low), (small, hall_low + hall, depth / 2)):
        weights = np.array([_WEIGHTS[name] * rng.uniform(0.94, 1.06) for name in names])
        edges = -length / 2 + length * np.concatenate([[0], np.cumsum(weights) / weights.sum()])
        tiles |= {name: Rect(float(edges[i]), y0, float(edges[i + 1]), y1) for i, name in enumerate(names)}
    doors = _doors(rng, tiles, large, small, config.door_width)
    flips = rng.integers(0, 2, size=3).astype(bool)
    rooms = tuple(Room(name, _turned(tile, flips)) for name, tile in tiles.items())
    doors = [_turned_door(door, flips) for door in doors]
    walls = tuple(piece for room in rooms for _, piece in _lining(room, doors))
    extent = _turned(Rect(-length / 2, -depth / 2, length / 2, depth / 2), flips)
    return FloorPlan(rooms, tuple(doors), walls, extent, config.wall_height)


def _doors(
    rng: np.random.Generator, tiles: dict[str, Rect], large: list[str], small: list[str], width: float
) -> list[Door]:
    hall, doors = tiles["hallway"], []
    for name in (*large, *small):
        tile = tiles[name]
        margin = width / 2 + 0.25
        x = float(rng.uniform(tile.x0 + margin, tile.x1 - margin))
        doors.append(Door(x, hall.y0 if name in large else hall.y1, width, "x", (name, "hallway")))
    if {"living room", "kitchen"} == set(large) and rng.random() < 0.6:
        first, second = (tiles[name] for name in large)
        y = float(rng.uniform(first.y0 + 0.8, first.y1 - 0.8))
        doors.append(Door((first.x1 + second.x0) / 2, y, width, "y", (large[0], large[1])))
    return doors


def _turned(rect: Rect, flips: NDArray[np.bool_]) -> Rect:
    x0, x1 = (-rect.x1, -rect.x0) if flips[0] else (rect.x0, rect.x1)
    y0, y1 = (-rect.y1, -rect.y0) if flips[1] else (rect.y0, rect.y1)
    return Rect(y0, x0, y1, x1) if flips[2] else Rect(x0, y0, x1, y1)


def _turned_door(door: Door, flips: NDArray[np.bool_]) -> Door:
    spot = _turned(Rect(door.x, door.y, door.x, door.y), flips)
    along = door.along if not flips[2] else {"x": "y", "y": "x"}[door.along]
    return Door(spot.x0, spot.y0, door.width, along, door.rooms)


def _lining(room: Room, doors: list[Door]) -> list[tuple[str, Rect]]:
    """The pieces of a room's own walls, cut at its doors, with the axis that each runs along."""
    t, pieces = room.tile, []
    sides = (
        ("x", Rect(t.x0, t.y0, t.x1, t.y0 + LINING)),
        ("x", Rect(t.x0, t.y1 - LINING, t.x1, t.y1)),
        ("y", Rect(t.x0, t.y0, t.x0 + LINING, t.y1)),
        ("y", Rect(t.x1 - LINING, t.y0, t.x1, t.y1)),
    )
    for axis, side in sides:
        cuts = sorted(
            _span(door) for door in doors if door.along == axis and door.zone(0.02).overlaps(side.grown(0.01))
        )
        at, end = (side.x0, side.x1) if axis == "x" else (side.y0, side.y1)
        for low, high in [*cuts, (end, math.inf)]:
            if low > at:
                pieces.append((axis, _part(axis, side, at, min(low, end))))
            at = high
    return pieces


def _span(door: Door) -> tuple[float, float]:
    middle = door.x if door.along == "x" else door.y
    return middle - door.width / 2, middle + door.width / 2


def _part(axis: str, side: Rect, low: float, high: float) -> Rect:
    return Rect(low, side.y0, high, side.y1) if axis == "x" else Rect(side.x0, low, side.x1, high)


def _upright(rect: Rect, z0: float, z1: float, colour: Colour) -> Mesh:
    x, y = rect.center
    return box((x, y, (z0 + z1) / 2), (rect.x1 - rect.x0, rect.y1 - rect.y0, z1 - z0), colour)


def structure_mesh(plan: FloorPlan) -> Mesh:
    """Floors, walls with skirting boards, lintels, windows and the ceiling."""
    parts: list[Mesh] = []
    for room in plan.rooms:
        colour = _WALLS[room.name]
        parts.append(_upright(room.tile, -0.05, 0.0, room.floor_colour))
        for _, piece in _lining(room, list(plan.doors)):
            parts += [_upright(piece, 0.0, 0.09, shade(colour, 0.55)), _upright(piece, 0.09, plan.height, colour)]
        for door in plan.doors:
            if room.name in door.rooms:
                parts.append(_upright(_lintel(door, room), LINTEL, plan.height, shade(colour, 0.97)))
        parts += _windows(room, plan)
    parts.append(_upright(plan.extent, plan.height, plan.height + 0.05, (0.97, 0.97, 0.95)))
    return merge(parts)


def _lintel(door: Door, room: Room) -> Rect:
    zone, t = door.zone(LINING), room.tile
    return Rect(max(zone.x0, t.x0), max(zone.y0, t.y0), min(zone.x1, t.x1), min(zone.y1, t.y1))


def _windows(room: Room, plan: FloorPlan) -> list[Mesh]:
    """A pane with a frame in the middle of each outer wall of a room that is long enough."""
    parts, inner, out = [], room.inner, plan.extent
    for axis, at, edge in (
        ("x", inner.y0, out.y0), ("x", inner.y1, out.y1), ("y", inner.x0, out.x0), ("y", inner.x1, out.x1)
    ):  # fmt: skip
        low, high = (inner.x0, inner.x1) if axis == "x" else (inner.y0, inner.y1)
        if abs(at - edge) > 2 * LINING or high - low < 1.4:
            continue
        middle, half = (low + high) / 2, min(0.7, (high - low) / 4)
        for grow, thick, colour in ((0.06, 0.03, (0.98, 0.98, 0.98)), (0.0, 0.04, (0.6, 0.8, 0.95))):
            reach = half + grow
            flat = (middle - reach, at - thick, middle + reach, at + thick)
            rect = Rect(*flat) if axis == "x" else Rect(flat[1], flat[0], flat[3], flat[2])
            parts.append(_upright(rect, 1.1 - grow, 2.0 + grow, colour))
    return parts
