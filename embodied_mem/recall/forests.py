"""The forest from which questions about regions are answered."""

from __future__ import annotations

import threading
from collections.abc import Callable

from embodied_mem.forest.view import ForestView
from embodied_mem.records.view import RecordView


class Forests:
    """Keeps the forest of the memory that was asked last: grown at the first question about a region, then followed.

    Safe for several threads, so that nodes of one process can share it.
    """

    def __init__(self, make: Callable[[RecordView], ForestView] = ForestView) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._forest: ForestView | None = None

    def of(self, memory: RecordView) -> ForestView:
        """The forest of a memory, which has read what memory has read."""
        forest = self.held(memory)
        forest.update()
        return forest

    def held(self, memory: RecordView) -> ForestView:
        """The same, as far as it has read."""
        with self._lock:
            if self._forest is None or self._forest.memory is not memory:
                self._forest = self._make(memory)
            return self._forest
