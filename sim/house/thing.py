"""A `Thing`: one piece of furniture or one small object, with its mesh and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.house.shapes import Mesh

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Surface:
    """A place for small things on furniture, in the furniture's own frame: lo, hi (x, y), height, headroom, metres."""

    lo: tuple[float, float]
    hi: tuple[float, float]
    height: float
    headroom: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """An instance in the world.

    id         number in the id image, from 1; never used again
    mesh       in its own frame: origin in the middle of its footprint on the ground, x to its right, y to its front
    position   (3,) of that origin in the map; yaw about z
    room       name of the room it is in
    support    id of the furniture it stands on, None for the floor
    """

    id: int
    label: str
    furniture: bool
    mesh: Mesh
    position: FloatArray
    yaw: float
    room: str
    support: int | None = None
    surfaces: tuple[Surface, ...] = field(default=())

    @property
    def size(self) -> FloatArray:
        """(3,) extents of the axis-aligned box around it in the map."""
        lo, hi = self.bounds()
        return hi - lo

    @property
    def center(self) -> FloatArray:
        """(3,) middle of that box."""
        lo, hi = self.bounds()
        return (lo + hi) / 2

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest corner of the axis-aligned box around it in the map."""
        return self.mesh.placed(self.position, self.yaw).bounds()

    def to_map(self, local: FloatArray) -> FloatArray:
        """(..., 2) in its own frame -> (..., 2) in the map."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.asarray(local, dtype=np.float64) @ np.array([[c, s], [-s, c]]) + self.position[:2]
