"""Short-term memory of a robot's surroundings, in front of the record index: asked first, and never older than the log.

It follows the log when it is asked, not before: records that came since are taken in, each as one use at its time, and
entries whose records were corrected, forgotten, moved to another map or given another vector since are dropped. So an
answer never shows what the log no longer says, and the next question to the long-term store brings the new version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError
from embodied_mem.records.commands import SetMap
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView
from embodied_mem.tokens.short_term import Cue, Found, HitRates, Recalled, ShortTermMemory
from embodied_mem.topology.view import TopologyView

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SurroundingsSettings:
    """See `ShortTermMemory`; radius in metres, thresholds are cosines."""

    capacity: int = 256
    half_life_s: float = 120.0
    radius: float = 10.0
    threshold: float = 0.5


class Surroundings:
    """Asks short-term memory, then the records of `view`; `places` says which place is the current one.

    Only the current map has surroundings: questions about others go to the records. One thread at a time.
    """

    def __init__(self, view: RecordView, places: TopologyView, settings: SurroundingsSettings | None = None) -> None:
        self.settings = settings or SurroundingsSettings()
        self.hits = HitRates()
        self._view, self._places = view, places
        self._memory: ShortTermMemory | None = None
        self._model = ""
        self._read = 0  # records up to this number were taken in
        self._followed_to = (-1, 0, "")  # of the index: watermark, vectors; the map
        self._maps: list[SetMap] = []
        self._versions: dict[int, tuple[int, int]] = {}  # of each entry: its row in the index, the slot of its vector

    @property
    def memory(self) -> ShortTermMemory | None:
        """Short-term memory as it was at the last question; None before the first."""
        return self._memory

    @property
    def origin(self) -> FloatArray:
        """(3,) where the current place is in the current map; NaN before the first question."""
        if self._memory is None or self._memory.place < 0:
            return np.full(3, np.nan)
        return self._memory.origin.copy()

    def recall(
        self, text: str, *, stamp_ns: int, map_id: str, position: FloatArray | None = None, radius: float = 0.0,
        k: int = 1,
    ) -> Recalled:  # fmt: skip
        """The k records most like the text within `radius` (0: as set) of a position, default: where the robot is.

        Of short-term memory, if its best one reaches the threshold; else of the long-term store, as `RecordView.query`
        would have it. `source` says which. Raises what `RecordView.embed` raises, NotFoundError without records.
        """
        vector, reach = self._view.embed(text), radius or self.settings.radius
        if map_id != self._view.map_id:
            return self._elsewhere(Cue(vector, self._standing(map_id, position), map_id, reach, k))
        memory = self._followed(len(vector), map_id)
        here = self._standing(map_id, position)
        found = memory.recall(vector, stamp_ns=stamp_ns, position=here, radius=reach, k=k)
        self._note(memory)
        self.hits.count(found.source)
        return found

    # --- inside ------------------------------------------------------------------------------------------------

    def _followed(self, width: int, map_id: str) -> ShortTermMemory:
        """Short-term memory as the log is now, with the current place entered."""
        index = self._view.index
        now = (index.watermark, index.vector_count, map_id)
        if self._memory is not None and now == self._followed_to:
            return self._memory
        if self._memory is None or index.model != self._model:
            self._memory = ShortTermMemory(
                self.settings.capacity, width, half_life_s=self.settings.half_life_s, radius=self.settings.radius,
                threshold=self.settings.threshold, long_term=self._long_term, long_threshold=self._view.threshold,
            )  # fmt: skip
            self._model, self._read, self._versions = index.model, 0, {}
        memory = self._memory
        maps = index.history.set_maps()
        if [id(command) for command in maps] != [id(command) for command in self._maps]:
            memory.clear()  # what is told of connected maps stands elsewhere now
            self._maps = maps
        graph = self._places.graph
        newest = self._newest(map_id)
        place = graph.place_of_record(newest)
        memory.enter(place, graph.positions.data[place], map_id)
        with index.lock:
            watermark = index.watermark
            numbers = memory.records
            rows, slots = self._current(numbers)
            known = np.array([self._versions.get(int(number), (-1, -1)) for number in numbers]).reshape(-1, 2)
            memory.forget(numbers[(rows < 0) | (rows != known[:, 0]) | (slots != known[:, 1])])
            fresh = np.arange(self._read + 1, watermark + 1)
            rows, slots = self._current(fresh)
            code = index.map_names.find(map_id)
            good = (rows >= 0) & (slots >= 0)
            good[good] = index.table.codes.data[rows[good], 0] == (-1 if code is None else code)
            fresh, rows = fresh[good], rows[good]
            positions, stamps = index.table.positions.data[rows], index.table.first_seen.data[rows]
            vectors = index.vectors_at(rows)
        memory.remember(fresh, positions, vectors, stamps)
        self._read = watermark
        self._followed_to = now
        return memory

    def _current(self, numbers: IntArray) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(n,) the rows of the current versions of records and the slots of their vectors; -1: there is none."""
        table = self._view.index.table
        rows = table.current_row.data[numbers].copy()
        rows[(rows >= 0) & (table.hidden.data[rows] != 0)] = -1
        return rows, np.where(rows >= 0, table.slots.data[rows], -1)

    def _note(self, memory: ShortTermMemory) -> None:
        """Keep the versions of what is held now."""
        with self._view.index.lock:
            numbers = memory.records
            rows, slots = self._current(numbers)
        self._versions = {
            int(number): (int(row), int(slot)) for number, row, slot in zip(numbers, rows, slots, strict=True)
        }

    def _long_term(self, cue: Cue) -> Found:
        index = self._view.index
        query = Query(
            vector=cue.vector, vector_model=index.model, center=cue.position, radius=cue.radius, map_id=cue.map_id,
            k=cue.k,
        )  # fmt: skip
        with index.lock:
            matches = index.search(query, cue.vector, self._view.threshold)
            return Found(matches.seqs, matches.positions, index.vectors_at(matches.rows))

    def _elsewhere(self, cue: Cue) -> Recalled:
        found = self._long_term(cue)
        records, positions = np.asarray(found.records), np.asarray(found.positions)
        cosines = np.asarray(found.vectors, dtype=np.float64) @ cue.vector
        source = "long" if len(records) else "none"
        self.hits.count(source)  # type: ignore[arg-type]
        return Recalled(records, cosines, positions, positions - cue.position, source, float("nan"))  # type: ignore[arg-type]

    def _standing(self, map_id: str, position: FloatArray | None) -> FloatArray:
        if position is not None:
            return position
        index = self._view.index
        return np.array(index.table.positions.data[index.row_of(self._newest(map_id))])

    def _newest(self, map_id: str) -> int:
        found = self._view.index.search(Query(map_id=map_id, k=1))
        if not len(found.seqs):
            raise NotFoundError(f"There is no record of the map {map_id!r} yet, so nobody knows where the robot is.")
        return int(found.seqs[0])
