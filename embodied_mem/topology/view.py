"""The place graph of a log: a view like every other, made of what the record index says.

The graph is a function of the *effective* records: the current versions (corrected, re-anchored) of those that are not
forgotten, in order of time. Whatever entry changed them, `graph` compares that sequence with the one that it was made
from, goes back to where they part, and takes in the rest; so a live graph and a rebuilt one are the same, for every
kind of entry. Merges and blocks are commands that name records; what they do is worked out anew on each change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.commands import BlockWay, Correct, MergePlaces, erased_by
from embodied_mem.records.entry import Entry
from embodied_mem.records.index import RecordIndex
from embodied_mem.topology.arrays import FloatArray, IntArray
from embodied_mem.topology.assemble import assemble
from embodied_mem.topology.closures import Closure, proposals
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.places import PlaceBuilder, PlaceSettings, roots_of
from embodied_mem.topology.routes import Goal, Route, Router, ToPosition
from embodied_mem.topology.sightings import Sightings

_EVERY = 4096


@dataclass(frozen=True, slots=True)
class ToRecord:
    """The place where a record was made, from which its `detection` (index) was seen; None: its own position."""

    record: int
    detection: int | None = None


class TopologyView:
    """Places, edges and landmarks of a log. One thread applies; any may ask.

    index      the record index, which reads each entry before this view does
    min_score  of detections that count as landmarks
    clock      () -> ns, ROS time: which blocks still stand
    every      records between two states that it can go back to, and read under the index's lock at once
    """

    def __init__(
        self,
        index: RecordIndex,
        settings: PlaceSettings | None = None,
        *,
        min_score: float = 0.35,
        clock: Callable[[], int] = time.time_ns,
        every: int = _EVERY,
    ) -> None:
        self.settings = settings or PlaceSettings()
        self.watermark = 0
        self._index, self._clock = index, clock
        self._sightings = Sightings(index, min_score)
        self._lock = threading.Lock()
        self._made_from: tuple[int, int, str] = (-1, 0, "")  # of the index: watermark, vectors, their model
        self._builder = PlaceBuilder(self.settings, every=every)
        self._rows = np.zeros(0, dtype=np.int32)  # of the index's table, as taken in
        self._slots = np.zeros(0, dtype=np.int32)  # of their vectors
        self._router = Router(PlaceGraph(), clock)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries that the index has read; those read before are passed over."""
        fresh = [entry for entry in entries if entry.seq > self.watermark]
        for entry in fresh:
            if entry.observation is not None:
                self._sightings.read(entry.seq, entry.observation.caption)
            elif isinstance(entry.command, Correct):
                self._sightings.read(entry.seq, entry.command.caption or "")
            elif erased := erased_by(entry.command):
                self._sightings.erase([*erased, *self._index.history.corrections_of(erased)])
        if fresh:
            self.watermark = fresh[-1].seq

    @property
    def graph(self) -> PlaceGraph:
        """The graph as the log stands now. It is made anew after a change and belongs to the view: do not change it."""
        return self.router.graph

    @property
    def router(self) -> Router:
        """Plans on the graph as the log stands now."""
        with self._lock:
            now = (self._index.watermark, self._index.vector_count, self._index.model)
            if now != self._made_from:
                if now[2] != self._made_from[2]:
                    self._forget_all()
                self._take_in()
                self._router = Router(self._assembled(), self._clock)
                self._made_from = now
            return self._router

    def route(self, start: int | ToPosition | ToRecord, goal: Goal | ToRecord, *, now_ns: int | None = None) -> Route:
        """The shortest route that no block closes. Raises as `Router.route` does, and for records as `resolve`."""
        router = self.router
        begin, _ = self.resolve(start) if isinstance(start, ToRecord) else (start, None)
        if not isinstance(goal, ToRecord):
            return router.route(begin, goal, now_ns=now_ns)
        end, target = self.resolve(goal)
        route = router.route(begin, end, now_ns=now_ns)
        return replace(route, after=float(np.linalg.norm(target - route.points[-1])))

    def resolve(self, where: ToRecord) -> tuple[int, FloatArray]:
        """The place of a record, and (3,) where in its map the record or its detection is.

        Raises NotFoundError for records that are not there or forgotten, BadInputError for a detection it lacks.
        """
        index = self._index
        with index.lock:
            row = index.row_of(where.record)
            first, end = index.table.spans.data[row].tolist()
            position = index.table.positions.data[row].copy()
            if where.detection is not None:
                if not 0 <= where.detection < end - first:
                    raise BadInputError(f"Record {where.record} has {end - first} detections, none {where.detection}.")
                position = index.table.centers.data[first + where.detection].copy()
        return self.graph.place_of_record(where.record), position

    def proposals(self, *, within: float, alike: float) -> list[Closure]:
        """Places that are likely one (see closures.py). To merge them, log `MergePlaces(closure.records)`."""
        return proposals(self.graph, within=within, alike=alike, height=self.settings.height)

    # --- inside ------------------------------------------------------------------------------------------------

    def _forget_all(self) -> None:
        """Another model's vectors: nothing that was made of the old ones stands."""
        self._builder = PlaceBuilder(self.settings, every=self._builder.every)
        self._rows = self._slots = np.zeros(0, dtype=np.int32)

    def _take_in(self) -> None:
        """Bring the builder to the sequence of records as it is now."""
        table = self._index.table
        with self._index.lock:
            rows = np.flatnonzero(table.live.data).astype(np.int32)
            rows = rows[np.lexsort((table.seqs.data[rows], table.first_seen.data[rows]))]
            slots = table.slots.data[rows]
            last_seen = table.last_seen.data[rows]
        same = min(len(rows), len(self._rows))
        parted = np.flatnonzero((rows[:same] != self._rows[:same]) | (slots[:same] != self._slots[:same]))
        start = self._builder.rewind(int(parted[0]) if len(parted) else same)
        for begin in range(start, len(rows), self._builder.every):
            self._take(rows[begin : begin + self._builder.every])
        self._builder.last_seen.data[:] = last_seen
        self._rows, self._slots = rows, slots

    def _take(self, rows: NDArray[np.int32]) -> None:
        index, table = self._index, self._index.table
        with index.lock:
            codes = table.codes.data[rows]
            descriptors = index.vectors_at(rows) if index.vector_width else None
            positions, stamps, last_seen, seqs = (
                column.data[rows] for column in (table.positions, table.first_seen, table.last_seen, table.seqs)
            )
        pairs, which = np.unique(codes[:, 1:], axis=0, return_inverse=True)
        streams = np.array(self._builder.streams.codes((str(a), str(b)) for a, b in pairs.tolist()), dtype=np.int32)
        self._builder.observe_coded(
            positions, stamps, last_seen, seqs, np.ascontiguousarray(codes[:, 0]), streams[which.ravel()], descriptors
        )

    def _assembled(self) -> PlaceGraph:
        builder, index = self._builder, self._index
        with index.lock:
            maps = index.map_names.all()
            merges, blocks = index.history.live_of(MergePlaces), index.history.live_of(BlockWay)
        place_of = _Lookup(builder.records.data, builder.places.data)
        graph, number = assemble(builder, roots_of(self._merged(merges, place_of), builder.place_count), maps)
        if len(graph):
            self._sightings.add_to(graph.landmarks, self._rows, number[builder.places.data])
        for block in blocks:
            _block(graph, [int(number[place]) for place in place_of(block.seqs)], block)
        return graph

    def _merged(self, merges: Sequence[MergePlaces], place_of: _Lookup) -> list[tuple[int, int]]:
        """Pairs of places that are one. A record that is gone names no place; two maps are never one."""
        maps = self._builder.map_of_place
        pairs = []
        for merge in merges:
            places = place_of(merge.seqs)
            pairs += [(places[0], other) for other in places[1:] if maps[other] == maps[places[0]]]
        return pairs


class _Lookup:
    """The places of records, by their numbers."""

    def __init__(self, records: IntArray, places: NDArray[np.int32]) -> None:
        order = np.argsort(records, kind="stable")
        self._records, self._places = records[order], places[order]

    def __call__(self, seqs: Sequence[int]) -> list[int]:
        """The places of those records that are there."""
        at = np.searchsorted(self._records, seqs)
        return [
            int(self._places[i]) for i, seq in zip(at, seqs, strict=True)
            if i < len(self._records) and self._records[i] == seq
        ]  # fmt: skip


def _block(graph: PlaceGraph, ends: list[int], block: BlockWay) -> None:
    if len(ends) != 2:
        return
    for tail, head in (ends, ends[::-1]) if block.both_ways else (ends,):
        try:
            standing = graph.edge(tail, head).blocked_until_ns
        except NotFoundError:
            continue  # nobody can go there anyway
        graph.block(tail, head, max(standing, block.until_ns))
