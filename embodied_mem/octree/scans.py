"""The scans that voxels name: when, and of which record."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.records.growable import Growable

MOST_SCANS = 2**32 - 1  # voxels name them in 32 bits


class Scans:
    """Stamps (ns) and records of scans by number; scan 0 stands for none. Not locked: its owner is."""

    def __init__(self, stamps: NDArray[np.int64] | None = None, records: NDArray[np.int64] | None = None) -> None:
        self._stamps, self._records = Growable(np.int64), Growable(np.int64)
        self._stamps.extend([0] if stamps is None else stamps)
        self._records.extend([0] if records is None else records)

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def stamps(self) -> NDArray[np.int64]:
        return self._stamps.data

    @property
    def records(self) -> NDArray[np.int64]:
        return self._records.data

    @property
    def nbytes(self) -> int:
        return 16 * len(self)

    def number(self, stamp_ns: int, record: int) -> int:
        """The number of a scan; one after another of the same stamp and record are one."""
        if len(self) > 1 and self.stamps[-1] == stamp_ns and self.records[-1] == record:
            return len(self) - 1
        if len(self) >= MOST_SCANS:
            raise BadInputError("The octree names no more scans than 2^32: save and open it, which drops those unused.")
        self._records.extend([record])
        return self._stamps.extend([stamp_ns])

    def forget(self, records: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(s,) which scans are of these records (0 is none); they lose the number of theirs."""
        forgotten = np.isin(self.records, records[records > 0])
        self.records[forgotten] = 0
        return forgotten
