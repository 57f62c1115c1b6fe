"""The octree: where there is something, where there is nothing, where nobody has looked; since when, and who saw it."""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.geometry import spherical, transform_points
from embodied_mem.octree import erase, lookup, merge, nearest, rays, volumes
from embodied_mem.octree.answers import Grid, Hits, InsertReport, Nearest, Voxels, aggregate
from embodied_mem.octree.arguments import as_points, finite
from embodied_mem.octree.arrays import BLOCKS, DAMAGED, DEAD, KEY, ROWS, SEEN, VOXELS, Arrays
from embodied_mem.octree.content import Content, content_of, same_content
from embodied_mem.octree.files import read_file, write_file
from embodied_mem.octree.find import check_everything
from embodied_mem.octree.lock import ReadersWriterLock
from embodied_mem.octree.marking import Scan
from embodied_mem.octree.morton import BLOCK, HALF, centers_of
from embodied_mem.octree.occupancy import OccupancyModel
from embodied_mem.octree.scans import Scans
from embodied_mem.octree.store import Store

MAX_LEVEL = 16
NEVER = -1  # when a voxel was last seen that nobody saw
LARGEST_GRID = 1 << 28  # cells of a projection

_BLOCK_COST, _VOXEL_COST = 80, 16  # bytes that the budget counts: a function of the content alone
_SPARED = 0.9  # of the budget is left after an eviction

_Answer = TypeVar("_Answer")


