"""The things of a log: a view like every other, kept up to date frame by frame.

What a record says is taken from the record index, so that corrections, forgetting, undoing and re-anchoring count; a
rebuild from entry 1 gives the same things. A question costs what came since the last one, not everything.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.answering import Answers
from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.fold import ObjectFold
from embodied_mem.objects.frames import standing
from embodied_mem.objects.labels import meant
from embodied_mem.objects.locate import Located
from embodied_mem.objects.ties import Ties, marked, ties_of
from embodied_mem.objects.vocabulary import Vocabulary
from embodied_mem.records.entry import Entry
from embodied_mem.records.index import RecordIndex

FloatArray = NDArray[np.float64]
_SLICE = 64  # frames that are folded while nobody else can use the index


class ObjectView:
    """Which things there are, where, and how sure that is. Safe for many threads.

    model    how detectors err before the log has taught better
    absence  whether what should have been detected and was not is believed in less
    every    frames from one checkpoint to the next
    """

    def __init__(
        self, index: RecordIndex, *, model: SensorModel | None = None, absence: bool = True, every: int = 32
    ) -> None:
        self._index, self._model, self._absence, self._every = index, model, absence, every
        self._lock = threading.RLock()
        self._words = Vocabulary()
        self._folds: dict[str, ObjectFold] = {}
        self._answers: dict[str, Answers] = {}
        self._vectors: dict[int, NDArray[np.float32]] = {}  # of the detections, by record
        self._ties = Ties()
        self._meanings: dict[str, tuple[str, ...]] = {}
        self._known = (0, 0)
        self._compare = False  # what the folds are made of is to be compared with all that they should be made of
        self.watermark = 0

    @property
    def counters(self) -> Counter[str]:
        """stays, frames, and how often frames were folded again."""
        with self._lock:
            folds = self._folds.values()
            return Counter(
                stays=sum(len(fold.state.stays) for fold in folds),
                frames=sum(len(fold.made_of) for fold in folds),
                refolded=sum(fold.refolded for fold in folds),
                bytes=sum(fold.nbytes for fold in folds),
            )

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries that the record index has read already."""
        with self._lock:
            self.keep_vectors(entries)
            self.catch_up()

    def keep_vectors(self, entries: Sequence[Entry]) -> None:
        """Keep the vectors of detections, which are in entries alone, for when their frames are folded. It is quick."""
        for entry in entries:
            found = None if entry.observation is None else entry.observation.detections
            if found is not None and found.vectors is not None:
                self._vectors[entry.seq] = found.vectors

    def catch_up(self) -> None:
        """Fold what the index has read since. The index is free for others in between."""
        with self._lock:
            while self._read_on():
                pass

    def locate(self, word: str, map_id: str = "", now_ns: int | None = None, limit: int | None = None) -> Located:
        """What is known of the kind of thing that a word names, surest first. Raises UnknownMapError.

        now_ns: for beliefs fade with time; the newest frame's when not given. limit: only the first few things.
        """
        with self._lock:
            answers = self._of_map(map_id)
            labels = self._meant(word)
            if answers is None or not labels:
                return Located(word, labels)
            return Located(word, labels, answers.of_kind(labels, self._now(answers, now_ns), limit))

    def locate_all(
        self, map_id: str = "", *, around: FloatArray | None = None, radius: float = np.inf, now_ns: int | None = None
    ) -> list[Located]:
        """The same for every kind of thing, or every kind within `radius` metres of `around` (3,)."""
        with self._lock:
            answers = self._of_map(map_id)
            if answers is None:
                return []
            out: list[Located] = []
            done: set[str] = set()
            for label in answers.labels(around, radius):
                if label in done:
                    continue
                labels = self._meant(label)
                done.update(labels)
                out.append(Located(label, labels, answers.of_kind(labels, self._now(answers, now_ns))))
            return out

    # --- inside ------------------------------------------------------------------------------------------------

    def _read_on(self) -> bool:
        """Fold the next few frames; whether more are left."""
        with self._lock, self._index.lock:
            read, newest = self.watermark, self._index.watermark
            if newest == read and not self._compare:
                return False
            if self._changed(read, newest):
                self._compare = True
                self._ties = ties_of(self._index)
                for seq in self._index.history.erased():
                    self._vectors.pop(seq, None)
            left = 0
            for map_id in self._index.map_names.all():
                fold = self._folds.get(map_id)
                if fold is None:
                    fold = ObjectFold(self._index, self._words, self._model, absence=self._absence, every=self._every)
                    self._folds[map_id] = fold
                if self._compare:
                    wanted = marked(standing(self._index, map_id), self._ties)
                    left += fold.become(wanted, self._ties, self._vectors, _SLICE)
                else:
                    fresh = marked(standing(self._index, map_id, read), self._ties)
                    left += fold.extend(fresh, self._ties, self._vectors, _SLICE)
            self._compare, self.watermark = left > 0, newest
            return left > 0

    def _meant(self, word: str) -> tuple[str, ...]:
        """The known labels that a word means; worked out anew once there is another label or class."""
        labels, classes = self._index.labels_seen, self._index.views_seen.class_sets
        known = (len(labels), len(classes))
        if known != self._known:
            self._known, self._meanings = known, {}
        if word not in self._meanings:
            self._meanings[word] = meant(word, labels.all(), classes.all())
        return self._meanings[word]

    def _of_map(self, map_id: str) -> Answers | None:
        self.catch_up()
        name = self._index.maps.resolve(map_id)
        fold = self._folds.get(name)
        if fold is None:
            return None
        answers = self._answers.get(name)
        if answers is None or answers.state is not fold.state or answers.folded != fold.state.folded:
            answers = self._answers[name] = Answers(fold, self._words)
        return answers

    def _now(self, answers: Answers, now_ns: int | None) -> int:
        if now_ns is not None:
            return now_ns
        looked = answers.state.stays.looked
        return int(looked.max()) if len(looked) else 0

    def _changed(self, read: int, newest: int) -> bool:
        """Whether an entry after `read` did more than bring a look."""
        index = self._index
        brought = int((index.table.first_row.data[read + 1 : newest + 1] >= 0).sum())
        return brought + len(index.repetitions.since(read)) < newest - read
