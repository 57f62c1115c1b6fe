"""A node's thread for what takes long: answers, folding in what is new, what is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from embodied_mem.errors import UnavailableError
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.recording import Job
from embodied_mem.nodes.worker import Worker


class Thinker:
    """Does one call after the other, so that a long one holds up neither the executor nor those that are due.

    capacity  questions that may wait; more are refused. What is only offered makes room for newer offers.
    """

    def __init__(self, node: MemoryNode, name: str, capacity: int) -> None:
        self._node = node
        self._worker: Worker[Job] = Worker(
            name, _run_all, capacity=capacity, on_error=lambda error: node.fault(f"handing on what {name} did", error)
        )

    def __len__(self) -> int:
        """Calls that wait."""
        return len(self._worker)

    async def thought(self, call: Callable[[], Any]) -> Any:
        """What the call returns. Raises what it raises, and UnavailableError when too many wait."""
        future = self._node.future()
        if not self._worker.insist(Job(call, future.set_result, future.set_exception)):
            raise UnavailableError("Too many requests wait for their answers: ask again in a moment.")
        return await future

    def offer(self, call: Callable[[], Any], done: Callable[[Any], object], doing: str) -> None:
        """Make a call and hand its result on, on the thread; what it raises is a fault while `doing`."""
        self._worker.offer(Job(call, done, lambda error: self._node.fault(doing, error)))

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every call is done; False when that takes longer."""
        return self._worker.wait_idle(timeout_s)

    def stop(self) -> None:
        """Finish what waits, and refuse what cannot be finished."""
        for job in self._worker.stop():
            job.failed(
                UnavailableError(f"The {self._node.get_name()} node is stopping: ask again when it is back.")
            )  # fmt: skip


def _run_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.run()
