"""Walking on a grid: how far it is from some cells to every other, through cells that may be entered."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.topology.search import drop_top, push

_DIAGONAL = float(np.sqrt(2.0))


@njit(cache=True, nogil=True)
def walk(
    open_cells: NDArray[np.bool_], sources: NDArray[np.int64], costs: NDArray[np.float64], limit: float
) -> NDArray[np.float64]:
    """(rows, cols) the least cost to be at each cell, in cells; infinite where one cannot get below `limit`.

    Steps go to the eight neighbours that are open, diagonally only between two open ones. sources (k, 2): row and
    column of open cells where one may begin, at costs (k,). Dijkstra's algorithm.
    """
    rows, cols = open_cells.shape
    reached = np.full((rows, cols), np.inf)
    settled = np.zeros((rows, cols), dtype=np.bool_)
    room = 8 * rows * cols + len(sources) + 1
    keys, items = np.empty(room), np.empty(room, dtype=np.int32)
    size = 0
    for i in range(len(sources)):
        r, c = sources[i]
        if open_cells[r, c] and costs[i] < reached[r, c]:
            reached[r, c] = costs[i]
            size = push(keys, items, size, costs[i], r * cols + c)
    while size:
        r, c = items[0] // cols, items[0] % cols
        size = drop_top(keys, items, size)
        if settled[r, c]:
            continue
        settled[r, c] = True
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                a, b = r + dr, c + dc
                if (dr == 0 and dc == 0) or a < 0 or b < 0 or a >= rows or b >= cols or not open_cells[a, b]:
                    continue
                if dr != 0 and dc != 0 and not (open_cells[r, b] and open_cells[a, c]):
                    continue
                cost = reached[r, c] + (_DIAGONAL if dr != 0 and dc != 0 else 1.0)
                if cost < reached[a, b] and cost < limit:
                    reached[a, b] = cost
                    size = push(keys, items, size, cost, a * cols + b)
    return reached
