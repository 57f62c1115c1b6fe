"""Furniture into rooms: against walls, clear of doors, with space in front, and so that a robot gets everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.house.floorplan import Door, FloorPlan, Rect, Room
from sim.house.furniture import FURNITURE, ROOMS, Piece
from sim.house.grid import Grid
from sim.house.thing import Thing

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

REACH = 0.27  # metres: a robot of radius 0.2 with a margin
_TRIES = 60
_FRONT = 0.6  # metres free before a piece
_YAWS = {"south": 0.0, "north": np.pi, "west": -np.pi / 2, "east": np.pi / 2}


class _Layout:
    """One room while it is being furnished: rectangles taken, and rectangles that must stay free of furniture."""

    def __init__(self, rng: Rng, room: Room, doors: list[Door]) -> None:
        self.rng = rng
        self.room = room
        self.inner = room.inner
        self.doors = doors
        self.taken: list[Rect] = []
        self.fronts: list[Rect] = []
        self.things: list[Thing] = []

    def add(self, identity: int, label: str, how: str) -> bool:
        """Place one piece; False when there is no space for it."""
        piece = FURNITURE[label](self.rng)
        relation, _, anchor = how.rstrip("?").partition(" ")
        anchor = anchor.removeprefix("of ")
        other = next((thing for thing in self.things if thing.label == anchor), None)
        if relation == "on":
            assert other is not None
            self._keep(identity, label, piece, np.array([*other.position[:2], _top_of(other)]), other.yaw, other.id)
            return True
        for _ in range(_TRIES):
            if relation in ("wall", "open"):
                position, yaw = self._wall(piece) if relation == "wall" else self._open(piece)
            elif other is None:
                return False
            else:
                position, yaw = self._relative(relation, piece, other)
            rect = footprint(position, yaw, piece.footprint)
            if self._fits(rect, position, yaw, piece, relation, other):
                self._keep(identity, label, piece, np.array([*position, 0.0]), yaw, None)
                self.taken.append(rect)
                if relation == "wall":
                    self.fronts.append(_front(position, yaw, piece.footprint))
                return True
        return False

    def _keep(
        self, identity: int, label: str, piece: Piece, position: FloatArray, yaw: float, support: int | None
    ) -> None:
        self.things.append(
            Thing(identity, label, True, piece.mesh, position, float(yaw), self.room.name, support, piece.surfaces)
        )

    def _wall(self, piece: Piece) -> tuple[FloatArray, float]:
        side = list(_YAWS)[int(self.rng.integers(4))]
        width, depth = piece.footprint
        r, gap = self.inner, 0.02
        low, high = (r.x0, r.x1) if side in ("south", "north") else (r.y0, r.y1)
        # Corners first: they leave the most space.
        along = self.rng.choice(
            [
                low + width / 2 + gap,
                high - width / 2 - gap,
                self.rng.uniform(low + width / 2, max(low + width / 2, high - width / 2)),
            ]
        )
        back = depth / 2 + gap
        spot = {
            "south": (along, r.y0 + back), "north": (along, r.y1 - back),
            "west": (r.x0 + back, along), "east": (r.x1 - back, along),
        }[side]  # fmt: skip
        return np.array(spot, dtype=np.float64), _YAWS[side]

    def _open(self, piece: Piece) -> tuple[FloatArray, float]:
        yaw = float(self.rng.choice([0.0, np.pi / 2]))
        r = self.inner.grown(-0.2)
        return np.array([self.rng.uniform(r.x0, r.x1), self.rng.uniform(r.y0, r.y1)]), yaw

    def _relative(self, relation: str, piece: Piece, other: Thing) -> tuple[FloatArray, float]:
        lo, hi = other.mesh.bounds()
        width, depth = (hi - lo)[:2]
        if relation == "front":
            low = other.label == "desk"
            gap = self.rng.uniform(-0.16, 0.0) if low else self.rng.uniform(0.32, 0.4)
            local, turn = (
                (self.rng.uniform(-0.15, 0.15), depth / 2 + gap + piece.footprint[1] / 2),
                np.pi if low else 0.0,
            )
        elif relation == "beside":
            side = self.rng.choice([-1, 1])
            local = (side * (width / 2 + piece.footprint[0] / 2 + 0.04), lo[1] + piece.footprint[1] / 2)
            turn = 0.0
        else:  # at one of the two ends, facing the middle
            side = self.rng.choice([-1, 1])
            local, turn = (side * (width / 2 + piece.footprint[1] / 2 - 0.12), 0.0), side * np.pi / 2
        return other.to_map(np.array(local)), float(other.yaw + turn)

    def _fits(
        self, rect: Rect, position: FloatArray, yaw: float, piece: Piece, relation: str, other: Thing | None
    ) -> bool:
        if not self.inner.grown(-0.01).holds(rect):
            return False
        if any(rect.overlaps(door.zone(0.85, 0.12)) for door in self.doors):
            return False
        allowed = footprint(other.position[:2], other.yaw, _flat(other)) if other is not None else None
        for taken in self.taken:
            seated = relation in ("side", "front") and allowed is not None and _same(taken, allowed)
            if not seated and rect.overlaps(taken.grown(0.03)):
                return False
        if relation in ("wall", "open", "beside") and any(rect.overlaps(front) for front in self.fronts):
            return False
        if relation == "wall":
            front = _front(position, yaw, piece.footprint)
            return self.inner.grown(0.01).holds(front) and not any(front.overlaps(taken) for taken in self.taken)
        return True


def _flat(thing: Thing) -> tuple[float, float]:
    lo, hi = thing.mesh.bounds()
    return float(hi[0] - lo[0]), float(hi[1] - lo[1])


def _same(a: Rect, b: Rect) -> bool:
    return bool(np.allclose(a.center, b.center, atol=0.05))


def _top_of(thing: Thing) -> float:
    return max((surface.height for surface in thing.surfaces), default=float(thing.mesh.bounds()[1][2]))


def footprint(position: FloatArray, yaw: float, size: tuple[float, float]) -> Rect:
    """The rectangle under a piece that is turned by a multiple of 90 degrees."""
    across = abs(np.sin(yaw)) > 0.5
    width, depth = (size[1], size[0]) if across else size
    x, y = float(position[0]), float(position[1])
    return Rect(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)


def _front(position: FloatArray, yaw: float, size: tuple[float, float]) -> Rect:
    """The free space that a piece needs before it."""
    c, s = np.cos(yaw), np.sin(yaw)
    shift = size[1] / 2 + _FRONT / 2
    middle = position + np.array([-s, c]) * shift
    return footprint(middle, yaw, (size[0] * 0.8, _FRONT))


def furnish(rng: Rng, plan: FloorPlan) -> list[Thing] | None:
    """Every room's furniture, ids from 1; None when it does not fit or a robot could not get around."""
    things: list[Thing] = []
    for room in plan.rooms:
        doors = [door for door in plan.doors if room.name in door.rooms]
        layout = None
        for _ in range(8):
            layout = _room(rng, room, doors, len(things) + 1)
            if layout is not None:
                break
        if layout is None:
            return None
        things += layout.things
    return things if _walkable(plan, things) else None


