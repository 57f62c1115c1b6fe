"""How fast the log takes records, how fast a memory opens, and what a record costs in memory and on disk.

Records have a caption, a pose and a vector of 384 numbers, which is given. Written: in batches of 1,000 and one by
one, each acknowledged from disk before the next, beside other stores (bench/log_peers.py), turn by turn; CPU time is
that of all threads. Opened: memories of 100,000 and 1,000,000 records in fresh processes, after the imports, with
their cache of the index; files are in the page cache, as those of a robot that restarts its nodes are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Options, Report, Timing, parse
from bench.log_peers import Store, make_stores
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation

DIM = 384
MODEL = "given"
BATCH = 1_000
_SEED = 23
_START_NS = 1_700_000_000 * 10**9
_UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Size:
    """batches, single records that each store takes; records of the memories opened, and how often; batches of emem"""

    batches: int
    singles: int
    opened: tuple[int, ...]
    opens: int
    slow_batches: int


QUICK = Size(8, 100, (5_000,), 2, 1)
FULL = Size(40, 1_000, (100_000, 1_000_000), 7, 4)


def observations(first: int, count: int) -> list[Observation]:
    """Records number first, first + 1 ... of a robot that is at a new place every 0.1 s."""
    rng = np.random.default_rng([_SEED, first])
    vectors = rng.normal(size=(count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = rng.uniform((-50, -50, 0.8), (50, 50, 1.2), (count, 3))
    return [
        Observation(
            _START_NS + (first + i) * 10**8, places[i], _UPRIGHT, caption=f"a red cup {first + i} on the kitchen table",
            vector=vectors[i], vector_model=MODEL,
        )
        for i in range(count)
    ]  # fmt: skip


def _clock() -> int:
    return _START_NS + 10**9 * 10**8


def written(report: Report, size: Size) -> None:
    """Batches and single records into every store."""
    with tempfile.TemporaryDirectory() as folder:
        stores = make_stores(Path(folder), _clock, report.note)
        for store in stores:
            store.write(observations(0, BATCH))  # the first of everything
        batches = _take_turns(
            stores, size.batches, size.slow_batches, lambda turn: observations((turn + 1) * BATCH, BATCH)
        )
        after = (size.batches + 1) * BATCH
        singles = _take_turns(stores, size.singles, size.singles // 10, lambda turn: observations(after + turn, 1))
        for store in stores:
            store.close()
    rows: list[list[Any]] = []
    for store in stores:
        (cpu, wall), (single_cpu, single_wall) = batches[store.name], singles[store.name]
        rows.append(
            [
                store.name, store.on_disk,
                BATCH / float(np.median(cpu.seconds)), BATCH / float(np.median(wall.seconds)),
                1 / float(np.median(single_wall.seconds)), single_wall.quantile_ms(0.99), single_cpu.quantile_ms(0.5),
            ]
        )  # fmt: skip
    columns = [
        "store",
        "on disk",
        "records/CPU s in batches",
        "records/s in batches",
        "single/s",
        "single p99 ms",
        "single CPU ms",
    ]
    report.table(f"batches of {BATCH:,} and single records, {DIM}-d vectors given", columns, rows)
    speeds = {row[0]: row for row in rows}
    why = "a quick run's few batches say nothing about speed" if report.options.quick else ""
    report.bar(
        "records per CPU-second acknowledged from disk in batches",
        speeds["RecordLog"][2],
        at_least=20_000,
        why_open=why,
    )
    report.bar(
        "the same through gate, folding and index (RecordMemory)",
        speeds["RecordMemory"][2],
        at_least=20_000,
        why_open=why,
    )
    report.figures["single-record durable commits/s"] = speeds["RecordMemory"][4]


def _take_turns(
    stores: Sequence[Store], turns: int, slow_turns: int, make: Callable[[int], list[Observation]]
) -> dict[str, tuple[Timing, Timing]]:
    """CPU and wall times of each store's writes; emem, thousands of times slower, has fewer turns."""
    cpu: dict[str, list[float]] = {store.name: [] for store in stores}
    wall: dict[str, list[float]] = {store.name: [] for store in stores}
    for turn in range(turns):
        made = make(turn)
        for store in stores:
            if store.name.startswith("emem") and turn >= slow_turns:
                continue
            begin = time.process_time(), time.perf_counter()
            store.write(made)
            cpu[store.name].append(time.process_time() - begin[0])
            wall[store.name].append(time.perf_counter() - begin[1])
    return {name: (Timing(np.array(cpu[name]), []), Timing(np.array(wall[name]), [])) for name in cpu}


