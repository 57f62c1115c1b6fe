"""One bit of a memory's files is wrong: is it found, and does it change an answer?

In rows, vectors, blobs and caches it must be found, by `check` and by whoever reads; elsewhere it must be found or
change nothing of a fixed set of answers.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.faults.pages import regions
from bench.faults.samples import START_NS, clock, embedder, sample, vector_of
from embodied_mem.errors import EmbodiedMemError, StorageError
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query, TimeRange

_SECOND = 10**9
_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Spot:
    """A bit, and what it belongs to."""

    path: Path
    byte: int
    bit: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """checked: `check` found it; read: reading all entries and asking all questions found it; same: no answer changed;
    strange: an error that is not the memory's own"""

    spot: Spot
    checked: bool
    read: bool
    same: bool
    strange: str = ""

    @property
    def must_be_found(self) -> bool:
        return self.spot.what.startswith(("rows entries", "rows vectors", "blob"))

    @property
    def fails(self) -> bool:
        """In a row, vector or blob it must be found both ways, but for bits that hold nothing (SQLite stores a row's
        number outside of it, and a placeholder of any kind inside): they change no value. A damaged cache is made anew
        by whoever reads, so there the answers must be the same; between its columns it holds nothing.
        """
        if self.strange:
            return True
        if self.must_be_found:
            return not (
                (self.checked and self.read) or (self.same and not self.read and self.spot.what == "rows entries")
            )
        if self.spot.what.startswith("cache"):
            return not (self.same and self.checked == self.read)
        return not (self.checked or self.same or self.read)


@dataclass
class Flips:
    """The verdicts, and how many of each kind."""

    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.fails]

    def table(self) -> list[list[Any]]:
        """Rows: what, flips, found by check, found on reading, neither but no answer changed, failures."""
        of: dict[str, Counter[str]] = {}
        for verdict in self.verdicts:
            row = of.setdefault(verdict.spot.what, Counter())
            row["flips"] += 1
            row["checked"] += verdict.checked
            row["read"] += verdict.read
            row["harmless"] += verdict.same and not verdict.checked and not verdict.read
            row["fails"] += verdict.fails
        columns = ("flips", "checked", "read", "harmless", "fails")
        return [[what, *(of[what][column] for column in columns)] for what in sorted(of)]


def build(folder: Path, count: int) -> None:
    """A memory with every kind of entry, closed, and what it caches (from 1,000 entries on)."""
    memory = RecordMemory.open(folder, embedder(), clock=clock)
    for start in range(1, count + 1, 20):
        memory.remember_many([sample(key) for key in range(start, min(start + 20, count + 1))])
    memory.correct(5, caption="a violet harp")
    memory.forget([7, 8])
    memory.undo(memory.correct(9, position=(1.0, 2.0, 3.0)))
    memory.close()


def answers(folder: Path) -> tuple[str, str]:
    """A digest of all entries with blobs, all vectors, and the answers to fixed questions; why the cache was not used.

    Raises EmbodiedMemError.
    """
    digest = hashlib.sha256()
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        for entry in memory.entries(1, 10**6, blobs=True):
            digest.update(repr((entry.seq, entry.kind, entry.logged_ns, entry.about, entry.command)).encode())
            obs = entry.observation
            if obs is not None:
                digest.update(repr((obs.stamp_ns, obs.caption, obs.map_id, obs.session_id, obs.sensor_id)).encode())
                parts = (obs.position, obs.orientation, obs.cloud, obs.vector, obs.detections.centers)
                digest.update(b"".join(np.asarray(part).tobytes() for part in parts if part is not None))
                digest.update(repr(obs.detections.labels).encode() + obs.thumbnail)
        for seqs, vectors in memory.log.vectors(memory.log.setting("model")):
            digest.update(seqs.tobytes() + vectors.tobytes())
        for query in _questions():
            result = memory.query(query)
            digest.update(repr([(hit.record.seq, hit.score, hit.map_id) for hit in result.hits]).encode())
            digest.update(result.reason.encode())
        digest.update(repr((memory.map_id, memory.maps, memory.watermark, memory.log.setting("model"))).encode())
        doubt = memory.cache.problem if memory.cache is not None else ""
    finally:
        memory.close()
    return digest.hexdigest(), doubt


