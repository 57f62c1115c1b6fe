"""The first occupied voxel on each of many rays, in memory.

Rays go together, a lot of them: first each leaps from block to block, side by side with others, until the regions say
that there is something; then all of these blocks are looked up at once, so that memory is waited for only once; then
each ray walks through its block, and those that meet nothing in it leap on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import KEY, SOLID, find_many, row_of
from embodied_mem.octree.bits import ONE, Number, bit_of
from embodied_mem.octree.block_lanes import (
    APART,
    BORDER,
    INVERSE,
    LANES,
    ORIGIN,
    PLACE,
    STEP,
    STRETCH,
    WORDS,
    leap,
)
from embodied_mem.octree.morton import HALF, interleave
from embodied_mem.octree.ray_steps import LAST_BLOCK, STARTED, Ray, counts_before, enter, is_past, walk_to
from embodied_mem.octree.regions import region_mask

LOT = 64
FOUND, NOTHING, LEFT_KEYS = range(3)  # what became of a ray
_UNDER_WAY = 3

# A place is a block counted from one 28 blocks before the region where the stretch began: three axes of six bits.
_BIAS = 28
_IN_REGION = 3 | (3 << 6) | (3 << 12)
_LAST_REGION = LAST_BLOCK >> 2


class Lot(NamedTuple):
    """Rays that are cast together, a row each.

    reals    origin, direction, inverse of the direction (x, y, z each), reach
    steps    signs of the direction; starts, goals: voxels, a goal of -1 is none
    voxels   the voxel that was met, or the block where the ray is
    times    how far along the ray that is entered
    entries  across which axis; outcomes: what became of the ray
    """

    reals: NDArray[np.float64]
    steps: NDArray[np.int64]
    starts: NDArray[np.int64]
    goals: NDArray[np.int64]
    voxels: NDArray[np.int64]
    times: NDArray[np.float64]
    entries: NDArray[np.int64]
    outcomes: NDArray[np.int64]


class _Bench(NamedTuple):
    """Room to work in: rays that leap, those that have come to something; lanes, their places and times; keys, rows,
    and what `find_many` needs."""

    active: NDArray[np.int64]
    come: NDArray[np.int64]
    lanes: NDArray[np.float64]
    places: NDArray[np.float64]
    times: NDArray[np.float64]
    keys: NDArray[np.uint64]
    solid: NDArray[np.uint64]
    rows: NDArray[np.int64]
    left: NDArray[np.int64]
    tried: NDArray[np.int64]


@njit(cache=True, nogil=True)
def make_lot() -> Lot:
    return Lot(
        np.empty((LOT, 10)),
        np.empty((LOT, 3), np.int64),
        np.empty((LOT, 3), np.int64),
        np.empty((LOT, 3), np.int64),
        np.empty((LOT, 3), np.int64),
        np.empty(LOT),
        np.empty(LOT, np.int64),
        np.empty(LOT, np.int64),
    )


@njit(cache=True, nogil=True)
def make_bench() -> _Bench:
    return _Bench(
        np.empty(LOT, np.int64),
        np.empty(LOT, np.int64),
        np.zeros((WORDS, LANES)),
        np.empty((STRETCH, LANES)),
        np.empty((STRETCH, LANES)),
        np.empty(LOT, np.uint64),
        np.empty(LOT, np.uint64),
        np.empty(LOT, np.int64),
        np.empty(LOT, np.int64),
        np.empty(LOT, np.int64),
    )


@njit(cache=True, nogil=True, inline="always")
def ray_of(lot: Lot, i: int) -> Ray:
    r, s, v = lot.reals, lot.steps, lot.starts
    return Ray(
        (r[i, 0], r[i, 1], r[i, 2]),
        (r[i, 3], r[i, 4], r[i, 5]),
        (r[i, 6], r[i, 7], r[i, 8]),
        (s[i, 0], s[i, 1], s[i, 2]),
        (v[i, 0], v[i, 1], v[i, 2]),
    )


@njit(cache=True, nogil=True)
def meet_occupied(
    rows: NDArray[np.uint64],
    table: NDArray[np.uint64],
    old: NDArray[np.uint64],
    regions: NDArray[np.uint64],
    extent: NDArray[np.int64],
    lot: Lot,
    bench: _Bench,
    count: int,
    resolution: float,
    between: bool,
) -> None:
    """Let `count` rays of the lot go to the first occupied voxel before their goals and within their reach.

    between  the voxel in which a ray begins does not count
    """
    active, come, keys, found, solid = bench.active, bench.come, bench.keys, bench.rows, bench.solid
    going = arrived = 0
    starts, voxels, times, entries, outcomes = lot.starts, lot.voxels, lot.times, lot.entries, lot.outcomes
    for i in range(count):
        if outcomes[i] != NOTHING:
            continue
        bx, by, bz = starts[i, 0] >> 2, starts[i, 1] >> 2, starts[i, 2] >> 2
        voxels[i, 0], voxels[i, 1], voxels[i, 2] = bx, by, bz
        times[i], entries[i] = 0.0, STARTED
        here = (region_mask(regions, interleave(bx >> 2, by >> 2, bz >> 2)) >> np.uint64(bit_of(bx, by, bz))) & ONE
        if here:
            come[arrived] = i
            arrived += 1
        else:
            active[going] = i
            going += 1
    while going + arrived:
        going, arrived = _leap(regions, extent, lot, bench, going, arrived, resolution)
        for j in range(arrived):
            keys[j] = interleave(voxels[come[j], 0], voxels[come[j], 1], voxels[come[j], 2])
        find_many(table, keys, arrived, found, bench.left, bench.tried)
        for j in range(arrived):
            row = found[j] if found[j] >= 0 else row_of(rows, table, old, keys[j])
            if rows[row, KEY] != keys[j]:  # another key has the same tag
                row = row_of(rows, table, old, keys[j])
            solid[j] = rows[row, SOLID]
        going = _walk(lot, bench, going, arrived, resolution, between)
        arrived = 0


@njit(cache=True, nogil=True)
def _leap(
    regions: NDArray[np.uint64],
    extent: NDArray[np.int64],
    lot: Lot,
    bench: _Bench,
    going: int,
    arrived: int,
    resolution: float,
) -> tuple[int, int]:
    """Let the first `going` active rays take a stretch of steps. Those that come to a block with something in it are
    listed after the `arrived` ones; returns how many are still going, and how many have arrived then."""
    reals, steps, voxels, entered, entries = lot.reals, lot.steps, lot.voxels, lot.times, lot.entries
    active, come, lanes, places, times = bench.active, bench.come, bench.lanes, bench.places, bench.times
    kept = 0
    for first in range(0, going, LANES):
        count = min(LANES, going - first)
        for lane in range(count):
            i = active[first + lane]
            lanes[PLACE, lane] = _place_of(voxels[i, 0], voxels[i, 1], voxels[i, 2])
            for axis in range(3):
                step = steps[i, axis]
                border = np.float64(((voxels[i, axis] + (1 if step > 0 else 0)) << 2) - HALF)
                lanes[BORDER + axis, lane] = border if step != 0 else np.inf
                lanes[ORIGIN + axis, lane] = reals[i, axis] if step != 0 else 0.0
                lanes[INVERSE + axis, lane] = reals[i, 6 + axis] if step != 0 else 1.0
                lanes[APART + axis, lane] = 4.0 * step
                lanes[STEP + axis, lane] = np.float64(step * (1 << (6 * axis)))
        leap(lanes, places, times, resolution)
        for lane in range(count):
            i = active[first + lane]
            x, y, z = voxels[i, 0], voxels[i, 1], voxels[i, 2]
            reach = reals[i, 9]
            ax, ay, az = (x & ~3) - _BIAS, (y & ~3) - _BIAS, (z & ~3) - _BIAS
            place = before = _place_of(x, y, z)
            blocks = region_mask(regions, interleave(x >> 2, y >> 2, z >> 2))
            outcome, step = _UNDER_WAY, 0
            while step < STRETCH:
                before, place = place, np.int64(places[step, lane])
                if times[step, lane] > reach:
                    outcome = NOTHING
                    break
                if (place ^ before) & ~_IN_REGION:
                    rx, ry, rz = (ax + (place & 63)) >> 2, (ay + ((place >> 6) & 63)) >> 2, (az + (place >> 12)) >> 2
                    if min(rx, min(ry, rz)) < 0 or max(rx, max(ry, rz)) > _LAST_REGION:
                        outcome = LEFT_KEYS
                        break
                    blocks = region_mask(regions, interleave(rx, ry, rz))
                if (blocks >> np.uint64((place & 3) | ((place >> 4) & 12) | ((place >> 8) & 48))) & ONE:
                    outcome = FOUND
                    break
                step += 1
            step = min(step, STRETCH - 1)
            x, y, z = ax + (place & 63), ay + ((place >> 6) & 63), az + (place >> 12)
            crossed = abs(place - before)
            voxels[i, 0], voxels[i, 1], voxels[i, 2] = x, y, z
            entered[i], entries[i] = times[step, lane], 0 if crossed == 1 else (1 if crossed == 64 else 2)
            if outcome == FOUND:
                come[arrived] = i
                arrived += 1
            elif outcome == LEFT_KEYS:
                lot.outcomes[i] = LEFT_KEYS
            elif outcome == _UNDER_WAY and not is_past(extent, x, y, z, steps[i, 0], steps[i, 1], steps[i, 2]):
                active[kept] = i
                kept += 1
    return kept, arrived


@njit(cache=True, nogil=True)
def _walk(lot: Lot, bench: _Bench, going: int, arrived: int, resolution: float, between: bool) -> int:
    """Let the rays that have come to a block walk through it; those that meet nothing go on, after the `going` active
    ones. Returns how many these are then."""
    r, s, v, goals, voxels = lot.reals, lot.steps, lot.starts, lot.goals, lot.voxels
    times, entries, outcomes = lot.times, lot.entries, lot.outcomes
    active, come, solid = bench.active, bench.come, bench.solid
    for j in range(arrived):
        i, stop = come[j], solid[j]
        ray = Ray(
            (r[i, 0], r[i, 1], r[i, 2]),
            (r[i, 3], r[i, 4], r[i, 5]),
            (r[i, 6], r[i, 7], r[i, 8]),
            (s[i, 0], s[i, 1], s[i, 2]),
            (v[i, 0], v[i, 1], v[i, 2]),
        )
        if between and entries[i] == STARTED:
            stop &= ~(ONE << np.uint64(bit_of(v[i, 0], v[i, 1], v[i, 2])))
        x, y, z = enter(ray, voxels[i, 0], voxels[i, 1], voxels[i, 2], resolution, times[i], entries[i])
        at, x, y, z = walk_to(ray, stop, x, y, z, times[i], resolution)
        if at < 0.0:
            active[going] = i
            going += 1
        elif at <= r[i, 9] and counts_before(x, y, z, (goals[i, 0], goals[i, 1], goals[i, 2]), ray.step):
            outcomes[i], times[i] = FOUND, at
            voxels[i, 0], voxels[i, 1], voxels[i, 2] = x, y, z
    return going


@njit(cache=True, nogil=True)
def _place_of(x: Number, y: Number, z: Number) -> Number:
    return ((x & 3) + _BIAS) | (((y & 3) + _BIAS) << 6) | (((z & 3) + _BIAS) << 12)
