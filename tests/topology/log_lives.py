"""Made-up lives of a log: observations late and in order, repetitions, and every kind of command, done and undone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.records.commands import BlockWay, Drop, MergePlaces
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.entry import Entry
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.memory import RecordMemory
from embodied_mem.topology.places import PlaceSettings
from embodied_mem.topology.view import TopologyView
from tests.records.builders import START, Clock, LetterEmbedder, detections, observation

SETTINGS = PlaceSettings(near=2.0, reach=5.0, alike=0.97, longest_step=6.0, longest_gap_s=60.0)
CAPTIONS = ("a red door", "Two chairs near Bank of America", "the hall", "zzz", "")


class Life:
    """A memory in RAM or on disk that things happen to, at random. `step` does one thing."""

    def __init__(self, memory: RecordMemory, seed: int) -> None:
        self.memory, self.rng = memory, np.random.default_rng(seed)
        self.now = 0.0
        self.at = np.zeros(3)
        self.records: list[int] = []
        self.commands: list[int] = []
        self.done: list[str] = []

    def step(self) -> None:
        """One thing, mostly an observation; what memory refuses is not done."""
        names = [name for name in self.deeds() if name != "undo one" or self.commands]
        names = names if len(self.records) > 2 else ["remember"]
        weights = np.array([12.0 if name in ("remember", "late") else 1.0 for name in names])
        name = str(self.rng.choice(names, p=weights / weights.sum()))
        try:
            self.deeds()[name]()
        except EmbodiedMemError:
            return
        self.done.append(name)

    def deeds(self) -> dict[str, Callable[[], None]]:
        """Everything that can happen."""
        return {
            "remember": self._remember, "late": lambda: self._remember(late=True), "again": self._again,
            "correct": self._correct, "correct words": self._correct_words, "relabel": self._relabel,
            "forget": self._forget, "undo": self._undo, "undo one": self._undo_one,
            "map": self._map, "anchor": self._anchor, "merge": self._merge, "block": self._block,
            "compact": self._compact, "drop": self._drop,
        }  # fmt: skip

    def _remember(self, late: bool = False) -> None:
        self.now += float(self.rng.choice([3.0, 3.0, 3.0, 90.0]))
        self.at = np.clip(
            self.at + np.append(self.rng.normal(0, 1.5, 2), self.rng.choice([0, 0, 0, 2.5, -2.5])), -12, 12
        )
        when = self.now - 5.5 if late else self.now
        things = self.at + self.rng.normal(0, 2, (2, 3))
        obs = observation(
            when, self.at, str(self.rng.choice(CAPTIONS)),
            detections=detections(list(self.rng.choice(["chair", "table", "lamp"], 2)), things),
            robot_id="late" if late else "r", session_id=str(self.rng.choice(["s", "t"])),
        )  # fmt: skip
        self.records.append(self.memory.remember(obs).seq)

    def _again(self) -> None:
        newest = self.memory.get(self.records[-1]).observation
        self.now += 1
        again = observation(
            self.now, newest.position, newest.caption, detections=newest.detections, robot_id=newest.robot_id,
            session_id=newest.session_id,
        )  # fmt: skip
        self.memory.remember(again)

    def _some(self) -> int:
        """A record, more likely a late one."""
        return self.records[int(len(self.records) * self.rng.random() ** 0.3)]

    def _correct(self) -> None:
        self.commands.append(self.memory.correct(self._some(), position=self.rng.uniform(-12, 12, 3) * (1, 1, 0.1)))

    def _correct_words(self) -> None:
        self.commands.append(self.memory.correct(self._some(), caption=str(self.rng.choice(CAPTIONS[:4]))))

    def _relabel(self) -> None:
        self.commands.append(self.memory.correct(self._some(), labels=("piano", "stove")))

    def _forget(self) -> None:
        self.commands.append(self.memory.forget([self._some(), self._some()]))

    def _undo(self) -> None:
        self.commands.append(self.memory.undo()[1])

    def _undo_one(self) -> None:
        self.commands.append(self.memory.undo(int(self.rng.choice(self.commands)))[1])

    def _map(self) -> None:
        self.commands.append(self.memory.set_map(str(self.rng.choice(["default", "attic"]))))

    def _anchor(self) -> None:
        angle = float(self.rng.normal(0, 0.1))
        turned = (0.0, 0.0, np.sin(angle / 2), np.cos(angle / 2))
        before = [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)] * 2
        after = [(*self.rng.normal(0, 1, 2), 0.0, *turned), (*self.rng.normal(0, 1, 2), 0.0, *turned)]
        stamps = [START, START + int(max(self.now, 1) * 1e9)]
        self.commands.append(self.memory.reanchor(self.memory.map_id, stamps, before, after))

    def _merge(self) -> None:
        self.commands.append(self.memory.change_places(MergePlaces((self._some(), self._some(), self._some()))))

    def _block(self) -> None:
        i = int(self.rng.integers(1, len(self.records)))
        ends = (self.records[i - 1], self.records[i])
        self.commands.append(self.memory.change_places(BlockWay(ends, int(self.rng.integers(1, 99)), bool(i % 2))))

    def _compact(self) -> None:
        Compaction(self.memory).run()

    def _drop(self) -> None:
        seq = self._some()
        self.memory.get(seq)
        self.memory.drop(Drop((seq,), what="records"))


def begin(path: str | None, seed: int) -> Life:
    """A life in RAM, or in a folder."""
    clock = Clock(START + 10**16)
    memory = (
        RecordMemory.in_memory(LetterEmbedder(), clock=clock)
        if path is None
        else RecordMemory.open(path, LetterEmbedder(), clock=clock)
    )
    return Life(memory, seed)


def rebuilt(memory: RecordMemory) -> TopologyView:
    """The view of the log read from entry 1 as it stands now, by an index of its own."""
    index = RecordIndex()
    view = TopologyView(index, SETTINGS, clock=lambda: 0)
    entries: list[Entry] = memory.entries(1, 10**6)
    index.apply(entries)
    numbers = np.array([seq for seq in range(1, index.watermark + 1) if memory.index.has_vector(seq)], dtype=np.int64)
    if len(numbers):
        found = [memory.index.vector_of(int(seq)) for seq in numbers]
        index.set_vectors(numbers, np.array(found, dtype=np.float32), memory.index.model)
    view.apply(entries)
    return view
