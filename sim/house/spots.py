"""Where small things may stand: on a surface or the floor, clear of others, and in view of a robot that drives by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import EmbodiedMemError
from sim.house.furnish import REACH
from sim.house.grid import Grid
from sim.house.objects import BY_LABEL, KINDS, Kind
from sim.house.shapes import Mesh
from sim.house.thing import Surface, Thing

if TYPE_CHECKING:
    from sim.house.world import House

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

EYE_HEIGHT = 1.2
NEAR, FAR = 1.15, 2.6  # metres, on the floor, from which a thing must be visible: below, a camera looks over it
_MARGIN = 0.04
_CANDIDATES = 24
_MIN_EYES = 5


class NoSpotError(EmbodiedMemError, LookupError):
    """There is no place for a thing."""


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """Where a thing may be put: its base (3,), yaw, and the furniture under it (None: the floor)."""

    position: FloatArray
    yaw: float
    support: int | None


def choose_kinds(rng: Rng, count: int) -> list[Kind]:
    """The kinds of a house's things, large ones first: some labels several times, most of the others once."""
    several = [kind for kind in KINDS if kind.most > 1]
    single = [kind for kind in KINDS if kind.most == 1]
    chosen: list[Kind] = []
    for index in rng.permutation(len(several))[: min(len(several), 3 + count // 10)]:
        kind = several[int(index)]
        chosen += [kind] * int(rng.integers(1, kind.most + 1))
    rest = count - len(chosen)
    chosen += [single[int(index)] for index in rng.permutation(len(single))[:rest]]
    return sorted(chosen, key=lambda kind: (len(kind.places), kind.label))


class SpotFinder:
    """Finds spots in one state of a house's furniture; small things may come and go meanwhile."""

    def __init__(self, house: House, rng: Rng) -> None:
        self.house = house
        self.rng = rng
        self.scene = house.scene(furniture_only=True)
        grid = house.grid()
        reached = grid.free_component(REACH, house.start)
        step = round(0.35 / grid.cell)
        rows, columns = np.nonzero(reached)
        coarse = (rows % step == 0) & (columns % step == 0)
        floor = grid.centers(rows[coarse], columns[coarse])
        self.eyes = np.concatenate([floor, np.full((len(floor), 1), EYE_HEIGHT)], axis=1)

    def place(self, kind: Kind, rooms: tuple[str, ...] = ()) -> Thing:
        """Build a thing, put it into the house and return it. NoSpotError when none is free."""
        colour = kind.colours[int(self.rng.integers(len(kind.colours)))]
        mesh = kind.build(self.rng, colour)
        scale = float(self.rng.uniform(0.97, 1.12))
        mesh = Mesh((mesh.vertices * scale).astype(np.float32), mesh.triangles, mesh.colours)
        spot = self.find(mesh, kind.label, rooms=rooms)
        room = self.house.plan.room_at(float(spot.position[0]), float(spot.position[1]))
        thing = Thing(self.house.new_id(), kind.label, False, mesh, spot.position, spot.yaw, room, spot.support)
        self.house.add(thing)
        return thing

    def find(
        self,
        mesh: Mesh,
        label: str,
        away_from: FloatArray | None = None,
        distance: float = 0.0,
        rooms: tuple[str, ...] = (),
    ) -> Spot:
        """A spot for a thing, at least `distance` from the point `away_from` (3,), in one of `rooms` when given."""
        for _ in range(4):
            spots = [spot for spot in self._candidates(mesh, label, rooms) if self._free(spot, mesh, label)]
            if away_from is not None:
                spots = [spot for spot in spots if np.linalg.norm(spot.position - away_from) >= distance]
            if spots:
                views = self.visible_from(spots, mesh)
                best = [spot for spot, count in zip(spots, views, strict=True) if count >= _MIN_EYES]
                if best:
                    return best[0]
        raise NoSpotError(f"There is no visible place for a {label}.")

    def _candidates(self, mesh: Mesh, label: str, rooms: tuple[str, ...]) -> list[Spot]:
        lo, hi = mesh.bounds()
        half = float(np.hypot(*np.maximum(np.abs(lo), np.abs(hi))[:2]))
        tall = float(hi[2])
        choices: list[tuple[Thing | None, Surface | None]] = []
        for place in BY_LABEL[label].places:
            if place == "floor":
                choices.append((None, None))
            for piece in self.house.furniture:
                if piece.label == place and (not rooms or piece.room in rooms):
                    choices += [(piece, surface) for surface in piece.surfaces if surface.headroom > tall + 0.03]
        spots = []
        for _ in range(_CANDIDATES if choices else 0):
            thing, surface = choices[int(self.rng.integers(len(choices)))]
            if thing is None or surface is None:
                spots.append(self._on_floor(half, rooms))
            else:
                spot = self._on(thing, surface, lo, hi)
                if spot is not None:
                    spots.append(spot)
        return spots

    def _on(self, thing: Thing, surface: Surface, lo: FloatArray, hi: FloatArray) -> Spot | None:
        """Upright on a surface, facing the furniture's front give or take; None when it is too large for it."""
        turn = float(self.rng.uniform(-0.3, 0.3))
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        reach = np.maximum(np.abs(lo), np.abs(hi))[:2]
        need = np.array([c * reach[0] + s * reach[1], s * reach[0] + c * reach[1]])
        low, high = np.array(surface.lo) + need, np.array(surface.hi) - need
        slack = 0.07  # a thing may stick out a little over an edge
        low, high = (
            np.where(low > high, (low + high) / 2 - 0.001, low),
            np.where((low > high) & (low - high < 2 * slack), (low + high) / 2 + 0.001, high),
        )
        if (low > high).any():
            return None
        at = thing.to_map(self.rng.uniform(low, high))
        return Spot(np.array([*at, thing.position[2] + surface.height]), thing.yaw + turn, thing.id)

    def _on_floor(self, half: float, rooms: tuple[str, ...]) -> Spot:
        """Near a wall of a room, where things are left lying."""
        plan = self.house.plan
        names = list(rooms) or [room.name for room in plan.rooms]
        inner = plan.room(names[int(self.rng.integers(len(names)))]).inner.grown(-half - 0.03)
        side = int(self.rng.integers(4))
        x, y = self.rng.uniform(inner.x0, inner.x1), self.rng.uniform(inner.y0, inner.y1)
        off = self.rng.uniform(0, 0.12)
        x = (inner.x0 + off, inner.x1 - off, x, x)[side]
        y = (y, y, inner.y0 + off, inner.y1 - off)[side]
        yaw = (-np.pi / 2, np.pi / 2, 0.0, np.pi)[side] + self.rng.uniform(-0.3, 0.3)
        return Spot(np.array([x, y, 0.0]), float(yaw), None)

    def _free(self, spot: Spot, mesh: Mesh, label: str) -> bool:
        lo, hi = mesh.placed(spot.position, spot.yaw).bounds()
        center = (lo + hi) / 2
        for other in self.house.things.values():
            a, b = other.bounds()
            if other.label == label and np.linalg.norm((a + b) / 2 - center) < self.house.config.same_label_gap:
                return False
            if other.id == spot.support:
                continue
            if (
                (lo[:2] - _MARGIN < b[:2]).all()
                and (a[:2] < hi[:2] + _MARGIN).all()
                and lo[2] < b[2]
                and a[2] < hi[2] + 0.02
            ):
                return False
        if spot.support is not None:
            return True
        x, y = float(center[0]), float(center[1])
        return not any(door.zone(0.75, 0.15).contains(x, y) for door in self.house.plan.doors) and self._passable(
            lo, hi
        )

    def _passable(self, lo: FloatArray, hi: FloatArray) -> bool:
        """On the floor a thing must not close a passage: the places around it stay connected."""
        grid = self.house.grid()
        before = grid.free_component(REACH, self.house.start)
        (i0, i1), (j0, j1) = grid.indices(np.stack([lo[:2], hi[:2]]))
        after = grid.occupied.copy()
        after[i0 : i1 + 1, j0 : j1 + 1] = True
        narrowed = Grid.of_cells(after, grid.origin, grid.cell)
        return bool(narrowed.free_component(REACH, self.house.start).sum() > before.sum() - 450)

    def visible_from(self, spots: list[Spot], mesh: Mesh) -> NDArray[np.int64]:
        """(n,) from how many places of the floor most of the thing would be seen, furniture alone in the way."""
        lo, hi = mesh.bounds()
        c, h = (lo + hi) / 2, (hi - lo) / 2 * 0.8
        offsets = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 0.2]]) * h + c
        targets = np.concatenate(
            [
                Mesh(offsets.astype(np.float32), mesh.triangles, mesh.colours).placed(s.position, s.yaw).vertices
                for s in spots
            ]
        ).astype(np.float64)
        seen = self.scene.sees(self.eyes, targets).reshape(len(self.eyes), len(spots), len(offsets))
        center = np.array([spot.position for spot in spots])
        flat = np.hypot(self.eyes[:, None, 0] - center[:, 0], self.eyes[:, None, 1] - center[:, 1])
        return ((seen.mean(axis=2) >= 0.65) & (flat > NEAR) & (flat < FAR)).sum(axis=0)
