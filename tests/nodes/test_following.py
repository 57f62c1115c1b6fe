"""The follower of another process's log, without ROS: whatever comes in whatever order, the view is the log."""

from __future__ import annotations

import random

from embodied_mem.nodes.following import Follower
from embodied_mem.records.entry import Entry
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.view import RecordView
from tests.records.builders import LetterEmbedder, memory, observation


class Wire:
    """A log, its follower, and what is under way between them."""

    def __init__(self, log: RecordMemory) -> None:
        self.log, self.epoch = log, 1
        self.asked: list[int] = []
        self.advances: list[int] = []
        self.follower = Follower(lambda: RecordView(LetterEmbedder()), self.asked.append, self.advances.append)

    def answer(self, limit: int = 100) -> None:
        first = self.asked.pop(0)
        self.follower.batch(self.log.entries(first, limit), self.log.watermark, self.epoch)

    def captions(self) -> list[str]:
        view = self.follower.view
        return [entry.observation.caption for entry in view.log.read(1, 999) if entry.observation is not None]


def filled(count: int) -> RecordMemory:
    log = memory()
    for number in range(count):
        log.remember(observation(number * 20, caption=f"thing {number}"))
    return log


def test_it_catches_up_page_by_page_and_says_when() -> None:
    wire = Wire(filled(7))
    wire.follower.poll()
    wire.follower.poll()
    assert wire.asked == [1]  # one fetch at a time
    while wire.asked:
        assert not wire.follower.caught_up
        wire.answer(limit=3)
    assert wire.follower.caught_up and wire.follower.view.watermark == 8
    assert wire.advances == sorted(wire.advances) and wire.advances[-1] == 8


def test_any_order_of_pushes_losses_and_fetches_ends_with_the_whole_log() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        log = filled(2)
        wire = Wire(log)
        wire.follower.poll()
        under_way: list[Entry] = []
        for number in range(40):
            log.remember(observation(100 + number * 20, caption=f"new {number}"))
            under_way.append(log.entries(log.watermark, 1)[0])
            while under_way and chance.random() < 0.6:
                entry = under_way.pop(0)
                if chance.random() < 0.8:
                    wire.follower.entry(entry, wire.epoch)
            if wire.asked and chance.random() < 0.4:
                if chance.random() < 0.2:
                    wire.asked.pop(0)
                    wire.follower.fetch_failed()
                else:
                    wire.answer(limit=chance.choice((1, 5, 100)))
        wire.follower.poll()
        while wire.asked:
            wire.answer()
        assert wire.captions() == [f"thing {n}" for n in range(2)] + [f"new {n}" for n in range(40)], seed
        assert wire.follower.log_watermark == log.watermark and wire.follower.counters["rebuilt"] == 0


def test_a_new_writer_that_lost_a_tail_is_noticed_before_anything_is_mixed() -> None:
    wire = Wire(filled(5))
    wire.follower.poll()
    wire.answer()
    wire.log, wire.epoch = filled(3), 2  # entries 5 and 6 had not reached the disk
    wire.log.remember(observation(500, caption="after the power cut"))
    wire.follower.entry(wire.log.entries(5, 1)[0], 2)
    assert "after the power cut" not in wire.captions()
    while wire.asked:
        wire.answer()
    assert wire.captions() == ["thing 0", "thing 1", "thing 2", "after the power cut"]
    assert wire.follower.counters["rebuilt"] == 1 and wire.follower.caught_up


def test_texts_whose_vectors_were_still_missing_are_embedded_here() -> None:
    wire = Wire(filled(1))
    wire.follower.poll()
    wire.answer()
    bare = wire.log.log.read(2, 1)  # as the log has it, without its vector
    wire.log.remember(observation(200, caption="zebra"))
    late = wire.log.log.read(3, 1)[0]
    assert bare[0].observation is not None and late.observation is not None and late.observation.vector is None
    wire.follower.entry(late, 1)
    assert wire.follower.view.index.has_vector(3)
