"""Every voxel in a box: what box, radius, frustum and projection are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import DEAD, KEY, ROWS, SOLID, Arrays, known, row_of
from embodied_mem.octree.bits import ALL, ONE, Word, lowest_bit, popcount
from embodied_mem.octree.find import check_everything, row_in_file
from embodied_mem.octree.lookup import read_voxel
from embodied_mem.octree.morton import HALF, gather, interleave
from embodied_mem.octree.regions import region_mask


@njit(cache=True, nogil=True, inline="always")
def _inside(block: int, low: int, high: int) -> tuple[int, int]:
    """Which of a block's four voxels on an axis lie in low .. high (axis keys, both included): first and last."""
    return max(low - 4 * block, 0), min(high - 4 * block, 3)


@njit(cache=True, nogil=True)
def box_mask(bx: int, by: int, bz: int, low: NDArray[np.int64], high: NDArray[np.int64]) -> Word:
    """The voxels of a block that lie in the box low .. high (3,) of axis keys, both included."""
    x0, x1 = _inside(bx, low[0], high[0])
    y0, y1 = _inside(by, low[1], high[1])
    z0, z1 = _inside(bz, low[2], high[2])
    if x0 > x1 or y0 > y1 or z0 > z1:
        return np.uint64(0)
    if x0 + y0 + z0 == 0 and x1 + y1 + z1 == 9:
        return ALL
    line = (np.uint64(15) >> np.uint64(3 - x1)) & (np.uint64(15) << np.uint64(x0))
    plane = np.uint64(0)
    for y in range(y0, y1 + 1):
        plane |= line << np.uint64(4 * y)
    mask = np.uint64(0)
    for z in range(z0, z1 + 1):
        mask |= plane << np.uint64(16 * z)
    return mask


@njit(cache=True, nogil=True)
def blocks_in_box(a: Arrays, low: NDArray[np.int64], high: NDArray[np.int64], occupied: bool) -> NDArray[np.int64]:
    """The rows of the blocks that touch the box, in whichever way asks less; `occupied`: blocks without anything
    occupied may be left out."""
    first, last = low >> 2, high >> 2
    asked = 1
    total = len(a.rows) if len(a.firsts) else a.counts[ROWS]
    for axis in range(3):
        asked *= max(last[axis] - first[axis] + 1, 0)
        if asked > 2 * total:  # it may exceed 64 bits
            break
    found = 0
    if asked <= 2 * total:
        rows = np.empty(asked, np.int64)
        words, table, old, regions, mapped = a.rows, a.table, a.old, a.regions, len(a.firsts) > 0
        for rz in range(first[2] >> 2, (last[2] >> 2) + 1):
            for ry in range(first[1] >> 2, (last[1] >> 2) + 1):
                for rx in range(first[0] >> 2, (last[0] >> 2) + 1):
                    blocks = box_mask(rx, ry, rz, first, last)
                    if occupied and not mapped:
                        blocks &= region_mask(regions, interleave(rx, ry, rz))
                    while blocks:
                        bit = lowest_bit(blocks)
                        blocks &= blocks - ONE
                        key = interleave((rx << 2) + (bit & 3), (ry << 2) + ((bit >> 2) & 3), (rz << 2) + (bit >> 4))
                        row = row_in_file(a, key) if mapped else row_of(words, table, old, key)
                        if row >= 0:
                            rows[found] = row
                            found += 1
        return rows[:found]
    if not check_everything(a):
        return np.empty(0, np.int64)
    rows = np.empty(total, np.int64)
    for row in range(total):
        key = a.rows[row, KEY]
        if key == DEAD:
            continue
        bx, by, bz = gather(key), gather(key >> ONE), gather(key >> np.uint64(2))
        if first[0] <= bx <= last[0] and first[1] <= by <= last[1] and first[2] <= bz <= last[2]:
            rows[found] = row
            found += 1
    return rows[:found]


class Found(NamedTuple):
    """Known voxels: axis keys and centres (n, 3), log-odds (n,), when last seen (n,) ns, first and last record (n, 2)
    that hit them."""

    keys: NDArray[np.int64]
    centers: NDArray[np.float64]
    log_odds: NDArray[np.float32]
    last_seen: NDArray[np.int64]
    records: NDArray[np.int64]


@njit(cache=True, nogil=True)
def voxels_in_box(
    a: Arrays,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    occupied_only: bool,
    by_misses: NDArray[np.float32],
    stamps: NDArray[np.int64],
    records: NDArray[np.int64],
    resolution: float,
) -> Found:
    """The known voxels in a box; stamps and records (s,) of scans by number."""
    rows = blocks_in_box(a, low, high, occupied_only)
    words, links, packed = a.rows, a.links, a.odds
    masks = np.empty(len(rows), np.uint64)
    count = 0
    for i in range(len(rows)):
        key = words[rows[i], KEY]
        wanted = words[rows[i], SOLID] if occupied_only else known(words, rows[i])
        masks[i] = wanted & box_mask(gather(key), gather(key >> ONE), gather(key >> np.uint64(2)), low, high)
        count += popcount(masks[i])
    keys, centers = np.empty((count, 3), np.int64), np.empty((count, 3))
    odds, seen, linked = np.empty(count, np.float32), np.empty(count, np.int64), np.empty((count, 2), np.int64)
    scans = np.zeros((1, 3), np.uint32)
    at = 0
    for i in range(len(rows)):
        key, mask = words[rows[i], KEY], masks[i]
        x, y, z = gather(key) << 2, gather(key >> ONE) << 2, gather(key >> np.uint64(2)) << 2
        while mask:
            bit = lowest_bit(mask)
            mask &= mask - ONE
            keys[at, 0], keys[at, 1], keys[at, 2] = x + (bit & 3), y + ((bit >> 2) & 3), z + (bit >> 4)
            for axis in range(3):
                centers[at, axis] = (np.float64(keys[at, axis] - HALF) + 0.5) * resolution
            scans[0, 0] = scans[0, 1] = np.uint32(0)
            odds[at] = read_voxel(words, links, packed, rows[i], bit, by_misses, scans, 0)
            seen[at], linked[at, 0], linked[at, 1] = stamps[scans[0, 2]], records[scans[0, 0]], records[scans[0, 1]]
            at += 1
    return Found(keys, centers, odds, seen, linked)


@njit(cache=True, nogil=True)
def project_columns(a: Arrays, low: NDArray[np.int64], high: NDArray[np.int64], grid: NDArray[np.int8]) -> None:
    """Let each column of the box be known when any of its voxels is, and occupied when any is: grid (height, width)."""
    rows = blocks_in_box(a, low, high, False)
    for i in range(len(rows)):
        key = a.rows[rows[i], KEY]
        bx, by, bz = gather(key), gather(key >> ONE), gather(key >> np.uint64(2))
        inside = box_mask(bx, by, bz, low, high)
        solid, seen = _flat(a.rows[rows[i], SOLID] & inside), _flat(known(a.rows, rows[i]) & inside)
        while seen:
            bit = lowest_bit(seen)
            seen &= seen - ONE
            column, line = (bx << 2) + (bit & 3) - low[0], (by << 2) + (bit >> 2) - low[1]
            state = np.int8(100) if (solid >> np.uint64(bit)) & ONE else np.int8(0)
            grid[line, column] = max(grid[line, column], state)


@njit(cache=True, nogil=True, inline="always")
def _flat(mask: Word) -> Word:
    """The union of a block's four layers: 16 bits."""
    mask |= mask >> np.uint64(32)
    return (mask | (mask >> np.uint64(16))) & np.uint64(0xFFFF)