class Octree:
    """A sparse occupancy map of voxels of `resolution` metres. Safe for one writer and many readers.

    Readers share a lock and run without the interpreter's; each answer is of one state of the map, between two inserts.
    Points outside of 2^20 voxels to either side of the origin are refused and counted.
    """

    def __init__(
        self, resolution: float, occupancy: OccupancyModel | None = None, *, budget_bytes: int | None = None
    ) -> None:
        """budget_bytes: what blocks (80 bytes) and voxels that were hit (16) may cost; those seen longest ago go."""
        if not 0 < resolution < np.inf:
            raise BadInputError(f"A resolution of {resolution} m makes no map: give the edge of a voxel in metres.")
        if budget_bytes is not None and budget_bytes < 1 << 16:
            raise BadInputError(f"A budget of {budget_bytes} bytes holds no map: give at least 65,536.")
        self.resolution = float(resolution)
        self.occupancy = occupancy or OccupancyModel()
        self.budget_bytes = budget_bytes
        self.watermark = 0
        self.meta: Any = None
        self.evicted = 0  # blocks, ever
        self._rules = self.occupancy.rules()
        self._lock = ReadersWriterLock()
        self._scans = Scans()
        self._scan = Scan(self.resolution)
        self._store: Store | None = Store()
        self._mapped: Arrays | None = None

    # --- evidence --------------------------------------------------------------------------------------------------

    def insert(
        self,
        points: ArrayLike,
        *,
        origin: ArrayLike | None = None,
        stamp_ns: int = 0,
        record: int = 0,
        max_range: float = np.inf,
    ) -> InsertReport:
        """Add a scan: points (n, 3) in the map's frame, metres, seen from `origin` (3,).

        Each voxel counts once a scan. With an origin what lies between it and the points is free, by OctoMap's rules
        for discretised scans: rays end at the centres of the voxels that were hit, and a voxel that is hit is not free.
        Of points beyond max_range only the ray counts, up to there. Without an origin there are only hits.
        Raises BadInputError.
        """
        return self._insert(points, origin, stamp_ns, record, max_range, misses=False)

    def insert_misses(
        self, origin: ArrayLike, ends: ArrayLike, *, stamp_ns: int = 0, record: int = 0, max_range: float = np.inf
    ) -> InsertReport:
        """Add rays from `origin` (3,) that met nothing up to their ends (n, 3); the voxels of these are left out."""
        return self._insert(ends, origin, stamp_ns, record, max_range, misses=True)

    def clear(self, low: ArrayLike, high: ArrayLike) -> int:
        """Make everything in a box unknown, low (3,) .. high (3,) metres; returns how many voxels were known."""
        first, last = self._key_box(low, high)

        def clear(store: Store) -> int:
            store.make_room(0, 64 * int(store.arrays.counts[BLOCKS]))
            return int(erase.clear_box(store.arrays, first, last))

        return self._write(clear)

    def forget_records(self, records: ArrayLike) -> int:
        """Drop voxels whose first and last hit is of these records, and every link to them; returns how many voxels.

        A voxel that other records hit in between goes too, and log-odds keep what the records added to voxels that
        stay: where nothing may be left, clear the region and insert again what is to be kept.
        """
        wanted = np.atleast_1d(np.asarray(records, np.int64))

        def forget(store: Store) -> int:
            forgotten = self._scans.forget(wanted)
            if not forgotten.any():
                return 0
            store.make_room(0, 64 * int(store.arrays.counts[BLOCKS]))
            return int(erase.forget_scans(store.arrays, forgotten.view(np.uint8)))

        return self._write(forget)

    # --- points ----------------------------------------------------------------------------------------------------

    def state(self, points: ArrayLike) -> NDArray[np.int8]:
        """(n, 3) -> (n,) -1 unknown, 0 free, 1 occupied. Points that have no voxel are unknown."""
        queries = as_points(points, np.float64)
        return self._read(lambda a: lookup.states(a, queries, 1.0 / self.resolution))

    def log_odds(self, points: ArrayLike) -> NDArray[np.float32]:
        """(n, 3) -> (n,), NaN where unknown."""
        return self._evidence(points)[0]

    def last_seen(self, points: ArrayLike) -> NDArray[np.int64]:
        """(n, 3) -> (n,) ns: when the voxel was last hit; of one never hit, when its block was last seen; else -1."""
        odds, stamps, _ = self._evidence(points)
        return np.where(np.isnan(odds), NEVER, stamps)

    def records_at(self, points: ArrayLike) -> NDArray[np.int64]:
        """(n, 3) -> (n, 2) the first and the last record that hit the voxel, 0 = none."""
        return self._evidence(points)[2]

    # --- volumes ---------------------------------------------------------------------------------------------------

    def box(self, low: ArrayLike, high: ArrayLike, *, level: int = 0, occupied_only: bool = True) -> Voxels:
        """Known voxels that touch the box low (3,) .. high (3,), metres, infinite where it is open.

        level  voxels of 2^level times the resolution, occupied where any voxel in them that touches the box is
        """
        if not 0 <= level <= MAX_LEVEL:
            raise BadInputError(f"Level {level} is not between 0 and {MAX_LEVEL}.")
        first, last = self._key_box(low, high)

        def collect(a: Arrays) -> volumes.Found:
            stamps, records = self._scans.stamps, self._scans.records
            return volumes.voxels_in_box(
                a, first, last, bool(occupied_only), self._rules.misses, stamps, records, self.resolution
            )

        return aggregate(self._read(collect), self.resolution, level)

    def radius(self, center: ArrayLike, radius: float, *, occupied_only: bool = True) -> Voxels:
        """Known voxels whose centres are not farther than `radius` metres from center (3,)."""
        middle = finite(center, (3,), "center")
        if not 0 <= radius < np.inf:
            raise BadInputError(f"A radius of {radius} m is none.")
        found = self.box(middle - radius, middle + radius, occupied_only=occupied_only)
        offsets = found.centers - middle
        return found.where(np.einsum("ij,ij->i", offsets, offsets) <= radius * radius)

    def frustum(
        self,
        pose: ArrayLike,
        fov_h: float,
        fov_v: float,
        near: float,
        far: float,
        *,
        occupied_only: bool = True,
    ) -> Voxels:
        """Known voxels whose centres a sensor would see if there were no walls.

        pose (4, 4) maps its frame (x forward, y left, z up) into the map's; azimuth within fov_h / 2, elevation within
        fov_v / 2 (radians), range in near .. far (metres).
        """
        matrix = finite(pose, (4, 4), "pose")
        if not (0 < fov_h <= 2 * np.pi and 0 < fov_v <= np.pi and 0 <= near <= far < np.inf):
            raise BadInputError(f"No frustum has {fov_h} x {fov_v} rad and {near} .. {far} m.")
        wide, high = min(fov_h / 2, np.pi / 2), fov_v / 2
        back = min(0.0, np.cos(fov_h / 2)) * far
        sides = np.array([[x, y, z] for x in (back, far) for y in (-1, 1) for z in (-1, 1)], np.float64) * [
            1,
            far * np.sin(wide),
            far * np.sin(high),
        ]
        corners = transform_points(matrix, sides)
        found = self.box(corners.min(axis=0), corners.max(axis=0), occupied_only=occupied_only)
        azimuth, elevation, distance = spherical(transform_points(np.linalg.inv(matrix), found.centers))
        seen = (np.abs(azimuth) <= fov_h / 2) & (np.abs(elevation) <= fov_v / 2)
        return found.where(seen & (distance >= near) & (distance <= far))

    def nearest(self, points: ArrayLike, k: int = 1, max_distance: float = np.inf) -> Nearest:
        """The k occupied voxels whose centres are nearest to each point (n, 3), exactly, none beyond max_distance."""
        if k < 1 or not max_distance >= 0:
            raise BadInputError(f"There are no {k} nearest voxels within {max_distance} m.")
        queries = as_points(points, np.float64)
        squared, keys = self._read(lambda a: nearest.nearest(a, queries, self.resolution, int(k), float(max_distance)))
        centers = centers_of(keys, self.resolution)
        centers[np.isinf(squared)] = np.nan
        return Nearest(np.sqrt(squared), centers)

    # --- rays ------------------------------------------------------------------------------------------------------

    def cast(
        self, origins: ArrayLike, directions: ArrayLike, max_range: ArrayLike = np.inf, *, unknown_blocks: bool = False
    ) -> Hits:
        """Rays from origins (n, 3) along directions (n, 3) of any length, up to max_range metres (one, or (n,)).

        unknown_blocks  the first unknown voxel stops a ray, as an occupied one does
        """
        starts, ways = as_points(origins, np.float64), as_points(directions, np.float64)
        reach = np.asarray(max_range, np.float64)
        if reach.shape not in ((), (len(starts),)) or not (reach >= 0).all():
            raise BadInputError("A ray reaches 0 m or more: give one max_range for all, or one for each.")
        return self._cast(starts, ways, np.array(np.broadcast_to(reach, len(starts))), unknown_blocks, between=False)

    def visible(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.int8]:
        """Line of sight between points a (n, 3) and b (n, 3): 1 through free voxels only, 0 blocked by an occupied one,
        -1 something unknown in between, and nothing occupied. The voxels of a and b themselves do not count."""
        starts, ends = as_points(a, np.float64), as_points(b, np.float64)
        ways = ends - starts
        hits = self._cast(starts, ways, np.sqrt(np.einsum("ij,ij->i", ways, ways)), False, between=True)
        # A ray's state: 1 hit, 0 free, less: unknown. Points in one place see each other.
        seen = np.where(hits.state == rays.HIT, 0, np.where(hits.state == rays.FREE, 1, -1))
        seen[(ways == 0).all(axis=1)] = 1
        return seen.astype(np.int8)

    def project(self, z_min: float, z_max: float, low: ArrayLike, high: ArrayLike) -> Grid:
        """The columns of voxels that touch z_min .. z_max, over the rectangle low (2,) .. high (2,), seen from above:
        occupied where any voxel is, else free where any is known. Raises BadInputError for one that is not finite."""
        corners = finite([[*np.ravel(low)[:2], z_min], [*np.ravel(high)[:2], z_max]], (2, 3), "rectangle")
        first, last = self._key_box(*corners)
        width, height = (last - first)[:2] + 1
        if max(width, 0) * max(height, 0) > LARGEST_GRID:
            raise BadInputError(f"A grid of {width} x {height} cells is too large: ask for a smaller rectangle.")
        cells = np.full((max(height, 0), max(width, 0)), -1, np.int8)
        self._read(lambda a: volumes.project_columns(a, first, last, cells))
        return Grid(cells, (first[:2] - HALF).astype(np.float64) * self.resolution, self.resolution)

    # --- files and content -----------------------------------------------------------------------------------------

    def save(self, path: Path | str, watermark: int | None = None, meta: Any = None) -> None:
        """Write the map, with the number of the log entry that it has read up to and anything that JSON can say.

        The same content gives the same bytes. After a crash the file is the old one or the new one.
        Raises StorageError.
        """
        self.watermark = self.watermark if watermark is None else int(watermark)
        self.meta = self.meta if meta is None else meta
        write_file(Path(path), self.to_arrays(), self.resolution, self.occupancy, self.watermark, self.meta)

    @classmethod
    def open(cls, path: Path | str, *, budget_bytes: int | None = None) -> Octree:
        """Map a file into memory: it answers from there, and is copied when it is first written to.

        Raises NotFoundError, StorageError; the latter also from any answer that rests on a damaged page.
        """
        opened = read_file(Path(path))
        tree = cls(opened.resolution, opened.model, budget_bytes=budget_bytes)
        tree.watermark, tree.meta = opened.watermark, opened.meta
        tree._scans = Scans(opened.stamps, opened.records)
        if len(opened.arrays.firsts):
            tree._store, tree._mapped = None, opened.arrays
        return tree

    @classmethod
    def from_arrays(cls, content: Content, resolution: float, occupancy: OccupancyModel | None = None) -> Octree:
        """A map of this content."""
        tree = cls(resolution, occupancy)
        tree._store = Store.of(content.rows, content.links)
        tree._scans = Scans(content.stamps, content.records)
        return tree

    def to_arrays(self) -> Content:
        """A copy of the content in canonical form."""

        def copy(a: Arrays) -> Content | None:
            return content_of(a, self._scans.stamps, self._scans.records) if check_everything(a) else None

        content = self._read(copy)
        assert content is not None  # _read raises for a damaged page
        return content

    def __len__(self) -> int:
        """How many voxels were ever hit (and not forgotten)."""
        return self._read(lambda a: int(a.counts[VOXELS]))

    @property
    def blocks(self) -> int:
        """How many blocks of 4 x 4 x 4 voxels are known in part."""
        return self._read(lambda a: int(a.counts[BLOCKS]))

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The low and the high corner (3,) of a box around all blocks that there ever were; None of an empty map."""
        extent = self._read(lambda a: a.extent.copy() if a.counts[BLOCKS] else None)
        if extent is None:
            return None
        corners = ((extent + np.array([[0], [1]])) * BLOCK - HALF) * self.resolution
        return corners[0], corners[1]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the map takes; of a mapped one, bytes of its file."""
        with self._lock.reading():
            size = self._mapped.file.nbytes if self._store is None else self._store.nbytes  # type: ignore[union-attr]
            return size + self._scans.nbytes

    # --- inside ----------------------------------------------------------------------------------------------------

    def _insert(
        self, points: ArrayLike, origin: ArrayLike | None, stamp_ns: int, record: int, max_range: float, *, misses: bool
    ) -> InsertReport:
        cloud = as_points(points)
        start = None if origin is None else self._check_origin(origin)
        if not max_range > 0 or not 0 <= record < 2**63 or not -(2**63) <= stamp_ns < 2**63:
            raise BadInputError(f"No scan has range {max_range} m, record {record} and stamp {stamp_ns} ns.")
        with self._lock.writing():
            blocks, refused = self._scan.mark(cloud, start, float(max_range), misses=misses)
            store = self._writable()
            rows, fresh, woken = merge.find_rows(store.arrays, blocks)
            store.make_room(int(fresh), merge.LARGEST_RUN * len(rows), int(woken))
            scan = self._scans.number(int(stamp_ns), int(record))
            new, hit, passed = merge.merge(store.arrays, self._rules, blocks, rows, scan)
            evicted = self._evict(store)
        reasons = {"not_finite": int(refused[0]), "out_of_range": int(refused[1])}
        return InsertReport(len(cloud), len(cloud) - int(refused.sum()), reasons, hit, passed, new, evicted)

    def _check_origin(self, origin: ArrayLike) -> NDArray[np.float64]:
        start = finite(origin, (3,), "origin")
        if (np.abs(start.astype(np.float32)) >= HALF * self.resolution).any():
            raise BadInputError(f"The origin {start.tolist()} lies outside of the map: it reaches {HALF} voxels.")
        return start

    def _evict(self, store: Store) -> int:
        """Drop the blocks seen longest ago while the budget is exceeded; of those seen at one time the smaller keys."""
        a = store.arrays
        cost = int(a.counts[BLOCKS]) * _BLOCK_COST + int(a.counts[VOXELS]) * _VOXEL_COST
        if self.budget_bytes is None or cost <= self.budget_bytes:
            return 0
        live = np.flatnonzero(a.rows[: a.counts[ROWS], KEY] != DEAD)
        seen = self._scans.stamps[a.rows[live, SEEN].astype(np.int64)]
        order = live[np.lexsort((a.rows[live, KEY], seen))]
        costs = _BLOCK_COST + _VOXEL_COST * erase.count_voxels(a, order)
        dropped = order[: int(np.searchsorted(np.cumsum(costs), cost - _SPARED * self.budget_bytes)) + 1]
        erase.drop_blocks(a, dropped)
        self.evicted += len(dropped)
        return len(dropped)

    def _cast(
        self,
        origins: NDArray[np.float64],
        directions: NDArray[np.float64],
        reach: NDArray[np.float64],
        unknown_blocks: bool,
        between: bool,
    ) -> Hits:
        if len(origins) != len(directions):
            raise BadInputError(f"{len(origins)} origins and {len(directions)} directions make no rays.")
        hits = Hits(np.empty(len(origins), np.int8), np.empty(len(origins)), np.empty((len(origins), 3)))
        into = (hits.state, hits.distance, hits.position)
        self._read(
            lambda a: rays.cast(a, origins, directions, self.resolution, reach, bool(unknown_blocks), between, *into)
        )
        return hits

    def _evidence(self, points: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Log-odds (n,), when last seen (n,) and by which records (n, 2)."""
        queries = as_points(points, np.float64)

        def collect(a: Arrays) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
            odds, scans = lookup.evidence(a, queries, 1.0 / self.resolution, self._rules.misses)
            return odds, self._scans.stamps[scans[:, 2]], self._scans.records[scans[:, :2]]

        return self._read(collect)

    def _key_box(self, low: ArrayLike, high: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Axis keys of the first and the last voxel of a box, both included; of an empty one they are the other way."""
        corners = [np.asarray(corner, np.float64).reshape(3).tolist() for corner in (low, high)]
        if not all(least <= most for least, most in zip(*corners, strict=True)):
            raise BadInputError(f"{corners} is no box: its low corner must not lie above its high one.")
        scale = 1.0 / self.resolution
        first = [floor(min(max(at * scale, -HALF), HALF)) + HALF for at in corners[0]]
        last = [floor(min(max(at * scale, -HALF - 1), HALF - 1)) + HALF for at in corners[1]]
        return np.array(first, np.int64), np.array(last, np.int64)

    def _arrays(self) -> Arrays:
        if self._store is not None:
            return self._store.arrays
        assert self._mapped is not None
        return self._mapped

    def _read(self, kernel: Callable[[Arrays], _Answer]) -> _Answer:
        with self._lock.reading():
            arrays = self._arrays()
            answer = kernel(arrays)
            _refuse_damage(arrays)
            return answer

    def _write(self, change: Callable[[Store], _Answer]) -> _Answer:
        with self._lock.writing():
            return change(self._writable())

    def _writable(self) -> Store:
        """The store; a mapped file is checked and copied into one first."""
        if self._store is None:
            assert self._mapped is not None
            check_everything(self._mapped)
            _refuse_damage(self._mapped)
            self._store, self._mapped = Store.of(self._mapped.rows, self._mapped.links), None
        return self._store


def equal(one: Octree, other: Octree) -> bool:
    """Whether two maps say the same: voxels, log-odds, times and records."""
    alike = one.resolution == other.resolution and one.occupancy == other.occupancy
    return alike and same_content(one.to_arrays(), other.to_arrays())


def _refuse_damage(arrays: Arrays) -> None:
    if arrays.counts[DAMAGED]:
        raise StorageError(
            f"Page {arrays.counts[DAMAGED] - 1} of the octree's file is damaged: close it, remove it and rebuild "
            "the map from the log."
        )
