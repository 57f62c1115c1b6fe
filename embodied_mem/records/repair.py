"""Repair: a damaged memory is written anew from everything in it that its checksums vouch for.

The damaged folder is only read. A row that is damaged or missing becomes an empty tombstone, so that every other entry
keeps its number; a record whose cloud or picture is damaged loses only that; a damaged vector is left out, and made
again from its text when the memory is opened with its embedder. Each loss is a sentence of the report. The new folder
is checked as a whole before it is used.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embodied_mem.errors import BadInputError, EmbodiedMemError, StorageError
from embodied_mem.records import commands, schema
from embodied_mem.records.blobs import BlobStore
from embodied_mem.records.check import check
from embodied_mem.records.commands import Forget
from embodied_mem.records.entry import Kind, Row, blob_names, tombstone, unpack, without_blobs
from embodied_mem.records.files import FolderLock, exchange, make_folder, sync_folder

_ROW = "seq, kind, stamp_ns, logged_ns, robot, session, sensor, map, x, y, z, caption, body, crc"
_BATCH = 500


@dataclass
class RepairReport:
    """What was saved; `losses` are sentences. `backup` is where the damaged folder is now, "" when it was not moved."""

    entries: int = 0
    vectors: int = 0
    blobs: int = 0
    losses: list[str] = field(default_factory=list)
    backup: str = ""


def repair(folder: str | Path, into: str | Path | None = None) -> RepairReport:
    """Repair the memory in `folder`: in place, the damaged folder being kept beside it, or `into` a new folder.

    A memory that is whole is left alone. Raises StorageError when it is being written, when nothing can be read of it,
    or when the disk refuses; then everything is as before.
    """
    folder = Path(folder).expanduser()
    target = folder if into is None else Path(into).expanduser()
    if into is not None and target.exists():
        raise BadInputError(f"{target} is there already: name a new folder.")
    work = target.with_name(f".{target.name}.repaired")
    if not (folder / "log.db").is_file():
        raise StorageError(f"There is no memory in {folder}: it holds no log.db.")
    with FolderLock(folder) if into is None else contextlib.nullcontext():
        if _whole(folder):
            return RepairReport()
        try:
            shutil.rmtree(work, ignore_errors=True)  # of a repair that was killed
            make_folder(work)
            report = _Rescue(folder, work).run()
            doubts = check(work).problems
            if doubts:
                raise StorageError(f"What was saved of {folder} is not whole ({doubts[0]}); nothing was changed.")
            if into is None:
                report.backup = str(_free_name(folder))
                exchange(folder, work)  # at no moment is there no memory, or an empty one would be begun
                try:
                    os.rename(work, report.backup)
                except OSError:
                    report.backup = str(work)  # the damaged one, which is not ours to remove
            else:
                os.rename(work, target)
            sync_folder(target.parent)
        except (OSError, *schema.ERRORS) as error:
            shutil.rmtree(work, ignore_errors=True)
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"The repaired memory could not be written beside {folder} ({error}).") from error
    return report


def _whole(folder: Path) -> bool:
    try:
        return check(folder).whole
    except StorageError:
        return False


def _free_name(folder: Path) -> Path:
    """A name for the damaged folder that nothing has."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (
        folder.with_name(f"{folder.name}.damaged-{stamp}{end}") for end in ("", *map("-{}".format, range(2, 1000)))
    )
    return next(name for name in names if not name.exists())


