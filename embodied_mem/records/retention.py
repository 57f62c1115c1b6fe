"""Retention: a memory that has a disk budget gives up what it can best do without, oldest first, and says so.

1. Clouds and thumbnails, oldest first; their records stay, with everything that answers rest on. Before any is dropped,
   `before_dropping` must succeed: there a view makes durable what it knows from these clouds alone.
2. Only if that is not enough: records that a newer one supersedes, oldest first. One supersedes another when it was
   made from the same place and says the same: the same map, robot, sensor position (0.5 m), caption, labels.

Nothing else is ever dropped. What remains over the budget then is told (`problem`), and remembering goes on.
Every drop is a command (`Drop`) of the log before anything is removed, so that every view knows, and none loses track.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from embodied_mem.records.commands import Drop
from embodied_mem.records.entry import Kind, blob_names, has_cloud, tombstone, without_blobs
from embodied_mem.records.log import RecordLog
from embodied_mem.records.rewriting import Rewriter
from embodied_mem.records.versions import OPEN

if TYPE_CHECKING:
    from embodied_mem.records.memory import RecordMemory

_MEGABYTE = 1_000_000
_LOOK_EVERY = 0.02  # of the budget written since the last look
_DOWN_TO = 0.9  # of the budget, so that there is something left until the next time
_BATCH = 256  # records a command
_READ_BATCH = 1000
_PLACE_M = 0.5


class Retention:
    """Keeps one memory, open for writing, within `budget_mb` megabytes (10^6 bytes) of its folder; 0 = no limit.

    before_dropping  called with the numbers of the records whose clouds go next; if it raises, they stay
    problem          why the budget cannot be kept, "" when it is
    """

    def __init__(
        self, memory: RecordMemory, budget_mb: float, before_dropping: Callable[[Sequence[int]], None] | None = None
    ) -> None:
        self._memory, self._log = memory, memory.log
        self.budget = int(budget_mb * _MEGABYTE)
        self.before_dropping = before_dropping
        self.problem = ""
        self._blobs: dict[int, list[str]] = {}  # by record, ascending: what may be dropped
        self._last: dict[str, int] = {}  # the last entry that names a blob
        self._scanned = 0
        self._enforcing = False
        self._looked_at = -1  # bytes written by this process when the folder was measured last

    def enforce(self, *, now: bool = False) -> int:
        """Drop what is over the budget; returns the bytes freed, about. Looks only when enough was written, or `now`.

        Raises StorageError when the disk refuses, and what `before_dropping` raises.
        """
        log = self._log
        if not self.budget or not isinstance(log, RecordLog) or log.read_only:
            return 0
        if not now and self._looked_at >= 0 and log.written - self._looked_at < _LOOK_EVERY * self.budget:
            return 0
        log.flush()
        self._looked_at = log.written
        used, freed = usage(log), 0
        rewriter = Rewriter(log)
        while used > self.budget:
            excess = used - int(_DOWN_TO * self.budget)
            gained = self._drop_blobs(log, rewriter, excess)
            # While a compaction is under way, or was killed, that must finish first.
            if not gained and not rewriter.unfinished:
                gained = self._drop_records(log, rewriter, excess)
            if not gained:
                break
            freed, used = freed + gained, usage(log)  # measured anew: what a row gives back is only known afterwards
        self.problem = (
            f"The memory takes {used / _MEGABYTE:.1f} MB, its budget is {self.budget / _MEGABYTE:.1f} MB, and what is "
            "left is the newest that is known of each place: raise disk_budget_mb, or forget what is not needed."
            if used > self.budget
            else ""
        )
        return freed

    def after_writing(self) -> None:
        """`enforce` when it is due, for a caller whose own work is done: what goes wrong becomes `problem`, counted."""
        if self._enforcing:
            return  # by the very commands that tell of what is dropped
        self._enforcing = True
        try:
            self.enforce()
        except Exception as error:  # of a disk, or of a view that could not make itself durable
            self._memory.counters["retention_failed"] += 1
            self.problem = f"Nothing could be dropped to keep within the disk budget: {error}"
        finally:
            self._enforcing = False

    # --- inside ------------------------------------------------------------------------------------------------

    def _drop_blobs(self, log: RecordLog, rewriter: Rewriter, excess: int) -> int:
        self._scan(log)
        freed = 0
        while freed < excess and self._blobs:
            seqs: list[int] = []
            names: set[str] = set()
            expected = 0
            for seq, own in list(self._blobs.items()):
                if expected >= excess - freed or len(seqs) == _BATCH:
                    break
                if log.rows(seq, 1)[0].kind != Kind.OBSERVATION:
                    del self._blobs[seq]  # compaction has erased it
                    continue
                seqs.append(seq)
                fresh = {name for name in own if name not in names and self._last[name] <= seq}
                expected += sum(log.blobs.size(name) for name in fresh)
                names.update(own)
            if not seqs:
                break
            if self.before_dropping is not None:
                self.before_dropping(seqs)
            pictures = sum(len(self._blobs[seq]) for seq in seqs)
            clouds = sum(has_cloud(row) for seq in seqs for row in log.rows(seq, 1))
            self._memory.drop(Drop(tuple(seqs), "clouds", clouds, pictures - clouds, expected))
            rewriter.replace(seqs, without_blobs)
            for seq in seqs:
                del self._blobs[seq]
            self._remove(log, names, seqs[-1])
            freed += expected
        return freed

    def _remove(self, log: RecordLog, names: set[str], upto: int) -> None:
        """Remove the blobs that no entry after `upto` names, the newest commit included."""
        with log.exclusive():
            self._scan(log)
            gone = [name for name in names if self._last[name] <= upto]
            log.blobs.remove(gone)
        for name in gone:
            del self._last[name]

    def _scan(self, log: RecordLog) -> None:
        while rows := log.rows(self._scanned + 1, _READ_BATCH):
            for row in rows:
                own = blob_names(row)
                if own:
                    self._blobs[row.seq] = own
                    self._last.update(dict.fromkeys(own, row.seq))
            self._scanned = rows[-1].seq

    def _drop_records(self, log: RecordLog, rewriter: Rewriter, excess: int) -> int:
        freed = 0
        waiting = superseded(self._memory)
        index = self._memory.index
        for start in range(0, len(waiting), _BATCH):
            if freed >= excess:
                break
            part = waiting[start : start + _BATCH]
            with index.lock:
                repeated = index.repetitions.entries_about(np.array(part)).tolist()
                about = sorted({*part, *repeated, *index.history.corrections_of(part)})
            expected = _content_bytes(log, about, index.vector_width)
            rewriter.begin()
            self._memory.drop(Drop(tuple(part), "records", freed=expected))
            log.flush()
            rewriter.replace(about, lambda row: tombstone(row.seq, row.logged_ns))
            freed += expected
        if freed:
            rewriter.shrink()
            rewriter.finish()
        return freed


def usage(log: RecordLog) -> int:
    """Bytes that a memory takes: the database's pages in use, and every other file.

    The write-ahead log, whose size does not depend on that of the memory (some 20 MB), does not count.
    """
    total = log.used_bytes()
    for path in log.folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() and not path.name.startswith("log.db") else 0
        except OSError:
            continue  # gone meanwhile
    return total


def superseded(memory: RecordMemory) -> list[int]:
    """Records that stand as they were recorded and are repeated by a newer one, ascending."""
    with memory.index.lock:
        table = memory.index.table
        rows = np.flatnonzero(
            (table.hidden.data == 0) & (table.valid_to.data == OPEN) & (table.valid_from.data == table.seqs.data)
        )
        keys = np.column_stack([
            table.codes.data[rows, :2], np.floor(table.positions.data[rows] / _PLACE_M).astype(np.int64),
            table.prints.data[rows],
        ])  # fmt: skip
        seqs = table.seqs.data[rows]
    if not len(rows):
        return []
    order = np.argsort(-seqs)
    _, newest = np.unique(keys[order], axis=0, return_index=True)
    old = np.ones(len(seqs), dtype=bool)
    old[order[newest]] = False
    return sorted(seqs[old].tolist())


def dropped(memory: RecordMemory) -> dict[str, int]:
    """What retention has dropped from a memory so far."""
    counts = memory.index.history.dropped
    return {f"dropped_{what}": counts[what] for what in ("clouds", "thumbnails", "records", "bytes")}


def _content_bytes(log: RecordLog, seqs: list[int], width: int) -> int:
    entries = sum(len(row.body) + len(row.caption) + 60 for seq in seqs for row in log.rows(seq, 1))
    return entries + 4 * width * len(seqs)
