"""What a query through `MemoryClient` returns. No ROS is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from embodied_mem.recall.answer import Evidence


@dataclass(frozen=True, slots=True, eq=False)
class QueryResult:
    """Hits, best first; without any, `reason` says why. `watermark`: the log was read up to this number."""

    hits: tuple[Evidence, ...]
    reason: str
    exact: bool
    explanation: str
    model: str
    watermark: int

    @property
    def found(self) -> bool:
        return bool(self.hits)
