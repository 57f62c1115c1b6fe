"""The index's columns of what each record's sensor could have seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.growable import Columnar, Growable
from embodied_mem.records.names import Names
from embodied_mem.records.observation import View
from embodied_mem.records.versions import NO_ROW

_GEOMETRY = ("fov_h", "fov_v", "min_range", "max_range")


class ViewColumns(Columnar):
    """Rows for the views in which a detector ran. Depth grids lie one after another in one flat column."""

    def __init__(self) -> None:
        self.class_sets: Names[tuple[str, ...]] = Names()
        self.geometry = Growable(np.float64, 4)  # in the order of _GEOMETRY
        self.classes = Growable(np.int32)
        self.shapes = Growable(np.int64, 2)
        self._offsets = Growable(np.int64)
        self._depth = Growable(np.uint16)

    def append(self, views: Sequence[View]) -> NDArray[np.int32]:
        """Add the views that count; for each view its row, or NO_ROW for one whose detector did not run."""
        rows = np.full(len(views), NO_ROW, dtype=np.int32)
        ran = [i for i, view in enumerate(views) if view.detector]
        if not ran:
            return rows
        chosen = [views[i] for i in ran]
        first = self.geometry.extend([[getattr(view, name) for name in _GEOMETRY] for view in chosen])
        self.classes.extend(self.class_sets.codes(view.classes for view in chosen))
        grids = [np.zeros((0, 0), np.uint16) if view.depth is None else view.depth for view in chosen]
        start = self._depth.extend(np.concatenate([grid.ravel() for grid in grids]))
        self._offsets.extend(start + np.cumsum([0, *(grid.size for grid in grids[:-1])]))
        self.shapes.extend([grid.shape for grid in grids])
        rows[ran] = np.arange(first, first + len(ran))
        return rows

    def depth(self, rows: NDArray[np.int64], row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Cells of the grids of the views `rows`, millimetres."""
        return self._depth.data[self._offsets.data[rows] + row * self.shapes.data[rows, 1] + col]

    def grid(self, row: int) -> NDArray[np.uint16]:
        """(rows, cols) the whole grid of one view, millimetres."""
        rows, cols = self.shapes.data[row].tolist()
        begin = int(self._offsets.data[row])
        return self._depth.data[begin : begin + rows * cols].reshape(rows, cols).copy()
