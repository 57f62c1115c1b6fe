"""The queue before a thread of work: bounded, in order, with counted drops."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from embodied_mem.nodes.worker import Worker


class Slow:
    """Work that waits for the test."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []
        self.errors: list[Exception] = []
        self.began, self.go = threading.Semaphore(0), threading.Event()

    def handle(self, items: Sequence[int]) -> None:
        self.began.release()
        assert self.go.wait(10.0)
        if 13 in items:
            raise ValueError("unlucky")
        self.done.append(list(items))


def make(slow: Slow, capacity: int, batch: int = 1, dropped: list[int] | None = None) -> Worker[int]:
    drops = dropped if dropped is not None else []
    return Worker(
        "test", slow.handle, capacity=capacity, batch=batch, on_error=slow.errors.append, on_drop=drops.append
    )


def test_the_oldest_gives_way_and_what_somebody_waits_for_does_not() -> None:
    slow, dropped = Slow(), list[int]()
    worker = make(slow, 2, dropped=dropped)
    worker.offer(0)
    assert slow.began.acquire(timeout=10.0)
    worker.offer(1)
    assert worker.insist(100) and worker.insist(101) and not worker.insist(102)
    for number in (2, 3):
        worker.offer(number)
    assert dropped == [1] and worker.counters["dropped"] == 1 and worker.counters["refused"] == 1
    slow.go.set()
    assert worker.wait_idle(10.0)
    assert slow.done == [[0], [100], [101], [2], [3]]
    assert worker.stop() == [] and worker.counters["done"] == 5
    worker.offer(9)
    assert not worker.insist(9) and len(worker) == 0


def test_what_waits_is_handed_over_in_batches_and_an_error_stops_nothing() -> None:
    slow = Slow()
    worker = make(slow, 10, batch=3)
    worker.offer(0)
    assert slow.began.acquire(timeout=10.0)
    for number in (1, 13, 2, 3, 4):
        worker.offer(number)
    slow.go.set()
    assert worker.wait_idle(10.0)
    assert slow.done == [[0], [3, 4]] and len(slow.errors) == 1 and worker.counters["failed"] == 3
    worker.stop()


def test_a_worker_that_cannot_finish_returns_what_is_left() -> None:
    slow = Slow()
    worker = make(slow, 10)
    worker.offer(0)
    assert slow.began.acquire(timeout=10.0)
    worker.offer(1)
    assert not worker.wait_idle(0.01)
    assert worker.stop(timeout_s=0.01) == [1]
    slow.go.set()
