"""Episodic memory of a log: a view like every other, made of what the record index says.

The memory is a function of the *effective* records: the current versions of those that are not forgotten, in order of
time. Whatever entry changed them (forget, undo, correct, re-anchor, compaction), the sequence is compared with the one
that the memory was made from: what was only appended is taken in, for all else it is made anew. So a live view and a
rebuilt one are the same. Maps share the budget and nothing else: a question reads the memories of one map.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.episodes import weights as files
from embodied_mem.episodes.allocator import STRATEGIES
from embodied_mem.episodes.coding import BLOCKS, CODE, FloatArray, IntArray, Moments, layer_norm
from embodied_mem.episodes.life import Life
from embodied_mem.episodes.memory import EpisodicMemory
from embodied_mem.episodes.order import Sightings
from embodied_mem.episodes.reading import Reading, load_reading
from embodied_mem.episodes.tasks import AGO
from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.records.growable import Growable
from embodied_mem.records.index import RecordIndex

LEARNED = "learned"
RULES = (*STRATEGIES, LEARNED)
_KNOWS = ("code", "time", "place", "origin", "visit")


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """Moments that answer a question, best first.

    seqs (n,) records; weights (n,) attention, or 1 where time or a record was the question; surprise (n,); places (n,)
    probability  that these are the moments that were asked for
    reason       why there are none, or what is missing
    """

    seqs: IntArray
    weights: NDArray[np.float64]
    surprise: NDArray[np.float64]
    places: IntArray
    probability: float
    reason: str = ""

    @property
    def found(self) -> bool:
        return len(self.seqs) > 0


class EpisodeView:
    """What happened where, within a budget. Any thread may ask; see the module docstring.

    index      the record index, which reads each entry before this view is asked
    budget_mb  megabytes that the moments may take
    rule       of forgetting: one of RULES
    spacing    metres between places
    reading    a trained reader; default: the one that comes with the package
    Raises BadInputError for an unknown rule or a budget without room, and what `weights.load` raises.
    """

    def __init__(
        self, index: RecordIndex, *, budget_mb: float = 16.0, rule: str = LEARNED, spacing: float = 2.0,
        reading: Reading | None = None,
    ) -> None:  # fmt: skip
        self.capacity = EpisodicMemory.of_budget(budget_mb)
        self._rule = rule_of(rule)
        self._spacing, self._reading, self._index = spacing, reading, index
        self._lock = threading.RLock()
        self._made_from: tuple[int, int, str] = (-1, 0, "")  # of the index: watermark, vectors, their model
        self.memory: EpisodicMemory
        self._life: Life
        self._rows: NDArray[np.int32]
        self._slots: NDArray[np.int32]
        self._start_anew()

    @property
    def watermark(self) -> int:
        """The log was read up to this number when the view was last brought up to date."""
        return max(self._made_from[0], 0)

    @property
    def reading(self) -> Reading:
        """What reads; the package's own is loaded when it is first needed."""
        if self._reading is None:
            self._reading = load_reading()
        return self._reading

    def refresh(self) -> IntArray:
        """Bring the memory to the records as they are now; returns those that came since, all if it was made anew."""
        with self._lock:
            index = self._index
            now = (index.watermark, index.vector_count, index.model)
            if now == self._made_from:
                return np.zeros(0, dtype=np.int64)
            table = index.table
            with index.lock:
                rows = np.flatnonzero(table.live.data).astype(np.int32)
                rows = rows[np.lexsort((table.seqs.data[rows], table.first_seen.data[rows]))]
                slots = table.slots.data[rows]
            known = len(self._rows)
            same = known <= len(rows) and now[2] == (self._made_from[2] or now[2])
            if not same or (rows[:known] != self._rows).any() or (slots[:known] != self._slots).any():
                self._start_anew()
                known = 0
            self._live_on(rows[known:])
            self._rows, self._slots, self._made_from = rows, slots, now
            return np.asarray(self._seqs.data[known:].copy())

    # --- questions -----------------------------------------------------------------------------------------------

    def retained(self) -> IntArray:
        """The records that are still in memory, in order of time."""
        with self._lock:
            self.refresh()
            return np.asarray(self._seqs.data[self.memory.steps])

    @property
    def came(self) -> int:
        """How many records came so far, of those that are not forgotten."""
        return len(self._rows)

    def surprise_of(self, seqs: IntArray) -> NDArray[np.float64]:
        """(n,) how surprising records were; NaN for those that are not in the log any more."""
        with self._lock:
            order = np.argsort(self._seqs.data)
            at = np.searchsorted(self._seqs.data[order], seqs)
            found = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(seqs), dtype=np.int64)
            known = self._seqs.data[found] == seqs if len(order) else np.zeros(len(seqs), dtype=bool)
            return np.where(known, self._surprise.data[found] if len(order) else np.nan, np.nan)

    def place_at(self, position: NDArray[np.float64], map_id: str = "") -> int:
        """The place of a map nearest to a position (3,), metres.

        Raises NotFoundError where the map has no place, or none within three times the spacing, UnknownMapError.
        """
        with self._lock:
            self.refresh()
            place, away = self._life.nearest(position, self._map_code(map_id))
            if place < 0:
                raise NotFoundError("Nothing was remembered in this map yet, so there is no place to ask about.")
            if away > 3 * self._spacing:
                raise NotFoundError(f"The nearest place that is known is {away:.1f} m away: nothing was seen there.")
            return place

    def visits_of(self, place: int) -> int:
        """How often a place was visited. Raises NotFoundError for one that never was."""
        with self._lock:
            self.refresh()
            self._require_place(place)
            return int(self._life.visits.data[place])

    def happened(self, place: int, visits_ago: int = 0, *, k: int = 5) -> Recalled:
        """What was seen at a place, `visits_ago` visits before the last one there, as the reader attends to it.

        The probability is the attention that falls on moments of that place and visit: memory knows which these are.
        Raises NotFoundError for an unknown place, BadInputError for a negative number.
        """
        if visits_ago < 0 or k < 1:
            raise BadInputError(f"visits_ago must be 0 or more and k 1 or more; they are {visits_ago} and {k}.")
        with self._lock:
            self.refresh()
            self._require_place(place)
            visit = int(self._life.visits.data[place]) - visits_ago
            if visit < 1:
                times = int(self._life.visits.data[place])
                return _nothing(f"Not found: the place was visited {times} times only.")
            if not len(self.memory.members(place)):
                return _nothing("Not found: all that was seen there was forgotten, for want of room.")
            rows, attention = self._attend(place, visit)
            steps = self.memory.steps_of(rows)
            right = (self._places.data[steps] == place) & (self._visits.data[steps] == visit)
            if not right.any():
                return _nothing("Not found: what was seen on that visit was forgotten, for want of room.")
            order = np.argsort(-attention[right], kind="stable")[:k]
            return self._recalled(steps[right][order], attention[right][order], float(attention[right].sum()))

    def during(self, start_ns: int, end_ns: int, map_id: str = "", *, k: int = 5) -> Recalled:
        """What was seen in [start, end), ns, the most surprising first.

        The probability is the share of that time's records that memory still holds. Raises BadInputError for a time
        that ends before it starts.
        """
        if not start_ns < end_ns:
            raise BadInputError("The time ends before it starts: give an earlier start or a later end.")
        with self._lock:
            self.refresh()
            of_map = self._life.maps.data[self._places.data] == self._map_code(map_id)
            inside = (self._stamps.data >= start_ns) & (self._stamps.data < end_ns) & of_map
            steps = self.memory.steps
            steps = steps[inside[steps]]
            if not len(steps):
                why = "was forgotten, for want of room" if inside.any() else "is nothing"
                return _nothing(f"Not found: of that time there {why}.")
            order = np.argsort(-self._surprise.data[steps], kind="stable")[:k]
            return self._recalled(steps[order], np.ones(len(order)), len(steps) / int(inside.sum()))

    def around(self, seq: int, steps: int = 2) -> Recalled:
        """The moments around a record, at most `steps` before and after it, in order of time.

        Raises NotFoundError for a record that is not in the log.
        """
        with self._lock:
            self.refresh()
            at = np.flatnonzero(self._seqs.data == seq)
            if not len(at):
                raise NotFoundError(f"Record {seq} is not in memory: it never was, or it was forgotten.")
            kept = self.memory.steps
            near = kept[(kept >= at[0] - steps) & (kept <= at[0] + steps)]
            near = near[self._maps_of(near) == self._maps_of(at)[0]]
            if not len(near):
                return _nothing("Not found: those moments were forgotten, for want of room.")
            due = min(at[0] + steps, len(self._rows) - 1) - max(at[0] - steps, 0) + 1
            return self._recalled(near, np.ones(len(near)), min(len(near) / int(due), 1.0))

    def sightings(self, shows: dict[int, float], map_id: str = "") -> tuple[Sightings, IntArray, IntArray]:
        """A thing's sightings among what is in memory, with records (n,) and stamps (n,).

        shows  probability that a record shows the thing, of those that may
        """
        with self._lock:
            self.refresh()
            steps = self.memory.steps
            steps = steps[self._maps_of(steps) == self._map_code(map_id)]
            seqs = self._seqs.data[steps]
            own = self._life.maps.data[self._places.data] == self._map_code(map_id)
            every, began = np.unique(self._stays.data[own], return_index=True)
            stays = self._stays.data[steps]
            lost = np.sort(np.flatnonzero(own)[began[~np.isin(every, stays)]])  # the step at which each began
            before = np.searchsorted(lost, steps)
            chances = np.array([shows.get(seq, 0.0) for seq in seqs.tolist()])
            return Sightings(chances, before, len(lost), stays), seqs.copy(), self._stamps.data[steps]

    # --- inside --------------------------------------------------------------------------------------------------

    def _start_anew(self) -> None:
        self._life = Life(self._spacing)
        self.memory = EpisodicMemory(self.capacity, self._rule)
        self._rows, self._slots = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        self._seqs, self._stamps = Growable(np.int64), Growable(np.int64)  # of each step, like those that follow
        self._places, self._visits, self._stays = Growable(np.int64), Growable(np.int64), Growable(np.int64)
        self._surprise = Growable(np.float64)

    def _live_on(self, rows: NDArray[np.int32]) -> None:
        if not len(rows):
            return
        index, table = self._index, self._index.table
        with index.lock:
            codes = table.codes.data[rows]
            vectors = index.vectors_at(rows) if index.vector_width else np.zeros((len(rows), CODE), dtype=np.float32)
            seqs, stamps, positions = (
                column.data[rows].copy() for column in (table.seqs, table.first_seen, table.positions)
            )
        moments = layer_norm(vectors @ projection(vectors.shape[1]))
        streams = codes[:, 1].astype(np.int64) << 32 | codes[:, 2]
        lived = self._life.extend(positions, np.ascontiguousarray(codes[:, 0]), streams, moments)
        steps = np.arange(len(self._seqs), len(self._seqs) + len(rows))
        cells, origins = self._life.cells(lived.places), self._life.cells(lived.origins)
        tokens = Moments(moments, steps, cells, origins, lived.visits, np.zeros_like(steps)).tokens(_KNOWS)
        self.memory.extend(tokens, lived.places, lived.stays, lived.visits, lived.surprise)
        columns = (self._seqs, self._stamps, self._places, self._visits, self._stays, self._surprise)
        for column, values in zip(
            columns, (seqs, stamps, lived.places, lived.visits, lived.stays, lived.surprise), strict=True
        ):
            column.extend(values)

    def _attend(self, place: int, visit: int) -> tuple[IntArray, NDArray[np.float64]]:
        cell = self._life.cells(np.array([place]))
        asked = Moments(
            np.zeros((1, CODE), dtype=np.float32), np.array([len(self._rows)]), cell, np.full((1, 2), np.nan),
            np.array([visit]), np.zeros(1, dtype=np.int64),
        ).tokens()[0]  # fmt: skip
        asked[BLOCKS["time"]] = 0  # as in training: the visit says it all
        read = self.reading.read(asked, AGO, OfPlace(self.memory, place))
        return read.rows, read.attention.astype(np.float64)

    def _recalled(self, steps: IntArray, weights: NDArray[np.float64], probability: float) -> Recalled:
        columns = (self._seqs, self._surprise, self._places)
        seqs, surprise, places = (column.data[steps].copy() for column in columns)
        return Recalled(seqs, weights, surprise, places, probability)

    def _maps_of(self, steps: IntArray) -> NDArray[np.int32]:
        return np.asarray(self._life.maps.data[self._places.data[steps]])

    def _require_place(self, place: int) -> None:
        if not 0 <= place < len(self._life.spots):
            raise NotFoundError(
                f"There is no place {place}: memory knows {len(self._life.spots)} places, numbered from 0."
            )

    def _map_code(self, map_id: str) -> int:
        wanted = self._index.maps.resolve(map_id)
        code = self._index.map_names.find(wanted)
        if code is None and not wanted:
            raise UnknownMapError("Memory is empty: there is no map yet.")
        return -1 if code is None else int(code)


