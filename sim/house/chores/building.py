"""A generated house as fetch-and-carry needs it: its places and doors, what blocks the view, and ways between spots."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices
from embodied_mem.planner.places import Door, Place, PlaceBook
from sim.house.chores.glimpse import EDGE, EyeConfig, cast
from sim.house.config import HouseConfig
from sim.house.floorplan import Rect, make_plan
from sim.house.furnish import REACH, furnish
from sim.house.grid import Paths
from sim.house.thing import Thing
from sim.house.world import House

FloatArray = NDArray[np.float64]

CONTAINERS = ("fridge", "wardrobe", "washing machine", "cabinet", "dresser", "nightstand", "sideboard")
INSIDE_ONLY = ("fridge", "wardrobe")
APPLIANCES = ("tv", "washing machine", "stove")
_LEGGED = ("table", "coffee table", "desk")
_OPEN_SHELVES = ("bookshelf",)
_BOARD = 0.04  # metres: thickness of a table's top
_ASIDE = 0.62  # metres from a door's middle to the spots on its sides
_AWAY = 0.55  # metres from a place's front to the robot's middle
_ATTEMPTS = 60


@dataclass(eq=False)
class Building:
    """book: what the robot knows of it. solids, and which container or door each belongs to ("" for none, which never
    opens): a box with a name blocks the view only while that is shut.

    lows, highs (n, 3) metres
    """

    house: House
    book: PlaceBook
    lows: FloatArray
    highs: FloatArray
    owners: tuple[str, ...]
    _paths: Paths = field(repr=False)
    _ways: dict[tuple[str, str], FloatArray] = field(default_factory=dict, repr=False)
    _trees: dict[str, tuple[FloatArray, NDArray[np.int32]]] = field(default_factory=dict, repr=False)

    @classmethod
    def generate(cls, seed: int) -> Building:
        """The same seed gives the same house."""
        rng, config = np.random.default_rng(seed), HouseConfig()
        for _ in range(_ATTEMPTS):
            plan = make_plan(rng, config)
            furniture = furnish(rng, plan)
            if furniture is not None:
                return cls.of(House(config, plan, furniture))
        raise RuntimeError(f"No house could be furnished from seed {seed}.")

    @classmethod
    def of(cls, house: House) -> Building:
        """A house without its small things."""
        paths = Paths(house.grid(), REACH, house.start)
        places = tuple(place for thing in house.furniture if (place := _place(house, thing, paths)) is not None)
        doors = tuple(_door(house, i) for i in range(len(house.plan.doors)))
        lows, highs, owners = _solids(house, PlaceBook(places, doors))
        places = tuple(_with_a_view(place, house, paths, lows, highs, owners) for place in places)
        return cls(house, PlaceBook(places, doors), lows, highs, owners, paths)

    def in_view(self, place: Place, points: FloatArray) -> NDArray[np.bool_]:
        """(n,) which points (n, 3) are seen from where the robot works at a place, when that is open."""
        open_ = np.array([owner != place.name for owner in self.owners])
        return in_view(place.stand, points, self.lows[open_], self.highs[open_])

    def way(self, origin: str, target: str) -> FloatArray:
        """(m, 2) the way between two spots, metres."""
        key = (origin, target)
        if key not in self._ways:
            spots = self.book.spots
            if origin not in self._trees:
                self._trees[origin] = self._paths.from_point(np.array(spots[origin][:2]))
            goal = self._paths.node_near(np.array(spots[target][:2]))
            line = self._paths.path(self._trees[origin][1], goal)
            self._ways[key] = line
            self._ways[key[::-1]] = line[::-1]
        return self._ways[key]

    def length(self, origin: str, target: str) -> float:
        """Metres between two spots."""
        line = self.way(origin, target)
        return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _place(house: House, thing: Thing, paths: Paths) -> Place | None:
    label = thing.label
    container, appliance = label in CONTAINERS, label in APPLIANCES
    surface = bool(thing.surfaces) and label not in INSIDE_ONLY
    if not (surface or container or appliance):
        return None
    lo, hi = thing.bounds()
    if surface:
        corners = np.array(
            [
                thing.to_map(np.array(c))
                for s in thing.surfaces
                for c in (s.lo, s.hi, (s.lo[0], s.hi[1]), (s.hi[0], s.lo[1]))
            ]
        )
        if not container:
            lo[:2], hi[:2] = corners.min(axis=0), corners.max(axis=0)
        hi[2] = thing.position[2] + max(s.height for s in thing.surfaces)
    same = [other for other in house.furniture if other.label == label]
    name = label if len(same) == 1 else f"{label} in the {thing.room}"
    return Place(
        name, label, thing.room, _stand(house, thing, paths), _triple(lo), _triple(hi), surface, container, appliance
    )


def sample(place: Place, relation: str, share: float = 0.75) -> FloatArray:
    """(n, 3) points where the middles of things may be on or in a place."""
    low, high = np.array(place.low), np.array(place.high)
    middle, half = (low + high) / 2, (high - low) / 2 * share
    steps = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)])
    if relation == "on":
        z = high[2] + 0.07
    else:
        z = low[2] + min(0.4, (high[2] - low[2]) / 2) + 0.07
    return np.column_stack([middle[:2] + steps * half[:2], np.full(len(steps), z)])


def in_view(
    stand: tuple[float, float, float], points: FloatArray, lows: FloatArray, highs: FloatArray
) -> NDArray[np.bool_]:
    """(n,) which points (n, 3) the robot's camera shows from a pose of the base, with boxes in the way."""
    eye = EyeConfig()
    position, turn = eye.mount.pose(np.array(stand[:2]), stand[2])
    local = (points - position) @ rotation_matrices(turn)
    distance = np.linalg.norm(local, axis=1)
    inside = np.abs(np.arctan2(local[:, 1], local[:, 0])) < eye.fov_h * EDGE * 0.95
    inside &= np.abs(np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1]))) < eye.fov_v * EDGE * 0.95
    inside &= (distance > eye.near) & (distance < eye.far)
    first = cast(position, (points - position) / distance[:, None], lows, highs)
    return inside & (first > distance - 0.05)


