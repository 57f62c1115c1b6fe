"""Cuts the power at moments of a recorded run, and opens what is left with the program itself."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.faults import shim
from bench.faults.disk import Disk, Operation, read_trace
from bench.faults.samples import caption_of, clock, embedder, missing, sample
from embodied_mem.errors import EmbodiedMemError, NotFoundError, StorageError
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory

_NEXT = 10**6  # a sample that no run reaches


@dataclass
class Told:
    """What the run had said up to a moment."""

    acknowledged: dict[int, int] = field(default_factory=dict)  # record -> sample
    under_way: set[int] = field(default_factory=set)  # samples that may be there
    forgetting: set[int] = field(default_factory=set)  # records that may be there or not
    forgotten: set[int] = field(default_factory=set)

    def hear(self, line: bytes) -> None:
        said = json.loads(line)
        self.under_way.update(said.get("will", ()))
        self.acknowledged |= {int(seq): key for seq, key in said.get("did", {}).items()}
        self.forgetting.update(said.get("forgets", ()))
        self.forgotten.update(said.get("forgot", ()))


@dataclass
class Cuts:
    """What became of so many cuts."""

    cuts: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0  # records looked for, over all cuts
    lost: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)


def record(folder: Path, *, rounds: int, seed: int, level: str = "FULL") -> list[Operation]:
    """Run the workload in `folder` under the recorder; `level` as in power_work."""
    trace = folder / "trace"
    (folder / "disk").mkdir(parents=True)
    shim.run("bench.faults.power_work", str(folder / "disk" / "memory"), str(trace), str(rounds), str(seed), level)
    return list(read_trace(trace))


def cut(operations: list[Operation], folder: Path, *, cuts: int, seed: int) -> Cuts:
    """Cut the power so often, spread evenly over the run (the syncs' neighbours are met often enough), and look."""
    disk, told, found = Disk((folder / "disk").resolve()), Told(), Cuts()
    chance = random.Random(seed)
    at = Counter(chance.choices(range(1, len(operations) + 1), k=cuts))
    for number, operation in enumerate(operations, 1):
        if operation.op == "A":
            told.hear(operation.one)
        else:
            disk.feed(operation)
        found.operations[operation.op] += 1
        for turn in range(at[number]):
            left = folder / "left"
            style = disk.after_cut(left, seed * 10**9 + number * 100 + turn)
            where = f"cut after operation {number} ({style}, turn {turn}): "
            lost, malformed = verify(left / "memory", told)
            found.cuts += 1
            found.styles[style] += 1
            found.acknowledged += len(told.acknowledged)
            found.lost += [where + problem for problem in lost]
            found.malformed += [where + problem for problem in malformed]
            shutil.rmtree(left)
    return found


def verify(folder: Path, told: Told) -> tuple[list[str], list[str]]:
    """What was lost, and what is malformed, in a folder after a cut; the memory is opened, checked and written on."""
    lost: list[str] = []
    try:
        memory = RecordMemory.open(folder, embedder(), clock=clock)
    except EmbodiedMemError as error:
        return lost, [f"it cannot be opened: {error}"]
    try:
        malformed = _strange(memory, told)
        for seq, key in told.acknowledged.items():
            if seq in told.forgotten:
                malformed += [f"record {seq} was forgotten and is there"] if _there(memory, seq) else []
            elif seq not in told.forgetting:
                lost += _lost(memory, seq, key)
        seq = memory.remember(sample(_NEXT), durable=True).seq
        memory.close()
        report = check(folder)
        malformed += [f"check: {problem}" for problem in report.problems]
        again = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
        lost += _lost(again, seq, _NEXT)
        again.close()
    except (EmbodiedMemError, ValueError, KeyError) as error:
        malformed = [f"it raised {error!r}"]
    finally:
        memory.close()
    return lost, malformed


def _lost(memory: RecordMemory, seq: int, key: int) -> list[str]:
    try:
        lacks = missing(memory, seq, key)
    except (NotFoundError, StorageError, ValueError) as error:
        lacks = f"record {seq}: {error}"
    return [lacks] if lacks else []


def _there(memory: RecordMemory, seq: int) -> bool:
    try:
        memory.get(seq)
    except NotFoundError:
        return False
    return True


def _strange(memory: RecordMemory, told: Told) -> list[str]:
    """Entries that nobody wrote, or twice, and gaps."""
    entries = memory.entries(1, 10**6, blobs=True)
    problems = [] if [entry.seq for entry in entries] == list(range(1, len(entries) + 1)) else ["numbers have gaps"]
    captions = [entry.observation.caption for entry in entries if entry.observation is not None]
    if len(set(captions)) != len(captions):
        problems.append("an observation is there twice")
    strangers = set(captions) - {caption_of(key) for key in told.under_way}
    return problems + [f"nobody wrote {caption!r}" for caption in sorted(strangers)]
