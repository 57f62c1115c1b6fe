"""A pose near a thing, from which it is seen: what a robot is sent to, since the thing itself is no place to stand.

A pose serves when the robot fits there and can get there, when it is neither too near nor too far, and when nothing
stands in the line of sight. Of those that serve the one that is best reached, best placed and best seen is taken; the
robot looks at the thing. Unknown space is neither walked on nor looked through: when no pose serves, the answer is
the reason why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from embodied_mem.errors import BadInputError, UnreachableError
from embodied_mem.geometry import FloatArray, quaternion_from_yaw
from embodied_mem.topology.arrays import points
from embodied_mem.topology.walking import walk

_BATCH = 256  # poses whose lines of sight are cast at once
_SIDE = 60.0  # metres of the largest grid that is looked at
_MARGIN = 1.0  # metres around the poses that are looked at, to walk round things


class Grid(Protocol):
    """cells (height, width): -1 unknown, 0 free, else occupied; origin (2,) metres: its lower left corner."""

    @property
    def cells(self) -> NDArray[np.int8]: ...
    @property
    def origin(self) -> FloatArray: ...
    @property
    def resolution(self) -> float: ...


class FreeSpace(Protocol):
    """What is asked of a map of occupied, free and unknown space (embodied_mem/octree fulfils it)."""

    def visible(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.int8]:
        """(n,) 1 where nothing is between points a (n, 3) and b (n, 3), 0 where something, -1 where it is unknown."""

    def project(self, z_min: float, z_max: float, low: ArrayLike, high: ArrayLike) -> Grid:
        """The columns between two heights over a rectangle, seen from above."""


@dataclass(frozen=True, slots=True)
class NearSettings:
    """Metres. The robot is a cylinder: `radius`, from `step` to `height` above the floor, its sensor at `eye`.

    nearest, farthest   distance from the middle of the robot to the surface of the thing, in the plane
    best                the distance that is liked most; each metre off it counts as much as 2 m of way
    seen                the least share of the thing's points that must be in view
    """

    radius: float = 0.25
    step: float = 0.15
    height: float = 1.2
    eye: float = 1.0
    nearest: float = 0.4
    farthest: float = 2.5
    best: float = 1.0
    seen: float = 0.5

    def __post_init__(self) -> None:
        if not (self.radius > 0 and 0 <= self.step < self.height and self.eye > 0):
            raise BadInputError("A robot needs a radius, a height above its step, and a sensor above the floor.")
        if not (
            self.nearest >= 0 and max(self.nearest, self.radius) < self.farthest <= _SIDE / 2 and 0 < self.seen <= 1
        ):
            raise BadInputError(
                f"Distances need 0 <= nearest, radius < farthest <= {_SIDE / 2:g}, and seen is a share."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A box: center (3,) and full extents size (3,) in metres, yaw in radians. A point has the size 0."""

    center: FloatArray
    size: FloatArray
    yaw: float = 0.0

    @classmethod
    def at(cls, center: ArrayLike, size: ArrayLike = (0.0, 0.0, 0.0), yaw: float = 0.0) -> Target:
        """Raises BadInputError for what is no box."""
        middle, extent = points(center, "target")[0], points(size, "target's size")[0]
        if extent.min() < 0 or not np.isfinite(yaw):
            raise BadInputError(f"A target's size must not be negative, nor its yaw {yaw}.")
        return cls(middle, extent, float(yaw))

    def local(self, where: FloatArray) -> FloatArray:
        """(n, 3) in the box's own axes, from its middle."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        off = where - self.center
        return np.column_stack([c * off[:, 0] + s * off[:, 1], c * off[:, 1] - s * off[:, 0], off[:, 2]])

    def distance(self, xy: FloatArray) -> FloatArray:
        """(n,) metres in the plane from points (n, 2) to the surface; 0 inside."""
        flat = np.column_stack([xy, np.full(len(xy), self.center[2])])
        outside = np.maximum(np.abs(self.local(flat))[:, :2] - self.size[:2] / 2, 0.0)
        return np.hypot(outside[:, 0], outside[:, 1])

    def aims(self) -> FloatArray:
        """(m, 3) points of it to look at: the middle, and six on the axes half way to the surface; 1 for a point."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        axes = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) * self.size[:, None] / 4
        offsets = np.concatenate([np.zeros((1, 3)), axes, -axes]) if self.size.any() else np.zeros((1, 3))
        return self.center + offsets

    def entered(self, eyes: FloatArray, aims: FloatArray, margin: float) -> FloatArray:
        """(n, 3) where the lines from eyes to aims enter the box, grown by a margin: its own voxels hide nothing."""
        begin, end = self.local(eyes), self.local(aims)
        half = self.size / 2 + margin
        way = end - begin
        with np.errstate(divide="ignore", invalid="ignore"):
            near = (np.where(way > 0, -half, half) - begin) / way
        share = np.clip(np.nanmax(np.where(way == 0, -np.inf, near), axis=1), 0.0, 1.0)
        return eyes + share[:, None] * (aims - eyes)


