"""The reading side of a memory: exact search over a log, whoever writes it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import ModelMismatchError, NotFoundError, UnavailableError
from embodied_mem.inference.protocols import Embedder, comparable
from embodied_mem.records.blocks import as_corrected
from embodied_mem.records.commands import Correct
from embodied_mem.records.entry import Entry
from embodied_mem.records.index import Matches, RecordIndex
from embodied_mem.records.observation import Float32Array, Record
from embodied_mem.records.query import Hit, Query, SearchResult
from embodied_mem.records.volatile import Log, VolatileLog

DEFAULT_THRESHOLD = 0.3  # cosine below which a text found nothing


class RecordView:
    """Answers queries from the entries it was given with `apply`; follows a log elsewhere (`RecordMemory` owns one).

    embedder   for queries in words; None: only vectors, filters and recency
    clock      () -> ns, ROS time, for ages and relative times
    threshold  cosine below which a query by text finds nothing
    """

    def __init__(
        self,
        embedder: Embedder | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
        threshold: float = DEFAULT_THRESHOLD,
        log: Log | None = None,
    ) -> None:
        self.embedder = embedder
        self.clock = clock
        self.threshold = threshold
        self.index = RecordIndex()
        self.counters: Counter[str] = Counter()
        self.log: Log = VolatileLog(keep_blobs=False) if log is None else log

    @property
    def watermark(self) -> int:
        """The log was read up to this number."""
        return self.index.watermark

    @property
    def map_id(self) -> str:
        """The current map, "" before there is one."""
        return self.index.maps.current

    @property
    def maps(self) -> list[str]:
        """Every map of the log."""
        return self.index.maps.known

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries of the log that is followed, in order. ValueError for a gap: fetch what is missing first."""
        fresh = [entry for entry in entries if entry.seq > self.watermark]
        if not fresh:
            return
        self.index.apply(fresh)
        if isinstance(self.log, VolatileLog):
            self.log.extend(fresh)
        carried = [
            (entry.seq, entry.observation)
            for entry in fresh
            if entry.observation is not None and entry.observation.vector is not None
        ]
        vectors = [(seq, obs) for seq, obs in carried if self.index.model in ("", obs.vector_model)]
        self.counters["vectors_of_another_model"] += len(carried) - len(vectors)
        if vectors:
            rows = np.array([obs.vector for _, obs in vectors], dtype=np.float32)
            self.index.set_vectors(np.array([seq for seq, _ in vectors]), rows, vectors[0][1].vector_model)
        self._embed_corrections(fresh)

    def query(self, query: Query) -> SearchResult:
        """Filter first, then rank; see `Query`.

        Raises BadInputError, UnknownMapError, ModelMismatchError, NotFoundError (near_record).
        """
        vector = self._vector_of(query)
        min_score = query.min_score
        if min_score is None:
            min_score = self.threshold if query.text is not None else -1.0
        matches = self.index.search(query, vector, min_score)
        now = self.clock()
        records = self._read(matches.seqs.tolist(), matches.rows, False, matches.as_of)
        hits = [
            Hit(record, float(score), (now - int(seen)) * 1e-9, position, map_id)
            for record, score, seen, position, map_id in zip(
                records, matches.scores, matches.last_seen, matches.positions, matches.maps, strict=True
            )
            if record is not None  # erased since the search
        ]
        return SearchResult(
            hits=hits,
            reason="" if hits else self._reason(query, matches, min_score),
            explanation=matches.explanation,
            model=self._models(query) if vector is not None else "",
            watermark=self.watermark,
        )

    def get(self, seq: int, *, blobs: bool = False) -> Record:
        """A record as it stands now, corrections included. Raises NotFoundError."""
        row = self.index.row_of(seq)
        return self.records(np.array([seq]), np.array([row], dtype=np.int32), blobs=blobs)[0]

    def records(
        self,
        seqs: NDArray[np.int64] | Sequence[int],
        rows: NDArray[np.int32] | None = None,
        *,
        blobs: bool = False,
        as_of: int | None = None,
    ) -> list[Record]:
        """Records by number, in that order; `rows` picks versions of them (default: the current ones).

        as_of: how often and when last they were seen is told as known at this number of the log
        Raises NotFoundError for one that was erased meanwhile.
        """
        numbers = [int(seq) for seq in seqs]
        if rows is None:
            rows = np.array([self.index.row_of(seq) for seq in numbers], dtype=np.int32)
        found = self._read(numbers, rows, blobs, as_of)
        erased = [seq for seq, record in zip(numbers, found, strict=True) if record is None]
        if erased:
            raise NotFoundError(f"Record {erased[0]} was forgotten and erased.")
        return [record for record in found if record is not None]

    def embed(self, text: str) -> Float32Array:
        """The text's vector by this memory's model. UnavailableError without one, ModelMismatchError for another."""
        if self.embedder is None:
            raise UnavailableError(
                "No embedder is configured, so words cannot be compared: query by vector, labels, place or time."
            )
        if self.index.model and not comparable(self.embedder, self.index.model):
            raise ModelMismatchError(
                f"This memory's vectors were made by {self.index.model!r}, the embedder is {self.embedder.name!r}: "
                "configure the former, or migrate with `embodied-mem reembed`."
            )
        return self.embedder.embed([text])[0]

    # --- inside ------------------------------------------------------------------------------------------------

    def _read(self, numbers: list[int], rows: NDArray[np.int32], blobs: bool, as_of: int | None) -> list[Record | None]:
        """These versions of records; None in the place of one whose content was erased meanwhile."""
        if not numbers:
            return []
        with self.index.lock:
            texts = self.index.table.texts.data[rows].tolist()
            known = self.watermark if as_of is None else as_of
            last_seen = self.index.repetitions.last_seen(self.index.table, known)[rows].tolist()
        entries = self.log.get({*numbers, *texts}, blobs=blobs)
        there = [i for i, seq in enumerate(numbers) if entries[seq].observation is not None]
        observations = [obs for i in there if (obs := entries[numbers[i]].observation) is not None]
        captions = [text_of(entries[texts[i]]) for i in there]
        records: list[Record | None] = [None] * len(numbers)
        for i, obs in zip(there, as_corrected(self.index, rows[there], observations, captions), strict=True):
            seq = numbers[i]
            records[i] = Record(seq, obs, entries[seq].logged_ns, self.index.times_seen(seq, known), last_seen[i])
        return records

    def _vector_of(self, query: Query) -> Float32Array | None:
        if query.text is not None:
            return self.embed(query.text)
        if query.vector is None:
            return None
        if self.index.model and query.vector_model != self.index.model:
            raise ModelMismatchError(
                f"The query's vector was made by {query.vector_model!r}, this memory's by {self.index.model!r}: "
                "they cannot be compared."
            )
        width = self.index.vector_width
        if width and len(query.vector) != width:
            raise ModelMismatchError(
                f"The query's vector has {len(query.vector)} numbers, those of {self.index.model!r} have {width}."
            )
        vector = np.asarray(query.vector, dtype=np.float64)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def _models(self, query: Query) -> str:
        """The model of the vectors, and of the query's where that is a variant of it."""
        asked = self.embedder.name if self.embedder is not None and query.text is not None else self.index.model
        if not self.index.model or asked == self.index.model:
            return asked
        return f"{self.index.model}, asked by {asked}"

    def _reason(self, query: Query, matches: Matches, min_score: float) -> str:
        if not self.watermark:
            return "Not found: memory is empty."
        if not matches.candidates:
            return "Not found: no record passes the filters."
        if matches.without_vector == matches.candidates:
            return f"Not found: none of the {matches.candidates} records that pass the filters has a vector yet."
        return (
            f"Not found: the best of {matches.candidates} candidates scores {matches.below:.2f}, below {min_score:.2f}."
        )

    def _embed_corrections(self, entries: Sequence[Entry]) -> None:
        corrected = [
            (entry.seq, text_of(entry))
            for entry in entries
            if isinstance(entry.command, Correct) and entry.command.caption
        ]
        self.embed_texts(corrected)

    def embed_texts(self, texts: Sequence[tuple[int, str]]) -> None:
        """Make and index the vectors of entries' texts (number, text). A model that fails is counted, never fatal."""
        if not texts or self.embedder is None or self.index.model not in ("", self.embedder.name):
            return
        try:
            vectors = self.embedder.embed([text for _, text in texts])
        except Exception:  # of whatever runtime executes the model: the text is remembered without its vector
            self.counters["embedding_failed"] += len(texts)
            return
        self._keep_vectors(np.array([seq for seq, _ in texts]), vectors, self.embedder.name)

    def _keep_vectors(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32], model: str) -> None:
        self.index.set_vectors(seqs, vectors, model)


def text_of(entry: Entry) -> str:
    if entry.observation is not None:
        return entry.observation.caption
    return (entry.command.caption or "") if isinstance(entry.command, Correct) else ""
