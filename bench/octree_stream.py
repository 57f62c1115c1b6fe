"""Scans of a spinning LiDAR in made-up worlds of boxes: rooms along a corridor, and a street.

Everything is made from a seed. Points stand in the map's frame, firing by firing as such sensors send them (all beams
of one azimuth, then the next), with noise along the ray.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

BEAMS = 64
COLUMNS = 938  # 64 x 938 = 60,032 points
_PITCH, _FAR = 7.0, 9.0  # metres: of rooms along the corridor, and from its middle to their back walls
_STOPS = np.array(
    [[3.5, y] for y in (0.0, 1.5, 3.2, 5.0, 6.8, 0.3, -1.5, -3.2, -5.0, -6.8)]
)  # metres, of the robot in a pair of rooms
_NOISE = 0.01  # metres, standard deviation


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """origins (s, 3) float32; scans: s arrays (n, 3) float32; max_range metres."""

    origins: NDArray[np.float32]
    scans: list[NDArray[np.float32]]
    max_range: float

    @property
    def mean_range(self) -> float:
        reach = [
            np.linalg.norm(scan - origin, axis=1).mean() for scan, origin in zip(self.scans, self.origins, strict=True)
        ]
        return float(np.mean(reach))


def rooms(scans: int, seed: int) -> Stream:
    """A corridor with rooms on both sides, furnished; the robot looks into each of them on its way."""
    rng = np.random.default_rng(seed)
    pairs = -(-scans // len(_STOPS))
    boxes = [box for pair in range(pairs) for box in _pair_of_rooms(pair * _PITCH, rng)]
    length = pairs * _PITCH
    boxes += [_box(0, -_FAR, -0.2, length, _FAR, 0), _box(0, -_FAR, 2.8, length, _FAR, 3)]
    boxes += [_box(-0.2, -_FAR, 0, 0, _FAR, 3), _box(length, -_FAR, 0, length + 0.2, _FAR, 3)]
    path = np.concatenate([_STOPS + np.array([_PITCH * pair, 0]) for pair in range(pairs)])[:scans]
    path = path + rng.uniform(-0.15, 0.15, path.shape)
    return _drive(boxes, np.column_stack([path, np.ones(len(path))]), (-0.39, 0.39), 30.0, rng)


def street(scans: int, seed: int) -> Stream:
    """A street of houses, parked cars and poles, seen from a vehicle's roof, as far as 100 m."""
    rng = np.random.default_rng(seed)
    length = scans * 1.0 + 240
    boxes = [_box(-120, -80, -0.5, length, 80, 0)]
    for side in (-1, 1):
        for x in np.arange(-120, length, 18.0):
            depth, height, setback = rng.uniform(8, 14), rng.uniform(5, 14), rng.uniform(9, 14)
            y = sorted((side * setback, side * (setback + depth)))
            boxes.append(_box(x, y[0], 0, x + rng.uniform(10, 15), y[1], height))
        for x in np.arange(-120, length, 9.0):
            if rng.random() < 0.6:
                boxes.append(_box(x, side * 5.5 - 0.9, 0.2, x + 4.2, side * 5.5 + 0.9, 1.5))
            boxes.append(_box(x + 6, side * 7.5 - 0.1, 0, x + 6.2, side * 7.5 + 0.1, 6))
    path = np.column_stack([np.arange(scans) * 1.0, rng.uniform(-0.5, 0.5, scans), np.full(scans, 1.8)])
    return _drive(boxes, path, (-0.43, 0.05), 100.0, rng)


def _pair_of_rooms(x: float, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Two rooms that face each other across 2 m of corridor, with doors 1 m wide in the middle."""
    boxes = []
    middle, end = x + _PITCH / 2, x + _PITCH
    for side in (-1.0, 1.0):
        wall = sorted((side * 1.0, side * 1.1))
        door = middle - 0.5 + rng.uniform(-0.1, 0.1)
        boxes += [_box(x, wall[0], 0, door, wall[1], 3), _box(door + 1, wall[0], 0, end, wall[1], 3)]
        boxes.append(_box(door, wall[0], 2.1, door + 1, wall[1], 3))
        back = sorted((side * (_FAR - 0.1), side * _FAR))
        boxes.append(_box(x, back[0], 0, end, back[1], 3))
        between = sorted((side * 1.0, side * _FAR))
        boxes.append(_box(end - 0.05, between[0], 0, end + 0.05, between[1], 3))
        for _ in range(8):
            size = rng.uniform([0.3, 0.3, 0.4], [1.4, 0.9, 1.9])
            where = rng.uniform([x + 0.1, 1.6], [end - 0.2 - size[0], _FAR - 0.2 - size[1]])
            if abs(where[0] + size[0] / 2 - middle) < 1.0:  # the robot's way
                continue
            y = sorted((side * where[1], side * (where[1] + size[1])))
            boxes.append(_box(where[0], y[0], 0, where[0] + size[0], y[1], size[2]))
    return boxes


def _box(x0: float, y0: float, z0: float, x1: float, y1: float, z1: float) -> NDArray[np.float64]:
    return np.array([[x0, y0, z0], [x1, y1, z1]])


def _drive(
    boxes: list[NDArray[np.float64]],
    path: NDArray[np.float64],
    elevations: tuple[float, float],
    max_range: float,
    rng: np.random.Generator,
) -> Stream:
    # Nothing is built on the borders of voxels: there noise would put every wall into two layers.
    world = np.array(boxes) + 0.053
    columns = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    beams = np.linspace(*elevations, BEAMS)
    scans = []
    for origin in path.astype(np.float32).astype(np.float64):
        turned = columns[:, None] + rng.uniform(0, 2 * np.pi)
        cosine = np.cos(beams)[None]
        up = np.broadcast_to(np.sin(beams)[None], (COLUMNS, BEAMS))
        ways = np.stack([np.cos(turned) * cosine, np.sin(turned) * cosine, up], axis=-1).reshape(-1, 3)
        near = world[(np.abs(np.clip(origin, world[:, 0], world[:, 1]) - origin).max(axis=1)) < max_range]
        reach = _nearest_wall(near, origin, ways)
        met = reach < max_range
        noisy = reach[met] + rng.normal(0, _NOISE, int(met.sum()))
        scans.append((origin + ways[met] * noisy[:, None]).astype(np.float32))
    return Stream(path.astype(np.float32), scans, max_range)


@njit(cache=True, nogil=True)
def _nearest_wall(
    boxes: NDArray[np.float64], origin: NDArray[np.float64], ways: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) how far rays go until they enter a box; inf."""
    out = np.full(len(ways), np.inf)
    for i in range(len(ways)):
        for j in range(len(boxes)):
            enter, leave = 0.0, out[i]
            for axis in range(3):
                inverse = 1.0 / ways[i, axis] if ways[i, axis] != 0 else 1e300
                a = (boxes[j, 0, axis] - origin[axis]) * inverse
                b = (boxes[j, 1, axis] - origin[axis]) * inverse
                enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
            if 0 < enter <= leave:
                out[i] = enter
    return out