@dataclass(frozen=True, slots=True, eq=False)
class NearPose:
    """position (3,) on the floor, heading radians toward the target; what speaks for it, in metres and shares."""

    position: FloatArray
    heading: float
    distance: float
    way: float
    clearance: float
    seen: float

    @property
    def orientation(self) -> FloatArray:
        """(4,) quaternion x, y, z, w."""
        return quaternion_from_yaw(self.heading)


@dataclass(frozen=True, slots=True, eq=False)
class Entrance:
    """A point (3,) that the robot can be at, and how far it has to go to be there: itself, or a place on its routes."""

    position: FloatArray
    way: float = 0.0


class GoalNear:
    """Finds poses in one map."""

    def __init__(self, space: FreeSpace, settings: NearSettings | None = None) -> None:
        self.space, self.settings = space, settings or NearSettings()

    def find(self, target: Target, entrances: list[Entrance], *, floor: float = 0.0) -> NearPose:
        """The best pose for a target; floor: z of the ground there.

        entrances   where the robot is, and the places near the target that routes lead to (`entrances`)
        Raises UnreachableError with the reason: unknown, no_room, not_reachable or not_visible.
        """
        grid = self._grid(target, entrances, floor)
        free, clearance = _room(grid)
        fits = free & (clearance >= self.settings.radius)
        rows, cols = np.indices(grid.cells.shape)
        xy = grid.origin + (np.column_stack([cols.ravel(), rows.ravel()]) + 0.5) * grid.resolution
        away = target.distance(xy).reshape(free.shape)
        ring = (away >= max(self.settings.nearest, self.settings.radius)) & (away <= self.settings.farthest)
        if not (free & ring).any():
            raise UnreachableError(f"Nothing is known to be free within {self.settings.farthest:g} m of it.", "unknown")
        if not (fits & ring).any():
            raise UnreachableError(f"A robot of {self.settings.radius:g} m radius fits nowhere near it.", "no_room")
        way = self._ways(grid, fits, entrances)
        serves = np.flatnonzero((np.isfinite(way) & ring).ravel())
        if not len(serves):
            raise UnreachableError("No way that is known to be free leads near it.", "not_reachable")
        cost = way.ravel()[serves] + 2 * np.abs(away.ravel()[serves] - self.settings.best)
        order = np.argsort(cost, kind="stable")
        chosen, seen = self._best_seen(target, xy[serves[order]], cost[order], floor, grid.resolution)
        cell = int(serves[order[chosen]])
        toward = target.center[:2] - xy[cell]
        return NearPose(
            np.append(xy[cell], floor), float(np.arctan2(toward[1], toward[0])), float(away.ravel()[cell]),
            float(way.ravel()[cell]), float(clearance.ravel()[cell]), seen,
        )  # fmt: skip

    # --- inside ------------------------------------------------------------------------------------------------

    def _grid(self, target: Target, entrances: list[Entrance], floor: float) -> Grid:
        """Over the target, and over the entrances too as long as that stays small."""
        reach = self.settings.farthest + _MARGIN + float(np.hypot(*target.size[:2])) / 2
        low, high = target.center[:2] - reach, target.center[:2] + reach
        for entrance in sorted(entrances, key=lambda each: float(np.linalg.norm(each.position - target.center))):
            wider = np.minimum(low, entrance.position[:2] - _MARGIN), np.maximum(high, entrance.position[:2] + _MARGIN)
            if (wider[1] - wider[0]).max() <= _SIDE:
                low, high = wider
        return self.space.project(floor + self.settings.step, floor + self.settings.height, low, high)

    def _ways(self, grid: Grid, fits: NDArray[np.bool_], entrances: list[Entrance]) -> FloatArray:
        """(rows, cols) metres from the robot to each cell in which it fits. It may stand a little tight where it is."""
        sources, costs = [], []
        _, nearest = distance_transform_edt(~fits, return_indices=True)
        for entrance in entrances:
            col, row = np.floor((entrance.position[:2] - grid.origin) / grid.resolution).astype(int)
            if not (0 <= row < fits.shape[0] and 0 <= col < fits.shape[1]):
                continue
            cell = nearest[:, row, col]
            off = float(np.hypot(*(cell - (row, col)))) * grid.resolution
            if off <= 2 * self.settings.radius:
                sources.append(cell)
                costs.append((entrance.way + off) / grid.resolution)
        if not sources:
            return np.full(fits.shape, np.inf)
        return walk(fits, np.array(sources, dtype=np.int64), np.array(costs), np.inf) * grid.resolution

    def _best_seen(
        self, target: Target, xy: FloatArray, cost: FloatArray, floor: float, resolution: float
    ) -> tuple[int, float]:
        """Index of the pose with the least cost, the unseen counted at up to 2 m; poses (n, 2) by ascending cost."""
        best, chosen, share = np.inf, -1, 0.0
        aims = target.aims()
        for start in range(0, len(xy), _BATCH):
            if cost[start] >= best:
                break
            part = slice(start, start + _BATCH)
            eyes = np.column_stack([xy[part], np.full(len(xy[part]), floor + self.settings.eye)])
            seen = _seen(self.space.visible, target, eyes, aims, resolution)
            total = np.where(seen >= self.settings.seen, cost[part] + 2 * (1 - seen), np.inf)
            i = int(np.argmin(total))
            if total[i] < best:
                best, chosen, share = float(total[i]), start + i, float(seen[i])
        if chosen < 0:
            raise UnreachableError(
                f"From none of {len(xy)} poses near it is it in view: something hides it, or nobody has looked there.",
                "not_visible",
            )
        return chosen, share


