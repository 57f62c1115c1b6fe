"""Observations under way to the record node, sent again until memory says what became of them. No ROS here.

A record node that is being restarted hears nothing, and nobody tells the sender. So each observation is kept until an
event names its time: admitted, folded, refused or dropped. Memory folds what comes twice.

What was sent in vain follows early once memory is heard of again, but only so fast as it answers: each answer releases
two. All at once, and again with each answer, would bury a memory that has just come back under repetitions.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")
_FIRST_S, _LAST_S = 1.5, 12.0  # seconds without word, after which it is sent again; each time twice as long
_RELEASED = 2  # items that are sent early for each that memory was heard of
_AT_ONCE = 50  # items sent again at one time


@dataclass(slots=True)
class _Kept(Generic[T]):
    stamp_ns: int
    item: T
    wait_s: float
    due: float
    early: bool = False  # it was released since it was last sent for having waited


class Outbox(Generic[T]):
    """At most `capacity` items are kept; the oldest then gives way, counted as "unheard_dropped".

    send   hands an item over; called by whoever calls `put` and `send_again`. Times are seconds of a steady clock.
    """

    def __init__(self, send: Callable[[T], None], *, capacity: int = 200) -> None:
        self.counters: Counter[str] = Counter(sent_again=0, unheard_dropped=0)
        self._send, self._capacity = send, capacity
        self._kept: deque[_Kept[T]] = deque()
        self._lock = threading.Lock()

    def put(self, stamp_ns: int, item: T, now: float) -> None:
        """Send an item, and keep it."""
        with self._lock:
            self._kept.append(_Kept(stamp_ns, item, _FIRST_S, now + _FIRST_S))
            if len(self._kept) > self._capacity:
                self._kept.popleft()
                self.counters["unheard_dropped"] += 1
        self._send(item)

    def heard(self, stamp_ns: int) -> None:
        """Memory has told what became of an item of this time. It listens, so what was sent in vain before is due."""
        with self._lock:
            index = next((i for i, kept in enumerate(self._kept) if kept.stamp_ns == stamp_ns), None)
            if index is None:
                return
            del self._kept[index]
            waiting = (kept for kept in self._kept if kept.wait_s > _FIRST_S and not kept.early)
            for kept in islice(waiting, _RELEASED):
                kept.due, kept.early = 0.0, True

    def send_again(self, now: float) -> None:
        """Send what is overdue, in order."""
        with self._lock:
            overdue = [kept for kept in self._kept if kept.due <= now][:_AT_ONCE]
            for kept in overdue:
                kept.early = kept.due == 0.0
                kept.wait_s = min(2 * kept.wait_s, _LAST_S)
                kept.due = now + kept.wait_s
            self.counters["sent_again"] += len(overdue)
        for kept in overdue:
            self._send(kept.item)

    def __len__(self) -> int:
        return len(self._kept)
