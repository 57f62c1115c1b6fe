"""The record index: exact what x where x when search over everything in the log, in memory.

A view of the log: `apply` entries in order, or build it again from entry 1. It filters exactly, taking whichever access
path (time, space, label, list of numbers) leaves fewest candidates, and then ranks exactly what is left.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, ModelMismatchError, NotFoundError
from embodied_mem.records.blocks import block_of_commands, block_of_observations
from embodied_mem.records.commands import Command, Correct, Forget, ReAnchor, SetMap, Undo, erased_by
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.filtering import resolve
from embodied_mem.records.growable import Columnar, Growable
from embodied_mem.records.history import History
from embodied_mem.records.maps import MapRegistry
from embodied_mem.records.names import Names
from embodied_mem.records.observation import Observation, fingerprint
from embodied_mem.records.query import Query
from embodied_mem.records.repetitions import Repetitions
from embodied_mem.records.sensing import ViewColumns
from embodied_mem.records.tables import DetectionTable, ViewTable, detection_table, view_table
from embodied_mem.records.vectors import VectorStore
from embodied_mem.records.versions import NO_ROW, VersionTable


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """The best k records of a search, as arrays of equal length, best first.

    rows are the index's own; positions (n, 3) in the map `map_id`, or each in its own map when that is "*"
    """

    rows: NDArray[np.int32]
    seqs: NDArray[np.int64]
    scores: NDArray[np.float64]
    last_seen: NDArray[np.int64]
    positions: NDArray[np.float64]
    maps: list[str]
    candidates: int
    without_vector: int
    below: float  # the best score that min_score kept out, or -inf
    explanation: str
    as_of: int


class RecordIndex(Columnar):
    """Every version of every record, its detections, views and vectors. Safe for one writer and many readers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.watermark = 0
        self.model = ""  # of the vectors
        self.maps = MapRegistry()
        self.history = History()
        self.table = VersionTable()
        self.labels_seen: Names[str] = Names()
        self.map_names: Names[str] = Names()
        self.robots: Names[str] = Names()
        self.sessions: Names[str] = Names()
        self.views_seen = ViewColumns()
        self.logged = Growable(np.int64)  # by entry number
        self.logged.extend([0])
        self._vectors: VectorStore | None = None
        self.repetitions = Repetitions()
        self._maps_changed = 0  # number of the last entry that changed the maps

    # --- reading the log ---------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries in order from the watermark on; those read before are passed over. ValueError for a gap."""
        with self.lock:
            fresh = [entry for entry in entries if entry.seq > self.watermark]
            if not fresh:
                return
            if fresh[0].seq != self.watermark + 1 or fresh[-1].seq != self.watermark + len(fresh):
                raise ValueError(f"The index has read up to {self.watermark}; entry {fresh[0].seq} would leave a gap.")
            self.table.number(len(fresh))
            self.logged.extend([entry.logged_ns for entry in fresh])
            run: list[Entry] = []
            for entry in fresh:
                if entry.kind is Kind.OBSERVATION:
                    run.append(entry)
                    continue
                self._add_observations(run)
                run = []
                self._apply_other(entry)
            self._add_observations(run)
            self.watermark = fresh[-1].seq

    def set_vectors(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32], model: str) -> None:
        """Give the texts of these entries (n,) their vectors (n, d). Raises ModelMismatchError for another model's."""
        if not len(seqs):
            return
        with self.lock:
            if self.model and model != self.model:
                raise ModelMismatchError(
                    f"The index holds vectors of {self.model!r}; those of {model!r} cannot be mixed in."
                )
            if self._vectors is None:
                self.model, self._vectors = model, VectorStore(vectors.shape[1])
            if vectors.shape[1] != self._vectors.width:
                raise ModelMismatchError(
                    f"{model!r} has vectors of {self._vectors.width} numbers, not {vectors.shape[1]}."
                )
            first = self._vectors.extend(vectors)
            self.table.slot_of_text.data[seqs] = np.arange(first, first + len(seqs))
            records = np.where(self.table.first_row.data[seqs] >= 0, seqs, 0)
            records[records == 0] = [self._record_of_correction(int(seq)) for seq in seqs[records == 0]]
            rows = self.table.versions_of(np.unique(records))
            self.table.slots.data[rows] = self.table.slot_of_text.data[self.table.texts.data[rows]]

    def replace_vectors(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32], model: str) -> None:
        """Drop every vector and take these, of another model, at once: a query sees the old ones or the new ones."""
        with self.lock:
            self.model, self._vectors = "", None
            self.table.slot_of_text.data[:] = NO_ROW
            self.table.slots.data[:] = NO_ROW
            self.set_vectors(seqs, vectors, model)

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        if "_vectors" in facts:
            self._vectors = VectorStore(facts["_vectors"]["width"])
        super().restore(columns, facts)
        self.maps.rebuild(self.history.set_maps())

    @property
    def vector_count(self) -> int:
        """How many vectors came so far: with the watermark and the model it tells whether anything has changed."""
        return 0 if self._vectors is None else len(self._vectors)

    def vectors_at(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(n, d) the vectors of rows of the table, zeros where there is none."""
        with self.lock:
            found = np.zeros((len(rows), self.vector_width), dtype=np.float32)
            slots = self.table.slots.data[rows]
            if self._vectors is not None:
                found[slots >= 0] = self._vectors.at(slots[slots >= 0])
            return found

    @property
    def vector_width(self) -> int:
        """Numbers in a vector, 0 before there is one."""
        return 0 if self._vectors is None else self._vectors.width

    # --- answering ---------------------------------------------------------------------------------------------

    def search(self, query: Query, vector: NDArray[np.float32] | None = None, min_score: float = -1.0) -> Matches:
        """The best k records. `vector` (d,) of unit length ranks; without it the newest come first.

        Raises BadInputError, UnknownMapError, NotFoundError (near_record).
        """
        with self.lock:
            filters = resolve(self, query)
            rows = filters.select()
            if vector is None:
                order = self._newest(rows, filters.last_seen, query.k)
                scores, without, below = np.ones(len(order)), 0, -np.inf
            else:
                order, scores, without, below = self._rank(rows, vector, query.k, min_score)
            best = rows[order]
            return Matches(
                rows=best,
                seqs=self.table.seqs.data[best],
                scores=scores,
                last_seen=filters.last_seen[best],
                positions=filters.matched_positions(best),
                maps=[filters.map_id or self.map_names[code] for code in self.table.codes.data[best, 0]],
                candidates=len(rows),
                without_vector=without,
                below=below,
                explanation=filters.explain(len(rows)) if query.explain else "",
                as_of=filters.as_of,
            )  # fmt: skip

    def detections(self, labels: tuple[str, ...] | None = None, query: Query | None = None) -> DetectionTable:
        """Detections, of these labels or all, of the records that the query leaves (its labels and k are ignored)."""
        with self.lock:
            return detection_table(self, labels, query or Query())

    def views(self, query: Query | None = None) -> ViewTable:
        """Views with a detector that ran, of the records that the query leaves (space and labels are ignored)."""
        with self.lock:
            return view_table(self, query or Query())

    def labels(self, map_id: str = "") -> dict[str, int]:
        """How many current detections each label has in a map ("*" for every map)."""
        table = self.detections(query=Query(map_id=map_id))
        counts = np.bincount(table.label, minlength=len(table.names))
        return {name: int(count) for name, count in zip(table.names, counts, strict=True) if count}

    def __len__(self) -> int:
        """How many records answers can draw on."""
        with self.lock:
            rows = self.table.current_row.data
            return int((self.table.hidden.data[rows[rows >= 0]] == 0).sum())

    def row_of(self, seq: int) -> int:
        """The current version of a record. Raises NotFoundError when there is none or it was forgotten."""
        known = 0 < seq <= self.watermark and self.table.current_row.data[seq] >= 0
        if why := self.history.why_erased(seq):
            raise NotFoundError(why)
        if not known:
            raise NotFoundError(
                f"There is no record {seq}: numbers go from 1 to {self.watermark}, and some are commands."
            )
        row = int(self.table.current_row.data[seq])
        if self.table.hidden.data[row]:
            raise NotFoundError(f"Record {seq} was forgotten.")
        return row

    def matching(self, query: Query) -> NDArray[np.int64]:
        """The numbers of every record that the query's filters leave."""
        with self.lock:
            return self.table.seqs.data[resolve(self, query).select()]

    def same(self, obs: Observation) -> int | None:
        """The record that was this very observation: the same time, robot, sensor, place and words."""
        with self.lock:
            table, robot = self.table, self.robots.find(obs.robot_id)
            if robot is None or obs.stamp_ns > table.by_time.largest:
                return None
            rows = table.by_time.rows(np.array([obs.stamp_ns]), np.array([obs.stamp_ns + 1]))
            same = (table.first_seen.data[rows] == obs.stamp_ns) & (table.codes.data[rows, 1] == robot)
            same &= (table.previous.data[rows] == NO_ROW) & (table.hidden.data[rows] == 0)
            same &= (np.abs(table.positions.data[rows] - obs.position) < 1e-6).all(axis=1)
            if not same.any():
                return None
            same &= table.prints.data[rows] == fingerprint(obs)
            return int(table.seqs.data[rows[same]].min()) if same.any() else None

    def usable(self, seq: int) -> bool:
        """Whether a record stands as it was recorded: neither forgotten nor corrected."""
        with self.lock:
            known = seq <= self.watermark
            row = self.table.current_row.data[seq] if known else NO_ROW
            return not known or bool(
                row >= 0 and not self.table.hidden.data[row] and row == self.table.first_row.data[seq]
            )

    def has_vector(self, seq: int) -> bool:
        """Whether the text that entry `seq` brought has its vector."""
        with self.lock:
            return bool(self.table.slot_of_text.data[seq] >= 0)

    def without_vector(self) -> NDArray[np.int64]:
        """The numbers of the entries that brought a text whose vector is missing, ascending."""
        with self.lock:
            return np.flatnonzero((self.table.worded.data != 0) & (self.table.slot_of_text.data < 0))

    def vector_of(self, seq: int) -> NDArray[np.float32] | None:
        """(d,) the vector of the text that entry `seq` brought, or None."""
        with self.lock:
            slot = self.table.slot_of_text.data[seq]
            return None if self._vectors is None or slot < 0 else self._vectors[int(slot)]

    def times_seen(self, seq: int, as_of: int | None = None) -> int:
        """How many observations a record stands for, as known at an entry number (default: the newest)."""
        return 1 + self.repetitions.count(seq, self.watermark if as_of is None else as_of)

    def maps_at(self, as_of: int) -> MapRegistry:
        """The maps as they stood at an entry number."""
        if as_of >= self._maps_changed:
            return self.maps
        return MapRegistry(self.maps.known, self.history.set_maps(as_of))

    def row_at(self, seq: int, as_of: int) -> int:
        """The version of a record that stood at an entry number. Raises NotFoundError like `row_of`."""
        row = self.row_of(seq)
        while row != NO_ROW and self.table.valid_from.data[row] > as_of:
            row = int(self.table.previous.data[row])
        if row == NO_ROW:
            raise NotFoundError(f"Record {seq} was not there yet when the log ended at {as_of}.")
        return row

    # --- inside ------------------------------------------------------------------------------------------------

    def _rank(
        self, rows: NDArray[np.int32], vector: NDArray[np.float32], k: int, min_score: float
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], int, float]:
        slots = self.table.slots.data[rows]
        with_vector = None if (slots >= 0).all() else np.flatnonzero(slots >= 0)
        if with_vector is not None:
            slots = slots[with_vector]
        without = len(rows) - len(slots)
        if self._vectors is None or not len(slots):
            return np.zeros(0, np.intp), np.zeros(0), without, -np.inf
        chosen, scores = self._vectors.rank(slots, vector, k)
        kept = scores >= min_score
        below = float(scores[~kept][0]) if (~kept).any() else -np.inf
        chosen = chosen[kept]
        return chosen if with_vector is None else with_vector[chosen], scores[kept], without, below

    def _newest(self, rows: NDArray[np.int32], last_seen: NDArray[np.int64], k: int) -> NDArray[np.intp]:
        """Indices of the k rows seen last; of those seen at the same time the later record comes first."""
        seen = last_seen[rows]
        chosen = np.arange(len(rows))
        if len(rows) > k:
            chosen = np.flatnonzero(seen >= np.partition(seen, len(rows) - k)[len(rows) - k])
        return chosen[np.lexsort((-self.table.seqs.data[rows[chosen]], -seen[chosen]))[:k]]

    def _record_of_correction(self, seq: int) -> int:
        if seq not in self.history:
            return 0  # a tombstone, whose vector came late
        command = self.history.get(seq)
        if not isinstance(command, Correct):
            raise BadInputError(f"Entry {seq} carries no text, so it has no vector.")
        return command.seq

    def _add_observations(self, entries: list[Entry]) -> None:
        if not entries:
            return
        found = [entry.observation for entry in entries if entry.observation is not None]
        for name in dict.fromkeys(obs.map_id for obs in found):
            self.maps.note(name)
        seqs = np.array([entry.seq for entry in entries], dtype=np.int64)
        self.table.append(block_of_observations(self, seqs, found))
        self.table.worded.data[seqs] = [bool(obs.caption.strip()) for obs in found]

    def _apply_other(self, entry: Entry) -> None:
        if entry.kind is Kind.SEEN_AGAIN:
            self.repetitions.add(entry.seq, entry.about, entry.stamp_ns)
            self.table.see_again(entry.about, entry.stamp_ns)
        elif entry.command is not None:
            self.history.add(entry.seq, entry.command)
            self.table.worded.data[entry.seq] = isinstance(entry.command, Correct) and bool(entry.command.caption)
            self._apply_effect(entry.seq, entry.command)

    def _apply_effect(self, seq: int, command: Command) -> None:
        """Bring what a command touches up to date: the same for doing, undoing and redoing it."""
        if isinstance(command, Undo):
            target = self.history.target(seq)
            if target is None:
                return
            command = target
        if isinstance(command, SetMap):
            self.maps.rebuild(self.history.set_maps())
            self._maps_changed = seq
        elif isinstance(command, Forget):
            seqs = np.array(command.seqs, dtype=np.int64)
            forgotten = self.history.forgotten(command.seqs)
            self.table.hide(seqs[forgotten], True)
            self.table.hide(seqs[~forgotten], False)
        elif isinstance(command, Correct):
            self._append_folded(np.array([command.seq]), seq)
        elif isinstance(command, ReAnchor):
            code = self.map_names.find(command.map_id)
            rows = self.table.current_row.data
            rows = rows[rows >= 0]
            self._append_folded(self.table.seqs.data[rows[self.table.codes.data[rows, 0] == code]], seq)
        elif erased := erased_by(command):
            self.table.hide(np.array(erased, dtype=np.int64), True)

    def _append_folded(self, seqs: NDArray[np.int64], valid_from: int) -> None:
        seqs = seqs[self.table.first_row.data[seqs] >= 0]  # a tombstone has no versions
        if len(seqs):
            self.table.append(block_of_commands(self, seqs, valid_from))
