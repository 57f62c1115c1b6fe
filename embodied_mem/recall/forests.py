"""The forest from which questions about regions are answered."""

from __future__ import annotations

import threading

from embodied_mem.forest.view import ForestView
from embodied_mem.records.view import RecordView


class Forests:
    """Keeps the forest of the memory that was asked last: grown at the first question about a region, then followed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forest: ForestView | None = None

    def of(self, memory: RecordView) -> ForestView:
        """The forest of a memory, which has read what memory has read."""
        with self._lock:
            if self._forest is None or self._forest.memory is not memory:
                self._forest = ForestView(memory)
            forest = self._forest
        forest.update()
        return forest


class SharedForest(Forests):
    """The forest of a node of the same process, where it has one of this memory; else one's own."""

    def __init__(self, forest: object) -> None:
        super().__init__()
        self._shared = forest

    def of(self, memory: RecordView) -> ForestView:
        shared = self._shared() if callable(self._shared) else None
        if not isinstance(shared, ForestView) or shared.memory is not memory:
            return super().of(memory)
        shared.update()
        return shared
