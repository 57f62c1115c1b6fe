"""From a query to the rows that pass all its filters: choose the cheapest access path, then test every row exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnknownMapError
from embodied_mem.geometry import transform_points
from embodied_mem.records.kernels import ANY, FOREVER, best_detections, select_by_detections, select_rows
from embodied_mem.records.names import Names
from embodied_mem.records.query import EVERY_MAP, Query, TimeRange
from embodied_mem.records.versions import VersionTable

if TYPE_CHECKING:
    from embodied_mem.records.index import RecordIndex

_NEAR = 2.0  # metres: "near record n" without a radius
_IDENTITY = np.eye(4)
_NOTHING = -2  # a code that no row has
_FAR = 1e12  # metres: stands for infinity where that cannot be calculated with
_ANYWHERE = np.array([[-np.inf] * 3, [np.inf] * 3])
_ANY_DISTANCE = np.array([0.0, 0.0, 0.0, np.inf])


@dataclass(eq=False)
class Filters:
    """A query in the index's own terms. Coordinates are in `map_id`; `into` maps other maps' coordinates there."""

    table: VersionTable
    query: Query
    map_id: str
    into: dict[int, NDArray[np.float64]]  # map code -> (4, 4); empty for every map, without coordinates
    codes: NDArray[np.int32]  # map, robot, session; ANY restricts nothing
    as_of: int
    now: bool  # as_of is the newest entry
    last_seen: NDArray[np.int64]
    box: NDArray[np.float64] = field(default_factory=lambda: _ANYWHERE)
    sphere: NDArray[np.float64] = field(default_factory=lambda: _ANY_DISTANCE)
    labels: NDArray[np.bool_] | None = None  # flags by label code, or None for no restriction

    @property
    def time(self) -> TimeRange:
        return self.query.time or TimeRange()

    def moved_maps(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Maps whose coordinates must be transformed."""
        return iter(self._moved.items())

    @cached_property
    def _moved(self) -> dict[int, NDArray[np.float64]]:
        return {code: matrix for code, matrix in self.into.items() if not np.array_equal(matrix, _IDENTITY)}

    def select(self) -> NDArray[np.int32]:
        """The rows that pass, ascending."""
        if self._moved and self.query.has_where:
            parts = [self._select_in(code, matrix) for code, matrix in self.into.items()]
            return np.sort(np.concatenate([np.zeros(0, np.int32), *parts]))
        rows = self._pass(self._candidates())
        if len(self.into) < 2:
            return rows  # `codes` names the map, or every map is meant
        return rows[np.isin(self.table.codes.data[rows, 0], list(self.into))]

    def positions_of(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """(n, 3) where the sensors of these rows were, in the query's map; for "*" each in its own."""
        return self._moved_here(self.table.positions.data[rows], self.table.codes.data[rows, 0])

    def matched_positions(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """(n, 3): for a query with labels the best matching detection's centre, else the sensor's position."""
        out, table = self.positions_of(rows), self.table
        if self.labels is None:
            return out
        which, owner = table.detections_of(rows)
        centers = self._moved_here(table.centers.data[which], table.codes.data[rows[owner], 0])
        counts = np.bincount(owner, minlength=len(rows))
        ends = np.cumsum(counts)
        spans = np.column_stack([ends - counts, ends]).astype(np.int32)
        best = best_detections(
            spans, table.labels.data[which], table.scores.data[which], centers, self.labels, self.box, self.sphere
        )
        out[best >= 0] = centers[best[best >= 0]]
        return out

    def explain(self, left: int) -> str:
        """How many versions each filter alone lets through (a place: in its map), and how many all of them."""
        query = self.query
        every = replace(query, time=None, seqs=None, box=None, center=None, radius=None, near_record=None)
        open_codes = np.full(3, ANY, dtype=np.int32)
        nothing = replace(
            self, query=every, into={}, codes=open_codes, box=_ANYWHERE, sphere=_ANY_DISTANCE, labels=None
        )
        alone = {"records": nothing}
        own_map = np.array([self.codes[0], ANY, ANY], dtype=np.int32)
        if query.map_id != EVERY_MAP:
            alone["map"] = replace(nothing, into=self.into, codes=own_map)
        for i, name in ((1, "robot"), (2, "session")):
            if self.codes[i] != ANY:
                codes = open_codes.copy()
                codes[i] = self.codes[i]
                alone[name] = replace(nothing, codes=codes)
        if query.time is not None:
            alone["time"] = replace(nothing, query=replace(every, time=query.time))
        if query.seqs is not None:
            alone["numbers"] = replace(nothing, query=replace(every, seqs=query.seqs))
        if query.has_where:
            place = replace(query, time=None, seqs=None)
            alone["place"] = replace(self, query=place, codes=own_map)
        if self.labels is not None:
            alone["label"] = replace(nothing, labels=self.labels)
        counts = ", ".join(f"{name}: {len(each.select())}" for name, each in alone.items())
        return f"{counts}; all together: {left}"

    def _select_in(self, code: int, matrix: NDArray[np.float64]) -> NDArray[np.int32]:
        """The rows of one map that pass: candidates by the place as that map sees it, then the exact test in ours."""
        inverse: NDArray[np.float64] = np.asarray(np.linalg.inv(matrix))
        center = transform_points(inverse, self.sphere[None, :3])[0]
        loose = replace(
            self,
            into={code: _IDENTITY},
            codes=np.array([code, *self.codes[1:]], dtype=np.int32),
            box=_box_around(self.box, inverse),
            sphere=np.append(center, self.sphere[3] * (1 + 1e-9) + 1e-6 * (1 + np.abs(center).max())),
        )
        rows, table = loose._pass(loose._candidates()), self.table
        if self.labels is None:
            return rows[self._inside(transform_points(matrix, table.positions.data[rows]))]
        which, owner = table.detections_of(rows)
        seen = self._inside(transform_points(matrix, table.centers.data[which])) & self.labels[table.labels.data[which]]
        return rows[np.unique(owner[seen])]

    def _inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether points (n, 3) of the query's map lie in its box and sphere."""
        inside = ((points >= self.box[0]) & (points <= self.box[1])).all(axis=1)
        away = points - self.sphere[:3]
        return np.asarray(inside & ((away * away).sum(axis=1) <= self.sphere[3] ** 2))

    def _moved_here(self, points: NDArray[np.float64], maps: NDArray[np.int32]) -> NDArray[np.float64]:
        """Points (n, 3) of the maps (n,) in the query's map; changed in place."""
        for code, matrix in self.moved_maps():
            own = maps == code
            points[own] = transform_points(matrix, points[own])
        return points

    def _pass(self, candidates: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """The candidates that pass, ascending; box and sphere are taken for each row's own map."""
        if candidates is None or not len(self.table):
            return np.zeros(0, np.int32)
        table, by_detection = self.table, self.labels is not None
        start = -FOREVER if self.time.start_ns is None else self.time.start_ns
        end = FOREVER if self.time.end_ns is None else self.time.end_ns
        rows = select_rows(
            candidates, table.valid_from.data, table.valid_to.data, table.hidden.data, table.live.data,
            table.codes.data, self.codes,
            table.first_seen.data, self.last_seen, table.positions.data, self.as_of, self.now, start, end,
            _ANYWHERE if by_detection else self.box, _ANY_DISTANCE if by_detection else self.sphere,
        )  # fmt: skip
        if self.labels is not None:
            rows = select_by_detections(
                rows, table.spans.data, table.labels.data, table.centers.data, self.labels, self.box, self.sphere
            )
        if not len(candidates):
            return rows  # every row was looked at, in order
        rows = np.sort(rows)  # np.unique would hash: ten times slower
        return rows[np.append(True, rows[1:] != rows[:-1])] if len(rows) else rows

    def _candidates(self) -> NDArray[np.int32] | None:
        """Rows of which some pass, in any order, from the path that leaves fewest; empty = every row, None = no row."""
        paths = list(self._paths())
        if not paths:
            return np.zeros(0, np.int32)
        count, rows_of = min(paths, key=lambda path: path[0])
        if count > len(self.table) // 4:
            return np.zeros(0, np.int32)
        rows = rows_of()
        return rows if len(rows) else None

    def _numbered(self) -> NDArray[np.int32]:
        seqs = np.asarray(self.query.seqs, dtype=np.int64)
        return self.table.versions_of(np.unique(seqs[(seqs > 0) & (seqs < len(self.table.current_row))]))

    def _paths(self) -> Iterator[tuple[int, Callable[[], NDArray[np.int32]]]]:
        table = self.table
        if self.query.seqs is not None:
            yield 0, self._numbered  # a restriction that no column repeats: always taken
        if self.labels is not None:
            codes = np.flatnonzero(self.labels).tolist()
            yield (
                sum(map(table.by_label.count, codes)),
                lambda: np.concatenate([np.zeros(0, np.int32), *map(table.by_label.rows, codes)]),
            )
        if self.query.has_where:
            low = np.maximum(self.box[0], self.sphere[:3] - self.sphere[3])
            high = np.minimum(self.box[1], self.sphere[:3] + self.sphere[3])
            places = table.by_place if self.labels is None else table.by_center
            runs = places.runs(low, high)
            if runs is not None:
                yield places.count(runs), lambda: places.rows(runs)
        for code, postings_of in zip(self.codes.tolist(), table.by_code, strict=True):
            if code != ANY:
                yield postings_of.count(code), partial(postings_of.rows, code)
        if self.query.time is not None:
            low_ns = np.array([-FOREVER if self.time.start_ns is None else self.time.start_ns])
            high_ns = np.array([FOREVER if self.time.end_ns is None else self.time.end_ns])
            start_ns = int(low_ns[0])
            stretched = table.stretched.span(start_ns)
            yield (
                table.by_time.count(low_ns, high_ns) + (stretched.stop - stretched.start),
                lambda: np.concatenate([table.by_time.rows(low_ns, high_ns), table.stretched.rows(start_ns)]),
            )


def resolve(index: RecordIndex, query: Query) -> Filters:
    """The query in the index's terms. Raises UnknownMapError, NotFoundError (near_record) and BadInputError."""
    every = query.map_id == EVERY_MAP
    as_of = _as_of(index, query)
    maps = index.maps_at(as_of)
    target = "" if every else maps.resolve(query.map_id)
    connected = {} if every else maps.connected(target)
    into = {code: matrix for name, matrix in connected.items() if (code := index.map_names.find(name)) is not None}
    map_code = ANY if every or len(into) > 1 else next(iter(into), _NOTHING)
    filters = Filters(
        table=index.table,
        query=query,
        map_id=target,
        into=into,
        codes=np.array(
            [map_code, _code(index.robots, query.robot_id), _code(index.sessions, query.session_id)],
            dtype=np.int32,
        ),
        as_of=as_of,
        now=as_of >= index.watermark,
        last_seen=index.repetitions.last_seen(index.table, as_of),
    )  # fmt: skip
    if query.box is not None:
        filters.box = np.array(query.box, dtype=np.float64)
    if query.near_record is not None:
        row = index.row_at(query.near_record, as_of)
        matrix = into.get(int(index.table.codes.data[row, 0]))
        if matrix is None:
            raise UnknownMapError(f"Record {query.near_record} belongs to another map than {target!r}.")
        center = transform_points(matrix, index.table.positions.data[row : row + 1])[0]
        filters.sphere = np.append(center, _NEAR if query.radius is None else query.radius)
    elif query.center is not None and query.radius is not None:
        filters.sphere = np.append(np.asarray(query.center, dtype=np.float64), query.radius)
    if query.labels:
        filters.labels = np.zeros(max(len(index.labels_seen), 1), dtype=np.bool_)
        for label in query.labels:
            code = index.labels_seen.find(label.strip().lower())
            if code is not None:
                filters.labels[code] = True
    return filters


def _code(names: Names[str], name: str) -> int:
    if not name:
        return ANY
    found = names.find(name)
    return _NOTHING if found is None else found


def _as_of(index: RecordIndex, query: Query) -> int:
    as_of = index.watermark if query.as_of is None else query.as_of
    if query.as_of_ns is not None:
        known = int(np.searchsorted(np.maximum.accumulate(index.logged.data), query.as_of_ns, "right")) - 1
        as_of = min(as_of, known)
    return as_of


def _box_around(box: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) a box, along the axes of another map, that surely holds all of `box` once it is moved there."""
    low, high = np.clip(box, -_FAR, _FAR)
    center = transform_points(matrix, (low + high)[None] / 2)[0]
    half = np.abs(matrix[:3, :3]) @ ((high - low) / 2)
    half += 1e-6 + 1e-12 * (np.abs(center) + half)
    out = np.array([center - half, center + half])
    out[np.abs(out) > _FAR / 10] *= np.inf
    return out