def _questions() -> list[Query]:
    box = (np.array([-5.0, -5, -5]), np.array([40.0, 8, 5]))
    given = vector_of(3)
    return [
        Query(text="a red cup with the number 12", k=10),
        Query(text="violet harp", k=3),
        Query(vector=given, vector_model=embedder().name, k=20),
        Query(labels=("cup",), k=50),
        Query(box=box, k=50),
        Query(time=TimeRange(START_NS + 10 * _SECOND, START_NS + 60 * _SECOND), k=100),
        Query(text="a blue lamp", as_of=20, k=10),
        Query(text="a blue lamp", box=box, labels=("lamp",), k=10, min_score=-1.0),
    ]


def spots(folder: Path, count: int, seed: int, only: str = "") -> list[Spot]:
    """So many bits: of 6, 2 in rows and vectors, 1 in blobs, 1 in caches where there are any, 2 elsewhere in the
    database. `only`: "cache", say."""
    chance = random.Random(seed)
    groups: dict[str, list[tuple[Path, int, int, str]]] = {"rows": [], "blob": [], "cache": [], "else": []}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "writer.lock"):
        if path.name == "log.db":
            for region in regions(path):
                group = "rows" if region.what in ("rows entries", "rows vectors") else "else"
                groups[group].append((path, region.start, region.end, region.what))
            continue
        what = "blob" if "blobs" in path.parts else f"cache {path.name}"
        groups[what.split()[0]] += [(path, start, end, what) for start, end in _extents(path)]
    shares = {"rows": 2, "blob": 1, "cache": 1, "else": 2}
    present = [name for name in groups if groups[name] and only in ("", name)]
    total = sum(shares[name] for name in present)
    return [
        spot for name in present for spot in _of_group(chance, groups[name], -(-count * shares[name] // total))
    ]  # fmt: skip


def _extents(path: Path) -> Iterator[tuple[int, int]]:
    """The parts of a file that are no holes: a hole takes no space, so there is nothing in it that could flip."""
    handle = os.open(path, os.O_RDONLY)
    try:
        at, size = 0, os.fstat(handle).st_size
        while at < size:
            try:
                start = os.lseek(handle, at, os.SEEK_DATA)
            except OSError:
                return
            at = os.lseek(handle, start, os.SEEK_HOLE)
            yield start, at
    finally:
        os.close(handle)


def _of_group(chance: random.Random, group: list[tuple[Path, int, int, str]], count: int) -> Iterator[Spot]:
    """Half of them anywhere by bytes; half by kind first, so that small but vital parts are met."""
    kinds: dict[str, list[tuple[Path, int, int, str]]] = {}
    for item in group:
        kinds.setdefault(item[3], []).append(item)
    for number in range(count):
        among = group if number % 2 else kinds[chance.choice(sorted(kinds))]
        path, start, end, what = chance.choices(among, weights=[item[2] - item[1] for item in among])[0]
        yield Spot(path, chance.randrange(start, end), chance.randrange(8), what)


def judge(folder: Path, wanted: list[Spot]) -> Flips:
    """Flip each bit, look, and flip it back."""
    truth = answers(folder)
    report = check(folder)
    assert report.whole, report.problems
    found = Flips()
    for spot in wanted:
        _flip(spot)
        try:
            found.verdicts.append(_look(folder, spot, truth))
        finally:
            _flip(spot)
    assert answers(folder) == truth
    return found


def _look(folder: Path, spot: Spot, truth: tuple[str, str]) -> Verdict:
    checked = read = same = False
    strange = ""
    try:
        with _in_time():
            checked = not check(folder).whole
    except StorageError:
        checked = True
    except Exception as error:  # what the harness looks for
        strange = f"check raised {error!r}"
    try:
        with _in_time():
            digest, doubt = answers(folder)
        same, read = digest == truth[0], doubt != truth[1]
    except EmbodiedMemError:
        read = True
    except Exception as error:  # what the harness looks for
        strange = f"reading raised {error!r}"
    return Verdict(spot, checked, read, same, strange)


@contextmanager
def _in_time() -> Iterator[None]:
    """TimeoutError after a while: damage must not make anybody look for ever."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError(f"not done after {_PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _flip(spot: Spot) -> None:
    with spot.path.open("r+b") as file:
        file.seek(spot.byte)
        old = file.read(1)[0]
        file.seek(spot.byte)
        file.write(bytes([old ^ (1 << spot.bit)]))
