"""What is under way to memory is sent again until memory says what became of it."""

from __future__ import annotations

from collections import deque

from embodied_mem.nodes.outbox import Outbox


def test_what_was_heard_of_is_sent_once() -> None:
    sent: list[str] = []
    box = Outbox(sent.append)
    box.put(1, "one", 0.0)
    box.put(2, "two", 0.1)
    box.heard(1)
    box.heard(99)
    box.send_again(1.55)
    assert sent == ["one", "two"] and len(box) == 1


def test_what_was_not_is_sent_again_in_order_ever_more_seldom() -> None:
    sent: list[int] = []
    box = Outbox(sent.append)
    for stamp in (1, 2):
        box.put(stamp, stamp, 0.0)
    times, now = [], 0.0
    while now < 40.0:
        before = len(sent)
        box.send_again(now)
        if len(sent) > before:
            assert sent[before:] == [1, 2]
            times.append(now)
        now += 0.5
    assert times == [1.5, 4.5, 10.5, 22.5, 34.5] and box.counters["sent_again"] == 10
    box.heard(2)
    box.heard(1)
    box.send_again(1000.0)
    assert len(box) == 0 and len(sent) == 12


def test_when_memory_is_back_what_it_missed_follows_at_once() -> None:
    sent: list[int] = []
    box = Outbox(sent.append)
    box.put(1, 1, 0.0)
    for now in (1.5, 4.5):
        box.send_again(now)
    box.put(2, 2, 5.0)  # by now somebody listens
    box.heard(2)
    box.send_again(5.1)
    assert sent == [1, 1, 1, 2, 1]


def test_two_sensors_of_one_moment_are_told_apart_by_number() -> None:
    box = Outbox[str](lambda item: None)
    box.put(5, "camera", 0.0)
    box.put(5, "lidar", 0.0)
    box.heard(5)
    assert len(box) == 1
    box.heard(5)
    assert len(box) == 0


def test_a_memory_that_stays_away_costs_the_oldest_which_are_counted() -> None:
    sent: list[int] = []
    box = Outbox(sent.append, capacity=3)
    for stamp in range(5):
        box.put(stamp, stamp, 0.0)
    assert len(box) == 3 and box.counters["unheard_dropped"] == 2
    box.send_again(2.0)
    assert sent == [0, 1, 2, 3, 4, 2, 3, 4]


def test_a_slow_memory_that_is_back_is_not_flooded() -> None:
    """It answers in the order in which things came, a few at a time: repetitions of what waits would bury it."""
    inbox: deque[int] = deque()
    box = Outbox[int](inbox.append)
    now = 0.0
    for stamp in range(100):
        box.put(stamp, stamp, now)
    while now < 20.0:  # nobody is there
        box.send_again(now)
        now += 0.5
    inbox.clear()
    sent = box.counters["sent_again"]
    box.put(100, 100, now)
    while len(box) and now < 300.0:
        for _ in range(min(4, len(inbox))):
            box.heard(inbox.popleft())
        box.send_again(now)
        now += 0.5
    assert len(box) == 0 and now < 60.0
    assert box.counters["sent_again"] - sent < 400
