"""Columns that grow: the storage of every in-memory view, and how a view is taken apart into them for its cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from embodied_mem.records.kernels import count_in_ranges, rows_in_ranges

_TAIL = 1024  # unsorted values that are always bearable
_LARGE = 1 << 20  # bytes from which the system moves an array by remapping its pages


class Growable:
    """An array that rows are appended to, in amortised constant time.

    It grows in place: `ndarray.resize` is a realloc, and large arrays are remapped rather than copied, so neither time
    nor memory has a spike. Slices of `data` must therefore not outlive the lock under which they were taken.
    A column `over` a file's memory map is copied once, when it has outgrown the room that the file left it.
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None, capacity: int = 1024) -> None:
        self._shape = () if width is None else (width,)
        self._buffer: NDArray[Any] = np.zeros((capacity, *self._shape), dtype=dtype)
        self._size = 0

    @classmethod
    def over(cls, buffer: NDArray[Any], size: int) -> Growable:
        """A column of the first `size` rows of an array (capacity, ...) that belongs to somebody else."""
        column = cls.__new__(cls)
        column._shape, column._buffer, column._size = buffer.shape[1:], buffer, size
        return column

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
            share = 2 if self._buffer.nbytes < _LARGE else 8  # what is remapped may grow often; its room is resident
            self._grow(max(stop, len(self._buffer) + len(self._buffer) // share))
        self._buffer[start:stop] = block
        self._size = stop
        return start

    def truncate(self, size: int) -> None:
        """Forget all rows but the first `size`."""
        self._size = min(size, self._size)

    def _grow(self, capacity: int) -> None:
        if self._buffer.flags.owndata:
            self._buffer.resize((capacity, *self._shape), refcheck=False)
            return
        grown = np.empty((capacity, *self._shape), dtype=self._buffer.dtype)
        grown[: self._size] = self.data
        self._buffer = grown


class Columnar:
    """Something made of growable columns, plain facts, and parts of the same kind, all of them its attributes.

    It can be taken apart into columns by name and facts (that JSON could hold), and put together again from these.
    Attributes of other types are left out: a class that needs them overrides these methods.
    """

    def columns(self) -> dict[str, Growable]:
        """Every column by its name; names of parts' columns begin with the part's and a dot."""
        found = {name: value for name, value in vars(self).items() if isinstance(value, Growable)}
        for name, part in self._parts():
            found |= {f"{name}.{inner}": column for inner, column in part.columns().items()}
        return found

    def facts(self) -> Any:
        """What is no column."""
        plain = {name: value for name, value in vars(self).items() if isinstance(value, int | float | str)}
        return plain | {name: part.facts() for name, part in self._parts()}

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        """Become what was taken apart into these. KeyError when they are of something else."""
        for name, value in vars(self).items():
            if isinstance(value, Growable):
                setattr(self, name, columns[name])
            elif isinstance(value, int | float | str):
                setattr(self, name, facts[name])
        for name, part in self._parts():
            start = f"{name}."
            own = {inner.removeprefix(start): column for inner, column in columns.items() if inner.startswith(start)}
            part.restore(own, facts[name])

    def _parts(self) -> Iterator[tuple[str, Columnar]]:
        for name, value in vars(self).items():
            if isinstance(value, Columnar):
                yield name, value
            elif isinstance(value, tuple):
                yield from ((f"{name}{i}", part) for i, part in enumerate(value) if isinstance(part, Columnar))


class Postings(Columnar):
    """For each code the rows that have it, in order of arrival."""

    def __init__(self) -> None:
        self._rows: dict[int, Growable] = {}

    def add(self, code: int, rows: NDArray[Any]) -> None:
        self._rows.setdefault(code, Growable(np.int32, capacity=16)).extend(rows)

    def count(self, code: int) -> int:
        return len(self._rows[code]) if code in self._rows else 0

    def rows(self, code: int) -> NDArray[np.int32]:
        return self._rows[code].data if code in self._rows else np.zeros(0, np.int32)

    def columns(self) -> dict[str, Growable]:
        together = Growable(np.int32, capacity=max(sum(map(len, self._rows.values())), 1))
        for rows in self._rows.values():
            together.extend(rows.data)
        return {"rows": together}

    def facts(self) -> Any:
        return [[code, len(rows)] for code, rows in self._rows.items()]

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        together, start = columns["rows"].data, 0
        for code, length in facts:
            self._rows[code] = Growable.over(together[start : start + length], length)
            start += length


class SortedColumn(Columnar):
    """An int64 column that answers range look-ups: a sorted part, and a short unsorted tail of what came last.

    Values that arrive in order (stamps mostly do) extend the sorted part; others wait in the tail, which is merged
    when it outgrows an eighth of the column, so the work per row stays logarithmic.
    """

    def __init__(self) -> None:
        self._values = Growable(np.int64)
        self._rows = Growable(np.int32)
        self._sorted = 0
        self.largest = int(np.iinfo(np.int64).min)

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
