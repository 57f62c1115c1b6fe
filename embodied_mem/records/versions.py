"""The columns of the record index: a row for each version of each record.

A correction does not change a row: it closes it (`valid_to`) and appends another (`valid_from`), both at the command's
number. So the state of memory at any number of the log is a filter, not a replay, and `as_of` costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.growable import Columnar, Growable, Postings, SortedColumn
from embodied_mem.records.spatial import SpatialHash

OPEN = np.iinfo(np.int64).max  # valid_to of the current version
NO_ROW = -1


@dataclass(eq=False)
class Block:
    """n new versions with m detections. Row i owns the detections whose `owner` is i; owners ascend."""

    seqs: NDArray[np.int64]
    valid_from: NDArray[np.int64]
    first_seen: NDArray[np.int64]
    last_seen: NDArray[np.int64]
    positions: NDArray[np.float64]  # (n, 3)
    orientations: NDArray[np.float64]  # (n, 4)
    codes: NDArray[np.int32]  # (n, 3): map, robot, session
    texts: NDArray[np.int64]  # number of the entry whose caption the version carries
    views: NDArray[np.int32]  # row of the view table, or NO_ROW
    prints: NDArray[np.int64]  # what the sensor said, as a number
    owner: NDArray[np.int32]  # (m,)
    labels: NDArray[np.int32]  # (m,)
    scores: NDArray[np.float64]  # (m,)
    centers: NDArray[np.float64]  # (m, 3)
    sizes: NDArray[np.float64]  # (m, 3)
    yaws: NDArray[np.float64]  # (m,)


class StretchedRows(Columnar):
    """Rows that were seen over a time, not only at one moment; finds those that may have been seen at a given one.

    Ordered by when they were first seen, with the running maximum of when they were last seen: whatever stands before
    the place where that maximum reaches a moment had ended by then.
    """

    def __init__(self) -> None:
        self._first = Growable(np.int64)
        self._latest = Growable(np.int64)
        self._rows = Growable(np.int32)
        self._known: set[int] = set()

    def note(self, rows: NDArray[Any], first_seen: NDArray[np.int64], last_seen: NDArray[np.int64]) -> None:
        """Rows (n,) were seen over these times, in ns; a row may come again with a later end."""
        for i in np.flatnonzero(last_seen > first_seen).tolist():
            row, first, last = int(rows[i]), int(first_seen[i]), int(last_seen[i])
            place = int(np.searchsorted(self._first.data, first, "left" if row in self._known else "right"))
            if row not in self._known:
                self._known.add(row)
                before = int(self._latest.data[place - 1]) if place else last
                self._insert(place, first, before, row)
            tail = self._latest.data[place:]
            np.maximum(tail, last, out=tail)

    def span(self, start_ns: int) -> slice:
        """Where the rows stand that were first seen before start_ns, and perhaps still then."""
        begin, end = np.searchsorted(self._latest.data, start_ns), np.searchsorted(self._first.data, start_ns)
        return slice(int(begin), max(int(begin), int(end)))

    def rows(self, start_ns: int) -> NDArray[np.int32]:
        return self._rows.data[self.span(start_ns)]

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        super().restore(columns, facts)
        self._known = set(self._rows.data.tolist())

    def _insert(self, place: int, first: int, latest: int, row: int) -> None:
        for column, value in ((self._first, first), (self._latest, latest), (self._rows, row)):
            column.extend([value])
            column.data[place + 1 :] = column.data[place:-1].copy()
            column.data[place] = value


class VersionTable(Columnar):
    """Columns, the three access paths (time, space, label), and the vectors' places. Not locked: its owner is."""

    def __init__(self) -> None:
        self.seqs = Growable(np.int64)
        self.valid_from = Growable(np.int64)
        self.valid_to = Growable(np.int64)
        self.hidden = Growable(np.uint8)
        self.live = Growable(np.uint8)  # neither hidden nor superseded: what counts for an answer about now
        self.first_seen = Growable(np.int64)
        self.last_seen = Growable(np.int64)
        self.positions = Growable(np.float64, 3)
        self.orientations = Growable(np.float64, 4)
        self.codes = Growable(np.int32, 3)
        self.texts = Growable(np.int64)
        self.views = Growable(np.int32)
        self.prints = Growable(np.int64)
        self.slots = Growable(np.int32)  # row of the vector matrix, or NO_ROW
        self.previous = Growable(np.int32)  # the version before this one, or NO_ROW
        self.spans = Growable(np.int32, 2)  # first and last + 1 of its detections
        self.labels = Growable(np.int32)
        self.scores = Growable(np.float64)
        self.centers = Growable(np.float64, 3)
        self.sizes = Growable(np.float64, 3)
        self.yaws = Growable(np.float64)
        # By entry number (index 0 is unused): the first and the current version of a record, the vector of a text, and
        # whether the entry brought a text at all.
        self.first_row = Growable(np.int32)
        self.current_row = Growable(np.int32)
        self.slot_of_text = Growable(np.int32)
        self.worded = Growable(np.uint8)
        self.by_time = SortedColumn()
        self.by_place = SpatialHash()
        self.by_label = Postings()
        self.by_code = (Postings(), Postings(), Postings())  # rows of each map, robot, session
        self.by_center = SpatialHash()  # rows by where their detections are
        self.stretched = StretchedRows()
        self.number(1)

    def __len__(self) -> int:
        return len(self.seqs)

    def number(self, count: int) -> None:
        """Make room for `count` more entry numbers."""
        for column in (self.first_row, self.current_row, self.slot_of_text):
            column.extend(np.full(count, NO_ROW))
        self.worded.extend(np.zeros(count))

    def append(self, block: Block) -> None:
        """Append versions; a record's older version, if any, ends where the new one begins."""
        start = len(self)
        rows = np.arange(start, start + len(block.seqs))
        before = self.current_row.data[block.seqs]
        superseded = before[before >= 0]
        self.valid_to.data[superseded] = block.valid_from[before >= 0]
        self.first_row.data[block.seqs] = np.where(before < 0, rows, self.first_row.data[block.seqs])
        self.current_row.data[block.seqs] = rows
        self.seqs.extend(block.seqs)
        self.valid_from.extend(block.valid_from)
        self.valid_to.extend(np.full(len(rows), OPEN))
        hidden = np.where(before < 0, 0, self.hidden.data[before]) if start else np.zeros(len(rows))
        self.hidden.extend(hidden)
        self.live.data[superseded] = 0
        self.live.extend(hidden == 0)
        self.first_seen.extend(block.first_seen)
        self.last_seen.extend(block.last_seen)
        self.positions.extend(block.positions)
        self.orientations.extend(block.orientations)
        self.codes.extend(block.codes)
        self.texts.extend(block.texts)
        self.views.extend(block.views)
        self.prints.extend(block.prints)
        self.slots.extend(self.slot_of_text.data[block.texts])
        self.previous.extend(before)
        self._append_detections(block, rows)
        self.by_time.extend(block.first_seen, rows)
        self.by_place.extend(block.positions, rows)
        for postings, codes in zip(self.by_code, block.codes.T, strict=True):
            for code in np.unique(codes):
                postings.add(int(code), rows[codes == code])
        self.stretched.note(rows, block.first_seen, block.last_seen)

    def _append_detections(self, block: Block, rows: NDArray[np.int64]) -> None:
        first = self.labels.extend(block.labels)
        self.by_center.extend(block.centers, rows[block.owner])
        self.scores.extend(block.scores)
        self.centers.extend(block.centers)
        self.sizes.extend(block.sizes)
        self.yaws.extend(block.yaws)
        ends = first + np.cumsum(np.bincount(block.owner, minlength=len(rows)))
        self.spans.extend(np.column_stack([np.concatenate([[first], ends[:-1]]), ends]))
        pairs = np.unique(np.column_stack([block.labels, rows[block.owner]]), axis=0)
        for code in np.unique(pairs[:, 0]):
            self.by_label.add(int(code), pairs[pairs[:, 0] == code, 1])

    def versions_of(self, seqs: NDArray[np.int64]) -> NDArray[np.int32]:
        """Every row of these records, old and new."""
        rows = self.current_row.data[seqs]
        parts = []
        while len(rows := rows[rows >= 0]):
            parts.append(rows)
            rows = self.previous.data[rows]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def detections_of(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The detections of the rows: their indices, and for each the index into `rows` that owns it."""
        spans = self.spans.data[rows].astype(np.int64)
        lengths = spans[:, 1] - spans[:, 0]
        owner = np.repeat(np.arange(len(rows)), lengths)
        offsets = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.repeat(spans[:, 0], lengths) + offsets, owner

    def see_again(self, seq: int, stamp_ns: int) -> None:
        """The record was seen at another moment too."""
        rows = self.versions_of(np.array([seq]))
        self.last_seen.data[rows] = np.maximum(self.last_seen.data[rows], stamp_ns)
        self.stretched.note(rows, self.first_seen.data[rows], self.last_seen.data[rows])

    def hide(self, seqs: NDArray[np.int64], hidden: bool) -> None:
        rows = self.versions_of(seqs)
        self.hidden.data[rows] = hidden
        self.live.data[rows] = (self.valid_to.data[rows] == OPEN) & (not hidden)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns and access paths as allocated."""
        return sum(column.nbytes for column in self.columns().values())
