"""Forgetting: voxels of a box, voxels of records, whole blocks."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import (
    DEAD,
    FIRST,
    HIT,
    KEY,
    LAST,
    MISS_0,
    MISS_2,
    ROWS,
    SOLID,
    START,
    VOXELS,
    Arrays,
    drop_block,
    give_run,
    known,
    run_size,
    take_run,
)
from embodied_mem.octree.bits import ONE, Word, lowest_bit, popcount
from embodied_mem.octree.morton import gather
from embodied_mem.octree.regions import note_block
from embodied_mem.octree.volumes import blocks_in_box, box_mask


@njit(cache=True, nogil=True)
def erase_voxels(a: Arrays, row: int, mask: Word) -> None:
    """Make voxels of a block unknown; a block without any is given back. The caller has made room for one run."""
    words = a.rows[row]
    before = words[HIT]
    after = before & ~np.uint64(mask)
    if after != before:
        source, target = popcount(before), popcount(after)
        old_start = start = np.int64(words[START])
        if run_size(source) != run_size(target):
            start = take_run(a, target)
        from_place, to_place, left = old_start, start, before
        while left:
            bit = ONE << np.uint64(lowest_bit(left))
            left &= left - ONE
            if after & bit:
                for word in range(3):
                    a.links[to_place, word] = a.links[from_place, word]
                to_place += 1
            from_place += 1
        if run_size(source) != run_size(target):
            give_run(a, old_start, source)
            words[START] = np.uint64(start)
        words[HIT] = after
        a.counts[VOXELS] -= source - target
    for plane in range(MISS_0, MISS_2 + 1):
        words[plane] &= ~np.uint64(mask)
    if known(a.rows, row) == np.uint64(0):
        drop_block(a, row)
    elif words[SOLID] & np.uint64(mask):
        words[SOLID] &= ~np.uint64(mask)
        if words[SOLID] == np.uint64(0):
            note_block(a.regions, words[KEY], False)


@njit(cache=True, nogil=True)
def clear_box(a: Arrays, low: NDArray[np.int64], high: NDArray[np.int64]) -> int:
    """Make the voxels of a box of axis keys (3,), both included, unknown. Returns how many were known."""
    erased = 0
    rows = blocks_in_box(a, low, high, False)
    for i in range(len(rows)):
        key = a.rows[rows[i], KEY]
        mask = box_mask(gather(key), gather(key >> ONE), gather(key >> np.uint64(2)), low, high)
        mask &= known(a.rows, rows[i])
        if mask:
            erased += popcount(mask)
            erase_voxels(a, rows[i], mask)
    return erased


@njit(cache=True, nogil=True)
def forget_scans(a: Arrays, forgotten: NDArray[np.uint8]) -> int:
    """Erase voxels whose first and last hit are of scans that are forgotten (s,); others lose their link to them.

    Returns how many voxels were erased.
    """
    erased = 0
    for row in range(a.counts[ROWS]):
        if a.rows[row, KEY] == DEAD:
            continue
        place, left, mask = np.int64(a.rows[row, START]), a.rows[row, HIT], np.uint64(0)
        while left:
            bit = ONE << np.uint64(lowest_bit(left))
            left &= left - ONE
            first, last = forgotten[a.links[place, FIRST]], forgotten[a.links[place, LAST]]
            if first and last:
                mask |= bit
            elif first:
                a.links[place, FIRST] = a.links[place, LAST]
            elif last:
                a.links[place, LAST] = a.links[place, FIRST]
            place += 1
        if mask:
            erased += popcount(mask)
            erase_voxels(a, row, mask)
    return erased


@njit(cache=True, nogil=True)
def drop_blocks(a: Arrays, rows: NDArray[np.int64]) -> None:
    for i in range(len(rows)):
        drop_block(a, rows[i])


@njit(cache=True, nogil=True)
def count_voxels(a: Arrays, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) how many voxels of each of these blocks were ever hit."""
    counts = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        counts[i] = popcount(a.rows[rows[i], HIT])
    return counts
