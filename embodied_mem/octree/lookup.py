"""Looking up points: state, log-odds, when last seen, by which records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import FIRST, HIT, LAST, ODDS, SEEN, SOLID, START, Arrays, known, misses
from embodied_mem.octree.bits import bit_of, has, rank
from embodied_mem.octree.find import find
from embodied_mem.octree.morton import axis_key, interleave

UNKNOWN, FREE, OCCUPIED = -1, 0, 1

_NO_BLOCK = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True)
def states(a: Arrays, points: NDArray[np.float64], scale: float) -> NDArray[np.int8]:
    """(n,) the state of each point's voxel; scale = 1 / resolution."""
    out = np.empty(len(points), np.int8)
    last, row = _NO_BLOCK, -1
    for i in range(len(points)):
        x, y, z = axis_key(points[i, 0], scale), axis_key(points[i, 1], scale), axis_key(points[i, 2], scale)
        if (x | y | z) < 0:
            out[i] = UNKNOWN
            continue
        key = interleave(x >> 2, y >> 2, z >> 2)
        if key != last:
            last, row = key, find(a, key)
        if row < 0:
            out[i] = UNKNOWN
            continue
        bit = bit_of(x, y, z)
        out[i] = np.int8(has(known(a.rows[row]), bit)) + np.int8(has(a.rows[row, SOLID], bit)) - 1
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
            odds[i] = read_voxel(a, row, bit_of(x, y, z), by_misses, scans[i])
    return odds, scans


@njit(cache=True, nogil=True)
def read_voxel(a: Arrays, row: int, bit: int, by_misses: NDArray[np.float32], scans: NDArray[np.uint32]) -> Any:
    """Log-odds of one voxel, NaN when it is unknown; writes its scans (3,): first hit, last hit, last seen."""
    words = a.rows[row]
    if has(words[HIT], bit):
        place = np.int64(words[START]) + rank(words[HIT], bit)
        scans[0], scans[1] = a.links[place, FIRST], a.links[place, LAST]
        scans[2] = scans[1] if scans[1] else np.uint32(words[SEEN])
        return a.odds[place, ODDS]
    count = misses(words, bit)
    if count == 0:
        return np.float32(np.nan)
    scans[2] = np.uint32(words[SEEN])
    return by_misses[count]
