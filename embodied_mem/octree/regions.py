"""Which blocks hold anything occupied, 4 x 4 x 4 of them to a word: a region, 16 voxels wide.

Rays and boxes look here first: most of space is empty, and a region that is takes one look instead of 64. A region has
the Morton code of its blocks without the last six bits; its block (x, y, z) is bit x + 4 y + 16 z of its word. Regions
stand in an open-addressing table of their own, (2^b, 2) uint64: code plus one (0 = empty), word. It is small, so it
stays in the cache and grows at once. Regions that became empty stay in it until it grows.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.bits import ONE, Number, Word

NAME, MASK = range(2)

_NOTHING = np.uint64(0)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def make_regions(size: int) -> NDArray[np.uint64]:
    """An empty table of so many places, a power of two."""
    return np.zeros((size, 2), np.uint64)


@njit(cache=True, nogil=True, inline="always")
def region_mask(regions: NDArray[np.uint64], code: Word) -> Word:
    """Which blocks of a region hold anything occupied."""
    name = np.uint64(code) + ONE
    last = len(regions) - 1
    place = _home(name, last)
    while regions[place, NAME] != name and regions[place, NAME] != _NOTHING:
        place = (place + 1) & last
    return regions[place, MASK]


@njit(cache=True, nogil=True)
def note_block(regions: NDArray[np.uint64], key: Word, holds: bool) -> int:
    """Note whether a block, given by its Morton code, holds anything. Returns how many regions are new: 0 or 1.

    The caller has made room for one.
    """
    name = (np.uint64(key) >> np.uint64(6)) + ONE
    last = len(regions) - 1
    place = _home(name, last)
    while regions[place, NAME] != name and regions[place, NAME] != _NOTHING:
        place = (place + 1) & last
    bit = ONE << _bit_in_region(np.uint64(key))
    if not holds:
        regions[place, MASK] &= ~bit
        return 0
    fresh = regions[place, NAME] == _NOTHING
    regions[place, NAME] = name
    regions[place, MASK] |= bit
    return 1 if fresh else 0


@njit(cache=True, nogil=True)
def move_regions(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> int:
    """Enter the regions that are not empty into an empty table with room for them; returns how many."""
    count, last = 0, len(new) - 1
    for i in range(len(old)):
        if old[i, MASK] != _NOTHING:
            place = _home(old[i, NAME], last)
            while new[place, NAME] != _NOTHING:
                place = (place + 1) & last
            new[place, NAME], new[place, MASK] = old[i, NAME], old[i, MASK]
            count += 1
    return count


@njit(cache=True, nogil=True, inline="always")
def _home(name: Word, last: int) -> Number:
    return np.int64((np.uint64(name) * _GOLDEN) >> np.uint64(32)) & last


@njit(cache=True, nogil=True, inline="always")
def _bit_in_region(key: Word) -> Word:
    """The bit x + 4 y + 16 z of a block: the last six bits of its Morton code in another order."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    x = (key & one) | ((key >> two) & two)
    y = ((key >> one) & one) | ((key >> three) & two)
    z = ((key >> two) & one) | ((key >> four) & two)
    return x | (y << two) | (z << four)
