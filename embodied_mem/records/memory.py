"""The memory of a robot: gate, log and index behind one door."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, NotFoundError, RefusedError, UnknownMapError
from embodied_mem.inference.protocols import Embedder
from embodied_mem.records import commands
from embodied_mem.records.commands import Command, Compact, Correct, Drop, Forget, ReAnchor, SetMap, Undo
from embodied_mem.records.entry import Entry, Kind, as_logged
from embodied_mem.records.folding import Folder
from embodied_mem.records.gate import AdmissionGate, GateLimits
from embodied_mem.records.index_cache import IndexCache, follow
from embodied_mem.records.log import RecordLog
from embodied_mem.records.numeric import floats, rows_of
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query
from embodied_mem.records.retention import Retention
from embodied_mem.records.vector_rows import VectorRow, given_vectors
from embodied_mem.records.view import DEFAULT_THRESHOLD, RecordView, text_of
from embodied_mem.records.volatile import Log, VolatileLog
from embodied_mem.records.wellformed import normal

_EMBED_BATCH = 64
_SEAL_BATCH = 10_000  # records a Compact command names at most
DEFAULT_MAP = "default"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Where an observation went: its own record, or (`folded`) the record that it repeats."""

    seq: int
    folded: bool = False


class RecordMemory(RecordView):
    """Remember observations, change what is remembered, and (as a `RecordView`) find it again.

    Thread-safe. Listeners are called with each batch of new entries, in order, on the thread that caused them.
    """

    def __init__(
        self,
        log: Log,
        embedder: Embedder | None = None,
        *,
        limits: GateLimits | None = None,
        clock: Callable[[], int] = time.time_ns,
        threshold: float = DEFAULT_THRESHOLD,
        session_id: str = "",
        disk_budget_mb: float = 0.0,
    ) -> None:
        super().__init__(embedder, clock=clock, threshold=threshold, log=log)
        self.gate = AdmissionGate(limits)
        self.counters = self.gate.counters
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []
        self._write_lock = threading.RLock()
        self.cache = self._load()
        self._folder = Folder(self.index)
        self._settled = self.watermark
        self.retention = Retention(self, disk_budget_mb)
        self.session_id = session_id or self._next_session(self.index.sessions.all())

    @classmethod
    def open(
        cls,
        path: str | Path,
        embedder: Embedder | None = None,
        *,
        limits: GateLimits | None = None,
        clock: Callable[[], int] = time.time_ns,
        threshold: float = DEFAULT_THRESHOLD,
        session_id: str = "",
        read_only: bool = False,
        disk_budget_mb: float = 0.0,
    ) -> RecordMemory:
        """Open the memory folder `path`, made when it is missing; disk_budget_mb as in retention.py, 0 = no limit.

        Raises StorageError.
        """
        log = RecordLog(path, read_only=read_only)
        try:
            return cls(
                log, embedder, limits=limits, clock=clock, threshold=threshold, session_id=session_id,
                disk_budget_mb=disk_budget_mb,
            )  # fmt: skip
        except BaseException:
            log.close()
            raise

    @classmethod
    def in_memory(
        cls,
        embedder: Embedder | None = None,
        *,
        limits: GateLimits | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> RecordMemory:
        """A memory without a file."""
        return cls(VolatileLog(), embedder, limits=limits, clock=clock)

    # --- remembering -------------------------------------------------------------------------------------------

    def remember(self, observation: Observation, *, durable: bool = False) -> Admitted:
        """Let one observation in. `durable`: return only once it would survive a power cut.

        Raises RefusedError when the gate refuses it, StorageError when `durable` and the disk does.
        """
        outcome = self.remember_many([observation], durable=durable)[0]
        if isinstance(outcome, RefusedError):
            raise outcome
        return outcome

    def remember_many(
        self, observations: Sequence[Observation], *, durable: bool = False
    ) -> list[Admitted | RefusedError]:
        """Let observations in, in order; a refused one leaves its reason in its place and does not stop the others."""
        with self._write_lock:
            outcomes: list[Admitted | RefusedError] = []
            drafts: list[Entry] = []
            for observation in observations:
                try:
                    outcomes.append(self._admit(observation, drafts))
                except RefusedError as refusal:
                    outcomes.append(refusal)
            self._append(drafts, durable)
            self.retention.after_writing()
            return outcomes

    def start_session(self, session_id: str = "") -> str:
        """Begin another session, in which time is judged afresh; returns its name."""
        with self._write_lock:
            self.session_id = session_id or self._next_session([*self.index.sessions.all(), self.session_id])
            return self.session_id

    # --- commands ----------------------------------------------------------------------------------------------

    def correct(
        self,
        seq: int,
        *,
        caption: str | None = None,
        position: ArrayLike | None = None,
        orientation: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> int:
        """Correct a record (see `Correct`); returns the command's number. Raises NotFoundError, BadInputError."""
        count = len(self.get(seq).observation.detections)
        if labels is not None and len(labels) != count:
            raise BadInputError(
                f"Record {seq} has {count} detections, but {len(labels)} labels were given: give one each."
            )
        return self._command(
            Correct(
                seq,
                caption,
                None if position is None else floats(position, 3, "position"),  # type: ignore[arg-type]
                None if orientation is None else floats(orientation, 4, "orientation"),  # type: ignore[arg-type]
                None if labels is None else tuple(labels),
            )
        )

    def forget(self, seqs: Sequence[int] | NDArray[np.int64]) -> int:
        """Forget records; returns the command's number. NotFoundError when one does not exist: then none is."""
        numbers = tuple(dict.fromkeys(int(seq) for seq in seqs))
        if not numbers:
            raise BadInputError("There is nothing to forget: give the numbers of records.")
        for seq in numbers:
            self.index.row_of(seq)
        return self._command(Forget(numbers))

    def select(self, query: Query) -> NDArray[np.int64]:
        """The numbers of every record that passes the query's filters, ascending."""
        with self.index.lock:
            return np.sort(self.index.matching(query))

    def seal(self) -> list[int]:
        """Make forgetting final: no undo from here on. Returns what `compaction` has to erase, ascending."""
        with self._write_lock:
            forgotten = self.index.history.erasable()
            for start in range(0, len(forgotten), _SEAL_BATCH):
                self._command(Compact(tuple(forgotten[start : start + _SEAL_BATCH])))
            return self.index.history.erased()

    def drop(self, drop: Drop) -> int:
        """Log what retention (see retention.py) is about to drop; returns the command's number."""
        return self._command(drop)

    def change_places(self, command: commands.MergePlaces | commands.BlockWay) -> int:
        """Log a change of the place graph (see topology/); returns the command's number. Raises NotFoundError."""
        for seq in command.seqs:
            self.index.row_of(seq)
        return self._command(command)

    def change_things(self, command: commands.UniteThings | commands.PartThings) -> int:
        """Log which detections are of one thing, or are not (see objects/); returns the command's number.

        Raises NotFoundError for a record or a detection that does not exist, BadInputError for fewer than two.
        """
        for seq, place in command.detections:
            begin, end = self.index.table.spans.data[self.index.row_of(seq)].tolist()
            if not 0 <= place < end - begin:
                raise NotFoundError(f"Record {seq} has {end - begin} detections, counted from 0: there is no {place}.")
        return self._command(command)

    def undo(self, command_seq: int | None = None) -> tuple[int, int]:
        """Take a command back (the newest when none is named), an undo too; returns its number and the undo's own."""
        with self._write_lock:
            target = self.index.history.undoable(command_seq)
            return target, self._command(Undo(target))

    def set_map(self, map_id: str, *, parent: str = "", transform: ArrayLike | None = None) -> int:
        """Make `map_id` the current map; `transform` (4, 4) maps its points into the map `parent`, known already."""
        if transform is not None and parent not in self.maps:
            raise UnknownMapError(
                f"The parent map {parent!r} is not known; known are: {', '.join(self.maps) or 'none yet'}."
            )
        matrix = None if transform is None else floats(transform, 16, "transform", (4, 4))
        return self._command(SetMap(map_id, parent, matrix))

    def reanchor(self, map_id: str, stamps_ns: ArrayLike, before: ArrayLike, after: ArrayLike) -> int:
        """Move a map's records by a corrected trajectory: stamps (n,) ns, poses (n, 7) x, y, z, qx, qy, qz, qw each."""
        if map_id not in self.maps:
            raise UnknownMapError(f"The map {map_id!r} is not known; known are: {', '.join(self.maps) or 'none yet'}.")
        stamps = tuple(rows_of(stamps_ns, (), "stamps", np.int64).tolist())
        paths = [tuple(map(tuple, rows_of(path, (7,), "poses", np.float64).tolist())) for path in (before, after)]
        return self._command(ReAnchor(map_id, stamps, *paths))

    # --- the log -----------------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Call `listener` with every batch of entries from now on."""
        self._listeners.append(listener)

    def entries(self, first: int, limit: int, *, blobs: bool = False) -> list[Entry]:
        """Entries from number `first` on, with their vectors, up to the newest that memory is through with."""
        entries = self.log.read(first, limit, blobs=blobs)
        settled = self._settled  # the log is ahead while an entry is being indexed and embedded
        return [self._with_vector(entry) for entry in entries if entry.seq <= settled]

    def flush(self) -> None:
        """Wait until everything is on disk. Raises StorageError."""
        self.log.flush()

    def close(self) -> None:
        """Write what is pending and release the folder. Closing twice is harmless. Raises StorageError."""
        try:
            if self.cache is not None and not self.log.read_only:
                self.log.flush()
                self.cache.close(self.index)
        finally:
            self.cache = None
            self.log.close()

    def embed_missing(self) -> Iterator[int]:
        """Make the vectors that are missing (after a crash, or without a model); yields how many are left."""
        waiting = self.index.without_vector().tolist()
        for start in range(0, len(waiting), _EMBED_BATCH):
            entries = self.log.get(waiting[start : start + _EMBED_BATCH])
            self.embed_texts([(seq, text) for seq, entry in entries.items() if (text := text_of(entry).strip())])
            yield max(len(waiting) - start - _EMBED_BATCH, 0)

    def switch_model(self, embedder: Embedder) -> None:
        """Use the stored vectors of this embedder from now on (see reembed.py, which makes them)."""
        with self._write_lock:
            batches = list(self.log.vectors(embedder.name))
            self.log.set_setting("model", embedder.name)
            seqs = np.concatenate([seqs for seqs, _ in batches]) if batches else np.zeros(0, np.int64)
            rows = np.concatenate([rows for _, rows in batches]) if batches else np.zeros((0, embedder.dim), np.float32)
            self.index.replace_vectors(seqs, rows, embedder.name)
            self.embedder = embedder

    # --- inside ------------------------------------------------------------------------------------------------

    def _load(self) -> IndexCache | None:
        """Read the log; the cache of the index when there is a folder for it."""
        if isinstance(self.log, RecordLog):
            cache = IndexCache(self.log)
            self.index = cache.open()
            return cache
        follow(self.log, self.index)
        return None

    @staticmethod
    def _next_session(known: Sequence[str]) -> str:
        """A name that no session has; compaction may have taken some out of the middle."""
        number = len(set(known)) + 1
        while f"session-{number}" in known:
            number += 1
        return f"session-{number}"

    def _admit(self, observation: Observation, drafts: list[Entry]) -> Admitted:
        obs = normal(self._filled_in(observation))
        now = self.clock()
        self.gate.check(obs)
        self._check_map(obs)
        same = self.index.same(obs)  # a bag played twice
        if same is not None:
            self.counters["duplicate"] += 1
            return Admitted(same, folded=True)
        self.gate.check_time(obs, now)
        self._check_model(obs)
        self._start_map(obs.map_id)
        next_seq = self.log.watermark + 1 + len(drafts)
        self.gate.admitted(obs)
        about = self._folder.repeats(obs)
        if about is not None:
            self.counters["seen_again"] += 1
            drafts.append(Entry(next_seq, Kind.SEEN_AGAIN, now, about=about, stamp_ns=obs.stamp_ns))
            return Admitted(about, folded=True)
        self._folder.admitted(obs, next_seq)
        drafts.append(Entry(next_seq, Kind.OBSERVATION, now, observation=as_logged(obs)))
        return Admitted(next_seq)

    def _filled_in(self, obs: Observation) -> Observation:
        """The observation with the current session and map where it names none; the first may name the first map."""
        if obs.session_id != "" and obs.map_id != "":
            return obs
        session = self.session_id if obs.session_id == "" else obs.session_id
        return replace(obs, session_id=session, map_id=(self.map_id or DEFAULT_MAP) if obs.map_id == "" else obs.map_id)

    def _check_map(self, obs: Observation) -> None:
        if self.map_id and obs.map_id not in self.maps:
            self.gate.refuse(
                RefusedError(f"The map {obs.map_id!r} is not known: start it with SetMap first.", "unknown_map")
            )

    def _start_map(self, map_id: str) -> None:
        """The first observation of all starts the first map."""
        if self.map_id:
            return
        started = SetMap(map_id)
        try:
            commands.validate(started)
        except BadInputError as error:
            self.gate.refuse(RefusedError(str(error), "unknown_map"))
        self._append([Entry(0, Kind.COMMAND, self.clock(), command=started)], durable=False)

    def _check_model(self, obs: Observation) -> None:
        if obs.vector is None:
            return
        ours = self.index.model or (self.embedder.name if self.embedder else obs.vector_model)
        if obs.vector_model != ours:
            self.gate.refuse(
                RefusedError(
                    f"The vector was made by {obs.vector_model!r}, this memory's by {ours!r}: they cannot be mixed.",
                    "model_mismatch",
                )
            )
        width = self.index.vector_width or (self.embedder.dim if self.embedder else len(obs.vector))
        if len(obs.vector) != width:
            self.gate.refuse(
                RefusedError(f"The vector has {len(obs.vector)} numbers, those of {ours!r} have {width}.", "bad_vector")
            )

    def _append(self, drafts: Sequence[Entry], durable: bool) -> list[Entry]:
        if not drafts:
            return []
        given = given_vectors(drafts, self.log.watermark + 1)
        first = {"model": given[0].model} if given and not self.index.model else None
        entries = self.log.append(drafts, vectors=given, settings=first)
        self.index.apply(entries)
        if given:
            rows = np.array([row.vector for row in given])
            self.index.set_vectors(np.array([row.seq for row in given]), rows, given[0].model)
        self._embed_corrections(entries)
        self.embed_texts(
            [
                (entry.seq, entry.observation.caption)
                for entry in entries
                if entry.observation is not None
                and entry.observation.vector is None
                and entry.observation.caption.strip()
            ]
        )
        self._settled = entries[-1].seq
        published = [self._with_vector(entry) for entry in entries] if self._listeners else []
        for listener in self._listeners:
            listener(published)
        if self.cache is not None:
            self.cache.appended(entries[-1].seq)
        if durable:  # at the end: should the disk refuse, the log holds the entries all the same, and so must we
            self.log.flush()
        return entries

    def _command(self, command: Command) -> int:
        commands.validate(command)
        with self._write_lock:
            return self._append([Entry(0, Kind.COMMAND, self.clock(), command=command)], durable=True)[0].seq

    def _keep_vectors(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32], model: str) -> None:
        first = not self.index.model
        super()._keep_vectors(seqs, vectors, model)
        self.log.attach_vectors(VectorRow(int(seq), model, vector) for seq, vector in zip(seqs, vectors, strict=True))
        if first:  # with the vectors: a disk that refuses now must not leave them without their model's name
            self.log.set_setting("model", model, durable=False)

    def _with_vector(self, entry: Entry) -> Entry:
        vector = self.index.vector_of(entry.seq) if entry.observation is not None else None
        if vector is None or entry.observation is None:
            return entry
        return replace(entry, observation=replace(entry.observation, vector=vector, vector_model=self.index.model))