class _Rescue:
    """Reads one damaged folder and writes what can be saved into an empty one."""

    def __init__(self, source: Path, target: Path) -> None:
        self._blobs, self._copies = BlobStore(source / "blobs"), BlobStore(target / "blobs")
        self._source, self._target = source, target
        self._logged = 0
        self._tombstones: set[int] = set()
        self.report = RepairReport()

    def run(self) -> RepairReport:
        old = sqlite3.connect(schema.uri(str(self._source / "log.db"), True), uri=True, isolation_level=None)
        new = schema.connect(str(self._target / "log.db"), False)
        with contextlib.closing(old), contextlib.closing(new):
            schema.prepare(new, False)
            newest = self._newest(old)
            if not newest:
                raise StorageError(f"Nothing can be read of {self._source / 'log.db'}: only a backup can help.")
            for first in range(1, newest + 1, _BATCH):
                new.execute("BEGIN")
                for seq in range(first, min(first + _BATCH, newest + 1)):
                    row = self._row(old, seq)
                    marks = ",".join("?" * (len(row) + 1))
                    new.execute(f"INSERT INTO entries ({_ROW}) VALUES ({marks})", (*row, row.crc()))
                new.execute("COMMIT")
            new.execute("BEGIN")
            for name, value in self._settings(old).items():
                crc = schema.setting_crc(name, value)
                new.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", (name, value, crc))
            for vector in self._vectors(old, newest):
                new.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", vector)
                self.report.vectors += 1
            new.execute("COMMIT")
            new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if not self.report.losses:
            self.report.losses.append(
                "The database file was damaged where no entry is: it was written anew, and nothing is lost."
            )
        return self.report

    def _newest(self, old: sqlite3.Connection) -> int:
        """The highest number of which anything can be read."""
        found = 0
        for sql in (
            f"SELECT {_ROW} FROM entries ORDER BY seq DESC LIMIT {_BATCH}",
            f"SELECT model, seq, data, crc FROM vectors ORDER BY seq DESC LIMIT {_BATCH}",
        ):
            with contextlib.suppress(*schema.ERRORS):
                found = max([found, *(_number(row) for row in old.execute(sql))])
        if found:
            return found
        step = 1  # the end cannot be read: how far does the beginning go?
        while step <= 1 << 40:
            if self._read(old, found + step) is not None:
                found += step
                step *= 2
            elif step == 1:
                break
            else:
                step = 1
        return found

    def _read(self, old: sqlite3.Connection, seq: int) -> tuple[Any, ...] | None:
        try:
            found: tuple[Any, ...] | None = old.execute(f"SELECT {_ROW} FROM entries WHERE seq = ?", (seq,)).fetchone()
        except schema.ERRORS:
            return None
        return found

    def _row(self, old: sqlite3.Connection, seq: int) -> Row:
        """The row of a number, or a tombstone."""
        read = self._read(old, seq)
        row = None if read is None else self._readable(read)
        if row is None:
            what = "missing or cannot be read" if read is None else "damaged"
            self.report.losses.append(f"Entry {seq} is {what}: an empty tombstone keeps its number.")
            self._tombstones.add(seq)
            return tombstone(seq, self._logged)
        self._logged = row.logged_ns
        if row.kind == Kind.TOMBSTONE:
            self._tombstones.add(seq)
        self.report.entries += 1
        return self._with_blobs(row)

    def _readable(self, read: tuple[Any, ...]) -> Row | None:
        try:
            row = Row(*read[:-1])
            if row.crc() == read[-1]:
                unpack(row)
                return row
        except Exception:  # whatever damage makes of it
            pass
        return self._forgetting(read)

    def _forgetting(self, read: tuple[Any, ...]) -> Row | None:
        """A damaged Forget that can still be read counts: rather too much stays hidden than too little."""
        try:
            command = commands.from_json(bytes(read[-2]).decode())
            if not isinstance(command, Forget) or not all(0 < seq < read[0] for seq in command.seqs):
                return None
        except (EmbodiedMemError, ValueError, TypeError):
            return None
        self.report.losses.append(
            f"Entry {read[0]} is damaged, but still says that records {command.seqs} be forgotten."
        )
        body = commands.to_json(command).encode()
        return Row(int(read[0]), int(Kind.COMMAND), 0, self._logged, "", "", "", "", 0.0, 0.0, 0.0, "", body)

    def _with_blobs(self, row: Row) -> Row:
        """Copy the row's blobs; the row without those that are damaged or missing."""
        lost = []
        for name in blob_names(row):
            try:
                self._copies.put({name: self._blobs.get(name)})
                self.report.blobs += 1
            except StorageError as error:
                lost.append(name)
                self.report.losses.append(f"Record {row.seq} loses a cloud or a picture. {error}")
        return without_blobs(row, lost) if lost else row

    def _settings(self, old: sqlite3.Connection) -> dict[str, str]:
        found: dict[str, str] = {}
        try:
            for name, value, *crc in old.execute("SELECT * FROM settings"):
                if crc and (not isinstance(value, str) or crc[0] != schema.setting_crc(name, value)):
                    self.report.losses.append(f"The setting {name!r} is damaged.")
                else:
                    found[str(name)] = str(value)
        except schema.ERRORS as error:
            self.report.losses.append(
                f"The settings are damaged ({error}): the model of the vectors is taken from these."
            )
        return {**found, "generation": secrets.token_hex(8)}

    def _vectors(self, old: sqlite3.Connection, newest: int) -> Iterator[tuple[str, int, bytes, int]]:
        """Every vector that its checksum vouches for, of an entry that is still there."""
        lost = 0
        models = self._models(old)
        old_rule = int(old.execute("PRAGMA user_version").fetchone()[0]) == 1
        for model in models:

            def crcs(seq: int, data: bytes, model: str = model) -> list[int]:
                return [schema.vector_crc(model, seq, data), *([zlib.crc32(data)] if old_rule else [])]

            for seq in range(1, newest + 1):
                try:
                    row = old.execute(
                        "SELECT data, crc FROM vectors WHERE model = ? AND seq = ?", (model, seq)
                    ).fetchone()
                except schema.ERRORS:
                    lost += 1
                    continue
                if row is None or seq in self._tombstones:
                    continue
                if not isinstance(row[0], bytes) or row[1] not in crcs(seq, row[0]) or len(row[0]) % 4:
                    lost += 1
                    self.report.losses.append(f"The vector of entry {seq} by {model} is damaged.")
                    continue
                yield model, seq, row[0], schema.vector_crc(model, seq, row[0])
        if lost:
            self.report.losses.append(
                f"{lost} vectors could not be read: they are made again from their texts when the record node starts, "
                "or by `embodied-mem reembed`."
            )

    def _models(self, old: sqlite3.Connection) -> list[str]:
        try:
            return [str(model) for (model,) in old.execute("SELECT DISTINCT model FROM vectors")]
        except schema.ERRORS:
            with contextlib.suppress(*schema.ERRORS):
                return [str(name) for (name,) in old.execute("SELECT value FROM settings WHERE name = 'model'")]
            self.report.losses.append("No vector can be read: all are made again from their texts.")
            return []


def _number(row: tuple[Any, ...]) -> int:
    """The number of an entry or a vector that its checksum vouches for, else 0: a damaged one may be any."""
    *columns, crc = row
    try:
        if len(columns) == 3:
            model, seq, data = columns
            return int(seq) if schema.vector_crc(model, seq, data) == crc else 0
        entry = Row(*columns)
        return entry.seq if entry.crc() == crc else 0
    except (TypeError, ValueError):
        return 0
