"""Hypothesis drives a memory on disk and the oracle through the same life, and compares what they say."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.backup import backup
from embodied_mem.records.check import check
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.entry import Kind
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, detections, observation
from tests.records.oracle import Answer, Event, Oracle, Place, Said

WORDS = ("mug", "chair", "lamp", "a very red door")
cells = st.integers(-3, 3)
places = st.tuples(cells, cells, cells).map(lambda cell: tuple(map(float, cell)))
words = st.sampled_from(WORDS)


class LogMachine(RuleBasedStateMachine):
    """See the module docstring. After every step the current state is compared, the past at random."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="embodied_mem_model_"))
        self.oracle = Oracle()
        self.newest: tuple[int, Any] | None = None  # the record that a repetition would be folded into
        self.now = 0
        self._open()

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.memory.close()
            shutil.rmtree(self.home)

    # --- what can happen ---------------------------------------------------------------------------------------

    @rule(place=places, caption=words, labels=st.lists(words, max_size=2), thing=places, cloud=st.booleans())
    def remember(self, place: Place, caption: str, labels: list[str], thing: Place, cloud: bool) -> None:
        self.now += 20
        things = [(thing[0] + i, thing[1], thing[2]) for i in range(len(labels))]
        points = np.full((1, 3), float(self.now), np.float32) if cloud else None
        obs = observation(
            self.now, place, f"{caption} {self.now}", detections=detections(labels, things), robot_id="r",
            session_id="s", cloud=points, thumbnail=b"picture %d" % self.now if cloud else b"",
        )  # fmt: skip
        if not self.oracle.maps:
            self.oracle.add("map", map_id="default")
        said = Said(
            obs.stamp_ns, self.oracle.current_map(), obs.caption, place, tuple(labels),
            tuple((float(x), float(y), float(z)) for x, y, z in things),
        )  # fmt: skip
        event = self.oracle.add("record", said=said)
        assert self.memory.remember(obs).seq == event.number
        self.newest = (event.number, obs)

    @precondition(lambda self: self.newest is not None)
    @rule()
    def see_again(self) -> None:
        assert self.newest is not None
        seq, obs = self.newest
        if obs.cloud is not None or not self.oracle.untouched(seq):
            return
        self.now += 1
        again = observation(
            self.now, obs.position, obs.caption, detections=obs.detections, robot_id="r", session_id="s"
        )
        said = self.oracle.events[seq - 1].said
        assert said is not None
        if said.map_id != self.oracle.current_map():
            return
        event = self.oracle.add("again", about=(seq,), stamp=again.stamp_ns)
        admitted = self.memory.remember(again)
        assert admitted.folded and admitted.seq == seq and self.memory.watermark == event.number

    @precondition(lambda self: self.oracle.records())
    @rule(data=st.data(), caption=st.none() | words, place=st.none() | places, relabel=st.none() | words)
    def correct(self, data: Any, caption: str | None, place: Place | None, relabel: str | None) -> None:
        seq = data.draw(st.sampled_from(self.oracle.records()))
        answer = self.oracle.says(seq)
        assert answer is not None
        labels = None if relabel is None else tuple(relabel for _ in answer.labels)
        if caption is None and place is None and labels is None:
            return
        event = self.oracle.add("correct", about=(seq,), caption=caption, place=place, labels=labels)
        assert self.memory.correct(seq, caption=caption, position=place, labels=labels) == event.number

    @precondition(lambda self: self.oracle.records())
    @rule(data=st.data())
    def forget(self, data: Any) -> None:
        seqs = data.draw(st.lists(st.sampled_from(self.oracle.records()), min_size=1, max_size=3, unique=True))
        event = self.oracle.add("forget", about=tuple(seqs))
        assert self.memory.forget(seqs) == event.number

    @rule()
    def undo_newest(self) -> None:
        target = self.oracle.newest_undoable()
        if target is None:
            _refused(lambda: self.memory.undo())
            return
        event = self.oracle.add("undo", about=(target,))
        assert self.memory.undo() == (target, event.number)

    @precondition(lambda self: self.oracle.commands())
    @rule(data=st.data())
    def undo_one(self, data: Any) -> None:
        target = data.draw(st.sampled_from(self.oracle.commands()))
        if self.oracle.final(target) or not self.oracle.live(target):
            _refused(lambda: self.memory.undo(target))
            return
        event = self.oracle.add("undo", about=(target,))
        assert self.memory.undo(target) == (target, event.number)

    @rule(name=st.sampled_from(("default", "cellar", "attic")))
    def set_map(self, name: str) -> None:
        event = self.oracle.add("map", map_id=name)
        assert self.memory.set_map(name) == event.number

    @precondition(lambda self: self.oracle.maps)
    @rule(data=st.data(), shift=places)
    def re_anchor(self, data: Any, shift: Place) -> None:
        name = data.draw(st.sampled_from(self.oracle.maps))
        event = self.oracle.add("anchor", map_id=name, shift=shift)
        pose = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        assert self.memory.reanchor(name, [START], [pose], [(*shift, *pose[3:])]) == event.number

    @rule()
    def compact(self) -> None:
        fresh = self.oracle.compact()
        Compaction(self.memory).run()
        needles = [
            needle
            for seq in fresh
            for said in [self.oracle.events[seq - 1].said]
            if said is not None
            for needle in (said.caption.encode(), b"picture %d" % ((said.stamp - START) // SECOND))
        ]
        if needles:
            everything = b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())
            kept = {answer.caption.encode() for seq in self.oracle.records() if (answer := self.oracle.says(seq))}
            assert not [needle for needle in needles if needle in everything and not any(needle in c for c in kept)]
        entries = self.memory.entries(1, 10_000)
        assert [entry.seq for entry in entries if entry.kind is Kind.TOMBSTONE] == self.oracle.tombstones()

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        assert check(self.folder).whole
        self.newest = None
        self._open()

    @rule()
    def back_up(self) -> None:
        self.memory.flush()
        target = self.home / "backup"
        report = backup(self.folder, target)
        assert report.watermark == len(self.oracle.events) and not report.problems
        copy = RecordMemory.open(target, LetterEmbedder(), clock=self.memory.clock, read_only=True)
        self._compare(copy)
        copy.close()
        shutil.rmtree(target)

    @precondition(lambda self: self.oracle.events)
    @rule(data=st.data())
    def ask_about_the_past(self, data: Any) -> None:
        self._compare(self.memory, data.draw(st.integers(1, len(self.oracle.events))))

    @precondition(lambda self: self.oracle.maps)
    @rule(center=places, radius=st.sampled_from((0.5, 1.5, 3.5)))
    def ask_near(self, center: Place, radius: float) -> None:
        here = self.oracle.current_map()
        expected = {
            seq
            for seq in self.oracle.records()
            if (answer := self.oracle.says(seq)) and answer.map_id == here
            and sum((a - b) ** 2 for a, b in zip(answer.place, center, strict=True)) <= radius**2
        }  # fmt: skip
        hits = self.memory.query(Query(center=np.array(center), radius=radius, k=1000)).hits
        assert {hit.record.seq for hit in hits} == expected

    @precondition(lambda self: self.oracle.maps)
    @rule(label=words)
    def ask_for_a_label(self, label: str) -> None:
        answers = {seq: self.oracle.says(seq) for seq in self.oracle.records()}
        expected = {seq for seq, answer in answers.items() if answer and label in answer.labels}
        hits = self.memory.query(Query(labels=(label,), map_id="*", k=1000)).hits
        assert {hit.record.seq for hit in hits} == expected

    # --- what must always hold ---------------------------------------------------------------------------------

    @invariant()
    def the_same_is_said(self) -> None:
        if hasattr(self, "oracle"):
            assert self.memory.watermark == len(self.oracle.events)
            assert self.memory.map_id == self.oracle.current_map()
            self._compare(self.memory)

    def _compare(self, memory: RecordMemory, as_of: int | None = None) -> None:
        found = memory.query(Query(k=1000, map_id="*", as_of=as_of)).hits
        expected = {seq: answer for seq in self.oracle.records() if (answer := self.oracle.says(seq, as_of))}
        assert {hit.record.seq for hit in found} == expected.keys()
        for hit in found:
            obs = hit.record.observation
            said = Answer(
                obs.caption, _rounded(obs.position), obs.detections.labels,
                tuple(_rounded(center) for center in obs.detections.centers), hit.record.seen_count,
                hit.record.last_seen_ns, obs.map_id,
            )  # fmt: skip
            assert said == expected[hit.record.seq]
        if as_of is None:
            for number in self.oracle.forgotten():
                _refused(lambda number=number: memory.get(number))

    def _open(self) -> None:
        self.folder = self.home / "memory"
        self.memory = RecordMemory.open(
            self.folder, LetterEmbedder(), clock=Clock(START + 10**16), session_id="the only one"
        )


def _rounded(place: Any) -> Place:
    x, y, z = (round(float(value), 6) + 0.0 for value in place)
    return (x, y, z)


def _refused(call: Any) -> None:
    try:
        call()
    except (BadInputError, NotFoundError) as error:
        assert str(error).endswith((".", "known."))
        return
    raise AssertionError("This must be refused.")


__all__ = ["Event", "LogMachine"]
