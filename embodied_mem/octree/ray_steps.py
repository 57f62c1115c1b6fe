"""Where a ray is: when it crosses a border, in which voxel it comes to a block, and how it goes on through that.

When a ray crosses a border is a function of the border alone, nothing is added up on the way; so a ray that leaps over
a block comes out in the very voxel in which one that walked through it would (J. Amanatides and A. Woo, "A fast voxel
traversal algorithm for ray tracing", Eurographics 1987). Of borders crossed at the same time z comes first, then y.
Steps choose their axis by arithmetic, since no guess of a branch is any good there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.bits import ONE, Number, Word, bit_of
from embodied_mem.octree.morton import HALF

LAST_BLOCK = (1 << 19) - 1  # of the keys of blocks on an axis
STARTED = 3  # the ray began here: it came across no axis


class Ray(NamedTuple):
    """origin metres, direction of length 1 and its inverse (0 where that is none), its signs, the voxel of the origin;
    each x, y, z."""

    origin: Any
    direction: Any
    inverse: Any
    step: Any
    start: Any


@njit(cache=True, nogil=True)
def leaves(cell: Number, shift: int, step: int, origin: float, inverse: float, resolution: float) -> float:
    """How far along the ray the border lies at which it leaves a voxel (shift 0) or a block (2), on one axis."""
    border = (cell + (1 if step > 0 else 0)) << shift
    crossing = (np.float64(border - HALF) * resolution - origin) * inverse
    return crossing if step != 0 else np.inf


@njit(cache=True, nogil=True)
def first_axis(tx: float, ty: float, tz: float) -> tuple[int, int]:
    """Whether (1 or 0) the border on x is crossed first, and whether that on y is; else that on z is."""
    x_before_y = tx < ty
    return int(x_before_y & (tx < tz)), int((ty < tz) & (not x_before_y))


@njit(cache=True, nogil=True)
def enter(ray: Ray, bx: Number, by: Number, bz: Number, resolution: float, t: float, entry: int) -> Any:
    """The voxel in which a ray comes to a block at `t`, across the axis `entry` (0, 1, 2, or STARTED)."""
    (ox, oy, oz), (dx, dy, dz), (ix, iy, iz), (sx, sy, sz), (x, y, z) = ray
    if entry != STARTED:
        x = _near(bx, sx) if entry == 0 else _entered(bx, x, sx, ox, dx, ix, resolution, t, False)
        y = _near(by, sy) if entry == 1 else _entered(by, y, sy, oy, dy, iy, resolution, t, entry == 0)
        z = _near(bz, sz) if entry == 2 else _entered(bz, z, sz, oz, dz, iz, resolution, t, True)
    return x, y, z


@njit(cache=True, nogil=True)
def walk_to(ray: Ray, stop: Word, x: Number, y: Number, z: Number, t: float, resolution: float) -> Any:
    """From a voxel of a block, entered at `t`, to the first voxel of the set `stop` in that block: when it is entered,
    -1 when the ray leaves the block before; and where the ray is then."""
    (ox, oy, oz), _, (ix, iy, iz), (sx, sy, sz), _ = ray
    bx, by, bz = x >> 2, y >> 2, z >> 2
    at = t
    while (stop >> np.uint64(bit_of(x, y, z))) & ONE == np.uint64(0):
        tx = leaves(x, 0, sx, ox, ix, resolution)
        ty = leaves(y, 0, sy, oy, iy, resolution)
        tz = leaves(z, 0, sz, oz, iz, resolution)
        on_x, on_y = first_axis(tx, ty, tz)
        at = min(tx, min(ty, tz))
        x, y, z = x + sx * on_x, y + sy * on_y, z + sz * (1 - on_x - on_y)
        if ((x >> 2) ^ bx) | ((y >> 2) ^ by) | ((z >> 2) ^ bz):
            at = -1.0
            break
    return at, x, y, z


@njit(cache=True, nogil=True)
def is_past(extent: NDArray[np.int64], bx: Number, by: Number, bz: Number, sx: int, sy: int, sz: int) -> bool:
    """Whether a ray that is in this block has left all there is behind."""
    x = (sx >= 0 and bx > extent[1, 0]) or (sx <= 0 and bx < extent[0, 0])
    y = (sy >= 0 and by > extent[1, 1]) or (sy <= 0 and by < extent[0, 1])
    return x or y or (sz >= 0 and bz > extent[1, 2]) or (sz <= 0 and bz < extent[0, 2])


@njit(cache=True, nogil=True)
def counts_before(x: Number, y: Number, z: Number, goal: Any, steps: Any) -> bool:
    """Whether a voxel lies before `goal` on a ray with these signs; where there is no goal (-1), always."""
    beyond = (x - goal[0]) * steps[0] > 0 or (y - goal[1]) * steps[1] > 0 or (z - goal[2]) * steps[2] > 0
    return goal[0] < 0 or not (beyond or (x == goal[0] and y == goal[1] and z == goal[2]))


@njit(cache=True, nogil=True)
def _near(block: Number, step: int) -> Any:
    """The voxel on an axis in which a ray comes into a block."""
    return block << 2 if step > 0 else (block << 2) | 3


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
    at: Any = np.int64(math.floor((origin + t * direction) / resolution)) + HALF
    at = min(max(at, near), last) if step > 0 else max(min(at, near), last)
    # That was rounded; when borders are crossed decides.
    while at != last:
        crossing = leaves(at, 0, step, origin, inverse, resolution)
        if crossing < t or (first and crossing == t):
            at += step
        else:
            break
    while at != near:
        crossing = leaves(at - step, 0, step, origin, inverse, resolution)
        if crossing < t or (first and crossing == t):
            break
        at -= step
    return at
