"""Owns the arrays of an octree and lets them grow without a pause.

Rows and packed voxels are reserved far ahead: the system gives memory to an array where it is touched, so room costs
addresses, not bytes. The hash table doubles step by step: entries move a few at a time with each insert.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from embodied_mem.octree.arrays import (
    BLOCKS,
    COUNTS,
    FILLED,
    KEY,
    LINKS,
    MOVED,
    REGIONS,
    ROWS,
    RUN,
    SIZES,
    START,
    VOXELS,
    Arrays,
    enter_rows,
    move_entries,
)
from embodied_mem.octree.regions import make_regions, move_regions

_ROWS = 1 << 21
_LINKS = 1 << 24
_TABLE = 1 << 10
_REGIONS = 1 << 8
_STEP = 2048  # places of the old table that an insert moves at least


class Store:
    """The arrays, empty. Not locked: its owner is."""

    def __init__(self) -> None:
        links = _reserve((_LINKS, 3), np.uint32)
        self.arrays = Arrays(
            rows=_reserve((_ROWS, 8), np.uint64),
            links=links,
            odds=links.view(np.float32),
            table=np.zeros(_TABLE, np.uint64),
            old=np.zeros(1, np.uint64),
            spare=np.zeros(SIZES, np.int64),
            regions=make_regions(_REGIONS),
            counts=np.zeros(COUNTS, np.int64),
            extent=empty_extent(),
            **NOT_MAPPED,
        )

    @classmethod
    def of(cls, rows: NDArray[np.uint64], links: NDArray[np.uint32]) -> Store:
        """A store of these blocks (n, 8) and packed voxels (m, 3), whose runs lie without gaps as START says."""
        store = cls()
        given = rows[:, START].astype(np.int64)
        counts: NDArray[np.int64] = np.append(given[1:], len(links))[: len(rows)] - given
        room = -(-counts // RUN) * RUN  # a run may grow in place up to there
        starts = np.cumsum(room) - room
        used = int(room.sum())
        store._make_room(len(rows), used)
        a = store.arrays
        a.rows[: len(rows)] = rows
        a.rows[: len(rows), START] = starts
        within = np.arange(len(links)) - np.repeat(given, counts)
        a.links[np.repeat(starts, counts) + within] = links
        a.counts[[ROWS, BLOCKS, LINKS, VOXELS]] = len(rows), len(rows), used, len(links)
        regions = int(np.count_nonzero(np.diff(rows[:, KEY] >> np.uint64(6)))) + 1  # rows are sorted
        store.arrays = a._replace(
            table=np.zeros(_table_size(len(rows)), np.uint64), regions=make_regions(_table_size(regions, _REGIONS))
        )
        enter_rows(store.arrays)
        return store

    @property
    def nbytes(self) -> int:
        """Bytes in use: rows, packed voxels and tables."""
        a = self.arrays
        old = a.old.nbytes if len(a.old) > 1 else 0
        return int(a.counts[ROWS]) * 64 + int(a.counts[LINKS]) * 12 + a.table.nbytes + old + a.regions.nbytes

    def make_room(self, blocks: int, links: int, regions: int = 0) -> None:
        """Before a merge: room for as many new blocks, packed voxels and regions. Moves a few entries of a growing
        table."""
        if 2 * (int(self.arrays.counts[REGIONS]) + regions) > len(self.arrays.regions):
            self._grow_regions(regions)
        self._make_room(int(self.arrays.counts[ROWS]) + blocks, int(self.arrays.counts[LINKS]) + links)
        a = self.arrays
        if len(a.old) > 1 and move_entries(a, max(_STEP, 8 * blocks)):
            self.arrays = a = a._replace(old=np.zeros(1, np.uint64))
        waiting = int(a.counts[BLOCKS]) if len(a.old) > 1 else 0
        if 2 * (max(int(a.counts[FILLED]), waiting) + blocks) > len(a.table):
            self._grow_table(blocks)

    def _grow_table(self, blocks: int) -> None:
        a = self.arrays
        if len(a.old) > 1:
            move_entries(a, len(a.old))
        size = _table_size(int(a.counts[BLOCKS]) + blocks)
        self.arrays = a._replace(table=np.zeros(size, np.uint64), old=a.table)
        a.counts[MOVED] = a.counts[FILLED] = 0

    def _grow_regions(self, regions: int) -> None:
        a = self.arrays
        larger = make_regions(_table_size(int(a.counts[REGIONS]) + regions, _REGIONS))
        a.counts[REGIONS] = move_regions(a.regions, larger)
        self.arrays = a._replace(regions=larger)

    def _make_room(self, rows: int, links: int) -> None:
        a = self.arrays
        if rows > len(a.rows):
            self.arrays = a = a._replace(rows=_enlarged(a.rows, rows, int(a.counts[ROWS])))
        if links > len(a.links):
            grown = _enlarged(a.links, links, int(a.counts[LINKS]))
            self.arrays = a._replace(links=grown, odds=grown.view(np.float32))


NOT_MAPPED: dict[str, Any] = {
    "firsts": np.zeros(0, np.uint64),
    "file": np.zeros(0, np.uint8),
    "checked": np.zeros(0, np.uint8),
    "sums": np.zeros(0, np.uint32),
    "places": np.zeros(2, np.int64),
}


def empty_extent() -> NDArray[np.int64]:
    """(2, 3) block keys: lowest and highest of none."""
    return np.array([[1 << 19] * 3, [-1] * 3], np.int64)


def _table_size(entries: int, least: int = _TABLE) -> int:
    """A power of two that is at most half full, with room to stay so for a while."""
    return max(least, 1 << int(2.5 * entries).bit_length())


def _enlarged(array: NDArray[Any], wanted: int, used: int) -> NDArray[Any]:
    grown = _reserve((max(4 * len(array), wanted), *array.shape[1:]), array.dtype, wanted)
    grown[:used] = array[:used]
    return grown


def _reserve(shape: tuple[int, ...], dtype: DTypeLike, at_least: int = 1 << 12) -> NDArray[Any]:
    """Zeros that take memory only where they are touched; fewer rows where the system promises no more than it has."""
    rows = shape[0]
    while True:
        try:
            return np.zeros((rows, *shape[1:]), dtype)
        except MemoryError:
            if rows <= at_least:
                raise
            rows = max(rows // 4, at_least)
