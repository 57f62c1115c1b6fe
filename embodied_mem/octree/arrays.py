"""The memory of an octree as kernels see it: rows of blocks, a hash table over them, and packed voxels.

A block of 4 x 4 x 4 voxels is a row of eight 64-bit words: one cache line.

    KEY     Morton code of the block, or DEAD
    SOLID   which voxels are occupied
    HIT     which voxels have ever been hit: these have a packed voxel
    MISS_0, MISS_1, MISS_2   bit planes: how often each of the other voxels was missed, 0 = unknown, clamped at 7
    START   where the packed voxels of HIT begin; they lie in the order of their bits
    SEEN    the last scan that saw any voxel of the block

A packed voxel is three 32-bit words: the first and the last scan that hit it, and its log-odds. Scans are numbers into
a table of stamps and records, so that the 16 bytes of a voxel's record (last seen, record) cost 4. Known-free space is
the bit planes alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.bits import Number, Word, popcount
from embodied_mem.octree.morton import gather
from embodied_mem.octree.regions import note_block

KEY, SOLID, HIT, MISS_0, MISS_1, MISS_2, START, SEEN = range(8)
FIRST, LAST, ODDS = range(3)
DEAD = np.uint64(0xFFFFFFFFFFFFFFFF)

# Entries of `counts`.
ROWS, SPARE_ROW, LINKS, FILLED, BLOCKS, VOXELS, MOVED, DAMAGED, REGIONS = range(9)
COUNTS = 9

RUN = 4  # packed voxels are handed out in multiples of this
SIZES = 17  # run sizes 0, 4, .. 64

_STRIDE = 8  # to the next place that is tried: siblings do not get into the way of each other

_EMPTY = np.uint64(0)
_REMOVED = np.uint64(0xFFFFFFFF)
_LOW = np.uint64(0xFFFFFFFF)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Arrays(NamedTuple):
    """What a kernel is given. Inner loops take arrays out of it first: references to all of its parts would be counted
    wherever it is passed on, and those to a row wherever one is cut out.

    rows     (r, 8) uint64; links (v, 3) uint32 and odds (v, 3) float32 are the same memory
    table    (2^b,) uint64: a tag in the upper half, the row plus one in the lower, 0 = empty
    old      the table before, while its entries are being moved; else one empty entry
    spare    (17,) int64: for each run size the first spare run, plus one
    regions  (2^c, 2) uint64: which blocks hold anything occupied (regions.py); of a mapped file none
    counts   (9,) int64
    extent   (2, 3) int64: the lowest and the highest block key on each axis that there ever was
    firsts   (pages,) uint64: the first key of each page of sorted rows of a mapped file, empty when there is none
    file, checked, sums   the bytes of that file, which of its pages were found whole, their CRCs
    places   (2,) int64: where rows and packed voxels begin in the file
    """

    rows: NDArray[np.uint64]
    links: NDArray[np.uint32]
    odds: NDArray[np.float32]
    table: NDArray[np.uint64]
    old: NDArray[np.uint64]
    spare: NDArray[np.int64]
    regions: NDArray[np.uint64]
    counts: NDArray[np.int64]
    extent: NDArray[np.int64]
    firsts: NDArray[np.uint64]
    file: NDArray[np.uint8]
    checked: NDArray[np.uint8]
    sums: NDArray[np.uint32]
    places: NDArray[np.int64]


@njit(cache=True, nogil=True, inline="always")
def known(rows: NDArray[np.uint64], row: Number) -> Word:
    """Which voxels of a block were ever hit or missed."""
    return rows[row, HIT] | rows[row, MISS_0] | rows[row, MISS_1] | rows[row, MISS_2]


@njit(cache=True, nogil=True, inline="always")
def misses(rows: NDArray[np.uint64], row: Number, bit: Number) -> Number:
    """How often the voxel `bit`, which was never hit, was missed."""
    b = np.uint64(bit)
    one = np.uint64(1)
    low = (rows[row, MISS_0] >> b) & one
    middle = (rows[row, MISS_1] >> b) & one
    high = (rows[row, MISS_2] >> b) & one
    return np.int64(low | (middle << one) | (high << np.uint64(2)))


# --- the hash table --------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, inline="always")
def _mixed(key: Word) -> Word:
    return (np.uint64(key) >> np.uint64(3)) * _GOLDEN


@njit(cache=True, nogil=True, inline="always")
def _tag(key: Word, mixed: Word) -> Word:
    return (np.uint64(mixed) ^ (np.uint64(key) & np.uint64(7))) << np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def _home(key: Word, mixed: Word, size: int) -> Number:
    """Eight siblings share a cache line of the table: their low bits choose the place in it."""
    group = (np.uint64(mixed) >> np.uint64(32)) & np.uint64((size >> 3) - 1)
    return np.int64((group << np.uint64(3)) | (np.uint64(key) & np.uint64(7)))


@njit(cache=True, nogil=True, inline="always")
def probe(table: NDArray[np.uint64], rows: NDArray[np.uint64], key: Word) -> int:
    """The place of a key's entry in the table, or -1."""
    mixed = _mixed(key)
    tag = _tag(key, mixed)
    place = _home(key, mixed, len(table))
    last = len(table) - 1
    while True:
        entry = table[place]
        if entry == _EMPTY:
            return -1
        low = entry & _LOW
        if (entry ^ tag) <= _LOW and low != _REMOVED and rows[np.int64(low) - 1, KEY] == np.uint64(key):
            return place
        place = (place + _STRIDE) & last


@njit(cache=True, nogil=True, inline="always")
def row_at(table: NDArray[np.uint64], place: int) -> Number:
    return np.int64(table[place] & _LOW) - 1


