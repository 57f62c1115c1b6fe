"""What a robot writes until its power is cut: python -m bench.faults.power_work FOLDER TRACE ROUNDS SEED LEVEL.

It must be started with the shim. LEVEL: FULL, as the log is; NORMAL, with SQLite's
synchronous=NORMAL, to see a loss; FAILING, where some syncs fail.
The trace says beside every operation what was about to happen and what was acknowledged from disk, as lines of JSON:
{"will": [numbers of samples]}, {"did": {number of the record: number of the sample}}, {"forgets": [records]},
{"forgot": [records]}. Each round opens the memory, writes and closes it, or leaves it open as a killed process does.
"""

from __future__ import annotations

import errno
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

from bench.faults.samples import clock, embedder, sample
from bench.faults.shim import ON_SYNC, Disk
from embodied_mem.errors import StorageError
from embodied_mem.records import index_cache
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.memory import Admitted, RecordMemory

_CHECKPOINT_PAGES = 10  # so that there are many checkpoints


class Robot:
    """Writes, and says so in the trace."""

    def __init__(self, folder: Path, disk: Disk, chance: random.Random, level: str) -> None:
        self.folder, self.disk, self.chance, self.level = folder, disk, chance, level
        self.key = self.failed = 0
        self.known: dict[int, int] = {}
        self.waiting: dict[int, int] = {}  # acknowledged from memory only

    def round(self, steps: int) -> None:
        memory = RecordMemory.open(self.folder, embedder(), clock=clock)
        memory.log._writer.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")  # type: ignore[attr-defined]
        if self.level == "NORMAL":
            memory.log._writer.execute(f"PRAGMA synchronous = {self.level}")  # type: ignore[attr-defined]
        acts = [self._one, self._one, self._many, self._quick, self._flush, self._correct, self._forget, self._undo]
        acts += [self._compact]
        for _ in range(steps):
            self._act(self.chance.choice(acts), memory)
        self._one(memory)
        memory.close()
        self._told()

    def _act(self, act: Callable[[RecordMemory], None], memory: RecordMemory) -> None:
        """One step; in a FAILING run one sync in it may fail, whose pages then never come, as on Linux."""
        if self.level == "FAILING" and self.chance.random() < 0.4:
            self.disk.fail(ON_SYNC, errno.EIO, first=self.chance.randint(1, 5), times=1)
        try:
            act(memory)
        except StorageError:
            self.failed += 1
        finally:
            self.disk.work()

    def _one(self, memory: RecordMemory) -> None:
        key = self._next(1)[0]
        seq = memory.remember(sample(key), durable=True).seq
        self.waiting[seq] = key
        self._told()

    def _many(self, memory: RecordMemory) -> None:
        keys = self._next(self.chance.randint(2, 12))
        outcomes = memory.remember_many([sample(key) for key in keys], durable=True)
        self.waiting |= {_seq(outcome): key for outcome, key in zip(outcomes, keys, strict=True)}
        self._told()

    def _quick(self, memory: RecordMemory) -> None:
        key = self._next(1)[0]
        self.waiting[memory.remember(sample(key)).seq] = key

    def _flush(self, memory: RecordMemory) -> None:
        memory.flush()
        self._told()

    def _correct(self, memory: RecordMemory) -> None:
        if self.known:
            memory.correct(self.chance.choice(sorted(self.known)), position=(9.0, 9.0, 1.0))
            self._told()

    def _forget(self, memory: RecordMemory) -> None:
        if len(self.known) > 4:
            seq = self.chance.choice(sorted(self.known))
            del self.known[seq]
            self._say(forgets=[seq])
            memory.forget([seq])
            self._say(forgot=[seq])
            self._told()

    def _undo(self, memory: RecordMemory) -> None:
        """Of a correction: what was forgotten stays so here."""
        if len(self.known) > 2:
            memory.undo(memory.correct(sorted(self.known)[0], position=(8.0, 8.0, 1.0)))
            self._told()

    def _compact(self, memory: RecordMemory) -> None:
        Compaction(memory).run()  # it waits for nothing when there is nothing to erase

    def _next(self, count: int) -> list[int]:
        keys = list(range(self.key + 1, self.key + 1 + count))
        self.key += count
        self._say(will=keys)
        return keys

    def _told(self) -> None:
        """Everything up to now is on disk: a durable call waits for what came before it too."""
        self.known |= self.waiting
        self._say(did=self.waiting)
        self.waiting = {}

    def _say(self, **what: object) -> None:
        self.disk.mark(json.dumps(what))


def _seq(outcome: object) -> int:
    assert isinstance(outcome, Admitted), outcome
    return outcome.seq


def main() -> int:
    folder, trace, rounds, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    index_cache._AT_CLOSE = index_cache._AT_OPEN = (1, 0.0)  # small memories get a cache too
    robot = Robot(folder, Disk(folder.parent, trace), random.Random(seed), sys.argv[5])
    for _ in range(rounds):
        robot.round(14)
    assert robot.failed or robot.level != "FAILING", "no sync failed"
    return 0


if __name__ == "__main__":
    sys.exit(main())
