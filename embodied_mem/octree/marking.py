"""One scan as bit sets, before anything touches the map; the window that it is marked in grows with the scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.octree.window import (
    BLOCKS_A_TILE,
    LONGEST,
    TILE_WORDS,
    Blocks,
    carve,
    count_refused,
    make_window,
    mark_ends,
    name_tiles,
    read_blocks,
    to_keys,
    unmark,
)

_KEPT_TILES = 4096  # a larger window is given back after its scan


class Scan:
    """Marks scans, one after another. Not locked: its owner is."""

    def __init__(self, resolution: float) -> None:
        self._resolution = resolution
        self._window = make_window()
        self._keys = np.empty((1 << 16, 3), np.int32)  # kept, since fresh memory is slow at its first touch
        self._ends = np.empty((1 << 16, 3), np.int32)

    def mark(
        self, points: NDArray[Any], origin: NDArray[np.float64] | None, max_range: float, *, misses: bool = False
    ) -> tuple[Blocks, NDArray[np.int64]]:
        """What points (n, 3) say, and how many were refused (2,): not finite, outside of the keys.

        origin     (3,) whose rays to the points carve; None: nothing is carved
        max_range  of farther points only the ray counts, up to there
        misses     the rays met nothing: their ends are not hits
        """
        if len(points) >= len(self._keys):
            self._keys, self._ends = (np.empty((len(points) + 1, 3), np.int32) for _ in range(2))
        keys = self._keys[: len(points)]
        outside = to_keys(points.reshape(-1), 1.0 / self._resolution, keys.reshape(-1))
        refused = count_refused(points, keys) if outside else np.zeros(2, np.int64)
        ends = self._ends[: len(points) + 1 if origin is not None else 0]
        count = done = 0
        while done < len(points):
            done, count = mark_ends(self._window, keys, done, ends, count)
            self._enlarge(done < len(points))
        if origin is not None:
            reach = min(max_range, LONGEST * self._resolution)
            far = np.zeros(count, np.uint8)
            done = 0
            while done < count:
                done = carve(self._window, ends[:count], done, origin, self._resolution, reach, misses, far)
                self._enlarge(done < count)
            if far.any():
                unmark(self._window, ends[:count], far)
        room = BLOCKS_A_TILE * int(self._window.used[0])
        found = Blocks(*(np.empty(room, np.uint64) for _ in range(3)))
        size = read_blocks(self._window, found, origin is not None)
        blocks = Blocks(*(part[:size] for part in found))
        if len(self._window.names) > _KEPT_TILES:
            self._window = make_window()
        return blocks, refused

    def _enlarge(self, full: bool) -> None:
        if not full:
            return
        old, tiles = self._window, int(self._window.used[0])
        self._window = new = make_window(2 * len(old.names))
        new.names[:tiles] = old.names[:tiles]
        new.hits[: tiles * TILE_WORDS] = old.hits[: tiles * TILE_WORDS]
        new.passed[: tiles * TILE_WORDS] = old.passed[: tiles * TILE_WORDS]
        new.used[0] = tiles
        name_tiles(new)
