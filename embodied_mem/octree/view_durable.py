"""Which clouds live on in maps on disk: what retention asks before it drops them.

Before clouds are dropped, a checkpoint of their map becomes their truth. A checkpoint counts if it is made of records
as they stand now: one that a correction has made void would be folded again from an older one, and lack them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embodied_mem.errors import UnavailableError
from embodied_mem.octree.view_checkpoints import newest_sweeps
from embodied_mem.octree.view_sweeps import standing

if TYPE_CHECKING:
    from embodied_mem.records.memory import RecordMemory


class DurableMaps:
    """Use `require` as `Retention.before_dropping`. folder: where the checkpoints of a memory's maps are kept.

    Where no map of the memory was ever kept on disk, nobody waits for one, and everything may go.
    """

    def __init__(self, memory: RecordMemory, folder: Path) -> None:
        self._memory, self._folder = memory, folder

    def require(self, seqs: Sequence[int]) -> None:
        """Raises UnavailableError while a cloud of one of these records is in no checkpoint."""
        maps = sorted(self._folder.glob("map-*")) if self._folder.is_dir() else []
        if not maps:
            return
        entries = self._memory.log.get(set(seqs), blobs=False)
        clouds = np.array(sorted(seq for seq, entry in entries.items() if entry.has_cloud), dtype=np.int64)
        wanted = standing(self._memory.index, clouds)[:, 0]  # who was forgotten is in no map
        for folder in maps:
            made_of = newest_sweeps(folder)
            if np.array_equal(standing(self._memory.index, made_of[:, 0]), made_of):
                wanted = np.setdiff1d(wanted, made_of[:, 0], assume_unique=True)
        if len(wanted):
            raise UnavailableError(
                f"The clouds of {len(wanted)} records, the first is {wanted[0]}, are in no map on disk yet: they stay "
                "until the spatial node has read them. Start it, or remove the maps' folder "
                f"{self._folder} when maps are not wanted any more."
            )
