"""Looking up points: state, log-odds, when last seen, by which records."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import (
    FIRST,
    HIT,
    KEY,
    LAST,
    ODDS,
    SEEN,
    SOLID,
    START,
    Arrays,
    find_many,
    known,
    misses,
    row_of,
)
from embodied_mem.octree.bits import Number, bit_of, has, rank
from embodied_mem.octree.find import row_in_file
from embodied_mem.octree.morton import axis_key, interleave

UNKNOWN, FREE, OCCUPIED = -1, 0, 1

_NO_BLOCK = np.uint64(0xFFFFFFFFFFFFFFFF)
_LOT = 256


@njit(cache=True, nogil=True)
def states(a: Arrays, points: NDArray[np.float64], scale: float) -> NDArray[np.int8]:
    """(n,) the state of each point's voxel; scale = 1 / resolution."""
    out = np.empty(len(points), np.int8)
    lot, rows = _new_lot(), a.rows
    for begin in range(0, len(points), _LOT):
        count = min(_LOT, len(points) - begin)
        _locate(a, points, begin, count, scale, lot)
        for i in range(count):
            row, bit = max(lot.rows[i], 0), lot.bits[i]
            seen, solid = has(known(rows, row), bit), has(rows[row, SOLID], bit)
            out[begin + i] = (np.int8(seen) + np.int8(solid)) * np.int8(lot.rows[i] >= 0) - 1
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
    lot, rows, links, packed = _new_lot(), a.rows, a.links, a.odds
    for begin in range(0, len(points), _LOT):
        count = min(_LOT, len(points) - begin)
        _locate(a, points, begin, count, scale, lot)
        for i in range(count):
            row = lot.rows[i]
            if row >= 0:
                odds[begin + i] = read_voxel(rows, links, packed, row, lot.bits[i], by_misses, scans, begin + i)
    return odds, scans


class _Lot(NamedTuple):
    """Points that are looked up together: their blocks' keys and rows (-1 = none), their bits in them; which of them
    are not found yet, and where in the table these are looked for next."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.int64]
    bits: NDArray[np.int64]
    left: NDArray[np.int64]
    places: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _new_lot() -> _Lot:
    return _Lot(
        np.empty(_LOT, np.uint64),
        np.empty(_LOT, np.int64),
        np.empty(_LOT, np.int64),
        np.empty(_LOT, np.int64),
        np.empty(_LOT, np.int64),
    )


@njit(cache=True, nogil=True)
def _locate(a: Arrays, points: NDArray[np.float64], begin: int, count: int, scale: float, lot: _Lot) -> None:
    """Find the blocks of `count` points from `begin` on.

    One step for all points, then the next one, without branches: where memory is waited for, it is waited for many of
    them at once, and no guess of where a search ends can be wrong.
    """
    keys, found, bits = lot.keys, lot.rows, lot.bits
    for i in range(count):
        x, y, z = (
            axis_key(points[begin + i, 0], scale),
            axis_key(points[begin + i, 1], scale),
            axis_key(points[begin + i, 2], scale),
        )
        keys[i] = interleave(x >> 2, y >> 2, z >> 2) if (x | y | z) >= 0 else _NO_BLOCK
        bits[i] = bit_of(x, y, z)
    if len(a.firsts):
        for i in range(count):
            found[i] = row_in_file(a, keys[i])
        return
    find_many(a.table, keys, count, found, lot.left, lot.places)
    rows, table, old = a.rows, a.table, a.old
    for i in range(count):
        # Tags of two keys are hardly ever alike; and a table that grows has two parts.
        if (found[i] >= 0 and rows[found[i], KEY] != keys[i]) or (found[i] < 0 and len(old) > 1):
            found[i] = row_of(rows, table, old, keys[i])


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
