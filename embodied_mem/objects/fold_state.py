"""Everything that a fold over frames knows at one moment, and can go back to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.kinds import KindTable
from embodied_mem.objects.stays import NONE, StayTable
from embodied_mem.objects.ties import Anchor
from embodied_mem.records.growable import Growable

PARTED = 1 << 30  # frames that a word of somebody counts for that two stays are two things
LARGE = 0.6  # metres from which a view mostly shows a part of a thing


@dataclass(eq=False)
class FoldState:
    """The stays so far, what is known of their kinds, and what was told of single detections.

    apart    pairs of stays that were seen beside each other, and in how many frames
    anchors  the stay that each detection that somebody named went to
    folded   how many frames it is made of
    """

    stays: StayTable = field(default_factory=StayTable)
    kinds: KindTable = field(default_factory=KindTable)
    apart: dict[tuple[int, int], int] = field(default_factory=dict)
    anchors: dict[Anchor, int] = field(default_factory=dict)
    folded: int = 0
    links: int = 0

    def copy(self) -> FoldState:
        return FoldState(
            self.stays.copy(), self.kinds.copy(), dict(self.apart), dict(self.anchors), self.folded, self.links
        )

    def root(self, row: int) -> int:
        """The stay that a stay turned out to be the same as, itself when it did not."""
        while self.stays.into[row] != NONE:
            row = int(self.stays.into[row])
        return row


class Trail:
    """Evidence: which records showed which stay, as linked lists in one column that is only ever cut back."""

    def __init__(self) -> None:
        self._rows = Growable(np.int64, 4)  # record, place among its detections, stamp, the link before

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, sights: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.int64]:
        """Append links: sights (n, 3) record, place, stamp; before (n,). Returns their numbers."""
        start = self._rows.extend(np.column_stack([sights, before]))
        return np.arange(start, start + len(sights))

    def cut(self, length: int) -> None:
        """Forget all but the first links."""
        kept = self._rows.data[:length].copy()
        self._rows = Growable(np.int64, 4)
        self._rows.extend(kept)

    def of(self, newest: int, limit: int = 1 << 60) -> NDArray[np.int64]:
        """(n, 3) record, place in it and stamp of a stay's newest detections, newest first."""
        found: list[NDArray[np.int64]] = []
        data = self._rows.data
        while newest != NONE and len(found) < limit:
            found.append(data[newest, :3])
            newest = int(data[newest, 3])
        return np.array(found, dtype=np.int64).reshape(-1, 3)


def places(stays: StayTable, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and extent (n, 3): a small thing is where most views put its middle, of a large one the parts count."""
    low, high = stays.low[rows], stays.high[rows]
    extent = np.maximum(high - low, 0.01)
    large = extent[:, :2].max(axis=1, initial=0.0) >= LARGE
    return np.where(large[:, None], (low + high) / 2, stays.mean[rows]), extent
