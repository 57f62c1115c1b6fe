"""Exact search with filters: the record index beside faiss, hnswlib, sqlite-vec and emem, on one core.

100,000 records with vectors of 384 numbers (search_world.py), and in a full run 1,000,000. Every filter alone and all
together at four selectivities (search_cases.py). What the index finds is compared with a float64 brute force.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import Options, Report, Timing, measure, memory_mb, parse, peak_memory_mb
from bench.search_cases import Case, Where, make_cases
from bench.search_peers import make_peers
from bench.search_world import World, build_index, make_world
from embodied_mem.geometry import transform_points
from embodied_mem.records.commands import SetMap
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.index import Matches, RecordIndex
from embodied_mem.records.query import EVERY_MAP, Query

K = 10
_SEED = 7
_TIE = 1e-6
_OURS = "embodied_mem"


@dataclass(frozen=True, slots=True)
class Size:
    records: int
    queries: int  # of the index, a case
    peer_queries: int  # of each peer, a case
    variants: int  # places and windows, a case


QUICK = Size(5_000, 10, 3, 3)
FULL = Size(100_000, 200, 20, 40)
LARGE = Size(1_000_000, 50, 0, 10)


class Oracle:
    """Scores in float64 of every record for every query: (n, q)."""

    def __init__(self, world: World, queries: NDArray[np.float32]) -> None:
        exact = queries.astype(np.float64).T
        self.scores = np.concatenate([part.astype(np.float64) @ exact for _, part in world.vectors()])
        self.world = world
        self._passed: dict[Where, NDArray[np.int32]] = {}

    def best(self, where: Where, query: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Every record that passes, and its score, best first; all of the first K and whatever ties with the last."""
        if where not in self._passed:
            self._passed[where] = np.flatnonzero(where.mask(self.world)).astype(np.int32)
        passed = self._passed[where]
        scores = self.scores[passed, query]
        order = np.argsort(-scores, kind="stable")
        last = scores[order[min(K, len(order)) - 1]] if len(order) else np.inf
        order = order[: int((scores >= last - _TIE).sum())]
        return passed[order], scores[order]


def is_exact(found: NDArray[np.int64], scores: NDArray[np.float64], oracle: tuple[Any, Any]) -> bool:
    """Whether ids equal the oracle's but for ties within 1e-6, and scores within 1e-6."""
    passed, best = oracle
    count = min(K, len(passed))
    if len(found) != count or len(set(found.tolist())) != count:
        return False
    if count and np.abs(scores - best[:count]).max() > _TIE:
        return False
    # Ranked the same unless tied: each found record's own score must be that of its rank.
    own = dict(zip(passed.tolist(), best.tolist(), strict=True))
    return all(abs(own.get(row, np.inf) - best[rank]) <= _TIE for rank, row in enumerate(found.tolist()))


def recall(found: list[int], oracle: tuple[NDArray[np.int32], NDArray[np.float64]]) -> float:
    """The share of the first K that was found; a record that ties with the last of them counts as one of them."""
    passed, _ = oracle
    wanted = min(K, len(passed))
    return min(len(set(found) & set(passed.tolist())), wanted) / wanted if wanted else 1.0


def use_map(index: RecordIndex, case: Case) -> None:
    """A search in space is one in the current map."""
    name = case.wheres[0].map
    if name not in (EVERY_MAP, index.maps.current):
        index.apply([Entry(index.watermark + 1, Kind.COMMAND, 0, command=SetMap(name))])


def searches(index: RecordIndex, case: Case, queries: NDArray[np.float32]) -> Callable[[int], Matches]:
    """The n-th search of a case; the query is made beforehand, as it arrives from a caller."""
    made = [case.wheres[turn % len(case.wheres)].query(vector, K) for turn, vector in enumerate(queries)]
    return partial(_search_made, index, made, queries)


def limit_ms(selectivity: float) -> float:
    return 15.0 if selectivity == 1 else 30.0 if selectivity >= 0.1 else 1.0


def compare_index(
    report: Report, index: RecordIndex, cases: list[Case], oracle: Oracle, queries: NDArray[np.float32]
) -> None:
    """The index alone, with all its queries: time and exactness."""
    rows, exact = [], []
    worst: dict[tuple[float, float], float] = {}
    for case in cases:
        use_map(index, case)
        timing = measure({_OURS: searches(index, case, queries)}, len(queries))[_OURS]
        right = sum(
            is_exact(
                match.seqs - oracle.world.first_seq,
                match.scores,
                oracle.best(case.wheres[turn % len(case.wheres)], turn),
            )
            for turn, match in enumerate(timing.outputs)
        )
        exact.append(right == len(queries))
        p95, share = timing.quantile_ms(0.95), case.selectivity
        worst[limit_ms(share), share] = max(worst.get((limit_ms(share), share), 0.0), p95)
        actual = np.mean([where.mask(oracle.world).mean() for where in case.wheres])
        rows.append([case.kind, f"{share:.2%}", f"{actual:.3%}", timing.median_ms, p95, f"{right}/{len(queries)}"])
    title = f"{len(oracle.world):,} records, CPU ms on one core"
    report.table(title, ["filter", "wanted", "passing", "p50", "p95", "exact"], rows)
    if len(oracle.world) > FULL.records:
        report.bar("every answer at 1,000,000 records equals the float64 brute force", all(exact))
        return
    small = "a quick run is too small to say" if len(oracle.world) < FULL.records else ""
    report.bar("every answer equals the float64 brute force", all(exact))
    for (limit, share), value in worst.items():
        name = "unfiltered" if share == 1 else f"worst filter at {share:.2%}"
        report.bar(f"p95 CPU ms, {name}", value, at_most=limit, why_open=small)


