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

from embodied_mem.octree.arrays import SOLID, Arrays, known, row_of
from embodied_mem.octree.bits import ALL, Number, bit_of, has
from embodied_mem.octree.find import row_in_file
from embodied_mem.octree.morton import axis_key, interleave

HIT, FREE, UNKNOWN, OUTSIDE = 1, 0, -1, -2
_PERHAPS = -3  # free, unless there was something unknown on the way

_HALF = 1048576
_LAST_BLOCK = (1 << 19) - 1


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
        # Most rays hit something, and then what was unknown on the way is not asked for.
        state, distance = _cast_one(
            a, origins[i], directions[i], resolution, reach[i], unknown_blocks, unknown_blocks, between, keys[i]
        )
        if state == _PERHAPS:
            state, distance = _cast_one(
                a, origins[i], directions[i], resolution, reach[i], True, False, between, keys[i]
            )
        states[i], distances[i] = state, distance


@njit(cache=True, nogil=True, inline="always")
def _crossing(key: Number, step: int, origin: float, inverse: float, resolution: float) -> float:
    """How far along the ray the border lies that leads from `key` to the next voxel on an axis."""
    border = key + 1 if step > 0 else key
    return (np.float64(border - _HALF) * resolution - origin) * inverse


@njit(cache=True, nogil=True)
def _near(block: Number, step: int) -> Any:
    """The voxel on an axis in which a ray comes into a block."""
    return block << 2 if step > 0 else (block << 2) | 3


@njit(cache=True, nogil=True)
def _is_past(extent: NDArray[np.int64], bx: Number, by: Number, bz: Number, sx: int, sy: int, sz: int) -> bool:
    """Whether a ray that is in this block has left all there is behind."""
    x = (sx >= 0 and bx > extent[1, 0]) or (sx <= 0 and bx < extent[0, 0])
    y = (sy >= 0 and by > extent[1, 1]) or (sy <= 0 and by < extent[0, 1])
    return x or y or (sz >= 0 and bz > extent[1, 2]) or (sz <= 0 and bz < extent[0, 2])


@njit(cache=True, nogil=True)
def _exit(block: Number, step: int, origin: float, inverse: float, resolution: float) -> float:
    """How far along the ray the border lies at which it leaves a block on an axis."""
    if step == 0:
        return np.inf
    return _crossing(_near(block, -step), step, origin, inverse, resolution)


