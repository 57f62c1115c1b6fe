"""Compaction through the record node: its worker does a step at a time, between observations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from std_srvs.srv import Trigger

from embodied_mem.errors import EmbodiedMemError, UnavailableError
from embodied_mem.nodes.recording import Job
from embodied_mem.records.compaction import Compaction, Step

if TYPE_CHECKING:
    from embodied_mem.nodes.record_node import RecordNode
    from embodied_mem.records.memory import RecordMemory


class CompactService:
    """Serves `compact` (std_srvs/Trigger): answered when what was forgotten is erased, or with the reason."""

    def __init__(self, node: RecordNode, memory: RecordMemory) -> None:
        self._node, self._memory = node, memory
        node.serve_plain(Trigger, "compact", self._compact)

    async def _compact(self, request: Any, response: Any) -> Any:
        compaction, future = Compaction(self._memory), self._node.future()
        self._step(compaction.steps(), future)
        try:
            await future
        except EmbodiedMemError as error:
            self._node.counters["compact_refused"] += 1
            response.success, response.message = False, str(error)
        else:
            response.success, response.message = True, compaction.report.sentence()
        return response

    def _step(self, steps: Iterator[Step], future: Any) -> None:
        def done(step: Step | None) -> None:
            if step is None:
                future.set_result(None)
            else:
                self._step(steps, future)

        worker = self._node.worker
        if worker is None or not worker.insist(Job(lambda: next(steps, None), done, future.set_exception)):
            future.set_exception(
                UnavailableError("The record node is too busy, or stops: compact again, it goes on where it stopped.")
            )
