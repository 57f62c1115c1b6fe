"""A route's polyline along free space: straight lines between places cut the corners of doors and walls.

Each line of a polyline is walked on the grid of what a robot can bump into, where it keeps its radius if it can; then
the path is pulled tight, like a string: points go that are not needed to pass everything. A place is the mean of where
robots stood, so it may lie where none fits: the path passes the nearest spot where one does. Where no way through
known free space is found (nobody looked there), the straight line stays and is told of as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from embodied_mem.errors import BadInputError
from embodied_mem.topology.arrays import FloatArray, points
from embodied_mem.topology.goal_near import Grid
from embodied_mem.topology.walking import descend, sees, walk

_MARGIN_M = 4.0  # that is looked at around a line, for ways round things
_SIDE_M = 60.0  # of a whole route that is pulled tight at once
_SNAP_M = 1.0  # from a point to the nearest cell where the robot fits


class Ground(Protocol):
    """What is asked of a map of occupied, free and unknown space (embodied_mem/octree fulfils it)."""

    def project(self, z_min: float, z_max: float, low: ArrayLike, high: ArrayLike) -> Grid:
        """The columns between two heights over a rectangle, seen from above."""


@dataclass(frozen=True, slots=True, eq=False)
class FreePath:
    """points (m, 3) metres from the first of the polyline to its last; free (m - 1,): which lines are known to be."""

    points: FloatArray
    free: NDArray[np.bool_]

    @property
    def length(self) -> float:
        """Metres along it."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


def through_free_space(
    ground: Ground, polyline: ArrayLike, *, z_min: float, z_max: float, radius: float = 0.25
) -> FreePath:
    """The polyline (k, 3), k >= 1, bent around what stands between z_min and z_max (metres in the map).

    Heights run evenly between those of the points. Raises BadInputError.
    """
    line = points(polyline, "route's points")
    if not len(line) or not z_min < z_max or not 0 <= radius < np.inf:
        raise BadInputError("A path needs a point, z_min below z_max, and a radius of 0 or more metres.")
    whole = np.ptp(line[:, :2], axis=0).max() + 2 * _MARGIN_M <= _SIDE_M
    room = _Room(ground, line, z_min, z_max, radius) if whole else None
    made, free = [line[:1]], [np.zeros(0, dtype=bool)]
    for a, b in pairwise(line):
        here = room or _Room(ground, np.array([a, b]), z_min, z_max, radius)
        way = here.way(made[-1][-1], b)
        piece = np.array([b]) if way is None else way
        made.append(piece)
        free.append(np.full(len(piece), way is not None))
    path, known = np.concatenate(made), np.concatenate(free)
    return FreePath(path, known) if room is None else room.tightened(path, known)


def warm() -> None:
    """Compile the kernels: later a first request would wait for that."""
    cells = np.ones((3, 3), dtype=bool)
    way = descend(walk(cells, np.zeros((1, 2), dtype=np.int64), np.zeros(1), np.inf), 2, 2)
    _pulled(cells, way)