def compare_joined(
    report: Report, index: RecordIndex, cases: list[Case], oracle: Oracle, queries: NDArray[np.float32]
) -> None:
    """Places given in the coordinates of a new map, of which it is known how it lies in the old one."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]]
    matrix[:3, 3] = 12.5, -3.0, 0.4
    joined = SetMap("renewed", "site", tuple(matrix.ravel().tolist()))
    index.apply([Entry(index.watermark + 1, Kind.COMMAND, 0, command=joined)])
    rows, exact = [], []
    for case in (case for case in cases if case.kind == "radius"):
        made = []
        for turn, vector in enumerate(queries):
            where = case.wheres[turn % len(case.wheres)]
            assert where.center is not None
            center = transform_points(np.linalg.inv(matrix), where.center[None])[0]
            made.append(replace(where.query(vector, K), center=center, map_id="renewed"))
        search = partial(_search_made, index, made, queries)
        timing = measure({_OURS: search}, len(queries))[_OURS]
        right = sum(
            is_exact(
                match.seqs - oracle.world.first_seq,
                match.scores,
                oracle.best(case.wheres[turn % len(case.wheres)], turn),
            )
            for turn, match in enumerate(timing.outputs)
        )
        exact.append(right == len(queries))
        rows.append([f"{case.selectivity:.2%}", timing.median_ms, timing.quantile_ms(0.95), f"{right}/{len(queries)}"])
    report.table(
        f"{len(oracle.world):,} records, radius in a joined map, CPU ms", ["wanted", "p50", "p95", "exact"], rows
    )
    report.bar("every answer in a joined map equals the float64 brute force", all(exact))


def _search_made(index: RecordIndex, made: list[Query], queries: NDArray[np.float32], turn: int) -> Matches:
    return index.search(made[turn], queries[turn])


def compare_peers(
    report: Report, size: Size, index: RecordIndex, cases: list[Case], oracle: Oracle, queries: NDArray[np.float32]
) -> None:
    """The index and its peers, turn by turn: recall of the first 10, and time."""
    vectors = np.concatenate([part for _, part in oracle.world.vectors()])
    peers = make_peers(oracle.world, vectors, K, report.note)
    rows = []
    for case in cases:
        use_map(index, case)
        arms: dict[str, Callable[[int], Any]] = {_OURS: searches(index, case, queries[: size.peer_queries])}
        for peer in peers:
            if all(map(peer.fits, case.wheres)):
                arms[peer.name] = _asked(peer.search, case, queries)
        timings = measure(arms, size.peer_queries, warmup=min(len(case.wheres), size.peer_queries))
        row: list[Any] = [case.kind, f"{case.selectivity:.2%}"]
        row += [_figure(timings.get(name), case, oracle) for name in (_OURS, *(peer.name for peer in peers))]
        rows.append(row)
    columns = ["filter", "selectivity", _OURS, *(peer.name for peer in peers)]
    report.table(f"{len(vectors):,} records: median CPU ms (recall@{K})", columns, rows)


def _asked(search: Any, case: Case, queries: NDArray[np.float32]) -> Callable[[int], list[int]]:
    return lambda turn: search(case.wheres[turn % len(case.wheres)], queries[turn])


def _figure(timing: Timing | None, case: Case, oracle: Oracle) -> str:
    if timing is None:
        return "cannot"
    found = []
    for turn, output in enumerate(timing.outputs):
        ids = (output.seqs - oracle.world.first_seq).tolist() if isinstance(output, Matches) else output
        found.append(recall(ids, oracle.best(case.wheres[turn % len(case.wheres)], turn)))
    return f"{timing.median_ms:.3g} ({np.mean(found):.2f})"


def one_size(report: Report, size: Size) -> None:
    world = make_world(size.records, _SEED)
    queries = world.queries(size.queries)
    cases = make_cases(world, size.variants, np.random.default_rng([_SEED, 4]))
    before, begin = memory_mb(), time.process_time()
    index = build_index(world)
    report.note(
        f"\n{len(world):,} records: indexed in {time.process_time() - begin:.0f} CPU s, "
        f"{memory_mb() - before:,.0f} MB, of which the vectors are {len(world) * queries.shape[1] * 4 / 2**20:,.0f}"
    )
    oracle = Oracle(world, queries)
    compare_index(report, index, cases, oracle, queries)
    if size.peer_queries:
        compare_peers(report, size, index, cases, oracle, queries)
        compare_joined(report, index, cases, oracle, queries)


def run(options: Options) -> int:
    packages = ("faiss-cpu", "hnswlib", "sqlite-vec", "apsw", "emem")
    report = Report("search", options, seeds={"world": _SEED}, packages=packages)
    one_size(report, QUICK if options.quick else FULL)
    if not options.quick:
        one_size(report, LARGE)
        report.note(f"peak memory of the benchmark: {peak_memory_mb():,.0f} MB")
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
