"""The house as a whole: plan, furniture, small things, what may move where, and what a detector knows by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError
from sim.house.config import HouseConfig
from sim.house.floorplan import FloorPlan, Rect, make_plan, structure_mesh
from sim.house.furnish import furnish
from sim.house.furniture import FURNITURE
from sim.house.grid import Grid
from sim.house.objects import BY_LABEL
from sim.house.scene import Scene
from sim.house.shapes import Mesh
from sim.house.spots import NoSpotError, SpotFinder, choose_kinds
from sim.house.thing import Thing

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

_ATTEMPTS = 60
_OBSTACLE_BELOW = 1.6  # metres: the robot with its mast passes under nothing lower


class House:
    """A house. `things` maps ids to furniture and small things; change it through move, remove and add only."""

    def __init__(self, config: HouseConfig, plan: FloorPlan, furniture: list[Thing]) -> None:
        self.config = config
        self.plan = plan
        self.structure: Mesh = structure_mesh(plan)
        self.things: dict[int, Thing] = {thing.id: thing for thing in furniture}
        self._next_id = max(self.things, default=0) + 1

    @classmethod
    def generate(cls, seed: int | Rng, config: HouseConfig | None = None) -> House:
        """Draw a house in which a robot reaches every room and sees every object. The same seed gives the same."""
        config = config or HouseConfig()
        rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
        for _ in range(_ATTEMPTS):
            plan = make_plan(rng, config)
            furniture = furnish(rng, plan)
            if furniture is None:
                continue
            house = cls(config, plan, furniture)
            try:
                house._fill(rng)
            except NoSpotError:
                continue
            return house
        raise BadInputError(
            f"No house fits these settings after {_ATTEMPTS} attempts: allow more area or fewer objects."
        )

    def _fill(self, rng: Rng) -> None:
        count = int(rng.integers(self.config.min_objects, self.config.max_objects + 1))
        finder = SpotFinder(self, rng)
        for kind in choose_kinds(rng, count):
            finder.place(kind)

    @property
    def furniture(self) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.furniture]

    @property
    def objects(self) -> list[Thing]:
        return [thing for thing in self.things.values() if not thing.furniture]

    @property
    def label_counts(self) -> Counter[str]:
        """How many of each label there are now."""
        return Counter(thing.label for thing in self.things.values())

    @staticmethod
    def vocabulary() -> tuple[str, ...]:
        """Every label that a detector for such houses knows, whether this house has one or not."""
        return tuple(sorted({*FURNITURE, *BY_LABEL}))

    def thing(self, identity: int) -> Thing:
        """NotFoundError when there is no such thing (any more)."""
        try:
            return self.things[identity]
        except KeyError:
            raise NotFoundError(f"The house has no thing with the id {identity}.") from None

    @property
    def start(self) -> FloatArray:
        """(2,) a free point in the hallway."""
        return np.array(self.plan.room("hallway").inner.center)

    def obstacles(self) -> list[Rect]:
        """Everything on the floor that a robot would run into."""
        rects = list(self.plan.walls)
        for thing in self.things.values():
            lo, hi = thing.bounds()
            if lo[2] < _OBSTACLE_BELOW and thing.support is None:
                rects.append(Rect(float(lo[0]), float(lo[1]), float(hi[0]), float(hi[1])))
        return rects

    def grid(self, cell: float = 0.05) -> Grid:
        """The occupancy of the floor as it is now."""
        return Grid.build(self.plan.extent, self.obstacles(), cell)

    def scene(self, threads: int = 1, furniture_only: bool = False) -> Scene:
        """A ray caster of the house as it is now."""
        things = self.furniture if furniture_only else list(self.things.values())
        return Scene(self.structure, things, threads)

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def add(self, thing: Thing) -> None:
        """Put a thing into the house."""
        if thing.id in self.things:
            raise BadInputError(f"The id {thing.id} is taken.")
        self.things[thing.id] = thing
        self._next_id = max(self._next_id, thing.id + 1)

    def remove(self, identity: int) -> Thing:
        """Take a thing out of the house."""
        thing = self.thing(identity)
        del self.things[identity]
        return thing

    def move(self, identity: int, position: FloatArray, yaw: float, support: int | None) -> Thing:
        """Put a thing somewhere else; the room follows from the position."""
        room = self.plan.room_at(float(position[0]), float(position[1]))
        if not room:
            raise BadInputError(f"{np.round(position, 2).tolist()} is outside of the house.")
        moved = replace(self.thing(identity), position=np.array(position, float), yaw=yaw, support=support, room=room)
        self.things[identity] = moved
        return moved
