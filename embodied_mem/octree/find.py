"""Finding a block, in memory or in a mapped file, whose pages are checked before they are believed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import DAMAGED, HIT, KEY, START, Arrays, row_of
from embodied_mem.octree.bits import Number, Word, popcount

PAGE = 16384
ROWS_A_PAGE = PAGE // 64


def _crc_tables() -> NDArray[np.uint32]:
    """(8, 256) tables of CRC-32 (IEEE 802.3) for eight bytes at a time."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        tables[0, byte] = value
    for i in range(1, 8):
        tables[i] = (tables[i - 1] >> 8) ^ tables[0, tables[i - 1] & 0xFF]
    return tables


_CRC = _crc_tables()


@njit(cache=True, nogil=True)
def crc32(data: NDArray[np.uint8]) -> Number:
    """As zlib.crc32. M. Kounavis and F. Berry, "Novel table lookup-based algorithms for high-performance CRC
    generation", IEEE Transactions on Computers 2008."""
    crc = np.uint32(0xFFFFFFFF)
    end = len(data) & ~7
    for i in range(0, end, 8):
        low = crc ^ (
            np.uint32(data[i])
            | (np.uint32(data[i + 1]) << np.uint32(8))
            | (np.uint32(data[i + 2]) << np.uint32(16))
            | (np.uint32(data[i + 3]) << np.uint32(24))
        )
        crc = (
            _CRC[7, low & np.uint32(255)]
            ^ _CRC[6, (low >> np.uint32(8)) & np.uint32(255)]
            ^ _CRC[5, (low >> np.uint32(16)) & np.uint32(255)]
            ^ _CRC[4, low >> np.uint32(24)]
            ^ _CRC[3, data[i + 4]]
            ^ _CRC[2, data[i + 5]]
            ^ _CRC[1, data[i + 6]]
            ^ _CRC[0, data[i + 7]]
        )
    for i in range(end, len(data)):
        crc = _CRC[0, (crc ^ np.uint32(data[i])) & np.uint32(255)] ^ (crc >> np.uint32(8))
    return np.int64(crc ^ np.uint32(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def is_whole(a: Arrays, begin: int, end: int) -> bool:
    """Check the pages of the file that hold its bytes begin .. end, each once; a damaged one is noted in counts."""
    for page in range(begin // PAGE, (end - 1) // PAGE + 1):
        if not a.checked[page]:
            if crc32(a.file[page * PAGE : (page + 1) * PAGE]) != np.int64(a.sums[page]):
                a.counts[DAMAGED] = page + 1
                return False
            a.checked[page] = 1
    return True


@njit(cache=True, nogil=True)
def row_in_file(a: Arrays, key: Word) -> int:
    wanted = np.uint64(key)
    low, high = 0, len(a.firsts)  # the last page whose first key is not above the wanted one
    while low < high:
        middle = (low + high) >> 1
        if a.firsts[middle] <= wanted:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return -1
    begin = (low - 1) * ROWS_A_PAGE
    end = min(begin + ROWS_A_PAGE, len(a.rows))
    if not is_whole(a, a.places[0] + begin * 64, a.places[0] + end * 64):
        return -1
    low, high = begin, end
    while low < high:
        middle = (low + high) >> 1
        if a.rows[middle, KEY] < wanted:
            low = middle + 1
        else:
            high = middle
    if low == end or a.rows[low, KEY] != wanted:
        return -1
    count = popcount(a.rows[low, HIT])
    if count:
        start = a.places[1] + np.int64(a.rows[low, START]) * 12
        if not is_whole(a, start, start + count * 12):
            return -1
    return low


@njit(cache=True, nogil=True)
def find(a: Arrays, key: Word) -> int:
    """The row of a block, or -1. Its packed voxels may be read."""
    if len(a.firsts):
        return row_in_file(a, key)
    return row_of(a.rows, a.table, a.old, key)


@njit(cache=True, nogil=True)
def check_everything(a: Arrays) -> bool:
    """Before a pass over all rows."""
    return len(a.firsts) == 0 or is_whole(a, 0, len(a.checked) * PAGE)
