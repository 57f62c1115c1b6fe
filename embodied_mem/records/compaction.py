"""Compaction: what was forgotten is erased from every file, for good.

1. The command Compact makes the forgetting final: from here on it cannot be undone, in any view.
2. The rows of the forgotten records, of their repetitions and of their corrections become empty tombstones, which keep
   their numbers, and their vectors of every model are deleted; in short transactions.
3. Clouds and thumbnails that no entry names any more are removed.
4. The database is written anew, the write-ahead log cut to nothing, and the caches are removed, with what views keep in
   the folder `views` (checkpoints of maps, in which forgotten clouds may lie): they make it again from the log.

A process that is killed in the middle leaves a whole memory, whose answers are those from before; the next compaction
goes on where it stopped. Readers read and the writer writes meanwhile; commits wait while the database is written anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embodied_mem.errors import StorageError
from embodied_mem.records.entry import tombstone
from embodied_mem.records.files import sync_folder
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.rewriting import Rewriter

VIEWS = "views"  # folder in a memory's folder: what views keep there
_BATCH = 256  # entries a transaction


@dataclass(frozen=True, slots=True)
class Step:
    """How far compaction is: `done` of `total` (0 when nobody knows) of what `doing` says."""

    doing: str
    done: int = 0
    total: int = 0


@dataclass
class CompactionReport:
    """What was erased: entries that became tombstones, blobs removed, bytes of log.db before and after."""

    entries: int = 0
    blobs: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def sentence(self) -> str:
        """The report in words."""
        if not self.entries and not self.blobs:
            return "There was nothing to erase."
        return (
            f"{self.entries:,} entries of the log and {self.blobs:,} clouds and pictures were erased from every file; "
            f"log.db has {self.bytes_after / 1e6:.1f} MB, before {self.bytes_before / 1e6:.1f} MB."
        )


class Compaction:
    """One compaction of a memory that is open for writing; run its `steps` to the end."""

    def __init__(self, memory: RecordMemory) -> None:
        self._memory = memory
        self.report = CompactionReport()

    def steps(self) -> Iterator[Step]:
        """The work, step by step. Raises StorageError; then the next compaction goes on."""
        memory, log = self._memory, self._memory.log
        if log.read_only:
            raise StorageError("This memory was opened read-only: it cannot be compacted.")
        erased = memory.seal()
        if not isinstance(log, RecordLog):
            return  # it has erased by itself what the command names
        rewriter = Rewriter(log)
        database = log.folder / "log.db"
        self.report.bytes_before = self.report.bytes_after = database.stat().st_size
        waiting = self._with_content(rewriter, self._entries_about(erased))
        rewriting = bool(waiting) or rewriter.unfinished
        if rewriting:
            rewriter.begin()
        for start in range(0, len(waiting), _BATCH):
            yield Step("erasing", start, len(waiting))
            rewriter.replace(waiting[start : start + _BATCH], lambda row: tombstone(row.seq, row.logged_ns))
            self.report.entries = min(start + _BATCH, len(waiting))
        for looked_at, removed in rewriter.sweep():
            self.report.blobs = removed
            yield Step("looking for clouds and pictures without a record", looked_at, log.watermark)
        if rewriting:
            yield Step("writing the database anew")
            rewriter.shrink()
            rewriter.finish()
            _remove_views(log.folder / VIEWS)
            self._clear_embedder()
        self.report.bytes_after = database.stat().st_size

    def run(self) -> CompactionReport:
        """All steps at once. Raises StorageError."""
        for _ in self.steps():
            pass
        return self.report

    def _entries_about(self, records: list[int]) -> list[int]:
        """The records, their repetitions and their corrections, ascending."""
        index = self._memory.index
        with index.lock:
            repeated = index.repetitions.entries_about(np.array(records, dtype=np.int64)).tolist()
            return sorted({*records, *repeated, *index.history.corrections_of(records)})

    def _with_content(self, rewriter: Rewriter, seqs: list[int]) -> list[int]:
        return [
            seq for start in range(0, len(seqs), _BATCH) for seq in rewriter.with_content(seqs[start : start + _BATCH])
        ]

    def _clear_embedder(self) -> None:
        """An embedder may keep texts in memory that it was asked for."""
        clear = getattr(self._memory.embedder, "clear", None)
        if clear is not None:
            clear()


def _remove_views(folder: Path) -> None:
    """Raises StorageError when the disk refuses."""
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                path.unlink(missing_ok=True)
        for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            if place.is_dir():
                sync_folder(place)
    except OSError as error:
        raise StorageError(f"What views keep in {folder} could not be removed ({error.strerror}).") from error
