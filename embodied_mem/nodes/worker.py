"""A thread with a bounded queue, for work that must not hold up a node's executor."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """Hands what was put in, in order and in batches, to `handle` on a thread of its own.

    capacity   of the queue for `offer`, which drops the oldest droppable item when it is full (a queue of one keeps
               only the newest) and counts it. `insist` is for items that somebody waits for: these are never dropped,
               but refused once `capacity` of them wait.
    batch      at most this many items are handed over at once
    handle     what it raises is given to `on_error`; the thread goes on
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Sequence[T]], None],
        *,
        capacity: int,
        batch: int = 1,
        on_error: Callable[[Exception], None],
        on_drop: Callable[[T], None] | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter(accepted=0, dropped=0, refused=0, done=0, failed=0)
        self._handle, self._on_error, self._on_drop = handle, on_error, on_drop
        self._capacity, self._batch = capacity, batch
        self._items: deque[tuple[T, bool]] = deque()  # item, droppable
        self._waiting = Counter[bool]()  # by droppable
        self._changed = threading.Condition()
        self._stopping = False
        self._busy = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: T) -> None:
        """Put an item in; when the queue is full, the oldest one makes room."""
        dropped: list[T] = []
        with self._changed:
            if self._stopping:
                return
            while self._waiting[True] >= self._capacity:
                dropped.append(self._drop_oldest())
            self._put(item, droppable=True)
        if self._on_drop is not None:
            for lost in dropped:
                self._on_drop(lost)

    def insist(self, item: T) -> bool:
        """Put an item in that will not be dropped; False when there is no room or the worker has stopped."""
        with self._changed:
            if self._stopping or self._waiting[False] >= self._capacity:
                self.counters["refused"] += 1
                return False
            self._put(item, droppable=False)
            return True

    def __len__(self) -> int:
        return len(self._items)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until everything that was put in is done; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._items and not self._busy, timeout_s)

    def stop(self, timeout_s: float = 10.0) -> list[T]:
        """Finish what waits, for at most `timeout_s`; returns what was left undone. May be called twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        with self._changed:
            left = [item for item, _ in self._items]
            self._items.clear()
            self._waiting.clear()
        return left

    # --- inside ------------------------------------------------------------------------------------------------

    def _put(self, item: T, *, droppable: bool) -> None:
        self._items.append((item, droppable))
        self._waiting[droppable] += 1
        self.counters["accepted"] += 1
        self._changed.notify_all()

    def _drop_oldest(self) -> T:
        index = next(i for i, (_, droppable) in enumerate(self._items) if droppable)
        item, _ = self._items[index]
        del self._items[index]
        self._waiting[True] -= 1
        self.counters["dropped"] += 1
        return item

    def _take(self) -> list[T]:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._items or self._stopping)
            taken: list[T] = []
            while self._items and len(taken) < self._batch:
                item, droppable = self._items.popleft()
                self._waiting[droppable] -= 1
                taken.append(item)
            self._busy = bool(taken)
            return taken

    def _run(self) -> None:
        while taken := self._take():
            try:
                self._handle(taken)
                self.counters["done"] += len(taken)
            except Exception as error:
                self.counters["failed"] += len(taken)
                self._on_error(error)