def entrances(places: FloatArray, ways: FloatArray, target: Target, within: float = 20.0) -> list[Entrance]:
    """The places (n, 3) near a target that can be reached: ways (n,) metres (`Router.distances`), infinite for none."""
    far = np.linalg.norm(places[:, :2] - target.center[:2], axis=1)
    near = np.flatnonzero((far <= within) & np.isfinite(ways))
    return [Entrance(places[i], float(ways[i])) for i in near[np.argsort(far[near], kind="stable")]]


def _room(grid: Grid) -> tuple[NDArray[np.bool_], FloatArray]:
    """(rows, cols) which cells are free, and metres from the middle of each to what is not known to be free."""
    free = grid.cells == 0
    padded = np.pad(free, 1)  # beyond the grid nothing is known
    return free, (distance_transform_edt(padded)[1:-1, 1:-1] - 0.5) * grid.resolution


def _seen(
    visible: Callable[[ArrayLike, ArrayLike], NDArray[np.int8]], target: Target, eyes: FloatArray, aims: FloatArray,
    resolution: float,
) -> FloatArray:  # fmt: skip
    """(n,) the share of the aims (m, 3) that is in view from each of the eyes (n, 3)."""
    begin, end = np.repeat(eyes, len(aims), axis=0), np.tile(aims, (len(eyes), 1))
    entered = target.entered(begin, end, resolution)
    return (np.asarray(visible(begin, entered)) == 1).reshape(len(eyes), len(aims)).mean(axis=1)
