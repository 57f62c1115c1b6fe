"""An octree's arrays in memory or in a mapped file, behind a lock; what it holds, and how it comes to and from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.octree.arrays import BLOCKS, DAMAGED, VOXELS, Arrays
from embodied_mem.octree.content import Content, content_of
from embodied_mem.octree.files import read_file, write_file
from embodied_mem.octree.find import check_everything
from embodied_mem.octree.lock import ReadersWriterLock
from embodied_mem.octree.marking import Scan
from embodied_mem.octree.morton import BLOCK, HALF
from embodied_mem.octree.occupancy import OccupancyModel
from embodied_mem.octree.scans import Scans
from embodied_mem.octree.store import Store

_Answer = TypeVar("_Answer")
_Map = TypeVar("_Map", bound="OctreeState")


class OctreeState:
    """What `Octree` is made of. A reader calls `_read`, a writer `_write`; neither may do so twice."""

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

    def save(self, path: Path | str, watermark: int | None = None, meta: Any = None) -> None:
        """Write the map, with the number of the log entry that it has read up to and anything that JSON can say.

        The same content gives the same bytes. After a crash the file is the old one or the new one.
        Raises StorageError.
        """
        self.watermark = self.watermark if watermark is None else int(watermark)
        self.meta = self.meta if meta is None else meta
        write_file(Path(path), self.to_arrays(), self.resolution, self.occupancy, self.watermark, self.meta)

    @classmethod
    def open(cls: type[_Map], path: Path | str, *, budget_bytes: int | None = None) -> _Map:
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
    def from_arrays(
        cls: type[_Map], content: Content, resolution: float, occupancy: OccupancyModel | None = None
    ) -> _Map:
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

    # --- behind the lock -------------------------------------------------------------------------------------------

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


def _refuse_damage(arrays: Arrays) -> None:
    if arrays.counts[DAMAGED]:
        raise StorageError(
            f"Page {arrays.counts[DAMAGED] - 1} of the octree's file is damaged: close it, remove it and rebuild "
            "the map from the log."
        )
