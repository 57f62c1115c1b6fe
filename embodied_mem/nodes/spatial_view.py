"""What the spatial node reads the log into: the record index, and on it the occupancy maps and the places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from embodied_mem.nodes.memory_folder import memory_folder
from embodied_mem.nodes.settings import SpatialSettings
from embodied_mem.octree.view import OccupancyView
from embodied_mem.records.compaction import VIEWS
from embodied_mem.records.entry import Entry
from embodied_mem.records.view import RecordView
from embodied_mem.tokens.surroundings import Surroundings, SurroundingsSettings
from embodied_mem.tokens.view import TokenSettings, TokenView
from embodied_mem.topology.places import PlaceSettings
from embodied_mem.topology.view import TopologyView

_MEGABYTE = 1_000_000


class SpatialView(RecordView):
    """A `RecordView` with `occupancy` and `places`, which read each entry after the index, and the `surroundings`."""

    def __init__(self, settings: SpatialSettings, clock: Callable[[], int]) -> None:
        super().__init__(clock=clock)
        self.occupancy = OccupancyView(
            self.index,
            resolution=settings.resolution,
            budget_bytes=int(settings.memory_mb * _MEGABYTE) or None,
            folder=_folder(settings),
        )
        places = place_settings(settings)
        self.places = TopologyView(self.index, places, min_score=settings.landmark_score, clock=clock)
        nearby = SurroundingsSettings(
            settings.nearby_entries, settings.nearby_half_life, settings.nearby_radius, settings.nearby_likeness
        )
        self.tokens: TokenView | None = None  # the memory of places in a budget, where one is set
        if settings.place_tokens_kb:
            budget = TokenSettings(budget=int(settings.place_tokens_kb * 1000))
            self.tokens = TokenView(self.index, budget, places=lambda: self.places.graph.evidence.data)
        self.surroundings = Surroundings(self, self.places, nearby)

    def apply(self, entries: Sequence[Entry]) -> None:
        super().apply(entries)
        self.occupancy.apply(entries)
        self.places.apply(entries)
        if self.tokens is not None:
            self.tokens.apply(entries)


def place_settings(settings: SpatialSettings) -> PlaceSettings:
    """When an observation is of a new place, by the node's parameters."""
    return PlaceSettings(
        near=settings.place_distance, reach=2.5 * settings.place_distance, alike=settings.place_likeness,
        longest_step=settings.place_step,
    )  # fmt: skip


def _folder(settings: SpatialSettings) -> Path | None:
    """Where checkpoints are kept; None when they are not wanted, or the memory is on another machine."""
    memory = memory_folder(settings.memory)
    return memory / VIEWS if settings.checkpoints and memory.is_dir() else None