class _Room:
    """The grid around some points, and where a robot fits."""

    def __init__(self, ground: Ground, line: FloatArray, z_min: float, z_max: float, radius: float) -> None:
        low, high = line[:, :2].min(axis=0) - _MARGIN_M, line[:, :2].max(axis=0) + _MARGIN_M
        self._grid = ground.project(z_min, z_max, low, high)
        free = self._grid.cells == 0
        padded = np.pad(free, 1)  # beyond the grid nothing is known
        clearance = (distance_transform_edt(padded)[1:-1, 1:-1] - 0.5) * self._grid.resolution
        self._fits = [np.ascontiguousarray(free & (clearance >= radius)), np.ascontiguousarray(free)]

    def way(self, a: FloatArray, b: FloatArray) -> FloatArray | None:
        """(m, 3) the points after a (3,) on the way to b (3,), with the radius if that can be; None: there is none.

        The last one is b, or the spot nearest to it where the robot fits.
        """
        for fits in self._fits:
            start, end = self._snapped(fits, a), self._snapped(fits, b)
            if start is None or end is None:
                continue
            goal = b if self._cell(b) == end else np.append(self._middle(np.array(end)), b[2])
            if sees(fits, *start, *end):
                return goal[None]
            reached = walk(fits, np.array([end]), np.zeros(1), np.inf)
            if np.isfinite(reached[start[0], start[1]]):
                return self._metres(_pulled(fits, descend(reached, *start)), a, goal)
        return None

    def tightened(self, path: FloatArray, known: NDArray[np.bool_]) -> FreePath:
        """Without the points of a path (m, 3) that one can pass by in a straight line; unknown lines stay."""
        fits = self._fits[0]
        cells = np.array([self._cell(point) for point in path])
        inside = np.all((cells >= 0) & (cells < fits.shape), axis=1)
        keep = _needed(fits, np.where(inside[:, None], cells, 0), inside, np.append(known, False))
        free = np.logical_and.reduceat(known, keep[:-1]) if len(keep) > 1 else known[:0]
        return FreePath(path[keep], free)

    # --- inside ------------------------------------------------------------------------------------------------

    def _cell(self, point: FloatArray) -> tuple[int, int]:
        col, row = np.floor((point[:2] - self._grid.origin) / self._grid.resolution).astype(int)
        return int(row), int(col)

    def _middle(self, cells: NDArray[np.int64]) -> FloatArray:
        """(..., 2) metres of cells (..., 2), row and column."""
        return np.asarray(self._grid.origin + (cells[..., ::-1] + 0.5) * self._grid.resolution)

    def _snapped(self, fits: NDArray[np.bool_], point: FloatArray) -> tuple[int, int] | None:
        """The nearest cell where the robot fits, if it is near."""
        row, col = self._cell(point)
        reach = int(_SNAP_M / self._grid.resolution)
        top, left = max(row - reach, 0), max(col - reach, 0)
        rows, cols = np.nonzero(fits[top : row + reach + 1, left : col + reach + 1])
        if not len(rows):
            return None
        away = (rows + top - row) ** 2 + (cols + left - col) ** 2
        best = int(np.argmin(away))
        return int(rows[best] + top), int(cols[best] + left)

    def _metres(self, cells: NDArray[np.int64], a: FloatArray, b: FloatArray) -> FloatArray:
        """(m, 3) the middles of the cells between the first and the last, and then b, with heights from a's to b's."""
        xy = np.concatenate([self._middle(cells[1:-1]), b[None, :2]])
        along = np.cumsum(np.linalg.norm(np.diff(xy, axis=0, prepend=a[None, :2]), axis=1))
        z = a[2] + (b[2] - a[2]) * along / max(float(along[-1]), 1e-9)
        return np.column_stack([xy, z])


def _pulled(fits: NDArray[np.bool_], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cells (m, 2) of a way that are needed to walk it in straight lines."""
    inside = np.ones(len(cells), dtype=bool)
    return cells[_needed(fits, cells, inside, inside)]


@njit(cache=True, nogil=True)
def _needed(
    fits: NDArray[np.bool_], cells: NDArray[np.int64], inside: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Indices of the points to keep: from each one the farthest that it sees, along lines that are known to be free."""
    kept = np.empty(len(cells), dtype=np.int64)
    kept[0] = 0
    count, at = 1, 0
    while at < len(cells) - 1:
        end = at + 1
        while end < len(cells) - 1 and known[end] and known[at]:
            end += 1
        best = at + 1
        for j in range(end, at + 1, -1):
            if not (inside[at] and inside[j]):
                continue
            if sees(fits, cells[at, 0], cells[at, 1], cells[j, 0], cells[j, 1]):
                best = j
                break
        at = best
        kept[count] = at
        count += 1
    return kept[:count]
