"""The peers of bench/search, each in the best form that we know for its filters. All run on one thread.

faiss, hnswlib   have no filters: they are told which records may be found, by one pass of numpy over the columns
sqlite-vec       SQL with an index on every column; the faster of two forms for each filter: its own table restricted
                 to numbers, or the cosine of every row that passes
emem 0.3         its own search by vector; it knows radius, time, layer (the map), episode (the session). Its graph is
                 the one that hnswlib built, with emem's parameters and a wider search than its own
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.search_cases import Where
from bench.search_world import DIM, LABELS, MAPS, ROBOTS, SESSIONS, World
from embodied_mem.records.query import EVERY_MAP

Vector = NDArray[np.float32]
Search = Callable[[Where, Vector], list[int]]  # indices of records, best first

_HNSW_M, _HNSW_BUILD, _HNSW_SEARCH = 16, 200, 96  # the first two are emem's defaults, its third is 50


@dataclass(frozen=True, slots=True)
class Peer:
    """`search` answers from a filter and a vector; `fits` says whether it can express the filter."""

    name: str
    search: Search
    fits: Callable[[Where], bool] = lambda where: True


def make_peers(world: World, vectors: NDArray[np.float32], k: int, note: Callable[[str], None]) -> list[Peer]:
    """Those that are installed; `note` is told what building took, and which are left out."""
    peers: list[Peer] = []
    graph: Any = None  # made by hnswlib, used by emem too

    def hnswlib() -> Peer:
        nonlocal graph
        peer, graph = _hnswlib(world, vectors, k)
        return peer

    makers: dict[str, Callable[[], Peer]] = {
        "faiss": lambda: _faiss(world, vectors, k),
        "hnswlib": hnswlib,
        "sqlite-vec": lambda: _sqlite_vec(world, vectors, k),
        "emem": lambda: _emem(world, graph, k),
    }
    for name, make in makers.items():
        begin = time.process_time()
        try:
            peers.append(make())
        except ImportError as error:
            note(f"{name} is left out: {error}")
            continue
        note(f"{name}: built in {time.process_time() - begin:.1f} CPU s")
    return peers


def _faiss(world: World, vectors: NDArray[np.float32], k: int) -> Peer:
    faiss: Any = importlib.import_module("faiss")  # its stubs leave out keywords that it takes

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)

    def search(where: Where, query: Vector) -> list[int]:
        if where.open:
            parameters = None
        else:
            bits = np.packbits(where.mask(world), bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        found = index.search(query[None], k, params=parameters)[1][0]
        return [int(i) for i in found if i >= 0]

    return Peer("faiss Flat + bitmap", search)


def _hnswlib(world: World, vectors: NDArray[np.float32], k: int) -> tuple[Peer, Any]:
    import hnswlib

    index = hnswlib.Index(space="cosine", dim=DIM)
    index.init_index(max_elements=len(vectors), M=_HNSW_M, ef_construction=_HNSW_BUILD, random_seed=1)
    index.add_items(vectors, np.arange(len(vectors)))
    index.set_num_threads(1)
    index.set_ef(_HNSW_SEARCH)

    def search(where: Where, query: Vector) -> list[int]:
        mask = None if where.open else where.mask(world)
        allowed = None if mask is None else mask.tobytes()
        accept = None if allowed is None else lambda label: allowed[label] != 0
        wanted = k if mask is None else min(k, int(mask.sum()))  # it answers nothing rather than fewer than it is asked
        try:
            found = index.knn_query(query[None], k=max(wanted, 1), num_threads=1, filter=accept)[0][0]
        except RuntimeError:  # it found fewer
            return []
        return [int(i) for i in found]

    return Peer("hnswlib + callback", search), index


def _sqlite_vec(world: World, vectors: NDArray[np.float32], k: int) -> Peer:
    import apsw  # the sqlite3 module of many Pythons cannot load extensions
    import sqlite_vec

    base = apsw.Connection(":memory:")
    base.enable_load_extension(True)
    base.load_extension(sqlite_vec.loadable_path())
    base.execute(
        f"""
        PRAGMA cache_size = -1000000;
        CREATE VIRTUAL TABLE vectors USING vec0(vector float[{DIM}] distance_metric=cosine);
        CREATE TABLE records (id INTEGER PRIMARY KEY, stamp INT, seen INT, x REAL, y REAL, z REAL,
                              robot TEXT, session TEXT, map TEXT, vector BLOB);
        CREATE TABLE detections (record INT, label TEXT, x REAL, y REAL, z REAL);
        """
    )
    sessions = tuple(SESSIONS)
    with base:
        for first in range(0, len(world), 10_000):
            rows = range(first, min(first + 10_000, len(world)))
            blobs = [vectors[row].tobytes() for row in rows]
            base.executemany("INSERT INTO vectors(rowid, vector) VALUES (?, ?)", zip(rows, blobs, strict=True))
            base.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (row, int(world.stamps[row]), int(world.last_seen[row]), *world.positions[row].tolist(),
                     ROBOTS[world.robots[row]], sessions[world.sessions[row]], MAPS[world.maps[row]], blob)
                    for row, blob in zip(rows, blobs, strict=True)
                ),
            )  # fmt: skip
        names = tuple(LABELS)
        base.executemany(
            "INSERT INTO detections VALUES (?, ?, ?, ?, ?)",
            (
                (int(owner), names[label], *center.tolist())
                for owner, label, center in zip(world.owner, world.labels, world.centers, strict=True)
            ),
        )
    for column in ("stamp", "x", "robot", "session", "map"):
        base.execute(f"CREATE INDEX by_{column} ON records({column})")
    base.execute("CREATE INDEX by_label ON detections(label, x); CREATE INDEX by_record ON detections(record); ANALYZE")
    faster: dict[int, int] = {}  # which of the two forms, by filter

    def search(where: Where, query: Vector) -> list[int]:
        condition, values = _sql(where)
        blob = query.tobytes()
        forms = (
            (
                f"SELECT id FROM records WHERE {condition} ORDER BY vec_distance_cosine(vector, ?) LIMIT {k}",
                (*values, blob),
            ),
            (
                f"SELECT rowid FROM vectors WHERE vector MATCH ? AND k = {k}"
                + (f" AND rowid IN (SELECT id FROM records WHERE {condition})" if values else ""),
                (blob, *values),
            ),
        )
        if id(where) not in faster:  # the first call is a warm-up call
            spent = []
            for statement, bound in forms:
                begin = time.thread_time()
                list(base.execute(statement, bound))
                spent.append(time.thread_time() - begin)
            faster[id(where)] = int(np.argmin(spent))
        statement, bound = forms[faster[id(where)]]
        return [row[0] for row in base.execute(statement, bound)]

    return Peer("sqlite-vec", search)


def _sql(where: Where) -> tuple[str, tuple[Any, ...]]:
    """A condition on `records`, and its values."""
    parts: list[str] = ["1"]
    values: list[Any] = []
    if where.start_ns is not None:
        # No record is seen for longer than a minute: so the index on stamp bounds both sides.
        parts.append("stamp < ? AND stamp >= ? AND seen >= ?")
        values += [where.end_ns, where.start_ns - 60_000_000_000, where.start_ns]
    for column, value in (("robot", where.robot), ("session", where.session), ("map", where.map)):
        if value and value != EVERY_MAP:
            parts.append(f"{column} = ?")
            values.append(value)
    place, place_values = _sql_place(where)
    if where.labels:
        marks = ", ".join("?" * len(where.labels))
        parts.append(f"id IN (SELECT record FROM detections WHERE label IN ({marks}) AND {place})")
        return " AND ".join(parts), (*values, *where.labels, *place_values)
    return " AND ".join([*parts, place]), (*values, *place_values)


def _sql_place(where: Where) -> tuple[str, Iterable[float]]:
    if where.box is not None:
        low, high = (np.nan_to_num(corner, posinf=1e9, neginf=-1e9).tolist() for corner in where.box)
        limits = [value for pair in zip(low, high, strict=True) for value in pair]
        return "x BETWEEN ? AND ? AND y BETWEEN ? AND ? AND z BETWEEN ? AND ?", limits
    if where.center is not None and where.radius is not None:
        x, y, z = where.center.tolist()
        reach = where.radius
        distance = "(x - ?) * (x - ?) + (y - ?) * (y - ?) + (z - ?) * (z - ?) <= ?"
        return f"x BETWEEN ? AND ? AND {distance}", [x - reach, x + reach, x, x, y, y, z, z, reach**2]
    return "1", []


def _emem(world: World, graph: Any, k: int) -> Peer:
    if graph is None:
        raise ImportError("it shares the graph of hnswlib")
    from emem import MemoryStore, SpatioTemporalMemoryConfig
    from emem.embeddings import NullEmbeddingProvider
    from emem.types import ObservationNode

    folder = Path(tempfile.mkdtemp(prefix="bench-emem-"))
    config = SpatioTemporalMemoryConfig(
        db_path=str(folder / "memory.db"), hnsw_path=str(folder / "none.bin"), hnsw_max_elements=16, embedding_dim=DIM
    )
    store = MemoryStore(config, NullEmbeddingProvider(DIM))
    sessions = tuple(SESSIONS)
    for first in range(0, len(world), 10_000):
        store.add_observations_batch(
            [
                ObservationNode(
                    "", world.positions[row], float(world.stamps[row]), id=str(row),
                    layer_name=MAPS[world.maps[row]], episode_id=sessions[world.sessions[row]],
                )
                for row in range(first, min(first + 10_000, len(world)))
            ]
        )  # fmt: skip
    store._hnsw = graph
    store._hnsw_id_map = {row: str(row) for row in range(len(world))}
    store._db.executemany(
        "INSERT INTO hnsw_mappings VALUES (?, ?, 'observation')", ((row, str(row)) for row in range(len(world)))
    )
    store._db.commit()

    def fits(where: Where) -> bool:
        return where.box is None and not where.labels and not where.robot

    def search(where: Where, query: Vector) -> list[int]:
        found = store.semantic_search_by_vector(
            query,
            k,
            layer=None if where.map == EVERY_MAP else where.map,
            time_range=None if where.start_ns is None else (float(where.start_ns), float(where.end_ns or 0)),
            spatial_center=where.center,
            spatial_radius=where.radius,
            episode_id=where.session or None,
        )
        return [int(node.id) for node in found]

    return Peer("emem 0.3", search, fits)
