"""The place graph: places in a metric frame, and the directed edges that were, or can be, travelled between them.

Numbers stand in columns (structure of arrays), adjacency in a rustworkx digraph whose node n is place n. Places and
edges are only appended; a removed edge leaves its row behind. One writer; routes read immutable snapshots (routes.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import rustworkx as rx
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.growable import Growable
from embodied_mem.records.names import Names
from embodied_mem.topology.arrays import FloatArray, IntArray, column, grouped, normalised, points
from embodied_mem.topology.landmarks import Landmark, Landmarks

FOR_EVER = int(np.iinfo(np.int64).max)  # a block without an end
OPEN = int(np.iinfo(np.int64).min)  # not blocked


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """position (3,) metres, the mean of where observations were made; descriptor (d,) unit vector, or None.

    visits       how often it was arrived at; observed: how many observations were made there
    records      their numbers in the log, ascending
    """

    id: int
    position: FloatArray
    descriptor: NDArray[np.float32] | None
    map_id: str
    visits: int
    observed: int
    last_seen_ns: int
    landmarks: tuple[Landmark, ...]
    records: IntArray


@dataclass(frozen=True, slots=True)
class Edge:
    """length in metres; heading in radians, where one sets out; blocked_until_ns: OPEN, a time, or FOR_EVER."""

    tail: int
    head: int
    length: float
    heading: float
    traversals: int
    last_used_ns: int
    blocked_until_ns: int


class PlaceGraph:
    """See the module docstring."""

    def __init__(self) -> None:
        self.network = rx.PyDiGraph()  # add_edges sees to it that no edge is there twice
        self.maps: Names[str] = Names()
        self.landmarks = Landmarks()
        self.version = 0  # changes with every change, so that a snapshot knows whether it is old
        # Places, by number.
        self.positions = Growable(np.float64, 3)
        self.map_codes = Growable(np.int32)
        self.visits = Growable(np.int64)
        self.observed = Growable(np.int64)
        self.last_seen = Growable(np.int64)
        self.descriptor_sums: Growable | None = None  # (d,) float64, made when the first descriptor comes
        # Edges, by row; `alive` is 0 for those that were removed.
        self.tails = Growable(np.int32)
        self.heads = Growable(np.int32)
        self.lengths = Growable(np.float64)
        self.headings = Growable(np.float64)
        self.traversals = Growable(np.int64)
        self.last_used = Growable(np.int64)
        self.blocked_until = Growable(np.int64)
        self.alive = Growable(np.bool_)
        # Evidence: pairs of place and record.
        self.evidence = Growable(np.int64, 2)

    # --- places ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.positions)

    def add_places(
        self,
        positions: ArrayLike,
        *,
        map_ids: str | Sequence[str] = "",
        descriptors: ArrayLike | None = None,
        visits: ArrayLike = 1,
        observed: ArrayLike = 1,
        last_seen_ns: ArrayLike = 0,
    ) -> IntArray:
        """Add n places at (n, 3) metres, each in its map; returns their numbers (n,).

        descriptors (n, d): sums of unit vectors, or one each; a row of zeros is a missing one. Raises BadInputError.
        """
        where = points(positions, "places' positions")
        n = len(where)
        names = [map_ids] * n if isinstance(map_ids, str) else list(map_ids)
        if len(names) != n:
            raise BadInputError(f"{n} places need as many maps, or one for all; {len(names)} were given.")
        counts = [column(values, n, what, np.int64) for values, what in ((visits, "visits"), (observed, "counts"))]
        stamps = column(last_seen_ns, n, "stamps", np.int64)
        start = len(self)
        self._add_descriptors(descriptors, n)
        self.positions.extend(where)
        self.map_codes.extend(self.maps.codes(names))
        self.visits.extend(counts[0])
        self.observed.extend(counts[1])
        self.last_seen.extend(stamps)
        self.network.add_nodes_from(range(start, start + n))
        self.version += 1
        return np.arange(start, start + n)

    def add_place(self, position: ArrayLike, *, map_id: str = "", descriptor: ArrayLike | None = None) -> int:
        """Add one place; returns its number."""
        rows = None if descriptor is None else np.atleast_2d(np.asarray(descriptor))
        return int(self.add_places(np.atleast_2d(np.asarray(position)), map_ids=map_id, descriptors=rows)[0])

    def observe(self, place: int, position: ArrayLike, *, descriptor: ArrayLike | None = None, stamp_ns: int) -> None:
        """Another observation made at a place: its position and descriptor are running means."""
        self._check_places(np.array([place]))
        where = points(position, "position")[0]
        if descriptor is not None:
            row = np.asarray(descriptor, dtype=np.float64)
            if self.descriptor_sums is None:
                self._add_descriptors(np.zeros((0, len(row))), 0)
            assert self.descriptor_sums is not None
            self._check_width(row)
            self.descriptor_sums.data[place] += row
        self.observed.data[place] += 1
        self.positions.data[place] += (where - self.positions.data[place]) / self.observed.data[place]
        self.last_seen.data[place] = max(int(self.last_seen.data[place]), stamp_ns)
        self.version += 1

    def place(self, place: int) -> Place:
        """Everything that is known of a place. Raises NotFoundError."""
        self._check_places(np.array([place]))
        descriptor = self.descriptors(np.array([place]))
        return Place(
            id=place,
            position=self.positions.data[place].copy(),
            descriptor=descriptor[0] if descriptor is not None and descriptor.any() else None,
            map_id=self.maps[int(self.map_codes.data[place])],
            visits=int(self.visits.data[place]),
            observed=int(self.observed.data[place]),
            last_seen_ns=int(self.last_seen.data[place]),
            landmarks=tuple(self.landmarks.of(place)),
            records=self.records_of(place),
        )

    def descriptors(self, places: IntArray | slice = slice(None)) -> NDArray[np.float32] | None:
        """(n, d) unit vectors, zeros where a place has none; None when no place has."""
        return None if self.descriptor_sums is None else normalised(self.descriptor_sums.data[places])

    def add_evidence(self, places: ArrayLike, records: ArrayLike) -> None:
        """Records (n,) were made at places (n,)."""
        numbers = np.atleast_1d(np.asarray(records, dtype=np.int64))
        where = column(places, len(numbers), "places", np.int64)
        self._check_places(where)
        self.evidence.extend(np.column_stack([where, numbers]))

    def records_of(self, place: int) -> IntArray:
        """The records made at a place, ascending."""
        return np.sort(self.evidence.data[self.evidence.data[:, 0] == place, 1])

    def place_of_record(self, record: int) -> int:
        """The place at which a record was made. Raises NotFoundError."""
        found = np.flatnonzero(self.evidence.data[:, 1] == record)
        if not len(found):
            raise NotFoundError(f"No place rests on record {record}.")
        return int(self.evidence.data[found[0], 0])

    def in_map(self, map_id: str) -> IntArray:
        """The places of a map, ascending."""
        code = self.maps.find(map_id)
        return np.flatnonzero(self.map_codes.data == (-1 if code is None else code))

    # --- edges -------------------------------------------------------------------------------------------------

    @property
    def edge_count(self) -> int:
        return int(self.network.num_edges())

    def add_edges(
        self,
        tails: ArrayLike,
        heads: ArrayLike,
        lengths: ArrayLike | None = None,
        *,
        headings: ArrayLike | None = None,
        traversals: ArrayLike = 1,
        last_used_ns: ArrayLike = 0,
    ) -> None:
        """Add n directed edges between places (n,) and (n,); one that is there already is travelled again.

        lengths (n,) metres, default: the distance; headings (n,) radians, default: the direction of the head.
        An edge that is given again keeps its length and heading. Raises BadInputError, NotFoundError.
        """
        tail = np.atleast_1d(np.asarray(tails, dtype=np.int64))
        n = len(tail)
        head = column(heads, n, "heads of edges", np.int64)
        self._check_ends(tail, head)
        along = self.positions.data[head] - self.positions.data[tail]
        length = np.linalg.norm(along, axis=1) if lengths is None else column(lengths, n, "lengths", np.float64)
        heading = (
            np.arctan2(along[:, 1], along[:, 0]) if headings is None else column(headings, n, "headings", np.float64)
        )
        if n and not (np.isfinite(length).all() and np.isfinite(heading).all() and length.min() >= 0):
            raise BadInputError("Lengths of edges must be finite and not negative, headings finite.")
        count = column(traversals, n, "traversals", np.int64)
        used = column(last_used_ns, n, "stamps", np.int64)
        order = np.argsort(tail << 32 | head, kind="stable")
        unique, starts = grouped((tail << 32 | head)[order])
        if not n:
            return
        first = order[starts]
        totals, latest = np.add.reduceat(count[order], starts), np.maximum.reduceat(used[order], starts)
        by_tail, by_head = (unique >> 32).tolist(), (unique & 0xFFFFFFFF).tolist()
        known = np.zeros(len(unique), dtype=bool)
        if self.network.num_edges():
            known[:] = list(map(self.network.has_edge, by_tail, by_head))
        if known.any():
            rows = self._rows(unique[known] >> 32, unique[known] & 0xFFFFFFFF)
            self.traversals.data[rows] += totals[known]
            self.last_used.data[rows] = np.maximum(self.last_used.data[rows], latest[known])
        fresh = np.flatnonzero(~known)
        start = self._append(
            tail[first[fresh]], head[first[fresh]], length[first[fresh]], heading[first[fresh]], totals[fresh],
            latest[fresh],
        )  # fmt: skip
        rows_of_new = range(start, start + len(fresh))
        if len(fresh) != len(unique):
            by_tail, by_head = (unique[fresh] >> 32).tolist(), (unique[fresh] & 0xFFFFFFFF).tolist()
        self.network.add_edges_from(list(zip(by_tail, by_head, rows_of_new, strict=True)))
        self.version += 1

    def add_edge(self, tail: int, head: int, length: float | None = None, *, last_used_ns: int = 0) -> None:
        """Add one edge, or travel it again."""
        self.add_edges([tail], [head], None if length is None else [length], last_used_ns=last_used_ns)

    def remove_edge(self, tail: int, head: int) -> None:
        """Forget an edge. Raises NotFoundError."""
        row = self._row(tail, head)
        self.network.remove_edge(tail, head)
        self.alive.data[row] = False
        self.version += 1

    def edge(self, tail: int, head: int) -> Edge:
        """One edge. Raises NotFoundError."""
        row = self._row(tail, head)
        return Edge(
            tail, head, float(self.lengths.data[row]), float(self.headings.data[row]), int(self.traversals.data[row]),
            int(self.last_used.data[row]), int(self.blocked_until.data[row]),
        )  # fmt: skip

    def edge_rows(self) -> IntArray:
        """The rows of the edges that are there, ascending."""
        return np.flatnonzero(self.alive.data)

    def block(self, tail: int, head: int, until_ns: int = FOR_EVER) -> None:
        """No route uses this edge before a time. Raises NotFoundError."""
        self.blocked_until.data[self._row(tail, head)] = until_ns
        self.version += 1

    def unblock(self, tail: int, head: int) -> None:
        """Routes may use this edge again. Raises NotFoundError."""
        self.block(tail, head, OPEN)

    def blocked(self, now_ns: int) -> list[Edge]:
        """The edges that are blocked at a time."""
        rows = np.flatnonzero(self.alive.data & (self.blocked_until.data > now_ns))
        return [self.edge(int(self.tails.data[row]), int(self.heads.data[row])) for row in rows]

    def neighbours(self, place: int) -> list[int]:
        """Where edges lead to from a place, ascending."""
        self._check_places(np.array([place]))
        return sorted(self.network.successor_indices(place))

    def exits(self, merge_angle: float = np.radians(30)) -> IntArray:
        """(places,) in how many directions one can leave each place; directions closer than merge_angle are one."""
        rows = self.edge_rows()
        tail, heading = self.tails.data[rows], np.mod(self.headings.data[rows], 2 * np.pi)
        order = np.lexsort((heading, tail))
        tail, heading = tail[order], heading[order]
        places, starts = grouped(tail)
        ends = np.append(starts[1:], len(tail)) - 1 if len(tail) else starts
        gap = np.empty(len(tail))
        gap[:-1] = np.diff(heading)
        gap[ends] = heading[starts] + 2 * np.pi - heading[ends]
        exits = np.zeros(len(self), dtype=np.int64)
        if len(places):
            exits[places] = np.maximum(np.add.reduceat(gap > merge_angle, starts, dtype=np.int64), 1)
        return exits

    def intersections(self, merge_angle: float = np.radians(30)) -> IntArray:
        """The places with more than two exits, ascending."""
        return np.flatnonzero(self.exits(merge_angle) > 2)

    # --- inside ------------------------------------------------------------------------------------------------

    def _add_descriptors(self, descriptors: ArrayLike | None, n: int) -> None:
        if descriptors is not None:
            rows = np.asarray(descriptors, dtype=np.float64)
            if rows.ndim != 2 or len(rows) != n or not np.isfinite(rows).all():
                raise BadInputError(f"{n} places need as many rows of finite descriptors; their shape is {rows.shape}.")
            if self.descriptor_sums is None:
                self.descriptor_sums = Growable(np.float64, rows.shape[1])
                self.descriptor_sums.extend(np.zeros((len(self), rows.shape[1])))
            self._check_width(rows[0] if n else np.zeros(rows.shape[1]))
            self.descriptor_sums.extend(rows)
        elif self.descriptor_sums is not None:
            self.descriptor_sums.extend(np.zeros((n, self.descriptor_sums.data.shape[1])))

    def _check_width(self, descriptor: FloatArray) -> None:
        assert self.descriptor_sums is not None
        width = self.descriptor_sums.data.shape[1]
        if descriptor.shape != (width,) or not np.isfinite(descriptor).all():
            raise BadInputError(f"A descriptor must be {width} finite numbers; its shape is {descriptor.shape}.")

    def _check_places(self, places: IntArray) -> None:
        if len(places) and (places.min() < 0 or places.max() >= len(self)):
            wrong = places[(places < 0) | (places >= len(self))][0]
            raise NotFoundError(f"There is no place {wrong}: places are numbered from 0 to {len(self) - 1}.")

    def _check_ends(self, tail: IntArray, head: IntArray) -> None:
        self._check_places(tail)
        self._check_places(head)
        if np.any(tail == head):
            raise BadInputError(f"An edge leads from place {tail[tail == head][0]} to itself: leave it out.")
        if np.any(self.map_codes.data[tail] != self.map_codes.data[head]):
            raise BadInputError("An edge leads from one map to another: their coordinates are never mixed.")

    def _append(
        self, tail: IntArray, head: IntArray, length: FloatArray, heading: FloatArray, count: IntArray, used: IntArray
    ) -> int:
        start = self.tails.extend(tail)
        self.heads.extend(head)
        self.lengths.extend(length)
        self.headings.extend(heading)
        self.traversals.extend(count)
        self.last_used.extend(used)
        self.blocked_until.extend(np.full(len(tail), OPEN))
        self.alive.extend(np.ones(len(tail)))
        return start

    def _row(self, tail: int, head: int) -> int:
        self._check_places(np.array([tail, head]))
        if not self.network.has_edge(tail, head):
            raise NotFoundError(f"There is no edge from place {tail} to place {head}.")
        return int(self.network.get_edge_data(tail, head))

    def _rows(self, tails: Iterable[int], heads: Iterable[int]) -> IntArray:
        data = self.network.get_edge_data
        return np.array([data(int(t), int(h)) for t, h in zip(tails, heads, strict=True)], dtype=np.int64)
