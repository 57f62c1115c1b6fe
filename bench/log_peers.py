"""What bench/log.py compares with: stores that take the same records, each in its usual way.

Each is a `Store`: `write(observations)` returns when the store calls them written. What that is worth differs:

RecordMemory        gate, folding, index and log; on disk (fsync) when it returns
RecordLog           the log alone; on disk
SQLite NORMAL       one table; the last commits are lost when the power fails
SQLite FULL         the same; on disk
LMDB                one value a record; on disk
emem 0.3            SQLite NORMAL; its vectors are in memory until `save` writes all of them
emem 0.3, saved     with `save` after each batch
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.vector_rows import VectorRow

Write = Callable[[Sequence[Observation]], None]


@dataclass(frozen=True, slots=True)
class Store:
    """on_disk: what `write` returned for survives a power cut, vectors included."""

    name: str
    write: Write
    close: Callable[[], None]
    on_disk: bool


def make_stores(folder: Path, clock: Callable[[], int], note: Callable[[str], None]) -> list[Store]:
    """Those that are installed; the others are named."""
    makers: dict[str, Callable[[Path], Store]] = {
        "RecordMemory": lambda path: _memory(path, clock),
        "RecordLog": _log,
        "SQLite NORMAL": lambda path: _sqlite(path, "NORMAL"),
        "SQLite FULL": lambda path: _sqlite(path, "FULL"),
        "LMDB": _lmdb,
        "emem 0.3": lambda path: _emem(path, saved=False),
        "emem 0.3, saved": lambda path: _emem(path, saved=True),
    }
    stores = []
    for name, make in makers.items():
        path = folder / name.replace(" ", "-")
        path.mkdir()
        try:
            stores.append(make(path))
        except ImportError as error:
            note(f"{name}: skipped, {error}")
    return stores


def _memory(folder: Path, clock: Callable[[], int]) -> Store:
    memory = RecordMemory.open(folder, clock=clock)

    def write(observations: Sequence[Observation]) -> None:
        refused = [
            outcome for outcome in memory.remember_many(observations, durable=True) if not hasattr(outcome, "seq")
        ]
        if refused:
            raise SystemExit(f"RecordMemory refused: {refused[0]}")

    return Store("RecordMemory", write, memory.close, True)


def _log(folder: Path) -> Store:
    log = RecordLog(folder)

    def write(observations: Sequence[Observation]) -> None:
        entries = log.append([Entry(0, Kind.OBSERVATION, obs.stamp_ns, observation=obs) for obs in observations])
        log.attach_vectors(
            VectorRow(entry.seq, obs.vector_model, obs.vector)
            for entry, obs in zip(entries, observations, strict=True)
            if obs.vector is not None
        )
        log.flush()

    return Store("RecordLog", write, log.close, True)


def _sqlite(folder: Path, synchronous: str) -> Store:
    base = sqlite3.connect(folder / "records.db", isolation_level=None)
    base.execute("PRAGMA page_size = 16384")
    base.execute("PRAGMA journal_mode = WAL")
    base.execute(f"PRAGMA synchronous = {synchronous}")
    columns = "stamp INTEGER, x REAL, y REAL, z REAL, orientation BLOB, robot TEXT, caption TEXT, vector BLOB"
    base.execute(f"CREATE TABLE records (id INTEGER PRIMARY KEY, {columns})")

    def write(observations: Sequence[Observation]) -> None:
        base.execute("BEGIN")
        base.executemany(
            "INSERT INTO records VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (obs.stamp_ns, *map(float, obs.position), obs.orientation.tobytes(), obs.robot_id, obs.caption,
                 np.asarray(obs.vector).tobytes())
                for obs in observations
            ),
        )  # fmt: skip
        base.execute("COMMIT")

    return Store(f"SQLite {synchronous}", write, base.close, synchronous == "FULL")


def _lmdb(folder: Path) -> Store:
    import lmdb

    base = lmdb.open(str(folder), map_size=1 << 34)
    written = 0

    def write(observations: Sequence[Observation]) -> None:
        nonlocal written
        with base.begin(write=True) as transaction:
            for obs in observations:
                written += 1
                value: tuple[Any, ...] = (
                    obs.stamp_ns, *map(float, obs.position), obs.orientation.tobytes(), obs.robot_id, obs.caption,
                    np.asarray(obs.vector).tobytes(),
                )  # fmt: skip
                transaction.put(written.to_bytes(8, "big"), msgpack.packb(value), append=True)

    return Store("LMDB", write, base.close, True)


def _emem(folder: Path, *, saved: bool) -> Store:
    from emem import MemoryStore, SpatioTemporalMemoryConfig
    from emem.embeddings import NullEmbeddingProvider
    from emem.types import ObservationNode

    from bench.log import DIM

    config = SpatioTemporalMemoryConfig(
        db_path=str(folder / "memory.db"), hnsw_path=str(folder / "vectors.bin"), embedding_dim=DIM
    )
    store = MemoryStore(config, NullEmbeddingProvider(DIM))

    def write(observations: Sequence[Observation]) -> None:
        store.add_observations_batch(
            [
                ObservationNode(obs.caption, obs.position, obs.stamp_ns * 1e-9, embedding=np.asarray(obs.vector))
                for obs in observations
            ]
        )
        if saved:
            store.save()

    return Store("emem 0.3, saved" if saved else "emem 0.3", write, store.close, saved)
