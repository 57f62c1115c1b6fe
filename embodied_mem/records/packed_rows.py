"""Byte strings in one growing block of memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.growable import Growable


class PackedRows:
    """A list of byte strings, end to end in one array.

    A Python object for each, allocated between all that comes and goes with messages, would leave holes that nothing
    fits into: a process that had followed a log for an hour was a third larger than one that had just read it.
    """

    def __init__(self) -> None:
        self._bytes = Growable(np.uint8)
        self._starts = Growable(np.int64)
        self._lengths = Growable(np.int32)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, row: int) -> bytes:
        start = int(self._starts.data[row])
        return self._bytes.data[start : start + int(self._lengths.data[row])].tobytes()

    def append(self, content: bytes) -> None:
        self._starts.extend([self._bytes.extend(_array(content))])
        self._lengths.extend([len(content)])

    def replace(self, row: int, content: bytes) -> None:
        """Put other bytes in a row's place; what it held is overwritten."""
        start, length = int(self._starts.data[row]), int(self._lengths.data[row])
        self._bytes.data[start : start + length] = 0
        if len(content) > length:
            start = self._bytes.extend(_array(content))
        else:
            self._bytes.data[start : start + len(content)] = _array(content)
        self._starts.data[row], self._lengths.data[row] = start, len(content)


def _array(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, dtype=np.uint8)