def opened(report: Report, size: Size) -> None:
    """Memories of each size: made, then opened by fresh processes."""
    rows = []
    for count in size.opened:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            made = _make(folder, count)
            turns = [_open(folder) for _ in range(size.opens)]
            rebuilt = _rebuild(folder) if count <= 100_000 else None
        seconds = [turn["open_s"] for turn in turns]
        rows.append(
            [
                count, float(np.median(seconds)), max(seconds),
                float(np.median([turn["first_query_s"] for turn in turns])), rebuilt,
                made["column_bytes"] / count, turns[-1]["anonymous_mb"], turns[-1]["resident_mb"],
                made["log_bytes"] / count, made["cache_bytes"] / count, made["close_s"],
            ]
        )  # fmt: skip
        why = "a quick run opens a small memory only" if report.options.quick else ""
        wanted = 0.5 if count <= 100_000 else 3.0
        report.bar(f"cold open of {count:,} records (s)", float(np.median(seconds)), at_most=wanted, why_open=why)
    columns = [
        "records", "open s", "slowest", "first query s", "open without cache s", "index bytes a record",
        "process MB, own", "and mapped", "log bytes a record", "cache bytes a record", "close s",
    ]  # fmt: skip
    report.table("cold open: fresh process, files in the page cache; imports not counted", columns, rows)
    report.note("The first query of a process waits for its compiled loops to be loaded, whatever the memory's size.")
    report.figures["memory a record (bytes)"] = rows[-1][5]


def _make(folder: Path, count: int) -> dict[str, float]:
    memory = RecordMemory.open(folder, clock=_clock)
    for first in range(0, count, BATCH):
        memory.remember_many(observations(first, min(BATCH, count - first)))
    memory.flush()
    columns = sum(column.data.nbytes for column in memory.index.columns().values())
    begin = time.perf_counter()
    memory.close()
    took = time.perf_counter() - begin
    log = sum(path.stat().st_blocks * 512 for path in folder.glob("log.db*"))
    cache = sum(path.stat().st_blocks * 512 for path in (folder / "cache").glob("*"))
    return {"column_bytes": columns, "log_bytes": log, "cache_bytes": cache, "close_s": took}


def _open(folder: Path) -> dict[str, Any]:
    """Opened by a fresh process (see `opener`)."""
    program = [sys.executable, "-c", "import sys; from bench.log import opener; opener(sys.argv[1])", str(folder)]
    return dict(json.loads(subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True).stdout))


def opener(folder: str) -> None:
    """Open a memory, ask it once, print what that took."""
    from bench.soak import resident_mb
    from embodied_mem.records.query import Query

    begin = time.perf_counter()
    memory = RecordMemory.open(folder, read_only=True)
    opened_s = time.perf_counter() - begin
    vector = np.zeros(DIM, np.float32)
    vector[0] = 1
    begin = time.perf_counter()
    hits = memory.query(Query(vector=vector, vector_model=MODEL, k=10, map_id="*")).hits
    queried_s = time.perf_counter() - begin
    if len(hits) != 10 or memory.cache is None or memory.cache.problem:
        sys.exit(f"{len(hits)} hits; the cache was not used: {memory.cache and memory.cache.problem}")
    resident, anonymous = resident_mb("self")
    print(json.dumps({
        "open_s": opened_s, "first_query_s": queried_s, "resident_mb": resident, "anonymous_mb": anonymous,
    }))  # fmt: skip


def _rebuild(folder: Path) -> float:
    """Seconds to open without the cache."""
    for path in (folder / "cache").iterdir():
        path.unlink()
    begin = time.perf_counter()
    RecordMemory.open(folder, read_only=True).close()
    return time.perf_counter() - begin


def run(options: Options) -> int:
    report = Report("log", options, seeds={"records": _SEED}, packages=("lmdb", "emem", "msgpack"))
    size = QUICK if options.quick else FULL
    written(report, size)
    opened(report, size)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
