"""The octree: where there is something, where there is nothing, where nobody has looked; since when, and who saw it."""

from __future__ import annotations

from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import spherical, transform_points
from embodied_mem.octree import erase, lookup, merge, nearest, rays, volumes
from embodied_mem.octree.answers import Grid, Hits, InsertReport, Nearest, Voxels, aggregate
from embodied_mem.octree.arguments import as_points, finite
from embodied_mem.octree.arrays import BLOCKS, DEAD, KEY, ROWS, SEEN, VOXELS, Arrays
from embodied_mem.octree.content import same_content
from embodied_mem.octree.morton import HALF, centers_of
from embodied_mem.octree.state import OctreeState
from embodied_mem.octree.store import Store

MAX_LEVEL = 16
NEVER = -1  # when a voxel was last seen that nobody saw
LARGEST_GRID = 1 << 28  # cells of a projection

_BLOCK_COST, _VOXEL_COST = 80, 16  # bytes that the budget counts: a function of the content alone
_SPARED = 0.9  # of the budget is left after an eviction


class Octree(OctreeState):
    """A sparse occupancy map of voxels of `resolution` metres. Safe for one writer and many readers.

    Readers share a lock and run without the interpreter's; each answer is of one state of the map, between two inserts.
    Points outside of 2^20 voxels to either side of the origin are refused and counted.
    """

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


def equal(one: Octree, other: Octree) -> bool:
    """Whether two maps say the same: voxels, log-odds, times and records."""
    alike = one.resolution == other.resolution and one.occupancy == other.occupancy
    return alike and same_content(one.to_arrays(), other.to_arrays())