@njit(cache=True, nogil=True)
def find_many(
    table: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    count: int,
    rows: NDArray[np.int64],
    left: NDArray[np.int64],
    places: NDArray[np.int64],
) -> None:
    """The rows of `count` keys by their tags alone, -1 = none; the keys in these rows are still to be compared.

    left, places  room to work in, as long as keys
    """
    last = len(table) - 1
    for i in range(count):
        left[i] = i
        places[i] = _home(keys[i], _mixed(keys[i]), len(table))
    remain = count
    while remain:
        again = 0
        for j in range(remain):
            i, place = left[j], places[j]
            entry = table[place]
            low = entry & _LOW
            same = ((entry ^ _tag(keys[i], _mixed(keys[i]))) <= _LOW) & (low != _REMOVED) & (low != _EMPTY)
            rows[i] = np.int64(low) - 1 if same else -1
            left[again], places[again] = i, (place + _STRIDE) & last
            again += 0 if same or entry == _EMPTY else 1
        remain = again


@njit(cache=True, nogil=True)
def _put(table: NDArray[np.uint64], key: Word, row: int) -> None:
    """Enter a key that is not in the table, which has room."""
    mixed = _mixed(key)
    place = _home(key, mixed, len(table))
    last = len(table) - 1
    while table[place] != _EMPTY:
        place = (place + _STRIDE) & last
    table[place] = _tag(key, mixed) | np.uint64(row + 1)


@njit(cache=True, nogil=True, inline="always")
def row_of(rows: NDArray[np.uint64], table: NDArray[np.uint64], old: NDArray[np.uint64], key: Word) -> int:
    """The row of a block in memory, or -1."""
    row = -1
    place = probe(table, rows, key)
    if place >= 0:
        row = row_at(table, place)
    elif len(old) > 1:
        place = probe(old, rows, key)
        if place >= 0:
            row = row_at(old, place)
    return row


@njit(cache=True, nogil=True)
def move_entries(a: Arrays, count: int) -> bool:
    """Move `count` places of the old table into the new one; whether all are through."""
    begin = a.counts[MOVED]
    end = min(begin + count, len(a.old))
    for place in range(begin, end):
        entry = a.old[place]
        if entry != _EMPTY and entry & _LOW != _REMOVED:
            row = np.int64(entry & _LOW) - 1
            _put(a.table, a.rows[row, KEY], row)
            a.counts[FILLED] += 1
    a.counts[MOVED] = end
    return end == len(a.old)


@njit(cache=True, nogil=True)
def enter_rows(a: Arrays) -> None:
    """Fill empty tables from the rows."""
    for row in range(a.counts[ROWS]):
        if a.rows[row, KEY] != DEAD:
            _put(a.table, a.rows[row, KEY], row)
            a.counts[FILLED] += 1
            widen(a, a.rows[row, KEY])
            if a.rows[row, SOLID] != _EMPTY:
                a.counts[REGIONS] += note_block(a.regions, a.rows[row, KEY], True)


@njit(cache=True, nogil=True, inline="always")
def make_block(a: Arrays, key: Word) -> int:
    """A new empty row for a key that has none. The caller has made room in the table and in the rows."""
    row = a.counts[SPARE_ROW] - 1
    if row >= 0:
        a.counts[SPARE_ROW] = np.int64(a.rows[row, START])
    else:
        row = a.counts[ROWS]
        a.counts[ROWS] += 1
    for word in range(8):
        a.rows[row, word] = np.uint64(0)
    a.rows[row, KEY] = np.uint64(key)
    _put(a.table, key, row)
    a.counts[FILLED] += 1
    a.counts[BLOCKS] += 1
    widen(a, key)
    return row


@njit(cache=True, nogil=True, inline="always")
def widen(a: Arrays, key: Word) -> None:
    """Let the extent hold a block."""
    for axis in range(3):
        at = gather(np.uint64(key) >> np.uint64(axis))
        a.extent[0, axis] = min(a.extent[0, axis], at)
        a.extent[1, axis] = max(a.extent[1, axis], at)


@njit(cache=True, nogil=True)
def drop_block(a: Arrays, row: int) -> None:
    """Give back a row and its packed voxels."""
    key = a.rows[row, KEY]
    for table in (a.table, a.old):
        if len(table) > 1:
            place = probe(table, a.rows, key)
            if place >= 0:
                table[place] = _REMOVED
    count = popcount(a.rows[row, HIT])
    give_run(a, np.int64(a.rows[row, START]), count)
    a.counts[VOXELS] -= count
    if a.rows[row, SOLID] != _EMPTY:
        note_block(a.regions, key, False)
    a.rows[row, KEY] = DEAD
    for word in range(1, 8):
        a.rows[row, word] = np.uint64(0)
    a.rows[row, START] = np.uint64(a.counts[SPARE_ROW])
    a.counts[SPARE_ROW] = row + 1
    a.counts[BLOCKS] -= 1


# --- runs of packed voxels -------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, inline="always")
def run_size(count: int) -> int:
    """In which size of run `count` packed voxels lie, in units of RUN."""
    return (count + 3) >> 2


@njit(cache=True, nogil=True, inline="always")
def take_run(a: Arrays, count: int) -> int:
    """Where a run for `count` packed voxels begins. The caller has made room."""
    size = run_size(count)
    if size == 0:
        return 0
    start = a.spare[size] - 1
    if start >= 0:
        a.spare[size] = np.int64(a.links[start, 0])
        return start
    start = a.counts[LINKS]
    a.counts[LINKS] += size * 4
    return start


@njit(cache=True, nogil=True, inline="always")
def give_run(a: Arrays, start: int, count: int) -> None:
    """Give back the run of `count` packed voxels."""
    size = run_size(count)
    if size:
        a.links[start, 0] = np.uint32(a.spare[size])
        a.spare[size] = start + 1
