"""The table of vectors: its rows as they are written, and how they are read with the doubt that a disk deserves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import StorageError
from embodied_mem.records.entry import Entry
from embodied_mem.records.schema import vector_crc

Select = Callable[[str, tuple[int | str, ...]], list[tuple[Any, ...]]]
_END = 2**62  # beyond every number


@dataclass(frozen=True, slots=True)
class VectorRow:
    """A vector to be stored: made by `model` for the text that entry `seq` brought."""

    seq: int
    model: str
    vector: NDArray[np.float32]

    def stored(self) -> tuple[str, int, bytes, int]:
        """The row of the table."""
        data = np.asarray(self.vector, dtype="<f4").tobytes()
        return self.model, self.seq, data, vector_crc(self.model, self.seq, data)


def given_vectors(drafts: Sequence[Entry], first: int) -> list[VectorRow]:
    """The vectors that came with observations, of unit length; the drafts become the entries from number `first` on."""
    given = [
        (seq, draft.observation)
        for seq, draft in enumerate(drafts, first)
        if draft.observation is not None and draft.observation.vector is not None
    ]
    if not given:
        return []
    rows = np.array([obs.vector for _, obs in given], dtype=np.float32)
    rows /= np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))[:, None].astype(np.float32)
    return [VectorRow(seq, obs.vector_model, row) for (seq, obs), row in zip(given, rows, strict=True)]


class VectorTable:
    """Reads the table through `select`, which runs a statement. Every method raises StorageError for damage."""

    def __init__(self, select: Select) -> None:
        self._select = select

    def models(self) -> list[str]:
        """The models that stored vectors were made by."""
        found: list[str] = []
        while rows := self._select(
            "SELECT model FROM vectors WHERE model > ? ORDER BY model LIMIT 1", (found[-1] if found else "",)
        ):
            if not isinstance(rows[0][0], str) or rows[0][0] <= (found[-1] if found else ""):
                raise StorageError("The models of the vectors are damaged: run `embodied-mem check`.")
            found.append(rows[0][0])
        return found

    def batches(self, model: str, first: int, last: Callable[[], int], batch: int) -> Iterator[list[tuple[int, bytes]]]:
        """Numbers and data of a model's vectors in [first, last()], in order.

        Read from the beginning to the end, they are counted too: a vector whose key is damaged would only be missing.
        """
        whole = self._count() if first <= 1 else None
        seen = 0
        while rows := self.between(model, first, last(), batch):
            yield rows
            first, seen = rows[-1][0] + 1, seen + len(rows)
        if whole is None:
            return
        for other in self.models():
            start = first if other == model else 0
            while rows := self.between(other, start, _END, batch):
                start, seen = rows[-1][0] + 1, seen + len(rows)
        if seen != whole[0] and self._count() == whole:
            raise StorageError(f"Of {whole[0]} vectors only {seen} can be found: run `embodied-mem check`.")

    def between(self, model: str, first: int, last: int, limit: int) -> list[tuple[int, bytes]]:
        """Numbers and data of up to `limit` of a model's vectors in [first, last], in order."""
        rows = self._select(
            "SELECT model, seq, data, crc FROM vectors WHERE model = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (model, first, last, limit),
        )
        for name, seq, data, crc in rows:  # the name as it is there, since SQLite may step over a wrong one
            if not isinstance(data, bytes) or vector_crc(name, seq, data) != crc:
                raise StorageError(f"The vector of entry {seq} is damaged: run `embodied-mem check`.")
            if seq < first:
                raise StorageError("The vectors are out of order, as of damage: run `embodied-mem check`.")
            first = seq + 1
        return [(int(seq), data) for _, seq, data, _ in rows]

    def _count(self) -> tuple[int, int]:
        """How many vectors there are of all models, and a number that changes with every commit."""
        count = int(self._select("SELECT count(*) FROM vectors", ())[0][0])
        return count, int(self._select("PRAGMA data_version", ())[0][0])


def stacked(rows: Sequence[tuple[int, bytes]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Numbers (n,) and vectors (n, d) of rows."""
    seqs = np.array([seq for seq, _ in rows], dtype=np.int64)
    width = len(rows[0][1]) // 4 if rows else 0
    return seqs, np.frombuffer(b"".join(data for _, data in rows), "<f4").reshape(len(rows), width)
