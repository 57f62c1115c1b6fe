"""The log: the one truth, an append-only sequence of entries in SQLite with blobs beside it.

Appending returns at once; a committer thread makes entries durable in groups, every 100 ms or as soon as somebody
waits for it (`durable=True`, `flush`). Numbers start at 1 and have no gaps.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.records import schema
from embodied_mem.records.blobs import BlobStore
from embodied_mem.records.entry import Entry, Row, blob_names, pack, unpack
from embodied_mem.records.files import FolderLock, file_identity, make_folder, sync_folder
from embodied_mem.records.vector_rows import VectorRow, VectorTable, stacked

COMMIT_INTERVAL = 0.1  # seconds
_ROW = "seq, kind, stamp_ns, logged_ns, robot, session, sensor, map, x, y, z, caption, body, crc"


class RecordLog:
    """Entries of one memory folder (`log.db`, `blobs/`). One writer at a time; any number of readers.

    Raises StorageError when the folder cannot be opened, is another program's, or is being written by another process.
    """

    def __init__(self, folder: str | Path, *, read_only: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        self.read_only = read_only
        self._lock = self._open_folder()
        self._read_lock = threading.Lock()
        self._vectors = VectorTable(self._select)
        self.written = 0  # bytes that this process has put into rows, vectors and blobs
        self._commit_lock = threading.Lock()  # from putting blobs to naming them in a row; rewriting waits for it
        try:
            self._reader, self._writer = self._open_database()
            self._watermark = self._stored_watermark()
            self._identity = file_identity(self.folder / "log.db")  # SQLite would write on in a file that is gone
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        self.blobs = BlobStore(self.folder / "blobs")
        self._state = threading.Condition()
        self._pending: dict[int, Entry] = {}
        self._pending_vectors: list[VectorRow] = []
        self._pending_settings: dict[str, str] = {}
        self._asked = self._stored = 0  # calls that left something to be stored, and how many of them are on disk
        self._durable = self._watermark
        self._failure: Exception | None = None
        self._rush = self._closing = False
        self._committer: threading.Thread | None = None
        if not read_only:
            self._committer = threading.Thread(target=self._commit_forever, name="log-committer", daemon=True)
            self._committer.start()

    # --- writing -----------------------------------------------------------------------------------------------

    def append(
        self,
        drafts: Sequence[Entry],
        *,
        durable: bool = False,
        vectors: Sequence[VectorRow] = (),
        settings: Mapping[str, str] | None = None,
    ) -> list[Entry]:
        """Number and append entries (their own `seq` is ignored); `durable` waits until they would survive a power cut.

        vectors, settings  reach the disk in the same commit: vectors that came with the entries can't be made again

        Raises StorageError when the log is read-only or closed, or when `durable` and the disk refuses; the entries
        then stay in memory and are tried again with the next commit.
        """
        self._require_writer()
        with self._state:
            numbered = enumerate(drafts, self._watermark + 1)
            entries = [draft if draft.seq == seq else replace(draft, seq=seq) for seq, draft in numbered]
            self._pending.update((entry.seq, entry) for entry in entries)
            self._pending_vectors.extend(vectors)
            self._pending_settings.update(settings or {})
            self._watermark += len(entries)
            self._asked += 1
            self._state.notify_all()
        if durable:
            self.flush()
        return entries

    def attach_vectors(self, rows: Iterable[VectorRow]) -> None:
        """Store vectors made of texts with the next commit. They are derived data: a lost one is made again."""
        self._require_writer()
        with self._state:
            self._pending_vectors.extend(rows)
            self._asked += 1
            self._state.notify_all()

    def flush(self) -> None:
        """Wait until everything appended so far is on disk. Raises StorageError with the reason when it cannot be."""
        with self._state:
            target = self._asked
            self._rush, self._failure = True, None
            self._state.notify_all()
            while self._stored < target and self._failure is None and not self._closing:
                self._state.wait()
            if self._failure is not None:
                raise StorageError(
                    f"The log could not be written ({self._failure}): nothing is lost while the program runs; "
                    "make room and try again."
                ) from self._failure

    def set_setting(self, name: str, value: str, *, durable: bool = True) -> None:
        """Store a setting with the next commit; `durable` waits for it, and raises StorageError like `append`."""
        self._require_writer()
        with self._state:
            self._pending_settings[name] = value
            self._asked += 1
            self._state.notify_all()
        if durable:
            self.flush()

    def close(self) -> None:
        """Commit what is pending and release the folder. Closing twice is harmless. Raises StorageError."""
        with self._state:
            if self._closing:
                return
        try:
            if self._committer is not None:
                self.flush()
        finally:
            with self._state:
                self._closing = True
                self._state.notify_all()
            if self._committer is not None:
                self._committer.join()
            with self._read_lock:
                self._reader.close()
                if self._writer is not self._reader:
                    self._writer.close()
            if self._lock is not None:
                self._lock.release()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection, while nothing is committed: for what rewrites entries (rewriting.py).

        Raises StorageError; a transaction that was begun is then taken back.
        """
        self._require_writer()
        with self._commit_lock:
            try:
                yield self._writer
            except (sqlite3.Error, OSError) as error:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                if isinstance(error, StorageError):
                    raise
                raise StorageError(f"The log in {self.folder} could not be rewritten ({error}): try again.") from error

    # --- reading -----------------------------------------------------------------------------------------------

    @property
    def watermark(self) -> int:
        """The newest number (of this process's own entries, or for a reader of what is on disk)."""
        return self._stored_watermark() if self.read_only else self._watermark

    @property
    def durable_watermark(self) -> int:
        """Entries up to this number would survive a power cut."""
        return self._stored_watermark() if self.read_only else self._durable

    def read(self, first: int, limit: int, *, blobs: bool = False) -> list[Entry]:
        """Up to `limit` entries from number `first` on, in order. Raises StorageError for a damaged row."""
        with self._state:  # first, since a commit moves entries from here to where is looked next
            waiting = [self._pending[seq] for seq in sorted(self._pending) if seq >= first]
        rows = self._rows(f"SELECT {_ROW} FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?", (first, limit))
        self._require_run(rows, first)
        entries = [self._entry(row, blobs) for row in rows]
        newest = entries[-1].seq if entries else first - 1
        return entries + [entry for entry in waiting if entry.seq > newest][: limit - len(entries)]

    def get(self, seqs: Iterable[int], *, blobs: bool = False) -> dict[int, Entry]:
        """Entries by number. Raises NotFoundError for a number that the log does not have."""
        wanted = [int(seq) for seq in seqs]
        with self._state:
            found = {seq: self._pending[seq] for seq in wanted if seq in self._pending}
        missing = [seq for seq in wanted if seq not in found]
        for start in range(0, len(missing), 500):
            part = missing[start : start + 500]
            marks = ",".join("?" * len(part))
            for row in self._rows(f"SELECT {_ROW} FROM entries WHERE seq IN ({marks})", tuple(part)):
                found[row.seq] = self._entry(row, blobs)
        absent = [seq for seq in wanted if seq not in found]
        if absent:
            raise NotFoundError(f"The log has no entry {absent[0]}: its numbers go from 1 to {self.watermark}.")
        return found

    def vectors(
        self, model: str, first: int = 0, batch: int = 4096
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Stored vectors of a model as (n,) numbers and (n, d) rows, in order of their entries, in batches."""
        for rows in self._vectors.batches(model, first, lambda: self.watermark, batch):
            yield stacked(rows)

    def vectors_of(self, model: str, seqs: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of a model's vectors that some entries have, as `vectors` gives them. Raises StorageError."""
        return stacked([part for seq in seqs for part in self._vectors.between(model, seq, seq, 1)])

    def rows(self, first: int, limit: int) -> list[Row]:
        """Entries on disk from number `first` on, as they are stored. Raises StorageError for a damaged one."""
        return self._rows(f"SELECT {_ROW} FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?", (first, limit))

    def models(self) -> list[str]:
        """The models that stored vectors were made by."""
        return self._vectors.models()

    def used_bytes(self) -> int:
        """Bytes of the database's pages that hold something, in log.db or still in its write-ahead log."""
        pages, free, size = (
            int(self._select(f"PRAGMA {name}", ())[0][0]) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def numbers(self) -> list[int]:
        """The number of every entry that is on disk, in the order in which they are found there."""
        return [int(row[0]) for row in self._select("SELECT seq FROM entries ORDER BY seq", ())]

    def checksum(self, seq: int) -> int | None:
        """The stored CRC-32 of an entry; None when the log does not have it."""
        rows = self._select("SELECT crc FROM entries WHERE seq = ?", (seq,))
        return int(rows[0][0]) if rows else None

    def setting(self, name: str, default: str = "") -> str:
        """A setting, stored or about to be."""
        with self._state:
            if name in self._pending_settings:
                return self._pending_settings[name]
        for found, value, crc in self._select("SELECT name, value, crc FROM settings", ()):
            if not isinstance(value, str) or schema.setting_crc(found, value) != crc:
                raise StorageError(f"The setting {found!r} is damaged: run `embodied-mem check`.")
            default = value if found == name else default
        return default

    # --- inside ------------------------------------------------------------------------------------------------

    def _open_folder(self) -> FolderLock | None:
        try:
            other = self.folder.exists() and not self.folder.is_dir()
            there = not other and (self.folder / "log.db").exists()
        except OSError as error:
            raise StorageError(f"The memory folder {self.folder} cannot be read ({error.strerror}).") from error
        if other:
            raise StorageError(f"{self.folder} is a file; a memory is a folder that holds log.db.")
        if self.read_only:
            if not there:
                raise StorageError(f"There is no memory in {self.folder}: it holds no log.db.")
            return None
        try:
            make_folder(self.folder)
            return FolderLock(self.folder)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"The memory folder {self.folder} cannot be written ({error.strerror}).") from error

    def _open_database(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        path = str(self.folder / "log.db")
        try:
            writer = schema.connect(path, self.read_only)
            try:
                schema.prepare(writer, self.read_only)
                if not self.read_only:
                    # The name of the new write-ahead log. SQLite does it too, and takes no notice when it fails.
                    sync_folder(self.folder)
                return (writer if self.read_only else schema.connect(path, True)), writer
            except BaseException:
                writer.close()  # and with it what a migration had begun
                raise
        except schema.ERRORS as error:
            raise StorageError(f"{path} is not a readable memory ({error}).") from error
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"The memory folder {self.folder} cannot be synced ({error.strerror}).") from error

    def _require_writer(self) -> None:
        if self.read_only:
            raise StorageError("This memory was opened read-only: nothing can be changed.")
        if self._closing:
            raise StorageError("This memory is closed.")

    def _stored_watermark(self) -> int:
        return int(self._select("SELECT coalesce(max(seq), 0) FROM entries", ())[0][0])

    def _select(self, sql: str, values: tuple[int | str, ...]) -> list[tuple[Any, ...]]:
        try:
            with self._read_lock:
                return self._reader.execute(sql, values).fetchall()
        except schema.ERRORS as error:
            raise StorageError(
                f"The log in {self.folder} could not be read ({error}): run `embodied-mem check`."
            ) from error

    def _rows(self, sql: str, values: tuple[int, ...]) -> list[Row]:
        rows = []
        for *columns, crc in self._select(sql, values):
            row = Row(*columns)
            if row.crc() != crc:
                raise StorageError(f"Entry {row.seq} of the log is damaged (wrong checksum): run `embodied-mem check`.")
            rows.append(row)
        return rows

    def _require_run(self, rows: Sequence[Row], first: int) -> None:
        """StorageError unless the numbers go on from `first` without a gap: a damaged index page hides or repeats."""
        for expected, row in enumerate(rows, max(first, 1)):
            if row.seq != expected:
                raise StorageError(f"The log has no entry {expected}, as of damage: run `embodied-mem check`.")

    def _entry(self, row: Row, blobs: bool) -> Entry:
        try:
            return unpack(row, {name: self.blobs.get(name) for name in blob_names(row)} if blobs else None)
        except StorageError:
            now = self.rows(row.seq, 1)
            if not now or now[0] == row:
                raise
            return self._entry(now[0], blobs)  # erased or dropped since it was read

    def _commit_forever(self) -> None:
        while True:
            with self._state:
                while self._stored == self._asked and not (self._closing or self._rush):
                    self._state.wait()
                if not self._rush and not self._closing:
                    self._state.wait_for(lambda: self._rush or self._closing, COMMIT_INTERVAL)
                entries, vectors = list(self._pending.values()), list(self._pending_vectors)
                settings, asked = dict(self._pending_settings), self._asked
                self._rush = False
            failure = self._try_commit(entries, vectors, settings)
            with self._state:
                if failure is None:
                    for entry in entries:
                        del self._pending[entry.seq]
                    del self._pending_vectors[: len(vectors)]
                    for item in settings.items() & self._pending_settings.items():
                        del self._pending_settings[item[0]]
                    self._durable = entries[-1].seq if entries else self._durable
                    self._stored = asked
                self._failure = failure
                self._state.notify_all()
                if self._closing:
                    return

    def _try_commit(self, entries: list[Entry], vectors: list[VectorRow], settings: dict[str, str]) -> Exception | None:
        with self._commit_lock:
            try:
                self._commit(entries, vectors, settings)
            except Exception as error:  # whatever it is, waiting callers are told, and this thread lives on
                with contextlib.suppress(sqlite3.Error):  # an I/O error may have rolled back already
                    self._writer.execute("ROLLBACK")
                return error
        return None

    def _commit(self, entries: list[Entry], vectors: list[VectorRow], settings: dict[str, str]) -> None:
        if file_identity(self.folder / "log.db") != self._identity:
            raise StorageError(f"the memory in {self.folder} was moved or removed: put it back")
        packed = [pack(entry) for entry in entries]
        for _, blobs in packed:
            self.blobs.put(blobs)  # before the row that names them
        self._writer.execute("BEGIN IMMEDIATE")
        self._writer.executemany(
            f"INSERT INTO entries ({_ROW}) VALUES ({','.join('?' * 14)})",
            ((*row, row.crc()) for row, _ in packed),
        )
        self._writer.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", (row.stored() for row in vectors)
        )
        self._writer.executemany(
            "INSERT OR REPLACE INTO settings VALUES (?, ?, ?)",
            [(name, value, schema.setting_crc(name, value)) for name, value in settings.items()],
        )
        self._writer.execute("COMMIT")
        self.written += sum(len(row.body) + sum(map(len, blobs.values())) + 100 for row, blobs in packed)
        self.written += sum(row.vector.nbytes for row in vectors)
