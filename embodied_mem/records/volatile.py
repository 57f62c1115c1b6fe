"""A log that lives in memory: for tests, benchmarks, and views that follow somebody else's log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError
from embodied_mem.records.commands import Correct, erased_by
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.vector_rows import VectorRow


class Log(Protocol):
    """What `RecordMemory` needs of a log; see `RecordLog` for the meaning."""

    read_only: bool

    @property
    def watermark(self) -> int: ...
    def append(self, drafts: Sequence[Entry], *, durable: bool = False) -> list[Entry]: ...
    def attach_vectors(self, rows: Iterable[VectorRow]) -> None: ...
    def read(self, first: int, limit: int, *, blobs: bool = False) -> list[Entry]: ...
    def get(self, seqs: Iterable[int], *, blobs: bool = False) -> dict[int, Entry]: ...
    def vectors(
        self, model: str, first: int = 0, batch: int = 4096
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]: ...
    def vectors_of(self, model: str, seqs: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
    def setting(self, name: str, default: str = "") -> str: ...
    def set_setting(self, name: str, value: str, *, durable: bool = True) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class VolatileLog:
    """Entries, vectors and settings in plain containers; nothing survives the process."""

    read_only = False

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._vectors: dict[str, dict[int, NDArray[np.float32]]] = {}
        self._settings: dict[str, str] = {}

    @property
    def watermark(self) -> int:
        return len(self._entries)

    def append(self, drafts: Sequence[Entry], *, durable: bool = False) -> list[Entry]:
        first = len(self._entries) + 1
        entries = [replace(draft, seq=first + i) for i, draft in enumerate(drafts)]
        self._take(entries)
        return entries

    def extend(self, entries: Sequence[Entry]) -> None:
        """Take over numbered entries of another log, the next ones after the newest here."""
        self._take([entry for entry in entries if entry.seq > len(self._entries)])

    def _take(self, entries: Sequence[Entry]) -> None:
        self._entries.extend(entries)
        gone = {seq for entry in entries for seq in erased_by(entry.command)}
        if gone:
            self._entries[:] = [_without(entry, gone) for entry in self._entries]
            for rows in self._vectors.values():
                for seq in [seq for seq in rows if self._entries[seq - 1].kind is Kind.TOMBSTONE]:
                    del rows[seq]

    def attach_vectors(self, rows: Iterable[VectorRow]) -> None:
        for row in rows:
            self._vectors.setdefault(row.model, {})[row.seq] = row.vector

    def read(self, first: int, limit: int, *, blobs: bool = False) -> list[Entry]:
        start = max(first, 1) - 1
        return self._entries[start : start + limit]

    def get(self, seqs: Iterable[int], *, blobs: bool = False) -> dict[int, Entry]:
        found = {}
        for seq in seqs:
            if not 1 <= seq <= len(self._entries):
                raise NotFoundError(f"The log has no entry {seq}: its numbers go from 1 to {len(self._entries)}.")
            found[int(seq)] = self._entries[int(seq) - 1]
        return found

    def vectors(
        self, model: str, first: int = 0, batch: int = 4096
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        rows = {seq: vector for seq, vector in sorted(self._vectors.get(model, {}).items()) if seq >= first}
        if rows:
            yield np.array(list(rows)), np.array(list(rows.values()), dtype=np.float32)

    def vectors_of(self, model: str, seqs: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = self._vectors.get(model, {})
        found = [seq for seq in seqs if seq in rows]
        return np.array(found, dtype=np.int64), np.array([rows[seq] for seq in found], dtype=np.float32)

    def setting(self, name: str, default: str = "") -> str:
        return self._settings.get(name, default)

    def set_setting(self, name: str, value: str, *, durable: bool = True) -> None:
        self._settings[name] = value

    def flush(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to release."""


def _without(entry: Entry, gone: set[int]) -> Entry:
    """The entry, or a tombstone when it holds something about records that are gone."""
    about = entry.command.seq if isinstance(entry.command, Correct) else entry.about
    own = entry.seq if entry.kind is Kind.OBSERVATION else about
    return Entry(entry.seq, Kind.TOMBSTONE, entry.logged_ns) if own in gone else entry
