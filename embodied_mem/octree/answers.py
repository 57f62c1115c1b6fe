"""What an octree answers with: arrays of equal length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.octree.morton import centers_of, encode
from embodied_mem.octree.volumes import Found


@dataclass(frozen=True, slots=True)
class InsertReport:
    """What became of a scan.

    points, used     given, and within what keys reach (of those beyond max_range the ray)
    refused          why the others were not: "not_finite", "out_of_range" -> how many
    hit, passed      voxels that the scan hit, and that its rays passed and it did not hit
    new              voxels that no scan had hit before
    evicted          blocks that the memory budget cost
    """

    points: int
    used: int
    refused: Mapping[str, int]
    hit: int
    passed: int
    new: int
    evicted: int


@dataclass(frozen=True, slots=True, eq=False)
class Voxels:
    """centers (n, 3) and sizes (n,), metres; log_odds (n,); last_seen (n,) ns; records (n, 2).

    last_seen of a voxel that was never hit is when its block was last seen. records are the first and the last one that
    hit the voxel, 0 = none. Of a voxel above level 0: the largest log-odds, the last time, the first and the last
    record by number, of what is known in it.
    """

    centers: NDArray[np.float64]
    sizes: NDArray[np.float64]
    log_odds: NDArray[np.float32]
    last_seen: NDArray[np.int64]
    records: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.centers)

    def where(self, mask: NDArray[np.bool_]) -> Voxels:
        """Those of a mask (n,)."""
        return Voxels(
            self.centers[mask], self.sizes[mask], self.log_odds[mask], self.last_seen[mask], self.records[mask]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What rays met.

    state     (n,) 1 an occupied voxel; 0 only free ones up to the end; -1 something unknown on the way; -2 the ray
              began or went outside of what keys reach, or has no direction
    distance  (n,) metres along the ray to where it enters the voxel that stopped it, or its end; NaN for -2
    position  (n, 3) the centre of the occupied or unknown voxel that stopped the ray, else where the ray ends
    """

    state: NDArray[np.int8]
    distance: NDArray[np.float64]
    position: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """distance (n, k) metres to the centres of the nearest occupied voxels, ascending, inf where there are fewer;
    center (n, k, 3), NaN there."""

    distance: NDArray[np.float64]
    center: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """cells (height, width) int8, row by row from the origin along y: -1 unknown, 0 free, 100 occupied, as
    nav_msgs/OccupancyGrid wants them; origin (2,) metres: the lower left corner; resolution metres."""

    cells: NDArray[np.int8]
    origin: NDArray[np.float64]
    resolution: float


def aggregate(found: Found, resolution: float, level: int) -> Voxels:
    """Voxels of `level` made of those that were found: parents are by shifting."""
    keys, centers, odds, last_seen, records = found
    if level and len(keys):
        codes = encode(keys >> level)
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
        centers = centers_of((keys >> level)[order[starts]], resolution, level)
        odds = np.maximum.reduceat(odds[order], starts)
        last_seen = np.maximum.reduceat(last_seen[order], starts)
        first, last = records[order, 0], records[order, 1]
        unlinked = np.iinfo(np.int64).max
        first = np.minimum.reduceat(np.where(first > 0, first, unlinked), starts)
        records = np.stack([np.where(first == unlinked, 0, first), np.maximum.reduceat(last, starts)], axis=1)
    return Voxels(centers, np.full(len(centers), resolution * (1 << level)), odds, last_seen, records)
