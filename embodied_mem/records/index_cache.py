"""The record index on disk: `cache/index` in the memory folder, so that opening a memory does not read its whole log.

The index is a function of the log, and so is this file: it holds the index as it was at one number of the log, and is
brought up to date from there. It is thrown away and made again from the log whenever it is in doubt: it is damaged, of
another version, of another log (judged by the checksums of the log's first entry and of the entry at its number), or
the log has changed its `generation`, as everything must that rewrites entries (compaction, repair), or its model.
Everything under `cache/` may be deleted at any time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from embodied_mem.errors import StorageError
from embodied_mem.records import cache
from embodied_mem.records.files import sync_folder
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.log import RecordLog
from embodied_mem.records.trimming import give_back
from embodied_mem.records.volatile import Log

FOLDER = "cache"
VERSION = 1  # to be raised with every change of the index's columns or of what they mean
_READ_BATCH = 2048
# Entries that are not in the file when it is written anew: at least so many, and at least that share of the log, so
# that all writing together stays a small multiple of the file.
_WHILE_RUNNING = 20_000, 0.25
_AT_OPEN = 5_000, 0.1
_AT_CLOSE = 1_000, 0.01


class IndexCache:
    """Opens the index of a log, by its cache where there is one, and keeps the cache fresh. Readers write nothing."""

    def __init__(self, log: RecordLog) -> None:
        self._log = log
        self._path = log.folder / FOLDER / "index"
        self._generation = self._stable()  # of the entries that the index in memory is made from
        self._reached = 0  # number that the file reflects
        self._renewing: threading.Thread | None = None
        self.problem = ""  # why the file was not used, or not written

    def open(self) -> RecordIndex:
        """The index up to the end of the log. Raises StorageError when the log is damaged."""
        index = self._cached(self._log)
        follow(self._log, index)
        if self._due(index.watermark, _AT_OPEN):
            self._save(index, self._generation)
        return index

    def appended(self, watermark: int) -> None:
        """Memory and log have come to this number, its vectors included: see to a fresh file, in the background."""
        if self._renewing is None and self._due(watermark, _WHILE_RUNNING):
            self._renewing = threading.Thread(target=self._renew, args=(watermark,), name="index-cache", daemon=True)
            self._renewing.start()

    def close(self, index: RecordIndex) -> None:
        """Write the index, all of whose entries are on disk, unless the file is nearly as new."""
        if self._renewing is not None:
            self._renewing.join()
        if self._due(index.watermark, _AT_CLOSE):
            with index.lock:
                self._save(index, self._generation)

    # --- inside ------------------------------------------------------------------------------------------------

    def _due(self, watermark: int, rule: tuple[int, float]) -> bool:
        least, share = rule
        return not self._log.read_only and watermark - self._reached >= max(least, share * watermark)

    def _cached(self, log: RecordLog) -> RecordIndex:
        """The index as the file has it; an empty one when it has none that is beyond doubt."""
        index = RecordIndex()
        try:
            columns, facts = cache.load(self._path)
            if facts["version"] != VERSION or facts["log"] != _identity(log, facts["log"]["watermark"]):
                raise cache.DamagedError("The cache of the index is of another version or another log.")
            index.restore(columns, facts["index"])
        except (cache.DamagedError, KeyError, TypeError) as doubt:
            self.problem = str(doubt)
            return RecordIndex()
        self._reached = index.watermark
        return index

    def _renew(self, watermark: int) -> None:
        """Bring the file up to date from the log alone, so that neither writes nor answers wait for it."""
        try:
            self._log.flush()
            generation = self._stable()
            log = RecordLog(self._log.folder, read_only=True)
            try:
                index = self._cached(log)
                follow(log, index, watermark)
                self._save(index, generation)
                del index
            finally:
                log.close()
                give_back()
        except StorageError as error:  # the log says the same to whoever waits for it
            self.problem = str(error)
        finally:
            self._renewing = None

    def _stable(self) -> str | None:
        """The generation of the log's entries; None while they are being rewritten."""
        return None if self._log.setting("rewriting") else self._log.setting("generation")

    def _save(self, index: RecordIndex, generation: str | None) -> None:
        """Write the file, unless the log's entries are no longer those that the index was made from."""
        if generation is None or generation != self._stable():
            return
        facts = {"version": VERSION, "log": _identity(self._log, index.watermark), "index": index.facts()}
        try:
            for left in self._path.parent.glob(".*.tmp"):  # by a process that was killed
                left.unlink(missing_ok=True)
            cache.save(self._path, index.columns(), facts)
        except OSError as error:
            self.problem = f"The cache of the index could not be written ({error.strerror})."
            return
        if generation != self._stable():  # meanwhile: nothing of before may stay
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
            return
        self._reached = index.watermark


def damage(folder: Path) -> str:
    """In words, what is wrong with the cache in a memory folder; "" when there is none, or nothing."""
    path = folder / FOLDER / "index"
    if not path.exists():
        return ""
    try:
        cache.load(path)
    except cache.DamagedError as error:
        return f"{error} It will be made again from the log."
    return ""


def follow(log: Log, index: RecordIndex, watermark: int | None = None) -> None:
    """Bring an index up to date with a log: entries, and vectors of its model, up to a number or the end."""
    known = index.watermark
    while watermark is None or index.watermark < watermark:
        limit = _READ_BATCH if watermark is None else min(_READ_BATCH, watermark - index.watermark)
        entries = log.read(index.watermark + 1, limit)
        if not entries:
            break
        index.apply(entries)
    model = log.setting("model")
    if not model:
        return
    late = index.without_vector()
    for seqs, vectors in log.vectors(model, known + 1):
        upto = int(np.searchsorted(seqs, index.watermark, "right"))
        index.set_vectors(seqs[:upto], vectors[:upto], model)
        if upto < len(seqs):
            break
    late = late[late <= known]  # a text may get its vector long after its entry was written
    for start in range(0, len(late), _READ_BATCH):
        index.set_vectors(*log.vectors_of(model, late[start : start + _READ_BATCH].tolist()), model)


def _identity(log: RecordLog, watermark: int) -> dict[str, Any]:
    """What tells a log whose entries up to a number are these from every other one."""
    return {
        "watermark": watermark,
        "first": log.checksum(1),
        "newest": log.checksum(watermark),
        "generation": log.setting("generation"),
        "model": log.setting("model"),
    }
