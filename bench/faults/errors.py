"""A disk that refuses: an error at the n-th operation of a short workload, for every n, and what comes after it.

    python -m bench.faults.errors FOLDER CASES OUT       (in a process with the shim; see bench/faults/shim.py)

For each case the workload runs in a fresh folder with the error armed: opening, durable observations with clouds and
vectors, one command, one batch, closing. Whoever waits must get either an acknowledgement or a sentence. Then the disk
works again, and the same process must write on; after that everything that was acknowledged, then or later, must be
there, once, with its vector and blob, and `check` must find nothing.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.faults import shim
from bench.faults.samples import clock, embedder, missing, sample
from embodied_mem.errors import EmbodiedMemError, StorageError
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory

_CHECKPOINT_PAGES = 12  # so that the workload meets checkpoints too


@dataclass(frozen=True, slots=True)
class Case:
    """kinds: a mask of shim.ON_...; error: an errno; times: how often it fails; step: every so manieth n is tried."""

    name: str
    kinds: int
    error: int
    times: int
    step: int = 1
    start: int = 1


@dataclass(slots=True)
class Outcome:
    """Of one n: were callers told, and what was wrong."""

    case: str
    n: int
    told: int
    problems: list[str]


def cases(step: int = 1, start: int = 1) -> list[Case]:
    """EIO and ENOSPC at writes and syncs, once and until there is space again, and at opening, renaming, removing."""
    anything = shim.ON_OPEN | shim.ON_WRITE | shim.ON_NAME
    once = [
        Case("EIO at a write, once", shim.ON_WRITE, errno.EIO, 1),
        Case("EIO at a sync, once", shim.ON_SYNC, errno.EIO, 1),
        Case("EIO at opening or naming a file, once", shim.ON_OPEN | shim.ON_NAME, errno.EIO, 1),
    ]
    lasting = [
        Case("EIO at every sync from one on", shim.ON_SYNC, errno.EIO, 2**30),
        Case("EIO at every write from one on", shim.ON_WRITE, errno.EIO, 2**30),
        Case("ENOSPC from one write, name or file on", anything, errno.ENOSPC, 2**30),
        Case("EROFS from one write, name or file on", anything | shim.ON_SYNC, errno.EROFS, 2**30),
    ]
    return [
        Case(case.name, case.kinds, case.error, case.times, step, start + i % step)
        for i, case in enumerate(once + lasting)
    ]


class Workload:
    """What a robot writes in a few seconds; remembers what was acknowledged and what was refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory: RecordMemory | None = None
        self.acknowledged: dict[int, int] = {}  # number -> key of its sample
        self.told: list[str] = []
        self.problems: list[str] = []
        self._key = 0

    def run(self) -> None:
        """Open, write and close, whatever fails."""
        if not self._try("open", self._open):
            return
        for _ in range(3):
            self._try("remember", self._remember)
        self._try("remember_many", self._remember_many)
        self._try("set_map", lambda: self._memory().set_map("cellar"))
        for _ in range(2):
            self._try("remember", self._remember)
        self._try("correct", self._correct)

    def go_on(self) -> None:
        """The disk works again: so must everything in the same process."""
        if self.memory is None:
            self._open()
        self._remember()
        self._memory().flush()
        for seq, key in self.acknowledged.items():
            self._look(self._memory(), seq, key, "before closing: ")

    def close(self) -> None:
        memory, self.memory = self.memory, None
        if memory is not None:
            memory.close()

    def verify(self) -> None:
        """Open the folder anew and compare."""
        report = check(self.folder)
        self.problems += [f"check: {problem}" for problem in report.problems]
        memory = RecordMemory.open(self.folder, embedder(), clock=clock, read_only=True)
        try:
            for seq, key in self.acknowledged.items():
                self._look(memory, seq, key, "")
            captions = [entry.observation.caption for entry in memory.entries(1, 10_000) if entry.observation]
            if len(set(captions)) != len(captions):
                self.problems.append("an observation is there twice")
        finally:
            memory.close()

    # --- steps -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.memory = RecordMemory.open(self.folder, embedder(), clock=clock)
        self.memory.log._writer.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")  # type: ignore[attr-defined]

    def _memory(self) -> RecordMemory:
        assert self.memory is not None
        return self.memory

    def _remember(self) -> None:
        self._key += 1
        key = self._key
        self.acknowledged[self._memory().remember(sample(key), durable=True).seq] = key

    def _remember_many(self) -> None:
        keys = range(self._key + 1, self._key + 6)
        self._key += 5
        outcomes = self._memory().remember_many([sample(key) for key in keys], durable=True)
        for key, outcome in zip(keys, outcomes, strict=True):
            if isinstance(outcome, EmbodiedMemError):
                self.problems.append(f"refused: {outcome}")
            else:
                self.acknowledged[outcome.seq] = key

    def _correct(self) -> None:
        seqs = sorted(self.acknowledged)
        if seqs:
            self._memory().correct(seqs[0], position=(1.0, 1.0, 1.0))
            del self.acknowledged[seqs[0]]

    def _try(self, what: str, step: Callable[[], object]) -> bool:
        try:
            step()
        except StorageError as error:
            self.told.append(f"{what}: {error}")
            if not str(error).endswith("."):
                self.problems.append(f"{what}: no sentence: {error!r}")
        except Exception as error:  # what the harness looks for
            self.problems.append(f"{what} raised {error!r}")
        else:
            return True
        return False

    def _look(self, memory: RecordMemory, seq: int, key: int, when: str) -> None:
        try:
            lacks = missing(memory, seq, key)
        except (EmbodiedMemError, ValueError) as error:
            lacks = f"record {seq}: {error}"
        if lacks:
            self.problems.append(when + lacks)


def tried(folder: Path, disk: shim.Disk, case: Case, n: int) -> tuple[Outcome, int]:
    """One run of a case; also how many operations of its kinds there were."""
    shutil.rmtree(folder, ignore_errors=True)
    work = Workload(folder)
    disk.fail(case.kinds, case.error, first=n, times=case.times)
    work.run()
    seen = disk.seen
    try:
        # The last n fall into closing, which may then fail as well, and still lets go of the folder.
        if n % 4 == 0:
            work._try("close", work.close)
            seen = disk.seen
        disk.work()
        work.go_on()
        work.close()
        work.verify()
    except Exception as error:  # what the harness looks for
        work.problems.append(f"with a disk that works again: {error!r}")
    finally:
        disk.work()
        work.memory = None
    return Outcome(case.name, n, len(work.told), work.problems), seen


def sweep(folder: Path, disk: shim.Disk, wanted: list[Case]) -> Iterator[Outcome]:
    """Every n of every case, until a run has fewer operations than n."""
    for case in wanted:
        n = case.start
        while True:
            outcome, seen = tried(folder, disk, case, n)
            if seen < n:
                break
            yield outcome
            n += case.step


def main() -> int:
    folder, step, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    disk = shim.Disk(folder.parent)
    outcomes = [asdict(outcome) for outcome in sweep(folder, disk, cases(step))]
    out.write_text(json.dumps(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
