"""kill -9 at random moments of a write load, of a plain writer process and of the record node.

After each kill the folder is opened by the next writer, as it is; at the end everything that was acknowledged from disk
must be there, once, with its vector and blobs, and views that followed must be the same as a rebuild.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.faults.samples import clock, embedder, missing
from bench.harness import ROOT
from embodied_mem.errors import EmbodiedMemError
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView

_LONGEST_S = 0.1  # of a life, after the writer has opened the memory


@dataclass
class Kills:
    """What became of so many kills."""

    kills: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)  # how a view that followed differed from a rebuild
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        return not (self.lost or self.malformed or self.views)


def kill_writers(folder: Path, *, kills: int, seed: int) -> Kills:
    """Start a writer, kill it after a random while, so often; look after each tenth kill and the last."""
    chance, found, begin = random.Random(seed), Kills(), time.perf_counter()
    acknowledged: dict[int, int] = {}
    view = RecordView(embedder(), clock=clock)
    with _Nursery(folder) as nursery:
        for number in range(1, kills + 1):
            acknowledged |= nursery.one_life(chance.uniform(0.0, _LONGEST_S), wrote=number % 2 == 0)
            found.kills += 1
            follow(folder, view)
            if number % 10 == 0 or number == kills:
                look(folder, acknowledged, found)
                compare(folder, view, found)
                if found.lost or found.malformed:
                    break
    found.acknowledged, found.seconds = len(acknowledged), time.perf_counter() - begin
    return found


class _Nursery:
    """A process that has everything imported and forks a writer whenever it is asked; see kill_writer.py."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.faults.kill_writer", str(folder)],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def one_life(self, seconds: float, *, wrote: bool) -> dict[int, int]:
        """Let a writer write for so long and kill it; what it had acknowledged.

        wrote: the time begins only when it has acknowledged something, however slow the machine is.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        kind, pid = self._line().split()
        opened = self._line()
        if kind != "pid" or opened != "open":
            raise RuntimeError(f"a writer could not open {self._folder} after a kill: {opened}")
        lines = [self._line()] if wrote else []
        time.sleep(seconds)  # the random moment itself
        os.kill(int(pid), signal.SIGKILL)
        while (line := self._line()) != "ended":
            lines.append(line)
        parts = [line.partition(" ") for line in lines]
        return {int(seq): int(key) for seq, _, key in parts if key}

    def __enter__(self) -> _Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10.0)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks the writers has ended")
        return line.decode().rstrip("\n")


def follow(folder: Path, view: RecordView) -> None:
    """Bring a view up to date from its watermark, as one that follows a log does."""
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        while entries := memory.entries(view.watermark + 1, 256):
            view.apply(entries)
    finally:
        memory.close()


def look(folder: Path, acknowledged: dict[int, int], found: Kills) -> None:
    """Is everything there that was acknowledged, once, and nothing malformed?"""
    found.malformed += [f"check: {problem}" for problem in check(folder).problems]
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        for seq, key in acknowledged.items():
            try:
                lacks = missing(memory, seq, key)
            except (EmbodiedMemError, ValueError) as error:
                lacks = f"record {seq}: {error}"
            found.lost += [lacks] if lacks else []
        entries = memory.entries(1, 10**6)
        captions = [entry.observation.caption for entry in entries if entry.observation is not None]
        if len(set(captions)) != len(captions):
            found.malformed.append(f"{len(captions) - len(set(captions))} observations are there twice")
    finally:
        memory.close()


def compare(folder: Path, view: RecordView, found: Kills) -> None:
    """The view that followed against one that is built from the log now."""
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        rebuilt = RecordView(embedder(), clock=clock)
        rebuilt.apply(memory.entries(1, 10**6))
        found.views += differences(view, rebuilt)
        found.views += differences(view, memory)
    finally:
        memory.close()


def differences(one: RecordView, other: RecordView) -> list[str]:
    """What two views of a log disagree about: numbers, columns, vectors."""
    if one.watermark != other.watermark or len(one.index) != len(other.index):
        return [f"watermarks {one.watermark} and {other.watermark}, {len(one.index)} and {len(other.index)} records"]
    found = []
    for seq in range(1, one.watermark + 1):
        a, b = one.index.vector_of(seq), other.index.vector_of(seq)
        if (a is None) != (b is None) or (a is not None and b is not None and a.tobytes() != b.tobytes()):
            found.append(f"the vector of {seq} differs")
    first, second = one.index.columns(), other.index.columns()
    found += [f"column {name} differs" for name in first if not _alike(name, first[name].data, second[name].data)]
    for query in _questions():
        hits = [[(hit.record.seq, hit.score) for hit in view.query(query).hits] for view in (one, other)]
        found += [f"{query} is answered differently"] if hits[0] != hits[1] else []
    return found


def _alike(name: str, one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether columns are the same; sorted keys may be merged later here than there, so of them it is the content."""
    if "._column." in name:
        one, other = np.sort(one, axis=0), np.sort(other, axis=0)
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _questions() -> list[Query]:
    box = (np.array([0.0, 0, -5]), np.array([60.0, 9000, 5]))
    return [
        Query(text="a red cup", k=50), Query(labels=("lamp",), k=500), Query(box=box, k=500),
        Query(box=box, labels=("sofa",), k=500), Query(text="the green towel", labels=("towel",), k=50, min_score=-1.0),
    ]  # fmt: skip
