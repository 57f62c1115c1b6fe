"""A log that lives in memory: for tests, benchmarks, and views that follow somebody else's log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import msgpack
import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError
from embodied_mem.records.commands import Correct, erased_by
from embodied_mem.records.entry import Entry, Kind, Row, pack, tombstone, unpack
from embodied_mem.records.growable import Growable
from embodied_mem.records.packed_rows import PackedRows
from embodied_mem.records.vector_rows import VectorRow


class Log(Protocol):
    """What `RecordMemory` needs of a log; see `RecordLog` for the meaning."""

    read_only: bool

    @property
    def watermark(self) -> int: ...
    def append(
        self,
        drafts: Sequence[Entry],
        *,
        durable: bool = False,
        vectors: Sequence[VectorRow] = (),
        settings: Mapping[str, str] | None = None,
    ) -> list[Entry]: ...
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
    """Entries (packed as in a file, in a tenth of the room), vectors and settings; nothing outlives the process.

    keep_blobs   whether clouds and thumbnails are kept; False for a view, which has no use for them
    """

    read_only = False

    def __init__(self, *, keep_blobs: bool = True) -> None:
        self._keep_blobs = keep_blobs
        self._rows = PackedRows()
        self._owners = Growable(np.int64)  # by row: the record that an entry tells something about, 0 for none
        self._blobs: dict[int, dict[str, bytes]] = {}  # by the number of their entry
        self._vectors: dict[str, dict[int, NDArray[np.float32]]] = {}
        self._settings: dict[str, str] = {}

    @property
    def watermark(self) -> int:
        return len(self._rows)

    def append(
        self,
        drafts: Sequence[Entry],
        *,
        durable: bool = False,
        vectors: Sequence[VectorRow] = (),
        settings: Mapping[str, str] | None = None,
    ) -> list[Entry]:
        first = len(self._rows) + 1
        entries = [replace(draft, seq=first + i) for i, draft in enumerate(drafts)]
        self._take(entries)
        self.attach_vectors(vectors)
        self._settings.update(settings or {})
        return entries

    def extend(self, entries: Sequence[Entry]) -> None:
        """Take over numbered entries of another log, the next ones after the newest here."""
        self._take([entry for entry in entries if entry.seq > len(self._rows)])

    def _take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            row, blobs = pack(entry)
            if blobs and self._keep_blobs:
                self._blobs[entry.seq] = blobs
            self._rows.append(msgpack.packb(row))
        self._owners.extend([_owner(entry) for entry in entries])
        gone = [seq for entry in entries for seq in erased_by(entry.command)]
        if gone:
            self._erase(np.array(gone, dtype=np.int64))

    def _erase(self, records: NDArray[np.int64]) -> None:
        places = np.flatnonzero(np.isin(self._owners.data, records))
        for i in places.tolist():
            row = self._row(i + 1)
            self._blobs.pop(row.seq, None)
            self._rows.replace(i, msgpack.packb(tombstone(row.seq, row.logged_ns)))
            for vectors in self._vectors.values():
                vectors.pop(row.seq, None)
        self._owners.data[places] = 0

    def attach_vectors(self, rows: Iterable[VectorRow]) -> None:
        for row in rows:
            self._vectors.setdefault(row.model, {})[row.seq] = row.vector

    def read(self, first: int, limit: int, *, blobs: bool = False) -> list[Entry]:
        start = max(first, 1)
        return [self._entry(seq, blobs) for seq in range(start, min(start + limit, len(self._rows) + 1))]

    def get(self, seqs: Iterable[int], *, blobs: bool = False) -> dict[int, Entry]:
        found = {}
        for seq in seqs:
            if not 1 <= seq <= len(self._rows):
                raise NotFoundError(f"The log has no entry {seq}: its numbers go from 1 to {len(self._rows)}.")
            found[int(seq)] = self._entry(int(seq), blobs)
        return found

    def _row(self, seq: int) -> Row:
        return Row(*msgpack.unpackb(self._rows[seq - 1]))

    def _entry(self, seq: int, blobs: bool) -> Entry:
        return unpack(self._row(seq), self._blobs.get(seq) if blobs else None)

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


def _owner(entry: Entry) -> int:
    """The record that is gone from memory only when this entry is."""
    if entry.kind is Kind.OBSERVATION:
        return entry.seq
    return entry.command.seq if isinstance(entry.command, Correct) else entry.about
