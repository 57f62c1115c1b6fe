"""Columns that grow: the storage of every in-memory view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from embodied_mem.records.kernels import count_in_ranges, rows_in_ranges

_TAIL = 1024  # unsorted values that are always bearable


class Growable:
    """An array that rows are appended to, in amortised constant time.

    It grows in place: `ndarray.resize` is a realloc, and large arrays are remapped rather than copied, so neither time
    nor memory has a spike. Slices of `data` must therefore not outlive the lock under which they were taken.
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None, capacity: int = 1024) -> None:
        self._shape = () if width is None else (width,)
        self._buffer: NDArray[Any] = np.zeros((capacity, *self._shape), dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def data(self) -> NDArray[Any]:
        """The rows, as a slice of the buffer."""
        return self._buffer[: self._size]

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes

    def extend(self, rows: ArrayLike) -> int:
        """Append (n, ...) rows; returns the index of the first."""
        block = np.asarray(rows, dtype=self._buffer.dtype)
        start, stop = self._size, self._size + len(block)
        if stop > len(self._buffer):
            capacity = max(stop, len(self._buffer) + len(self._buffer) // 2)
            self._buffer.resize((capacity, *self._shape), refcheck=False)
        self._buffer[start:stop] = block
        self._size = stop
        return start


class SortedColumn:
    """An int64 column that answers range look-ups: a sorted part, and a short unsorted tail of what came last.

    Values that arrive in order (stamps mostly do) extend the sorted part; others wait in the tail, which is merged
    when it outgrows an eighth of the column, so the work per row stays logarithmic.
    """

    def __init__(self) -> None:
        self._values = Growable(np.int64)
        self._rows = Growable(np.int32)
        self._sorted = 0
        self.largest = np.iinfo(np.int64).min

    def __len__(self) -> int:
        return len(self._values)

    def extend(self, values: ArrayLike, rows: ArrayLike) -> None:
        """Append the (n,) values of the (n,) rows."""
        block = np.asarray(values, dtype=np.int64)
        self.largest = max(self.largest, int(block.max(initial=self.largest)))
        in_order = self._sorted == len(self._values) and bool(np.all(block[1:] >= block[:-1]))
        if in_order and self._sorted and len(block):
            in_order = bool(block[0] >= self._values.data[-1])
        self._values.extend(block)
        self._rows.extend(rows)
        if in_order:
            self._sorted = len(self._values)
        elif len(self._values) - self._sorted > max(_TAIL, self._sorted // 8):
            order = np.argsort(self._values.data, kind="stable")
            self._values.data[:] = self._values.data[order]
            self._rows.data[:] = self._rows.data[order]
            self._sorted = len(self._values)

    def count(self, lows: NDArray[np.int64], highs: NDArray[np.int64]) -> int:
        """An upper bound on the rows whose value lies in any of the half-open ranges [low, high)."""
        return int(count_in_ranges(self._values.data[: self._sorted], lows, highs)) + len(self._values) - self._sorted

    def rows(self, lows: NDArray[np.int64], highs: NDArray[np.int64]) -> NDArray[np.int32]:
        """Rows in the ranges (disjoint, half-open), and the whole tail: a superset, to be tested row by row."""
        return rows_in_ranges(self._values.data[: self._sorted], self._rows.data, lows, highs)
