"""What the object node reads the log into: the record index, and beside it the view of things."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from embodied_mem.objects.view import ObjectView
from embodied_mem.records.entry import Entry
from embodied_mem.records.view import RecordView


class ThingsView(RecordView):
    """A `RecordView` with `things`. These read on when they are asked, since folding many frames takes its time; what
    only entries hold is kept for them at once.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(clock=clock)
        self.things = ObjectView(self.index)

    def apply(self, entries: Sequence[Entry]) -> None:
        self.things.keep_vectors(entries)
        super().apply(entries)


def make_objects(memory: RecordView) -> ObjectView:
    """The things of a memory: its own where it keeps them."""
    return memory.things if isinstance(memory, ThingsView) else ObjectView(memory.index)
