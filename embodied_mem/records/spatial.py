"""The spatial hash of the record index: which rows may lie in a box, without looking at the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.growable import Columnar, Growable, SortedColumn
from embodied_mem.records.kernels import box_runs

_CELL = 2.0  # metres
_HALF = 1 << 20  # cells on either side of the origin; keys have 21 bits an axis
_MAX_RUNS = 4096


class SpatialHash(Columnar):
    """Cells of 2 m; a cell's key puts x last, so that a run of cells along x is one range of sorted keys."""

    def __init__(self) -> None:
        self._column = SortedColumn()
        self._extent = Growable(np.int64, 3, capacity=2)  # of the occupied cells: the lowest, the highest
        self._extent.extend([[_HALF] * 3, [-_HALF] * 3])

    def extend(self, positions: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Append (n, 3) positions of the (n,) rows."""
        if not len(positions):
            return
        cells = self._cells(positions)
        low, high = self._extent.data
        np.minimum(low, cells.min(axis=0), out=low)
        np.maximum(high, cells.max(axis=0), out=high)
        self._column.extend(self._keys(cells), rows)

    def runs(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Half-open ranges of keys that cover the box, or None when they would be too many to be of use."""
        fits, lows, highs = box_runs(low, high, *self._extent.data, _CELL, _HALF, _MAX_RUNS)
        return (lows, highs) if fits else None

    def count(self, runs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> int:
        return self._column.count(*runs)

    def rows(self, runs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.int32]:
        """A superset of the rows in the box."""
        return self._column.rows(*runs)

    @staticmethod
    def _cells(positions: NDArray[np.float64]) -> NDArray[np.int64]:
        # Positions outside the addressable range share its outermost cells: the exact test sorts them out.
        scaled = np.floor(np.asarray(positions) / _CELL)
        return np.clip(scaled, -_HALF, _HALF - 1).astype(np.int64)

    @staticmethod
    def _keys(cells: NDArray[np.int64]) -> NDArray[np.int64]:
        shifted = cells + _HALF
        return (shifted[:, 2] << 42) | (shifted[:, 1] << 21) | shifted[:, 0]
