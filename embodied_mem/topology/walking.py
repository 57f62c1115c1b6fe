"""Walking on a grid: how far it is from some cells to every other, through cells that may be entered."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.heap import pop, push

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
        size = pop(keys, items, size)
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


@njit(cache=True, nogil=True)
def descend(reached: NDArray[np.float64], row: int, col: int) -> NDArray[np.int64]:
    """(m, 2) cells from a reached one (row, col) down the costs of `walk` to a cell where it began."""
    rows, cols = reached.shape
    way = np.empty((rows * cols, 2), dtype=np.int64)
    count = 0
    while True:
        way[count] = row, col
        count += 1
        best, next_row, next_col = reached[row, col], -1, -1
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                a, b = row + dr, col + dc
                if (dr == 0 and dc == 0) or a < 0 or b < 0 or a >= rows or b >= cols:
                    continue
                if dr != 0 and dc != 0 and not (np.isfinite(reached[row, b]) and np.isfinite(reached[a, col])):
                    continue
                if reached[a, b] < best:
                    best, next_row, next_col = reached[a, b], a, b
        if next_row < 0:
            return way[:count].copy()
        row, col = next_row, next_col


@njit(cache=True, nogil=True)
def sees(open_cells: NDArray[np.bool_], row: int, col: int, to_row: int, to_col: int) -> bool:
    """Whether every cell that the straight line between the middles of two cells touches is open (both included).

    Where the line goes through a corner, all four cells around it must be.
    """
    dr, dc = abs(to_row - row), abs(to_col - col)
    sr, sc = (1 if to_row > row else -1), (1 if to_col > col else -1)
    error = dr - dc
    dr, dc = 2 * dr, 2 * dc
    while True:
        if not open_cells[row, col]:
            return False
        if row == to_row and col == to_col:
            return True
        if error > 0:
            row += sr
            error -= dc
        elif error < 0:
            col += sc
            error += dr
        else:
            if not (open_cells[row + sr, col] and open_cells[row, col + sc]):
                return False
            row += sr
            col += sc
            error += dr - dc
