"""Rays through the map: voxel by voxel where there is something, block by block where there is nothing.

When a ray crosses a border is a function of the border alone, nothing is added up on the way; so a ray that leaps over
a block comes out in the very voxel in which one that walked through it would (J. Amanatides and A. Woo, "A fast voxel
traversal algorithm for ray tracing", Eurographics 1987). Of borders crossed at the same time z comes first, then y.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import SOLID, Arrays, known
from embodied_mem.octree.bits import ALL, bit_of, has
from embodied_mem.octree.find import find
from embodied_mem.octree.morton import axis_key, interleave

HIT, FREE, UNKNOWN, OUTSIDE = 1, 0, -1, -2

_HALF = 1048576
_KEYS = 2097152


@njit(cache=True, nogil=True)
def cast(
    a: Arrays,
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    resolution: float,
    reach: NDArray[np.float64],
    unknown_blocks: bool,
    between: bool,
    states: NDArray[np.int8],
    distances: NDArray[np.float64],
    keys: NDArray[np.int64],
) -> None:
    """Cast rays (n, 3) from origins (n, 3) along directions of any length up to `reach` (n,) metres.

    between    the voxel in which a ray begins and the one in which it ends do not count
    Written to: states (n,), distances (n,) to where the last voxel is entered, keys (n, 3) of that voxel.
    """
    for i in range(len(origins)):
        states[i], distances[i] = _cast_one(
            a, origins[i], directions[i], resolution, reach[i], unknown_blocks, between, keys[i]
        )


@njit(cache=True, nogil=True, inline="always")
def _crossing(key: int, step: int, origin: float, inverse: float, resolution: float) -> float:
    """How far along the ray the border lies that leads from `key` to the next voxel on an axis."""
    border = key + 1 if step > 0 else key
    return (np.float64(border - _HALF) * resolution - origin) * inverse


@njit(cache=True, nogil=True, inline="always")
def _after_leap(
    key: int,
    last: Any,
    step: int,
    origin: float,
    direction: float,
    inverse: float,
    resolution: float,
    t: float,
    first: bool,
) -> Any:
    """Where on an axis a ray is that leaves a block at `t` across another one; `last` is the block's last voxel there.

    first: of borders crossed at the same time this axis' comes first
    """
    if step == 0:
        return key
    at: Any = np.int64(math.floor((origin + t * direction) / resolution)) + _HALF
    at = min(max(at, key), last) if step > 0 else max(min(at, key), last)
    while at != last:
        crossing = _crossing(at, step, origin, inverse, resolution)
        if crossing < t or (first and crossing == t):
            at += step
        else:
            break
    while at != key:
        crossing = _crossing(at - step, step, origin, inverse, resolution)
        if crossing < t or (first and crossing == t):
            break
        at -= step
    return at


@njit(cache=True, nogil=True)
def _cast_one(
    a: Arrays,
    origin: NDArray[np.float64],
    direction: NDArray[np.float64],
    resolution: float,
    reach: float,
    unknown_blocks: bool,
    between: bool,
    key: NDArray[np.int64],
) -> tuple[int, float]:
    ox, oy, oz = origin[0], origin[1], origin[2]
    length = math.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    scale = 1.0 / resolution
    x, y, z = axis_key(ox, scale), axis_key(oy, scale), axis_key(oz, scale)
    if (x | y | z) < 0 or not (length > 0.0 and length < np.inf) or not reach >= 0.0:
        key[:] = -1
        return OUTSIDE, np.nan
    dx, dy, dz = direction[0] / length, direction[1] / length, direction[2] / length
    sx, sy, sz = int(dx > 0) - int(dx < 0), int(dy > 0) - int(dy < 0), int(dz > 0) - int(dz < 0)
    ix, iy, iz = 1.0 / dx if sx else 0.0, 1.0 / dy if sy else 0.0, 1.0 / dz if sz else 0.0
    gx = gy = gz = -1
    if between:
        gx = axis_key(ox + dx * reach, scale)
        gy = axis_key(oy + dy * reach, scale)
        gz = axis_key(oz + dz * reach, scale)
    begin = between
    certain = True  # nothing unknown was passed
    t = 0.0
    while True:
        bx, by, bz = x >> 2, y >> 2, z >> 2
        row = find(a, interleave(bx, by, bz))
        solid = seen = np.uint64(0)
        if row >= 0:
            solid, seen = a.rows[row, SOLID], known(a.rows[row])
        elif (
            (sx >= 0 and bx > a.extent[1, 0]) or (sx <= 0 and bx < a.extent[0, 0])
            or (sy >= 0 and by > a.extent[1, 1]) or (sy <= 0 and by < a.extent[0, 1])
            or (sz >= 0 and bz > a.extent[1, 2]) or (sz <= 0 and bz < a.extent[0, 2])
        ):  # fmt: skip
            # There is nothing more to come.
            key[0], key[1], key[2] = x, y, z
            ends_here = between and x == gx and y == gy and z == gz
            return (FREE if certain and ends_here else UNKNOWN), (t if unknown_blocks else reach)
        ask_known = seen != ALL and (certain or unknown_blocks)
        goal_here = between and gx >> 2 == bx and gy >> 2 == by and gz >> 2 == bz
        if solid or ask_known or goal_here or begin:
            # Voxel by voxel.
            while True:
                key[0], key[1], key[2] = x, y, z
                if between and x == gx and y == gy and z == gz:
                    return (FREE if certain else UNKNOWN), reach
                bit = bit_of(x, y, z)
                if not begin:
                    if has(solid, bit):
                        return HIT, t
                    if ask_known and not has(seen, bit):
                        certain = False
                        if unknown_blocks:
                            return UNKNOWN, t
                begin = False
                tx = _crossing(x, sx, ox, ix, resolution) if sx else np.inf
                ty = _crossing(y, sy, oy, iy, resolution) if sy else np.inf
                tz = _crossing(z, sz, oz, iz, resolution) if sz else np.inf
                if tx < ty and tx < tz:
                    x += sx
                    t = tx
                elif ty < tz and not tx < ty:
                    y += sy
                    t = ty
                else:
                    z += sz
                    t = tz
                if t > reach:
                    return (FREE if certain else UNKNOWN), reach
                if (x >> 2) != bx or (y >> 2) != by or (z >> 2) != bz:
                    break
        else:
            if seen != ALL:
                certain = False
            lx, ly, lz = (x | 3 if sx > 0 else x & ~3), (y | 3 if sy > 0 else y & ~3), (z | 3 if sz > 0 else z & ~3)
            tx = _crossing(lx, sx, ox, ix, resolution) if sx else np.inf
            ty = _crossing(ly, sy, oy, iy, resolution) if sy else np.inf
            tz = _crossing(lz, sz, oz, iz, resolution) if sz else np.inf
            if tx < ty and tx < tz:
                t = tx
                y = _after_leap(y, ly, sy, oy, dy, iy, resolution, t, True)
                z = _after_leap(z, lz, sz, oz, dz, iz, resolution, t, True)
                x = lx + sx
            elif ty < tz and not tx < ty:
                t = ty
                x = _after_leap(x, lx, sx, ox, dx, ix, resolution, t, False)
                z = _after_leap(z, lz, sz, oz, dz, iz, resolution, t, True)
                y = ly + sy
            else:
                t = tz
                x = _after_leap(x, lx, sx, ox, dx, ix, resolution, t, False)
                y = _after_leap(y, ly, sy, oy, dy, iy, resolution, t, False)
                z = lz + sz
            if t > reach:
                return (FREE if certain else UNKNOWN), reach
        if (x | y | z) < 0 or (x | y | z) >= _KEYS:
            key[:] = -1
            return OUTSIDE, t
