"""Where a node that only reads finds memory: in its own process beside the record node, or in a view of the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from embodied_mem.errors import UnavailableError
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.log_reader import LogReader, Patience, late
from embodied_mem.records.view import RecordView

Shared = Callable[[], RecordView | None]  # the memory of the record node of this process, None before it has one


class MemoryReader:
    """The memory of a record node of the same process where `shared` gives it, else a view that follows the log.

    make_view  an empty view, each time the log turns out to be another one
    advanced   called when the view has read something; nobody calls it where memory is shared
    """

    def __init__(
        self,
        node: MemoryNode,
        make_view: Callable[[], RecordView],
        shared: Shared | None = None,
        advanced: Callable[[], None] = lambda: None,
    ) -> None:
        self._shared = shared
        self._patience = Patience.of(node.parameters)
        self._log: LogReader[Any] | None = None
        if shared is None:
            self._log = LogReader(node, make_view, self._patience, advanced=lambda _: advanced())

    @property
    def held(self) -> RecordView | None:
        """The memory as it is now, None where there is none yet."""
        if self._shared is not None:
            return self._shared()
        return None if self._log is None else self._log.view

    @property
    def follower(self) -> Any:
        """What follows the log; None where memory is shared."""
        return None if self._log is None else self._log.follower

    async def ready(self, read_to: int) -> RecordView:
        """The memory, once it has read `read_to` and has caught up with the log. Raises UnavailableError."""
        if self._log is not None:
            view: RecordView = await self._log.ready(read_to)
            return view
        memory = self.held
        if memory is None:
            raise UnavailableError("The record node of this process is not configured: try again in a moment.")
        if memory.watermark < read_to:
            raise UnavailableError(late(read_to, self._patience))
        return memory

    def poll(self) -> None:
        """Look whether anything was missed."""
        if self._log is not None:
            self._log.poll()

    def close(self) -> None:
        """Answers that are still under way are not used."""
        if self._log is not None:
            self._log.close()

    def diagnose(self) -> Mapping[str, object]:
        """Values for /diagnostics."""
        return {} if self._log is None else self._log.diagnose()