def _room(rng: Rng, room: Room, doors: list[Door], first_id: int) -> _Layout | None:
    layout = _Layout(rng, room, doors)
    for label, how in ROOMS[room.name]:
        placed = layout.add(first_id + len(layout.things), label, how)
        if not placed and not how.endswith("?"):
            return None
    return layout


def _walkable(plan: FloorPlan, things: list[Thing]) -> bool:
    """Whether the robot gets from the hallway to most of each room's floor and near the front of every piece."""
    rects = [footprint(thing.position[:2], thing.yaw, _flat(thing)) for thing in things if thing.support is None]
    grid = Grid.build(plan.extent, [*plan.walls, *rects])
    start = np.array(plan.room("hallway").inner.center)
    if grid.clearance(start) <= REACH:
        return False
    reached = grid.free_component(REACH, start)
    free = grid.distance > REACH
    rows, columns = np.nonzero(free)
    points = grid.centers(rows, columns)
    for room in plan.rooms:
        tile = room.tile
        inside = (
            (points[:, 0] > tile.x0) & (points[:, 0] < tile.x1) & (points[:, 1] > tile.y0) & (points[:, 1] < tile.y1)
        )
        if not inside.any() or reached[rows[inside], columns[inside]].mean() < 0.8:
            return False
    spots = points[reached[rows, columns]]
    for thing in things:
        ahead = thing.to_map(np.array([0.0, _flat(thing)[1] / 2 + 0.3]))
        if thing.support is None and thing.label != "chair" and np.hypot(*(spots - ahead).T).min() > 0.7:
            return False
    return True
