"""A scan's blocks enter the map: occupancy as OctoMap adds it up, 64 voxels at a time where they are only free."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import (
    FIRST,
    HIT,
    LAST,
    MISS_0,
    MISS_1,
    MISS_2,
    ODDS,
    REGIONS,
    SEEN,
    SOLID,
    START,
    VOXELS,
    Arrays,
    give_run,
    make_block,
    misses,
    row_of,
    run_size,
    take_run,
)
from embodied_mem.octree.bits import ONE, Word, highest_bit, popcount
from embodied_mem.octree.occupancy import Rules
from embodied_mem.octree.regions import note_block
from embodied_mem.octree.window import Blocks

LARGEST_RUN = 64

_NONE = np.uint64(0)


@njit(cache=True, nogil=True)
def find_rows(a: Arrays, blocks: Blocks) -> tuple[NDArray[np.int64], int, int]:
    """The rows (n,) of blocks, -1 for those that the map has not, and how many these are; and how many blocks without
    anything occupied are hit."""
    keys, hits = blocks.keys, blocks.hits
    rows = np.empty(len(keys), np.int64)
    fresh = woken = 0
    words, table, old = a.rows, a.table, a.old
    for i in range(len(keys)):
        row = row_of(words, table, old, keys[i])
        rows[i] = row
        fresh += row < 0
        woken += hits[i] != _NONE and (row < 0 or words[row, SOLID] == _NONE)
    return rows, fresh, woken


@njit(cache=True, nogil=True)
def merge(a: Arrays, rules: Rules, blocks: Blocks, rows: NDArray[np.int64], scan: int) -> tuple[int, int, int]:
    """Add a scan's blocks to their rows (`find_rows`). The caller has made room.

    Returns how many voxels were hit for the first time, hit, and passed.
    """
    before = a.counts[VOXELS]
    hit_count = passed_count = 0
    words, links, odds = a.rows, a.links, a.odds
    for i in range(len(blocks.keys)):
        row = rows[i]
        if row < 0:
            row = make_block(a, blocks.keys[i])
        words[row, SEEN] = np.uint64(scan)
        hits, passed = blocks.hits[i], blocks.passed[i]
        hit_count += popcount(hits)
        passed_count += popcount(passed)
        hit_before, solid_before = words[row, HIT], words[row, SOLID]
        overflow = _count_misses(words, row, rules, passed & ~hit_before)
        if hit_before & passed:
            _weaken(odds, rules, words, row, hit_before & passed)
        fresh = (hits | overflow) & ~hit_before
        if fresh:
            _unpack(a, rules, row, fresh, overflow, scan)
        if hits & hit_before:
            _strengthen(links, odds, rules, words, row, hits & hit_before, scan)
        holds = words[row, SOLID] != _NONE
        if holds != (solid_before != _NONE):
            a.counts[REGIONS] += note_block(a.regions, blocks.keys[i], holds)
    return a.counts[VOXELS] - before, hit_count, passed_count


@njit(cache=True, nogil=True, inline="always")
def _count_misses(words: NDArray[np.uint64], row: int, rules: Rules, passed: Word) -> Word:
    """Add one to the counters of voxels that were never hit; those that cannot count on (and must) are returned."""
    low, middle, high = words[row, MISS_0], words[row, MISS_1], words[row, MISS_2]
    full = np.uint64(rules.full)
    at_full = (
        ~(low ^ (_NONE - (full & ONE)))
        & ~(middle ^ (_NONE - ((full >> ONE) & ONE)))
        & ~(high ^ (_NONE - ((full >> np.uint64(2)) & ONE)))
    )
    carry = passed & ~at_full
    words[row, MISS_0] = low ^ carry
    carry &= low
    words[row, MISS_1] = middle ^ carry
    words[row, MISS_2] = high ^ (carry & middle)
    return _NONE if rules.clamped else passed & at_full


@njit(cache=True, nogil=True)
def _strengthen(
    links: NDArray[np.uint32],
    odds: NDArray[np.float32],
    rules: Rules,
    words: NDArray[np.uint64],
    row: int,
    hits: Word,
    scan: int,
) -> None:
    """Voxels that were hit before are hit again."""
    start, packed, solid = np.int64(words[row, START]), words[row, HIT], _NONE
    while hits:
        bit = hits & (_NONE - hits)
        hits ^= bit
        place = np.uint64(start + popcount(packed & (bit - ONE)))
        links[place, LAST] = np.uint32(scan)
        value = min(np.float32(odds[place, ODDS] + rules.hit), rules.highest)
        odds[place, ODDS] = value
        solid |= bit if value >= rules.occupied else _NONE
    words[row, SOLID] |= solid


@njit(cache=True, nogil=True)
def _weaken(odds: NDArray[np.float32], rules: Rules, words: NDArray[np.uint64], row: int, passed: Word) -> None:
    """Rays pass voxels that were hit before."""
    start, packed, empty = np.int64(words[row, START]), words[row, HIT], _NONE
    while passed:
        bit = passed & (_NONE - passed)
        passed ^= bit
        place = np.uint64(start + popcount(packed & (bit - ONE)))
        value = max(np.float32(odds[place, ODDS] + rules.miss), rules.lowest)
        odds[place, ODDS] = value
        empty |= bit if value < rules.occupied else _NONE
    words[row, SOLID] &= ~empty


@njit(cache=True, nogil=True, inline="always")
def _unpack(a: Arrays, rules: Rules, row: int, fresh: Word, overflow: Word, scan: int) -> None:
    """Voxels that had only counters, or were unknown, get packed voxels of their own; `overflow` by a miss too many."""
    rows, links, odds = a.rows, a.links, a.odds
    before = rows[row, HIT]
    after = before | fresh
    source = popcount(before)
    target = popcount(after)
    a.counts[VOXELS] += target - source
    old_start = np.int64(rows[row, START])
    start = old_start
    moved = run_size(source) != run_size(target)
    if moved:
        start = take_run(a, target)
        rows[row, START] = np.uint64(start)
    old_count = source
    left = after
    # From the last to the first, so that a run which stays where it is does not overwrite what has yet to move.
    while left:
        bit = highest_bit(left)
        mask = ONE << np.uint64(bit)
        left ^= mask
        target -= 1
        place = start + target
        if before & mask:
            source -= 1
            if place != old_start + source:
                for word in range(3):
                    links[place, word] = links[old_start + source, word]
            continue
        base = rules.misses[misses(rows, row, bit)]
        if overflow & mask:
            value, seen = max(np.float32(base + rules.miss), rules.lowest), 0
        else:
            value, seen = min(np.float32(base + rules.hit), rules.highest), scan
        links[place, FIRST] = np.uint32(seen)
        links[place, LAST] = np.uint32(seen)
        odds[place, ODDS] = value
        if value >= rules.occupied:
            rows[row, SOLID] |= mask
    if moved:
        give_run(a, old_start, old_count)
    rows[row, HIT] = after
    for plane in (MISS_0, MISS_1, MISS_2):
        rows[row, plane] &= ~fresh
