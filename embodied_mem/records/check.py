"""Is a memory whole? Every row, vector and blob against its checksum, every number in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from embodied_mem.errors import EmbodiedMemError, StorageError
from embodied_mem.records import index_cache, schema
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
        try:
            _check_vectors(log, report)
            log.setting("model")
        except StorageError as error:
            report.problems.append(str(error))
        report.problems.extend(filter(None, [index_cache.damage(log.folder)]))
    finally:
        log.close()
    return report


def _database_problems(folder: Path) -> Iterator[str]:
    connection = sqlite3.connect(schema.uri(str(folder / "log.db"), True), uri=True)
    try:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"SQLite says: {line}."
    except schema.ERRORS as error:
        yield f"SQLite says: {error}."
    finally:
        connection.close()


def _check_entries(log: RecordLog, report: CheckReport) -> None:
    seqs = log.numbers()
    report.entries = len(seqs)
    before = 0
    for seq in seqs:
        if seq == before + 2:
            report.problems.append(f"The log has no entry {seq - 1}.")
        elif seq != before + 1:
            report.problems.append(f"The log has no entries between {before} and {seq}, or they are out of order.")
        before = seq
    for start in range(0, len(seqs), _BATCH):
        _check_batch(log, seqs[start : start + _BATCH], report)


def _check_batch(log: RecordLog, seqs: list[int], report: CheckReport) -> None:
    """Read these entries with their blobs; those that cannot be read become problems."""
    try:
        entries = log.get(seqs, blobs=True).values()
        report.blobs += sum(entry.observation is not None and entry.observation.cloud is not None for entry in entries)
        return
    except EmbodiedMemError:
        pass  # look at them one by one, to say which
    for seq in seqs:
        try:
            log.get([seq], blobs=True)
        except EmbodiedMemError as error:
            report.problems.append(str(error))


def _check_vectors(log: RecordLog, report: CheckReport) -> None:
    for model in log.models():
        try:
            for seqs, _ in log.vectors(model):
                report.vectors += len(seqs)
        except StorageError as error:
            report.problems.append(str(error))
