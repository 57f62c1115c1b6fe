"""The occupancy maps of a log: a view like every other, that reads clouds only through records.

`apply` takes entries, in order, after the record index has read them: it only notes them, so it is quick. `work` folds
what is due into the maps, on whatever thread has the time. A rebuild from entry 1 gives the same maps, voxel by voxel,
whatever was corrected, forgotten, undone or re-anchored on the way.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError, UnknownMapError
from embodied_mem.octree.occupancy import OccupancyModel
from embodied_mem.octree.tree import Octree
from embodied_mem.octree.view_checkpoints import Checkpoints
from embodied_mem.octree.view_fold import MapFold
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.index import RecordIndex

_BATCH = 32  # clouds to be read at once
_WAITING = 64  # clouds kept until it is their turn; what is older is read again


class OccupancyView:
    """An octree for each map of a log. One thread applies, one works; any thread may ask `map`.

    index         the record index, which reads each entry before this view does
    resolution    metres: the edge of a voxel
    budget_bytes  of memory for each map (see Octree), None = no limit
    folder        where checkpoints are kept (a folder for each map); None: a restart folds from the beginning
    every         sweeps between checkpoints
    """

    def __init__(
        self,
        index: RecordIndex,
        *,
        resolution: float = 0.1,
        model: OccupancyModel | None = None,
        budget_bytes: int | None = None,
        folder: Path | None = None,
        every: int = 128,
    ) -> None:
        self.resolution = resolution
        self.counters: Counter[str] = Counter(folded_again=0, sweeps_lost=0, checkpoints_unreadable=0)
        self.watermark = 0  # read up to here; what of it is not folded in yet is `behind`
        self._index = index
        self._model, self._budget, self._folder, self._every = model, budget_bytes, folder, every
        self._folds: dict[str, MapFold] = {}
        self._lock = threading.Lock()  # of what `apply` has noted for `work`
        self._brought: dict[str, list[int]] = defaultdict(list)
        self._changed = False
        self._noted = 0  # clouds and commands
        self._heard: OrderedDict[int, NDArray[np.float32]] = OrderedDict()  # clouds that came with entries
        self._read: dict[int, NDArray[np.float32] | None] = {}  # those asked for; None: there is none any more

    @property
    def behind(self) -> int:
        """Sweeps that are known of and not folded in yet, and commands that were not looked at yet."""
        with self._lock:
            return self._noted + sum(fold.behind for fold in list(self._folds.values()))

    def map(self, map_id: str) -> Octree:
        """The map as far as it was folded. Raises UnknownMapError, NotFoundError when no cloud of it was seen."""
        fold = self._folds.get(map_id)
        if fold is not None:
            return fold.tree
        known = self._index.maps.known
        if map_id in known:
            raise NotFoundError(f"Nothing of the map {map_id!r} was seen with depth yet: no record of it has a cloud.")
        raise UnknownMapError(f"There is no map {map_id!r}: known are {', '.join(known) or 'none'}.")

    def apply(self, entries: Sequence[Entry]) -> None:
        """Note entries; those read before are passed over."""
        with self._lock:
            for entry in entries:
                if entry.seq <= self.watermark:
                    continue
                self.watermark = entry.seq
                if entry.kind is Kind.COMMAND:
                    self._changed = True
                    self._noted += 1
                elif entry.observation is not None and entry.has_cloud:
                    self._noted += 1
                    self._brought[entry.observation.map_id].append(entry.seq)
                    if entry.observation.cloud is not None:
                        self._heard[entry.seq] = entry.observation.cloud
            while len(self._heard) > _WAITING:
                self._heard.popitem(last=False)

    def give(self, entries: Sequence[Entry]) -> None:
        """The entries that `work` asked for, read with their clouds: one without has lost it for good."""
        with self._lock:
            self._read = {
                entry.seq: None if entry.observation is None else entry.observation.cloud for entry in entries
            }

    def work(self) -> tuple[int, int] | None:
        """Fold in what is due, as far as clouds are at hand; then which entries to read and `give`: first, how many.

        First to be called when the whole log was applied: checkpoints of what was not read yet would count as void.
        None: nothing is left to do. Raises StorageError when a checkpoint cannot be written; the maps are as they were.
        """
        self._compare()
        for fold in self._folds.values():
            while fold.due and (at_hand := self._take(fold.due)):
                fold.fold(self._index, at_hand[0])
        starts = [fold.due for fold in self._folds.values() if fold.due]
        return (min(starts), _BATCH) if starts else None

    def catch_up(self, read: Callable[[int, int], Sequence[Entry]]) -> None:
        """Work until nothing is left; `read(first, limit)` gives entries of the log with their clouds."""
        while (due := self.work()) is not None and (entries := read(*due)):
            self.give(entries)

    def save(self) -> None:
        """Make checkpoints, so that the next start has nothing to fold again. Raises StorageError."""
        for fold in self._folds.values():
            fold.save()

    # --- inside ------------------------------------------------------------------------------------------------

    def _take(self, seq: int) -> tuple[NDArray[np.float32] | None] | None:
        """The cloud of a record, or None in its place when it is gone for good; None when it must be read first."""
        with self._lock:
            if seq in self._heard:
                return (self._heard.pop(seq),)
            return (self._read.pop(seq),) if seq in self._read else None

    def _compare(self) -> None:
        with self._lock:
            brought, changed, noted = self._brought, self._changed, self._noted
            self._brought, self._changed = defaultdict(list), False
        for map_id in {*brought, *(self._folds if changed else ()), *(self._kept() if changed else ())}:
            fold = self._folds[map_id] if map_id in self._folds else self._begin(map_id)
            (fold.compare if changed else fold.extend)(self._index, brought[map_id])
        with self._lock:  # only now: nobody is to think that the maps are made of everything
            self._noted -= noted

    def _kept(self) -> list[str]:
        """The maps that have checkpoints: their clouds may all have been dropped since."""
        folder = self._folder
        return [] if folder is None else [name for name in self._index.maps.known if _folder_of(folder, name).is_dir()]

    def _begin(self, map_id: str) -> MapFold:
        folder = None if self._folder is None else _folder_of(self._folder, map_id)
        checkpoints = Checkpoints(folder, self.counters, every=self._every, budget_bytes=self._budget)
        self._folds[map_id] = MapFold(
            lambda: Octree(self.resolution, self._model, budget_bytes=self._budget), checkpoints, self.counters
        )
        return self._folds[map_id]


def _folder_of(folder: Path, map_id: str) -> Path:
    """Where the checkpoints of a map are kept: its name as file systems take it, one to one."""
    return folder / ("map-" + "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in map_id))
