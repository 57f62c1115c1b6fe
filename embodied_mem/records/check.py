"""Is a memory whole? Every row, vector and blob against its checksum, every number in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from embodied_mem.errors import EmbodiedMemError, StorageError
from embodied_mem.records import index_cache
from embodied_mem.records.log import RecordLog

_BATCH = 512


@dataclass
class CheckReport:
    """What `check` found; `problems` are sentences, and a memory without any is whole."""

    entries: int = 0
    vectors: int = 0
    blobs: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not self.problems


def check(folder: str | Path) -> CheckReport:
    """Read the whole memory in `folder`, read-only. Raises StorageError when it cannot even be opened."""
    report = CheckReport()
    log = RecordLog(folder, read_only=True)
    try:
        report.problems.extend(_database_problems(log.folder))
        try:
            _check_entries(log, report)
        except StorageError as error:
            report.problems.append(str(error))
        _check_vectors(log, report)
        report.problems.extend(filter(None, [index_cache.damage(log.folder)]))
    finally:
        log.close()
    return report


def _database_problems(folder: Path) -> Iterator[str]:
    connection = sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)
    try:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"SQLite says: {line}."
    except sqlite3.Error as error:
        yield f"SQLite says: {error}."
    finally:
        connection.close()


def _check_entries(log: RecordLog, report: CheckReport) -> None:
    first, newest = 1, log.watermark
    while first <= newest:
        last = min(first + _BATCH, newest + 1)
        for seq in _readable(log, first, last, report):
            report.entries += 1
            if seq != first:
                report.problems.append(f"Entries {first} to {seq - 1} are missing.")
            first = seq + 1
        if first < last:
            report.problems.append(f"Entries {first} to {last - 1} are missing or damaged.")
        first = last


def _readable(log: RecordLog, first: int, last: int, report: CheckReport) -> Iterator[int]:
    """Numbers of the entries in [first, last) that can be read with their blobs; the others become problems."""
    try:
        entries = log.read(first, last - first, blobs=True)
        report.blobs += sum(entry.observation is not None and entry.observation.cloud is not None for entry in entries)
        yield from (entry.seq for entry in entries)
        return
    except StorageError:
        pass  # look at them one by one, to say which
    for seq in range(first, last):
        try:
            log.get([seq], blobs=True)
        except EmbodiedMemError as error:
            report.problems.append(str(error))
        yield seq


def _check_vectors(log: RecordLog, report: CheckReport) -> None:
    for model in log.models():
        try:
            for seqs, _ in log.vectors(model):
                report.vectors += len(seqs)
        except StorageError as error:
            report.problems.append(str(error))