@njit(cache=True, nogil=True)
def _entered(
    block: Number,
    start: Number,
    step: int,
    origin: float,
    direction: float,
    inverse: float,
    resolution: float,
    t: float,
    first: bool,
) -> Any:
    """In which voxel of a block, on one axis, a ray is that has come to the block across another axis at `t`.

    start  the voxel in which the ray began
    first  of borders crossed at the same time this axis' comes first
    """
    if step == 0:
        return start
    near, last = _near(block, step), _near(block, -step)
    if start >> 2 == block:
        near = start
    at: Any = np.int64(math.floor((origin + t * direction) / resolution)) + _HALF
    at = min(max(at, near), last) if step > 0 else max(min(at, near), last)
    # That was rounded; when borders are crossed decides.
    while at != last:
        crossing = _crossing(at, step, origin, inverse, resolution)
        if crossing < t or (first and crossing == t):
            at += step
        else:
            break
    while at != near:
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
    ask: bool,
    stop: bool,
    between: bool,
    key: NDArray[np.int64],
) -> tuple[int, float]:
    """The state and distance of a ray; `key` (3,) is the voxel that stopped it.

    ask   look for unknown voxels; if not, a ray that nothing stops may come back as _PERHAPS
    stop  the first unknown voxel stops the ray
    """
    rows, table, old, extent, mapped = a.rows, a.table, a.old, a.extent, len(a.firsts) > 0
    ox, oy, oz = origin[0], origin[1], origin[2]
    length = math.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    scale = 1.0 / resolution
    x0, y0, z0 = axis_key(ox, scale), axis_key(oy, scale), axis_key(oz, scale)
    if (x0 | y0 | z0) < 0 or not (length > 0.0 and length < np.inf) or not reach >= 0.0:
        key[:] = -1
        return OUTSIDE, np.nan
    dx, dy, dz = direction[0] / length, direction[1] / length, direction[2] / length
    sx, sy, sz = int(dx > 0) - int(dx < 0), int(dy > 0) - int(dy < 0), int(dz > 0) - int(dz < 0)
    ix, iy, iz = 1.0 / dx if sx else 0.0, 1.0 / dy if sy else 0.0, 1.0 / dz if sz else 0.0
    goal = (-1, -1, -1)
    if between:
        goal = (
            axis_key(ox + dx * reach, scale),
            axis_key(oy + dy * reach, scale),
            axis_key(oz + dz * reach, scale),
        )
    bx, by, bz = x0 >> 2, y0 >> 2, z0 >> 2
    tx, ty, tz = (
        _exit(bx, sx, ox, ix, resolution),
        _exit(by, sy, oy, iy, resolution),
        _exit(bz, sz, oz, iz, resolution),
    )
    entry, t = 3, 0.0  # across which axis the block was entered, and when
    certain, unsure = True, UNKNOWN if ask else _PERHAPS  # certain: nothing unknown was passed
    while True:
        block = interleave(bx, by, bz)
        row = row_in_file(a, block) if mapped else row_of(rows, table, old, block)
        solid = seen = np.uint64(0)
        if row >= 0:
            solid, seen = rows[row, SOLID], known(rows, row)
        elif not (stop or between) and _is_past(extent, bx, by, bz, sx, sy, sz):
            return UNKNOWN, reach
        goal_here = between and goal[0] >> 2 == bx and goal[1] >> 2 == by and goal[2] >> 2 == bz
        look = ask and seen != ALL and (certain or stop)
        if solid or look or goal_here:
            x = y = z = np.int64(0)
            if entry == 3:
                x, y, z = x0, y0, z0
            else:
                x = _near(bx, sx) if entry == 0 else _entered(bx, x0, sx, ox, dx, ix, resolution, t, False)
                y = _near(by, sy) if entry == 1 else _entered(by, y0, sy, oy, dy, iy, resolution, t, entry == 0)
                z = _near(bz, sz) if entry == 2 else _entered(bz, z0, sz, oz, dz, iz, resolution, t, True)
            at = t
            while x >> 2 == bx and y >> 2 == by and z >> 2 == bz and at <= reach:
                if between and x == goal[0] and y == goal[1] and z == goal[2]:
                    return (FREE if certain else unsure), reach
                if not (between and x == x0 and y == y0 and z == z0):
                    bit = bit_of(x, y, z)
                    key[0], key[1], key[2] = x, y, z
                    if has(solid, bit):
                        return HIT, at
                    if look and not has(seen, bit):
                        certain = False
                        if stop:
                            return UNKNOWN, at
                vx = _crossing(x, sx, ox, ix, resolution) if sx else np.inf
                vy = _crossing(y, sy, oy, iy, resolution) if sy else np.inf
                vz = _crossing(z, sz, oz, iz, resolution) if sz else np.inf
                if vx < vy and vx < vz:
                    x, at = x + sx, vx
                elif vy < vz and not vx < vy:
                    y, at = y + sy, vy
                else:
                    z, at = z + sz, vz
        if seen != ALL and not look:
            certain = False
        if tx < ty and tx < tz:
            t, entry = tx, 0
            bx += sx
            tx = _exit(bx, sx, ox, ix, resolution)
        elif ty < tz and not tx < ty:
            t, entry = ty, 1
            by += sy
            ty = _exit(by, sy, oy, iy, resolution)
        else:
            t, entry = tz, 2
            bz += sz
            tz = _exit(bz, sz, oz, iz, resolution)
        if t > reach:
            return (FREE if certain else unsure), reach
        if min(bx, min(by, bz)) < 0 or max(bx, max(by, bz)) > _LAST_BLOCK:
            key[:] = -1
            return OUTSIDE, t
