"""What the planner reads the log into: records, and on them things, places, and what System 2 knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from embodied_mem.objects.view import ObjectView
from embodied_mem.planner.knowledge import Knowledge, Uses
from embodied_mem.planner.places import PlaceBook
from embodied_mem.records.entry import Entry
from embodied_mem.records.view import RecordView
from embodied_mem.topology.view import TopologyView


class PlannerView(RecordView):
    """A `RecordView` with `objects`, `places` and `knowledge`, which read each entry after the index."""

    def __init__(self, book: PlaceBook, clock: Callable[[], int], fresh_s: float, sure: float) -> None:
        super().__init__(clock=clock)
        self.objects = ObjectView(self.index)
        self.places = TopologyView(self.index, clock=clock)
        self.knowledge = Knowledge(book, self.objects, Uses(fresh_s=fresh_s), {}, sure)

    def apply(self, entries: Sequence[Entry]) -> None:
        super().apply(entries)
        self.places.apply(entries)
        self.knowledge.apply(entries)

    @property
    def things(self) -> tuple[str, ...]:
        """Every label that was ever detected."""
        return tuple(self.index.labels_seen.all())
