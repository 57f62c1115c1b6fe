"""A backup of a memory while it is written: the log as it stood at one number, with the blobs that it names.

The database is copied through SQLite's backup interface inside one read transaction, so the copy has one state and the
writer is never stopped. Blobs are never changed, only removed, by compaction or retention after the rows that named
them were rewritten; so when one is missing the database is copied again. The new folder appears under its name only
when everything in it is on disk. Restoring is opening it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.records import schema
from embodied_mem.records.blobs import BlobStore
from embodied_mem.records.entry import blob_names
from embodied_mem.records.files import make_folder, sync_folder
from embodied_mem.records.log import RecordLog

_PAGES = 256  # copied at once
_ROWS = 1000
_TRIES = 3

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass
class BackupReport:
    """What a backup holds: the log up to `watermark`. `problems` are sentences: what was damaged already."""

    watermark: int = 0
    blobs: int = 0
    problems: list[str] = field(default_factory=list)


def backup(
    source: str | Path, target: str | Path, progress: Progress = lambda doing, done, total: None
) -> BackupReport:
    """Back up the memory in the folder `source`, also while it is written, into the new folder `target`.

    Raises BadInputError when `target` is there already, StorageError when `source` cannot be read or `target` written.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInputError(f"{target} is there already: name a new folder for the backup.")
    if target.resolve().is_relative_to(source.resolve()):
        raise BadInputError(f"{target} lies in the memory itself: name a folder elsewhere.")
    log = RecordLog(source, read_only=True)
    work = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(work, ignore_errors=True)  # of a backup that was killed
        make_folder(work)
        report = _copy(log, work, progress)
        sync_folder(work)
        if target.exists():
            target.rmdir()
        os.replace(work, target)
        sync_folder(target.parent)
    except (OSError, *schema.ERRORS) as error:
        shutil.rmtree(work, ignore_errors=True)
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"The backup {target} could not be written ({error}).") from error
    finally:
        log.close()
    return report


def _copy(log: RecordLog, work: Path, progress: Progress) -> BackupReport:
    """Copy until no blob is missing that the copied rows name; what is still missing then was missing before."""
    report = BackupReport()
    for _ in range(_TRIES):
        _copy_database(log.folder / "log.db", work / "log.db", progress)
        report = _copy_blobs(log.blobs, work, progress)
        if not report.problems:
            break
    return report


def _copy_database(source: Path, target: Path, progress: Progress) -> None:
    target.unlink(missing_ok=True)
    with contextlib.closing(schema.connect(str(source), True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM settings").fetchone()  # from here on the state stands still
        with contextlib.closing(sqlite3.connect(target)) as copy:
            reader.backup(
                copy, pages=_PAGES, sleep=0,
                progress=lambda _, left, total: progress("copying the log", total - left, total),
            )  # fmt: skip
        reader.execute("ROLLBACK")
    with open(target, "rb+") as file:
        os.fsync(file.fileno())


def _copy_blobs(blobs: BlobStore, work: Path, progress: Progress) -> BackupReport:
    """Copy what the copied rows name, each tested against its name; what an earlier try copied too much is removed."""
    report, named = BackupReport(), set()
    copies = BlobStore(work / "blobs")
    there = set(copies.names())
    copied = RecordLog(work, read_only=True)
    try:
        report.watermark = copied.watermark
        first = 1
        while rows := copied.rows(first, _ROWS):
            for row in rows:
                for name in blob_names(row):
                    named.add(name)
                    if name in there:
                        continue
                    try:
                        copies.put({name: blobs.get(name)})
                        there.add(name)
                    except StorageError as error:
                        report.problems.append(f"Record {row.seq}: {error}")
            first = rows[-1].seq + 1
            progress("copying clouds and pictures", first - 1, report.watermark)
    finally:
        copied.close()
    copies.remove(there - named)
    report.blobs = len(there & named)
    return report
