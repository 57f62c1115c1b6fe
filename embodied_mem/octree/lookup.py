"""Looking up points: state, log-odds, when last seen, by which records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import FIRST, HIT, LAST, ODDS, SEEN, SOLID, START, Arrays, known, misses, row_of
from embodied_mem.octree.bits import Number, bit_of, has, rank
from embodied_mem.octree.find import find, row_in_file
from embodied_mem.octree.morton import axis_key, interleave

UNKNOWN, FREE, OCCUPIED = -1, 0, 1

_NO_BLOCK = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True)
def states(a: Arrays, points: NDArray[np.float64], scale: float) -> NDArray[np.int8]:
    """(n,) the state of each point's voxel; scale = 1 / resolution."""
    out = np.empty(len(points), np.int8)
    rows, table, old, mapped = a.rows, a.table, a.old, len(a.firsts) > 0
    last, row = _NO_BLOCK, -1
    for i in range(len(points)):
        x, y, z = axis_key(points[i, 0], scale), axis_key(points[i, 1], scale), axis_key(points[i, 2], scale)
        if (x | y | z) < 0:
            out[i] = UNKNOWN
            continue
        key = interleave(x >> 2, y >> 2, z >> 2)
        if key != last:
            last = key
            row = row_in_file(a, key) if mapped else row_of(rows, table, old, key)
        if row < 0:
            out[i] = UNKNOWN
            continue
        bit = bit_of(x, y, z)
        out[i] = np.int8(has(known(rows, row), bit)) + np.int8(has(rows[row, SOLID], bit)) - 1
    return out


@njit(cache=True, nogil=True)
def evidence(
    a: Arrays, points: NDArray[np.float64], scale: float, by_misses: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """(n,) log-odds of each point's voxel, NaN when unknown; (n, 3) first and last scan that hit it, last that saw it.

    A voxel that was never hit has no scan of its own: what counts is when its block was last seen.
    """
    odds = np.full(len(points), np.nan, np.float32)
    scans = np.zeros((len(points), 3), np.uint32)
    for i in range(len(points)):
        x, y, z = axis_key(points[i, 0], scale), axis_key(points[i, 1], scale), axis_key(points[i, 2], scale)
        if (x | y | z) < 0:
            continue
        row = find(a, interleave(x >> 2, y >> 2, z >> 2))
        if row >= 0:
            odds[i] = read_voxel(a.rows, a.links, a.odds, row, bit_of(x, y, z), by_misses, scans, i)
    return odds, scans


@njit(cache=True, nogil=True, inline="always")
def read_voxel(
    rows: NDArray[np.uint64],
    links: NDArray[np.uint32],
    odds: NDArray[np.float32],
    row: Number,
    bit: Number,
    by_misses: NDArray[np.float32],
    scans: NDArray[np.uint32],
    at: Number,
) -> Any:
    """Log-odds of one voxel, NaN when it is unknown; writes its scans into row `at`: first hit, last hit, last seen."""
    value = np.float32(np.nan)
    if has(rows[row, HIT], bit):
        place = np.int64(rows[row, START]) + rank(rows[row, HIT], bit)
        first, last = links[place, FIRST], links[place, LAST]
        scans[at, 0], scans[at, 1] = first, last
        scans[at, 2] = last if last else np.uint32(rows[row, SEEN])
        value = odds[place, ODDS]
    else:
        count = misses(rows, row, bit)
        if count:
            scans[at, 2] = np.uint32(rows[row, SEEN])
            value = by_misses[count]
    return value