def _with_a_view(
    place: Place, house: House, paths: Paths, lows: FloatArray, highs: FloatArray, owners: tuple[str, ...]
) -> Place:
    """The place with the stand from which most of it is seen; of equal ones that nearest to its front."""
    open_ = np.array([owner != place.name for owner in owners])
    low, high = np.array(place.low[:2]), np.array(place.high[:2])
    inner = house.plan.room(place.room).inner
    points = paths.points[::7]
    gap = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0), axis=1)
    near = (gap > 0.3) & (gap < 1.0) & (points >= (inner.x0, inner.y0)).all(axis=1)
    points = points[near & (points <= (inner.x1, inner.y1)).all(axis=1)]
    points = points[np.argsort(np.linalg.norm(points - place.stand[:2], axis=1), kind="stable")][:120]
    relations = ["on"] * place.surface + ["in"] * place.container
    if not len(points) or not relations:
        return place
    targets = np.concatenate([sample(place, relation) for relation in relations])
    middle = (low + high) / 2
    stands = [place.stand] + [(float(x), float(y), float(np.arctan2(*(middle - (x, y))[::-1]))) for x, y in points]
    seen = [in_view(stand, targets, lows[open_], highs[open_]).mean() for stand in stands]
    return replace(place, stand=stands[int(np.argmax(seen))])


def _stand(house: House, thing: Thing, paths: Paths) -> tuple[float, float, float]:
    """Where the robot works: in front if there is room, else as near to that as it gets, facing the middle."""
    lo, hi = thing.bounds()
    front = np.array([-np.sin(thing.yaw), np.cos(thing.yaw)])
    middle = (lo[:2] + hi[:2]) / 2
    wanted = middle + front * (float(np.abs(front) @ (hi[:2] - lo[:2])) / 2 + _AWAY)
    inner = house.plan.room(thing.room).inner
    points = paths.points
    inside = (points >= (inner.x0, inner.y0)).all(axis=1) & (points <= (inner.x1, inner.y1)).all(axis=1)
    points = points[inside] if inside.any() else points
    x, y = points[np.argmin(((points - wanted) ** 2).sum(axis=1))]
    return float(x), float(y), float(np.arctan2(middle[1] - y, middle[0] - x))


def _door(house: House, index: int) -> Door:
    door = house.plan.doors[index]
    normal = np.array([0.0, 1.0]) if door.along == "x" else np.array([1.0, 0.0])
    sides = []
    for room in door.rooms:
        tile = house.plan.room(room).tile
        sign = 1.0 if tile.contains(*(np.array([door.x, door.y]) + 0.3 * normal)) else -1.0
        x, y = np.array([door.x, door.y]) + sign * _ASIDE * normal
        sides.append((float(x), float(y), float(np.arctan2(*(-sign * normal[::-1])))))
    own = next((room for room in door.rooms if room != "hallway"), door.rooms[0])
    both = "hallway" not in door.rooms
    name = f"{door.rooms[0]} to {door.rooms[1]} door" if both else f"{own} door"
    return Door(name, door.rooms, (sides[0], sides[1]))


def _solids(house: House, book: PlaceBook) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    boxes: list[tuple[FloatArray, FloatArray, str]] = []
    tall = house.plan.height
    boxes += [(np.array([w.x0, w.y0, 0]), np.array([w.x1, w.y1, tall]), "") for w in house.plan.walls]
    extent = house.plan.extent
    for z0, z1 in ((-0.05, 0.0), (tall, tall + 0.05)):
        boxes.append((np.array([extent.x0, extent.y0, z0]), np.array([extent.x1, extent.y1, z1]), ""))
    for door, shape in zip(book.doors, house.plan.doors, strict=True):
        leaf: Rect = shape.zone(0.03)
        boxes.append((np.array([leaf.x0, leaf.y0, 0]), np.array([leaf.x1, leaf.y1, 2.05]), door.name))
    named = {place.stand: place for place in book.places}
    by_middle = {(p.label, p.room): p for p in named.values()}
    for thing in house.furniture:
        lo, hi = thing.bounds()
        place = by_middle.get((thing.label, thing.room))
        if thing.label in _OPEN_SHELVES or place is None:
            continue
        hi[2] = place.high[2] if place.surface else hi[2]
        if thing.label in _LEGGED:
            lo[2] = hi[2] - _BOARD
        boxes.append((lo, hi, place.name if place.container else ""))
        if place.container and place.surface:  # its top stays when it opens
            boxes.append((np.array([*lo[:2], hi[2] - 0.02]), hi, ""))
    lows, highs = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes])
    return lows, highs, tuple(box[2] for box in boxes)


def _triple(values: FloatArray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
