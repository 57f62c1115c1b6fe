"""The tables of the log, their version, and the steps from each version to the next."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable
from urllib.parse import quote

from embodied_mem.errors import StorageError

VERSION = 2
# What sqlite3 raises for damage: its messages may quote damaged text, which is not always UTF-8.
ERRORS = (sqlite3.Error, UnicodeDecodeError)
APPLICATION_ID = 0x454D454D  # "EMEM": tells our files from other SQLite databases

_TABLES = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    logged_ns INTEGER NOT NULL,
    robot TEXT NOT NULL, session TEXT NOT NULL, sensor TEXT NOT NULL, map TEXT NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, z REAL NOT NULL,
    caption TEXT NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE vectors (
    model TEXT NOT NULL,
    seq INTEGER NOT NULL,
    data BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (model, seq)
) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
"""


def vector_crc(model: str, seq: int, data: bytes) -> int:
    """CRC-32 of a vector's row, its key included: a vector under another number is as wrong as another vector."""
    return zlib.crc32(data, zlib.crc32(f"{model}\0{seq}".encode()))


def setting_crc(name: str, value: str) -> int:
    """CRC-32 of a setting's row."""
    return zlib.crc32(f"{name}\0{value}".encode())


def _checksums_of_keys(connection: sqlite3.Connection) -> None:
    """1 to 2: the checksum of a vector is over its key too, and settings have one. What was damaged stays so."""
    for model, seq in connection.execute("SELECT model, seq FROM vectors").fetchall():
        ((data, crc),) = connection.execute("SELECT data, crc FROM vectors WHERE model = ? AND seq = ?", (model, seq))
        if zlib.crc32(data) == crc:
            connection.execute(
                "UPDATE vectors SET crc = ? WHERE model = ? AND seq = ?", (vector_crc(model, seq, data), model, seq)
            )
    settings = connection.execute("SELECT name, value FROM settings").fetchall()
    connection.execute("DROP TABLE settings")
    connection.execute(
        "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID"
    )
    connection.executemany(
        "INSERT INTO settings VALUES (?, ?, ?)", [(name, value, setting_crc(name, value)) for name, value in settings]
    )


# MIGRATIONS[n] takes a database from version n to n + 1.
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _checksums_of_keys}


def uri(path: str, read_only: bool) -> str:
    """The database's name for SQLite.

    Where nothing can be written and nothing stands in a write-ahead log beside it, it is opened as a file that nobody
    changes: otherwise SQLite wants to write even for reading.
    """
    mode = "ro" if read_only else "rwc"
    still = read_only and not _writable(path) and not os.path.exists(f"{path}-shm") and not _unsettled(path)
    return f"file:{quote(path)}?mode={mode}{'&immutable=1' if still else ''}"


def connect(path: str, read_only: bool) -> sqlite3.Connection:
    """A connection with the log's settings. Raises sqlite3.Error, and StorageError where reading would need writing."""
    connection = sqlite3.connect(
        uri(path, read_only), uri=True, check_same_thread=False, isolation_level=None, timeout=10
    )
    connection.execute("PRAGMA busy_timeout = 10000")
    if not read_only:
        connection.execute("PRAGMA page_size = 16384")
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL loses acknowledged rows when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        return connection
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if _writable(path) or not _unsettled(path):
            raise
        raise StorageError(
            f"{path} was not closed, and its folder cannot be written, so it cannot be brought up to date: "
            "copy the folder to where you may write, and open the copy."
        ) from error
    return connection


def _writable(path: str) -> bool:
    return os.access(os.path.dirname(path) or ".", os.W_OK)


def _unsettled(path: str) -> bool:
    """Whether there is a write-ahead log that holds something."""
    try:
        return os.path.getsize(f"{path}-wal") > 0
    except OSError:
        return False


def prepare(connection: sqlite3.Connection, read_only: bool) -> None:
    """Create the tables in a new file, or migrate an old one. Raises StorageError for a newer or foreign one."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if tables and application != APPLICATION_ID:
        raise StorageError("This SQLite database is not a memory of embodied_mem.")
    if version > VERSION:
        raise StorageError(
            f"This memory has version {version}, this program reads up to {VERSION}: update embodied_mem."
        )
    if read_only:
        if version != VERSION:
            raise StorageError(
                "This memory is empty or of an older version: open it for writing once, as `embodied-mem compact` does."
            )
        return
    if not tables:
        connection.executescript(
            f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
        )
        return
    for step in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        MIGRATIONS[step](connection)
        connection.execute(f"PRAGMA user_version = {step + 1}")
        connection.execute("COMMIT")
