"""An occupancy map that is slow and obvious: a dictionary of voxels, and rays that walk through every one of them.

`ray_keys` is OctoMap's computeRayKeys as its sources describe it, one step at a time, in single precision where that
is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.octree.occupancy import OccupancyModel

Key = tuple[int, int, int]
F = np.float32


def key_of(point: ArrayLike, resolution: float) -> Key:
    """Voxel numbers, 0 at the origin."""
    x, y, z = (math.floor(float(c) * (1.0 / resolution)) for c in np.asarray(point))
    return x, y, z


def center_of(key: Key, resolution: float) -> NDArray[np.float64]:
    return (np.array(key) + 0.5) * resolution


def ray_keys(origin: NDArray[np.float32], end: NDArray[np.float32], resolution: float) -> list[Key]:
    """The voxels from `origin` to before the one of `end`."""
    first, last = key_of(origin, resolution), key_of(end, resolution)
    if first == last:
        return []
    direction = end - origin
    length = F(math.sqrt(float(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)))
    direction = direction / length
    step, at, apart = [0, 0, 0], [math.inf] * 3, [math.inf] * 3
    for axis in range(3):
        d = float(direction[axis])
        if d:
            step[axis] = 1 if d > 0 else -1
            border = (first[axis] + 0.5) * resolution + step[axis] * float(F(resolution * 0.5))
            at[axis], apart[axis] = (border - float(origin[axis])) / d, resolution / abs(d)
    keys, now = [first], list(first)
    while True:
        if at[0] < at[1]:
            axis = 0 if at[0] < at[2] else 2
        else:
            axis = 1 if at[1] < at[2] else 2
        now[axis] += step[axis]
        at[axis] += apart[axis]
        if tuple(now) == last or min(at) > length:
            return keys
        keys.append((now[0], now[1], now[2]))


class Reference:
    """odds: float32 log-odds of every known voxel."""

    def __init__(self, resolution: float, model: OccupancyModel | None = None) -> None:
        self.resolution = resolution
        self.rules = (model or OccupancyModel()).rules()
        self.odds: dict[Key, np.float32] = {}

    def insert(
        self,
        points: NDArray[np.float64],
        origin: ArrayLike | None = None,
        max_range: float = math.inf,
        misses: bool = False,
    ) -> None:
        ends = {key_of(point, self.resolution) for point in points}
        free: set[Key] = set()
        hits = set() if misses else set(ends)
        if origin is not None:
            start = np.asarray(origin, np.float32)
            for key in ends:
                end = center_of(key, self.resolution).astype(np.float32)
                way = end - start
                length = F(math.sqrt(float(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)))
                if float(length) > max_range:
                    hits.discard(key)
                    end = start + way / length * F(max_range)
                free.update(ray_keys(start, end, self.resolution))
        for key in free - hits:
            self._add(key, self.rules.miss)
        for key in hits:
            self._add(key, self.rules.hit)

    def _add(self, key: Key, evidence: np.float32) -> None:
        value = F(self.odds.get(key, F(0)) + evidence)
        self.odds[key] = min(max(value, self.rules.lowest), self.rules.highest)

    def state(self, key: Key) -> int:
        return -1 if key not in self.odds else int(self.odds[key] >= self.rules.occupied)

    @property
    def occupied(self) -> list[Key]:
        return [key for key in self.odds if self.state(key) == 1]


def walk(origin: ArrayLike, direction: ArrayLike, reach: float, resolution: float) -> Iterator[tuple[Key, float]]:
    """Every voxel on a ray, and how far along it is entered. Of borders crossed together z comes first, then y."""
    start = np.asarray(origin, np.float64)
    way = np.asarray(direction, np.float64)
    way = way / math.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)
    now, at = list(key_of(start, resolution)), 0.0
    while at <= reach:
        yield (now[0], now[1], now[2]), at
        crossings = []
        for axis in range(3):
            if way[axis] == 0:
                crossings.append(math.inf)
                continue
            border = now[axis] + (1 if way[axis] > 0 else 0)
            crossings.append(float((border * resolution - start[axis]) * (1.0 / way[axis])))
        axis = min((2, 1, 0), key=lambda axis: crossings[axis])
        at = crossings[axis]
        now[axis] += 1 if way[axis] > 0 else -1