class OfPlace:
    """The memories of one place (`reading.Memories`): where a question names it, nothing else has to be looked at."""

    def __init__(self, memory: EpisodicMemory, place: int) -> None:
        numbers, means = memory.chunks
        self.tokens, self.members = memory.tokens, memory.members
        self.chunks = numbers[numbers == place], means[numbers == place]


def rule_of(name: str) -> NDArray[np.float64]:
    """Weights of a rule of forgetting. Raises BadInputError for an unknown one, and what `weights.load` raises."""
    if name not in RULES:
        raise BadInputError(f"There is no rule {name!r}: the rules of forgetting are {', '.join(RULES)}.")
    if name != LEARNED:
        return STRATEGIES[name]
    found, _ = files.load(files.FOLDER / "rule.safetensors", "rule")
    return np.asarray(found["weights"], dtype=np.float64)


def projection(width: int) -> FloatArray:
    """(width, CODE) a fixed random projection, which keeps distances about what they were (Johnson-Lindenstrauss)."""
    if width == CODE:
        return np.eye(CODE, dtype=np.float32)
    return np.asarray(np.random.default_rng(width).normal(size=(width, CODE)) / np.sqrt(CODE), dtype=np.float32)


def _nothing(reason: str) -> Recalled:
    empty = np.zeros(0)
    return Recalled(empty.astype(np.int64), empty, empty, empty.astype(np.int64), 0.0, reason)
