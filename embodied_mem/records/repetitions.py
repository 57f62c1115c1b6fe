"""When records were seen again: how often, and when last, as known at any number of the log."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.growable import Columnar, Growable
from embodied_mem.records.versions import VersionTable


class Repetitions(Columnar):
    """The log's entries of the kind SEEN_AGAIN, in order."""

    def __init__(self) -> None:
        self._entries = Growable(np.int64)
        self._records = Growable(np.int64)
        self._stamps = Growable(np.int64)
        self._counts = Growable(np.int32)  # by record

    def add(self, entry: int, record: int, stamp_ns: int) -> None:
        """Entry number `entry` says that the record was seen again."""
        for column, value in ((self._entries, entry), (self._records, record), (self._stamps, stamp_ns)):
            column.extend([value])
        if record >= len(self._counts):
            self._counts.extend(np.zeros(record + 1 - len(self._counts)))
        self._counts.data[record] += 1

    def count(self, record: int, as_of: int) -> int:
        """How often the record was seen again, as known at an entry number."""
        count = int(self._counts.data[record]) if record < len(self._counts) else 0
        if not count or as_of >= self._entries.data[-1]:
            return count
        known = int(np.searchsorted(self._entries.data, as_of, "right"))
        return int((self._records.data[:known] == record).sum())

    def since(self, entry: int) -> NDArray[np.int64]:
        """(n, 3) those that came after an entry number: the entry's number, the record's, and the stamp."""
        first = int(np.searchsorted(self._entries.data, entry, "right"))
        return np.column_stack([column.data[first:] for column in (self._entries, self._records, self._stamps)])

    def entries_about(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the entries that say that any of these records was seen again, ascending."""
        return self._entries.data[np.isin(self._records.data, records)]

    def last_seen(self, table: VersionTable, as_of: int) -> NDArray[np.int64]:
        """(rows,) when each version was last seen, as known at an entry number."""
        known = int(np.searchsorted(self._entries.data, as_of, "right"))
        if known == len(self._entries):
            return table.last_seen.data
        last = table.last_seen.data.copy()
        rows = table.versions_of(np.unique(self._records.data[known:]))
        latest = np.zeros(len(table.current_row), dtype=np.int64)  # by record
        np.maximum.at(latest, self._records.data[:known], self._stamps.data[:known])
        last[rows] = np.maximum(table.first_seen.data[rows], latest[table.seqs.data[rows]])
        return last
