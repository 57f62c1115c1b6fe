"""Occupancy on a grid, distance to the nearest obstacle, and shortest paths for a round robot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from sim.house.floorplan import Rect

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """occupied (rows, columns) bool; cell (i, j) covers y from origin[1] + i * cell and x from origin[0] + j * cell.

    distance (rows, columns): metres from the middle of a cell to the edge of the nearest occupied one, 0 inside.
    """

    occupied: BoolArray
    distance: FloatArray
    origin: tuple[float, float]
    cell: float

    @classmethod
    def build(cls, extent: Rect, obstacles: Iterable[Rect], cell: float = 0.05) -> Grid:
        """Mark every cell that an obstacle touches; what is outside `extent` counts as occupied."""
        columns = int(np.ceil((extent.x1 - extent.x0) / cell)) + 2
        rows = int(np.ceil((extent.y1 - extent.y0) / cell)) + 2
        x0, y0 = extent.x0 - cell, extent.y0 - cell
        occupied = np.zeros((rows, columns), dtype=bool)
        occupied[[0, -1], :] = True
        occupied[:, [0, -1]] = True
        for rect in obstacles:
            i0, i1 = int((rect.y0 - y0) / cell), int(np.ceil((rect.y1 - y0) / cell - 1e-9))
            j0, j1 = int((rect.x0 - x0) / cell), int(np.ceil((rect.x1 - x0) / cell - 1e-9))
            occupied[max(i0, 0) : i1, max(j0, 0) : j1] = True
        return cls.of_cells(occupied, (x0, y0), cell)

    @classmethod
    def of_cells(cls, occupied: BoolArray, origin: tuple[float, float], cell: float) -> Grid:
        """A grid from its cells (rows, columns)."""
        distance = ndimage.distance_transform_edt(~occupied) * cell - cell / 2
        return cls(occupied, np.maximum(distance, 0.0), origin, cell)

    def indices(self, points: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(n, 2) x, y -> rows, columns, clipped to the grid."""
        where = np.floor((np.asarray(points, dtype=np.float64) - self.origin) / self.cell).astype(np.intp)
        rows, columns = self.occupied.shape
        return np.clip(where[..., 1], 0, rows - 1), np.clip(where[..., 0], 0, columns - 1)

    def clearance(self, points: FloatArray) -> FloatArray:
        """(n, 2) x, y -> (n,) metres to the nearest obstacle."""
        return self.distance[self.indices(points)]

    def centers(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> FloatArray:
        """Middles of cells, (n, 2) x, y."""
        return np.stack([columns + 0.5, rows + 0.5], axis=-1) * self.cell + self.origin

    def free_component(self, radius: float, near: FloatArray) -> BoolArray:
        """Cells that a robot of this radius can reach from the point `near` (2,)."""
        names, _ = ndimage.label(self.distance > radius, structure=np.ones((3, 3)))
        row, column = self.indices(near[None])
        name = int(names[row[0], column[0]])
        return (names == name) & (name > 0)


class Paths:
    """Shortest paths over the cells that a robot can reach, kept away from obstacles where there is space."""

    def __init__(self, grid: Grid, radius: float, start: FloatArray, comfort: float = 0.45) -> None:
        self.grid = grid
        self.radius = radius
        self.reachable = grid.free_component(radius, start)
        self._rows, self._columns = np.nonzero(self.reachable)
        self._node: NDArray[np.int64] = np.full(grid.occupied.shape, -1, dtype=np.int64)
        self._node[self._rows, self._columns] = np.arange(len(self._rows))
        self._graph = self._build(comfort)
        self.points = grid.centers(self._rows, self._columns)

    def _build(self, comfort: float) -> sparse.csr_matrix:
        shortfall = np.clip(comfort - self.grid.distance, 0, None)[self._rows, self._columns]
        price = 1 + 12 * shortfall
        sources, targets, weights = [], [], []
        for di, dj in _NEIGHBOURS:
            i, j = self._rows + di, self._columns + dj
            inside = (i < self._node.shape[0]) & (j < self._node.shape[1]) & (j >= 0)
            here = np.nonzero(inside)[0]
            there = self._node[i[here], j[here]]
            here, there = here[there >= 0], there[there >= 0]
            sources.append(here)
            targets.append(there)
            weights.append(self.grid.cell * np.hypot(di, dj) * (price[here] + price[there]) / 2)
        n = len(self._rows)
        pairs = (np.concatenate(weights), (np.concatenate(sources), np.concatenate(targets)))
        return sparse.csr_matrix(pairs, shape=(n, n))

    def node_near(self, point: FloatArray) -> int:
        """The reachable cell nearest to (2,) x, y."""
        return int(np.argmin(((self.points - point) ** 2).sum(axis=1)))

    def from_point(self, point: FloatArray) -> tuple[FloatArray, NDArray[np.int32]]:
        """Cost to every reachable cell (n,) and the predecessor of each, from the cell nearest to `point`."""
        cost, before = csgraph.dijkstra(
            self._graph, directed=False, indices=self.node_near(point), return_predecessors=True
        )
        return cost, before

    def path(self, before: NDArray[np.int32], target: int) -> FloatArray:
        """(m, 2) way-points from the source of `before` to the cell `target`, straightened where it is safe."""
        nodes = [target]
        while (previous := int(before[nodes[-1]])) >= 0:
            nodes.append(previous)
        return self._straightened(self.points[nodes[::-1]])

    def _straightened(self, line: FloatArray) -> FloatArray:
        keep, at = [0], 0
        while at < len(line) - 1:
            ahead = min(len(line) - 1, at + 60)
            while ahead > at + 1 and not self._clear(line[at], line[ahead], line[at : ahead + 1]):
                ahead -= max(1, (ahead - at) // 6)
            at = max(ahead, at + 1)
            keep.append(at)
        return line[keep]

    def _clear(self, a: FloatArray, b: FloatArray, original: FloatArray) -> bool:
        steps = np.linspace(0, 1, int(np.hypot(*(b - a)) / self.grid.cell) + 2)[:, None]
        lowest = self.grid.clearance(a + steps * (b - a)).min()
        return bool(lowest >= min(0.42, float(self.grid.clearance(original).min())))
