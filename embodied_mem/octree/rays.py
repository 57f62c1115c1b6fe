"""Rays through the map: to the first occupied voxel, or to the first one of which nothing is known."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import SOLID, Arrays, known, row_of
from embodied_mem.octree.bits import ALL, ONE, bit_of
from embodied_mem.octree.find import row_in_file
from embodied_mem.octree.morton import HALF, axis_key, interleave
from embodied_mem.octree.ray_lots import (
    FOUND,
    LEFT_KEYS,
    LOT,
    NOTHING,
    Lot,
    make_bench,
    make_lot,
    meet_occupied,
    ray_of,
)
from embodied_mem.octree.ray_steps import (
    LAST_BLOCK,
    STARTED,
    counts_before,
    enter,
    first_axis,
    is_past,
    leaves,
    walk_to,
)

HIT, FREE, UNKNOWN, OUTSIDE = 1, 0, -1, -2

_NO_RAY = 4  # an outcome: it begins outside of what keys reach, or has no direction


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
    positions: NDArray[np.float64],
) -> None:
    """Cast rays (n, 3) from origins (n, 3) along directions of any length up to `reach` (n,) metres.

    unknown_blocks  the first unknown voxel stops a ray, too
    between         the voxel in which a ray begins and the one in which it ends do not count
    Written to: states (n,), distances (n,) to where the last voxel is entered, positions (n, 3) of that voxel's centre
    where it stopped the ray, else of where the ray ends.
    """
    lot, bench = make_lot(), make_bench()
    rows, table, old, regions, extent, mapped = a.rows, a.table, a.old, a.regions, a.extent, len(a.firsts) > 0
    reals, voxels, goals, times, outcomes = lot.reals, lot.voxels, lot.goals, lot.times, lot.outcomes
    for begin in range(0, len(origins), LOT):
        count = min(LOT, len(origins) - begin)
        _aim(lot, origins, directions, reach, begin, count, resolution, between)
        if mapped:
            for i in range(count):
                if lot.outcomes[i] == NOTHING:
                    _meet(a, lot, i, resolution, False, between)
        else:
            meet_occupied(rows, table, old, regions, extent, lot, bench, count, resolution, between)
        for i in range(count):
            state, distance, stopped = FREE, reach[begin + i], False
            if outcomes[i] == FOUND:
                state, distance, stopped = HIT, times[i], True
                reals[i, 9] = distance
                for axis in range(3):
                    goals[i, axis] = voxels[i, axis]
            elif outcomes[i] == LEFT_KEYS:
                state, distance = OUTSIDE, times[i]
            elif outcomes[i] == _NO_RAY:
                state, distance = OUTSIDE, np.nan
            if outcomes[i] != _NO_RAY and (unknown_blocks or state == FREE):
                _meet(a, lot, i, resolution, True, between)
                if outcomes[i] == FOUND:
                    state, stopped = UNKNOWN, unknown_blocks
                    distance = times[i] if unknown_blocks else distance
            states[begin + i], distances[begin + i] = state, distance
            for axis in range(3):
                if stopped:
                    voxel = voxels[i, axis] if state == UNKNOWN else goals[i, axis]
                    positions[begin + i, axis] = (np.float64(voxel - HALF) + 0.5) * resolution
                else:
                    positions[begin + i, axis] = reals[i, axis] + reals[i, 3 + axis] * distance


@njit(cache=True, nogil=True)
def _aim(
    lot: Lot,
    origins: NDArray[np.float64],
    ways: NDArray[np.float64],
    reach: NDArray[np.float64],
    begin: int,
    count: int,
    resolution: float,
    between: bool,
) -> None:
    """Put `count` rays into the lot."""
    scale = 1.0 / resolution
    reals, steps, starts, goals, outcomes = lot.reals, lot.steps, lot.starts, lot.goals, lot.outcomes
    for i in range(count):
        number = begin + i
        length = math.sqrt(ways[number, 0] ** 2 + ways[number, 1] ** 2 + ways[number, 2] ** 2)
        inside = 0.0 < length < np.inf and reach[number] >= 0.0
        reals[i, 9] = reach[number]
        for axis in range(3):
            origin, direction = origins[number, axis], ways[number, axis] / length if inside else 0.0
            step = int(direction > 0) - int(direction < 0)
            reals[i, axis], reals[i, 3 + axis] = origin, direction
            reals[i, 6 + axis] = 1.0 / direction if step != 0 else 0.0
            steps[i, axis] = step
            starts[i, axis] = axis_key(origin, scale)
            goals[i, axis] = axis_key(origin + direction * reach[number], scale) if between else -1
        if (starts[i, 0] | starts[i, 1] | starts[i, 2]) < 0:
            inside = False
        if (goals[i, 0] | goals[i, 1] | goals[i, 2]) < 0:
            goals[i, 0] = goals[i, 1] = goals[i, 2] = -1
        outcomes[i] = NOTHING if inside else _NO_RAY


@njit(cache=True, nogil=True)
def _meet(a: Arrays, lot: Lot, i: int, resolution: float, unknown: bool, between: bool) -> None:
    """Let one ray go, block by block, to the first voxel that is occupied, or unknown, before its goal and within its
    reach; of a mapped file, too.

    between  the voxel in which the ray begins does not count
    """
    rows, table, old, extent, mapped = a.rows, a.table, a.old, a.extent, len(a.firsts) > 0
    ray = ray_of(lot, i)
    (ox, oy, oz), _, (ix, iy, iz), (sx, sy, sz), (x0, y0, z0) = ray
    goal, reach = (lot.goals[i, 0], lot.goals[i, 1], lot.goals[i, 2]), lot.reals[i, 9]
    bx, by, bz = x0 >> 2, y0 >> 2, z0 >> 2
    entry, t = STARTED, 0.0
    lot.outcomes[i] = NOTHING
    while t <= reach:
        block = interleave(bx, by, bz)
        row = row_in_file(a, block) if mapped else row_of(rows, table, old, block)
        stop = ALL if unknown else np.uint64(0)
        if row >= 0:
            stop = ~known(rows, row) if unknown else rows[row, SOLID]
        elif not unknown and is_past(extent, bx, by, bz, sx, sy, sz):
            return
        if between and entry == STARTED:
            stop &= ~(ONE << np.uint64(bit_of(x0, y0, z0)))
        if stop:
            x, y, z = enter(ray, bx, by, bz, resolution, t, entry)
            at, x, y, z = walk_to(ray, stop, x, y, z, t, resolution)
            if at >= 0.0:
                if at <= reach and counts_before(x, y, z, goal, ray.step):
                    lot.outcomes[i], lot.times[i] = FOUND, at
                    lot.voxels[i, 0], lot.voxels[i, 1], lot.voxels[i, 2] = x, y, z
                return
        tx = leaves(bx, 2, sx, ox, ix, resolution)
        ty = leaves(by, 2, sy, oy, iy, resolution)
        tz = leaves(bz, 2, sz, oz, iz, resolution)
        on_x, on_y = first_axis(tx, ty, tz)
        entry, t = 2 - on_y - 2 * on_x, min(tx, min(ty, tz))
        bx, by, bz = bx + sx * on_x, by + sy * on_y, bz + sz * (1 - on_x - on_y)
        if min(bx, min(by, bz)) < 0 or max(bx, max(by, bz)) > LAST_BLOCK:
            if t <= reach:
                lot.outcomes[i], lot.times[i] = LEFT_KEYS, t
            return
