"""Maps as they stood after so many sweeps, on disk: where a changed map is folded again from.

A checkpoint says of which sweeps it was made, so whether it is good for a log is seen by comparing, not by trusting.
The newest are close together and the old ones far apart: some log2(n) files, and a change to a sweep of some age costs
about as much folding again as there was since. What cannot be read is no checkpoint: it is counted and passed over.
"""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.octree.tree import Octree
from embodied_mem.octree.view_sweeps import alike
from embodied_mem.records.files import make_folder, sync_folder


class Checkpoints:
    """The checkpoints of one map in a folder of their own, one every so many sweeps; `folder` None keeps none."""

    def __init__(
        self, folder: Path | None, counters: Counter[str], *, every: int = 128, budget_bytes: int | None = None
    ) -> None:
        self.folder, self.every = folder, every
        self._counters, self._budget = counters, budget_bytes
        if folder is not None:
            make_folder(folder)

    def save(self, tree: Octree, sweeps: NDArray[np.int64]) -> None:
        """Keep the map that the sweeps (n, 2) have made. Raises StorageError when the disk refuses."""
        if self.folder is None or not len(sweeps):
            return
        made_of = base64.b64encode(np.ascontiguousarray(sweeps, dtype="<i8").tobytes()).decode()
        tree.save(self.folder / f"{len(sweeps):09d}.octree", int(sweeps[-1, 0]), {"sweeps": made_of})
        self._thin(len(sweeps))

    def latest(self, sweeps: NDArray[np.int64]) -> tuple[Octree, NDArray[np.int64]] | None:
        """The checkpoint of the longest beginning of `sweeps`, and that beginning; later ones are void and removed."""
        for path in reversed(self._files()):
            try:
                tree = Octree.open(path, budget_bytes=self._budget)
                own = _sweeps(tree)
                if len(own) <= len(sweeps) and alike(own, sweeps) == len(own):
                    tree.to_arrays()  # reads every page, so that a damaged one is found now
                    return tree, own
            except (NotFoundError, StorageError, KeyError, TypeError, ValueError):  # or removed by compaction
                self._counters["checkpoints_unreadable"] += 1
            path.unlink(missing_ok=True)
        return None

    def newest(self) -> NDArray[np.int64]:
        """The records of which the newest checkpoint is made (n,), ascending; none when it cannot be read."""
        return np.zeros(0, dtype=np.int64) if self.folder is None else newest_sweeps(self.folder)[:, 0].copy()

    def _files(self) -> list[Path]:
        return [] if self.folder is None else _checkpoints_in(self.folder)

    def _thin(self, newest: int) -> None:
        """Of the checkpoints whose ages lie between two powers of two, keep the oldest."""
        by_age: dict[int, Path] = {}
        for path in self._files():
            count = int(path.stem)
            octave = (newest - count).bit_length()
            if octave and octave in by_age:
                path.unlink(missing_ok=True)
            else:
                by_age[octave] = path
        if self.folder is not None:
            sync_folder(self.folder)


def newest_sweeps(folder: Path) -> NDArray[np.int64]:
    """The sweeps (n, 2) of which the newest checkpoint in a folder is made that can be read; none without one."""
    for path in reversed(_checkpoints_in(folder)):
        try:
            return _sweeps(Octree.open(path))
        except (NotFoundError, StorageError, KeyError, TypeError, ValueError):  # or removed by compaction
            continue  # counted when its turn comes in `Checkpoints.latest`
    return np.zeros((0, 2), dtype=np.int64)


def _checkpoints_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.octree"))


def _sweeps(tree: Octree) -> NDArray[np.int64]:
    """The sweeps (n, 2) of which a checkpoint says that it is made. KeyError, ValueError when it says nothing."""
    made_of = base64.b64decode(tree.meta["sweeps"])
    return np.frombuffer(made_of, dtype="<i8").reshape(-1, 2).astype(np.int64)
