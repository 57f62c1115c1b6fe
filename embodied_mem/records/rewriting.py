"""Entries of a log rewritten in place, and what no entry names any more removed: for compaction and retention.

Beside a writer and readers: every step holds the log's writer only for a short transaction, but for `shrink`.
A setting says that rewriting is unfinished, from before the first change until nothing of the old content is left.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from embodied_mem.errors import StorageError
from embodied_mem.records.entry import Kind, Row, blob_names
from embodied_mem.records.files import sync_folder
from embodied_mem.records.log import RecordLog

_UNFINISHED = "rewriting"
_MARK_BATCH = 1000  # rows read at once
_SWEEP_BATCH = 200  # files removed in one go
_PATIENCE_S = 15.0  # for readers that still look at an old state
_COLUMNS = ("kind", "stamp_ns", "robot", "session", "sensor", "map", "x", "y", "z", "caption", "body")


class Rewriter:
    """Rewrites one log, which must be open for writing. Every method raises StorageError when the disk refuses."""

    def __init__(self, log: RecordLog) -> None:
        self._log = log

    @property
    def unfinished(self) -> bool:
        """Whether rewriting was begun, perhaps by a process that was killed, and not finished."""
        return bool(self._log.setting(_UNFINISHED))

    def begin(self) -> None:
        """Before the first change. Views that were stored of the log as it was are void from here on."""
        self._log.set_setting(_UNFINISHED, "1", durable=False)
        self._log.set_setting("generation", secrets.token_hex(8))

    def with_content(self, seqs: Sequence[int]) -> list[int]:
        """Those of the numbers (at most some hundreds) that are no tombstones yet, or still have a vector."""
        marks = ",".join("?" * len(seqs))
        with self._log.exclusive() as db:
            found = {
                seq
                for (seq,) in db.execute(f"SELECT seq FROM entries WHERE seq IN ({marks}) AND kind != 4", tuple(seqs))
            }
            for model in _models(db):
                rows = db.execute(f"SELECT seq FROM vectors WHERE model = ? AND seq IN ({marks})", (model, *seqs))
                found.update(seq for (seq,) in rows)
        return sorted(found)

    def replace(self, seqs: Sequence[int], change: Callable[[Row], Row]) -> list[tuple[Row, Row]]:
        """Rewrite some hundred entries in one transaction; the rows before and after. A tombstone loses its vectors."""
        changed = []
        with self._log.exclusive() as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            for seq in seqs:
                for row in (row for row in self._log.rows(seq, 1) if row.seq == seq):
                    new = change(row)
                    changed.append((row, new))
                    sets = ", ".join(f"{name} = ?" for name in _COLUMNS)
                    values = (*(getattr(new, name) for name in _COLUMNS), new.crc(), seq)
                    db.execute(f"UPDATE entries SET {sets}, crc = ? WHERE seq = ?", values)
            erased = [(new.seq,) for _, new in changed if new.kind == Kind.TOMBSTONE]
            for model in _models(db) if erased else ():
                db.executemany("DELETE FROM vectors WHERE seq = ? AND model = ?", [(seq, model) for (seq,) in erased])
            db.execute("COMMIT")
        return changed

    def sweep(self) -> Iterator[tuple[int, int]]:
        """Remove every blob that no entry names; yields (rows looked at, blobs removed) as it goes on.

        What a commit is about to name is safe: it puts its blobs and its rows while nothing here is removed.
        """
        named: set[str] = set()
        upto = removed = 0
        while rows := self._log.rows(upto + 1, _MARK_BATCH):
            named.update(name for row in rows for name in blob_names(row))
            upto = rows[-1].seq
            yield upto, 0
        unnamed = [name for name in self._log.blobs.names() if name not in named]
        with self._log.exclusive():
            self._log.blobs.remove_leftovers()
        for start in range(0, len(unnamed), _SWEEP_BATCH):
            with self._log.exclusive():
                while rows := self._log.rows(upto + 1, _MARK_BATCH):
                    named.update(name for row in rows for name in blob_names(row))
                    upto = rows[-1].seq
                gone = [name for name in unnamed[start : start + _SWEEP_BATCH] if name not in named]
                self._log.blobs.remove(gone)
            removed += len(gone)
            yield upto, removed

    def shrink(self) -> None:
        """Write the database anew: what SQLite left behind in pages that it had split or freed is gone then.

        Commits wait meanwhile, reading goes on. (secure_delete alone left 1 of 300 erased entries in such gaps.)
        """
        with self._log.exclusive() as db:
            db.execute("VACUUM")

    def finish(self) -> None:
        """Remove the old content from the write-ahead log and the caches; then rewriting is finished.

        Raises StorageError when a reader looks at the old state for so long that the write-ahead log cannot be cut.
        """
        self._log.flush()
        self._cut_log()
        folder = self._log.folder / "cache"
        if folder.is_dir():
            with self._log.exclusive():
                for path in folder.iterdir():
                    path.unlink(missing_ok=True)
                sync_folder(folder)
        self._log.set_setting(_UNFINISHED, "")

    def _cut_log(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with self._log.exclusive() as db:
                db.execute("PRAGMA busy_timeout = 200")  # short, so that commits come in between
                try:
                    busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error):
                        raise
                    busy = 1
                finally:
                    with suppress(sqlite3.Error):
                        db.execute("PRAGMA busy_timeout = 10000")
            if not busy:
                return
            if time.monotonic() > deadline:
                raise StorageError(
                    "Another program has been reading an old state of this memory for too long, so the erased content "
                    "is still in log.db-wal: end it and run `embodied-mem compact` again."
                )


def _models(db: sqlite3.Connection) -> list[str]:
    """The models that vectors were made by, without reading them all."""
    found: list[str] = []
    while row := db.execute(
        "SELECT model FROM vectors WHERE model > ? ORDER BY model LIMIT 1", (found[-1] if found else "",)
    ).fetchone():
        found.append(row[0])
    return found
