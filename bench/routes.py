"""Routes on Touchdown's street graph (29,641 places of Manhattan): time, exactness, and peers on the same pairs.

Our routes are asked as a robot asks for them (`Router.route`: places, lengths, headings, points) and as the bare search
(cost and arcs). networkx, rustworkx and igraph get the same graph with the same lengths, each in every form that suits
the question: A* with the straight distance, and Dijkstra from one end or both. CPU time of one thread.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import rustworkx as rx
from numpy.typing import NDArray

from bench.harness import Options, Report, Timing, measure, parse
from bench.street_tune import data_folder
from embodied_mem.topology.compress import Compressed, compress
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.routes import Router
from embodied_mem.topology.search import a_star
from embodied_mem.topology.snapshot import Snapshot
from sim.street.graph import TouchdownGraph, load_touchdown

_SEED = 11
_CLOSE = 1e-9  # of a length: sums of the same numbers in another order
_NEVER_MORE = 1 - 1e-9  # of a heuristic, for every arm alike
_TO = "A* on the 29,641-node graph (ms, median CPU)"
_EXACT = "routes that differ from networkx's length, of 1,000 random pairs"
_INSERT = "insert of an edge (us)"
_BARS = ((_TO, 1.0), (_INSERT, 1.0), (_EXACT, 0.0))

Search = Callable[[int, int], float]  # metres, infinite where there is no way


def placed(streets: TouchdownGraph) -> PlaceGraph:
    """The places, without edges."""
    graph = PlaceGraph()
    graph.add_places(streets.xy, map_ids="city")
    return graph


def straight(streets: TouchdownGraph) -> Search:
    """The straight distance between two places, in plain Python numbers: what callbacks are fastest with."""
    where = streets.xy.tolist()

    def away(a: int, b: int) -> float:
        (ax, ay), (bx, by) = where[a], where[b]
        return float(((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5 * _NEVER_MORE)

    return away


def peers_of(streets: TouchdownGraph, report: Report) -> dict[str, Search]:
    """What else finds a shortest way on the same graph; how long each takes to be made is reported."""
    lengths, away = streets.lengths, straight(streets)
    tails, heads = streets.links.T
    triples = list(zip(tails.tolist(), heads.tolist(), lengths.tolist(), strict=True))
    rows = []

    begin = time.thread_time()
    plain = nx.DiGraph()
    plain.add_weighted_edges_from(triples)
    rows.append(["networkx", (time.thread_time() - begin) * 1e3])
    begin = time.thread_time()
    network = rx.PyDiGraph(multigraph=False)
    network.add_nodes_from(range(len(streets)))
    network.add_edges_from(triples)
    rows.append(["rustworkx", (time.thread_time() - begin) * 1e3])

    def rx_a_star(a: int, b: int) -> float:
        way = rx.digraph_astar_shortest_path(network, a, b.__eq__, float, lambda node: away(node, b))
        return _length(network.get_edge_data, way)

    def rx_dijkstra(a: int, b: int) -> float:
        found = rx.digraph_dijkstra_shortest_paths(network, a, b, float)
        return _length(network.get_edge_data, found[b])

    searches: dict[str, Search] = {
        "networkx A*": lambda a, b: _length(_weight_in(plain), nx.astar_path(plain, a, b, away, "weight")),
        "networkx Dijkstra from both ends": lambda a, b: nx.bidirectional_dijkstra(plain, a, b, "weight")[0],
        "rustworkx A*": rx_a_star,
        "rustworkx Dijkstra": rx_dijkstra,
    }
    try:
        igraph: Any = importlib.import_module("igraph")
    except ImportError:
        report.note("igraph is skipped: it is not installed (pip install .[bench]).")
    else:
        begin = time.thread_time()
        other = igraph.Graph(len(streets), streets.links.tolist(), directed=True, edge_attrs={"w": lengths.tolist()})
        rows.append(["igraph", (time.thread_time() - begin) * 1e3])
        searches["igraph A*"] = lambda a, b: _along(
            lengths,
            other.get_shortest_path_astar(a, b, lambda _, u, v: away(u, v), weights="w", output="epath"),
            a == b,
        )
        searches["igraph Dijkstra"] = lambda a, b: _along(
            lengths, other.get_shortest_path(a, b, weights="w", output="epath"), a == b
        )
    report.table("the graph made from a list of edges, CPU ms", ["arm", "ms"], rows)
    return {name: partial(_or_none, search) for name, search in searches.items()}


def _weight_in(graph: nx.DiGraph) -> Callable[[int, int], float]:
    return lambda a, b: float(graph[a][b]["weight"])


def _length(weight: Callable[[int, int], float], way: Any) -> float:
    places = list(way)
    return float(sum(map(weight, places[:-1], places[1:])))


def _along(lengths: NDArray[np.float64], edges: list[int], same: bool) -> float:
    return float(lengths[edges].sum()) if edges or same else np.inf


def _or_none(search: Search, a: int, b: int) -> float:
    """Libraries raise where there is no way."""
    try:
        return search(a, b)
    except (nx.NetworkXNoPath, rx.NoPathFound, KeyError, IndexError):
        return np.inf


def compare_peers(report: Report, streets: TouchdownGraph, router: Router, pairs: NDArray[np.int64]) -> None:
    """Every arm on the same pairs, turn by turn: each finds the processor's caches as the others left them."""
    arms: dict[str, Search] = {
        "embodied_mem, a route": lambda a, b: router.route(a, b, now_ns=0).length,
        "embodied_mem, the bare search": lambda a, b: router.snapshot.between(a, b, 0)[0],
        "embodied_mem, the bare search without chains": partial(_on_every_place, router.snapshot),
        **peers_of(streets, report),
    }
    timings = measure({name: _turns(search, pairs) for name, search in arms.items()}, len(pairs))
    truth = np.array(timings["networkx A*"].outputs)
    rows = [
        [name, timing.median_ms, timing.quantile_ms(0.95), f"{_differing(timing, truth)}/{len(pairs)}"]
        for name, timing in timings.items()
    ]
    report.table(f"{len(pairs)} random pairs, CPU ms, turn by turn", ["arm", "p50", "p95", "differ"], rows)


def compare_exactness(report: Report, streets: TouchdownGraph, router: Router, pairs: NDArray[np.int64]) -> None:
    """Routes alone, one after another as a server answers them; then each length against networkx."""
    timing = measure({"route": _turns(lambda a, b: router.route(a, b, now_ns=0), pairs)}, len(pairs), warmup=50)[
        "route"
    ]
    bare = measure({"bare": _turns(lambda a, b: router.snapshot.between(a, b, 0)[0], pairs)}, len(pairs), warmup=50)
    plain = nx.DiGraph()
    plain.add_weighted_edges_from(zip(*streets.links.T.tolist(), streets.lengths.tolist(), strict=True))

    away = straight(streets)

    def search(a: int, b: int) -> float:
        return _length(_weight_in(plain), nx.astar_path(plain, a, b, away, "weight"))

    truth = np.array([_or_none(search, int(a), int(b)) for a, b in pairs])
    lengths = np.array([route.length for route in timing.outputs])
    differ = int((np.abs(lengths - truth) > _CLOSE * np.maximum(truth, 1)).sum())
    hops = [len(route) for route in timing.outputs]
    report.table(
        f"{len(pairs):,} random pairs, CPU ms, alone",
        ["arm", "p50", "p95", "max"],
        [
            [name, each.median_ms, each.quantile_ms(0.95), each.quantile_ms(1.0)]
            for name, each in (("a route", timing), ("the bare search", bare["bare"]))
        ],
    )
    report.note(
        f"A route is {np.median(lengths) / 1e3:.1f} km long and leads over {np.median(hops):.0f} places (medians)."
    )
    size = "" if len(pairs) >= 1000 else f"a quick run asks for {len(pairs)} pairs on a machine that may be busy"
    report.bar(_TO, timing.median_ms, at_most=1.0, why_open=size)
    report.bar(_EXACT, differ, at_most=0, why_open=size if not differ else "")
    report.note(f"The goal of less than 0.1 ms is {'' if timing.median_ms < 0.1 else 'not '}reached.")


def insertion(report: Report, streets: TouchdownGraph, repeats: int) -> None:
    """Edges into a graph of all places: all at once, one by one, and again; then what the next route waits for."""
    tails, heads = streets.links.T
    lengths = streets.lengths
    few = 2000
    us: dict[str, list[float]] = {}

    def clocked(name: str, count: int, action: Callable[[], object]) -> None:
        begin = time.thread_time()
        action()
        us.setdefault(name, []).append((time.thread_time() - begin) / count * 1e6)

    for _ in range(repeats):
        graph, single = placed(streets), placed(streets)
        clocked("an edge, in bulk", len(tails), partial(graph.add_edges, tails, heads, lengths))
        clocked("an edge that is there already, in bulk", len(tails), partial(graph.add_edges, tails, heads, lengths))
        clocked("an edge, one by one", few, partial(_one_by_one, single, streets.links[:few].tolist()))
        clocked("the snapshot that the first route after a change waits for", 1, partial(Snapshot.of, graph))
    rows = [[name, float(np.median(values)), min(values), max(values)] for name, values in us.items()]
    report.table(f"changing the graph, CPU us, {repeats} times", ["what", "p50", "least", "most"], rows)
    report.bar(_INSERT, float(np.median(us["an edge, in bulk"])), at_most=1.0)


def _one_by_one(graph: PlaceGraph, pairs: list[list[int]]) -> None:
    for tail, head in pairs:
        graph.add_edge(tail, head)


def other_ways(report: Report, router: Router, pairs: NDArray[np.int64], yen: int) -> None:
    """Three ways, different ones and exactly the shortest, where there is a way at all."""
    penalty = measure({"": _turns(lambda a, b: router.alternatives(a, b, 3, now_ns=0), pairs)}, len(pairs), warmup=2)[
        ""
    ]
    exact = measure(
        {"": _turns(lambda a, b: router.alternatives(a, b, 3, now_ns=0, exact=True), pairs[:yen])}, yen, warmup=1
    )[""]
    rows = []
    for name, timing in (("that differ (penalties)", penalty), ("exactly the shortest (Yen)", exact)):
        longer = [routes[-1].length / routes[0].length for routes in timing.outputs]
        found = np.mean([len(routes) for routes in timing.outputs])
        rows.append(
            [
                name,
                len(timing.outputs),
                timing.median_ms,
                timing.quantile_ms(0.95),
                float(found),
                float(np.median(longer)),
            ]
        )
    columns = ["three ways", "pairs", "p50", "p95", "ways found", "the last over the first"]
    report.table("alternatives, CPU ms", columns, rows)


def compression(report: Report, graph: PlaceGraph, router: Router, stretches: Sequence[float], count: int) -> None:
    """How many places are left when ways between these may be longer by a bounded factor, and how long they get.

    Between kept places the bound is a promise. Between any two places, by way of the kept ones nearest to them, it is
    not; what comes out there is shown as well.
    """
    rows, worst = [], 0.0
    for stretch in stretches:
        begin = time.thread_time()
        made = compress(graph, stretch=stretch)
        spent = time.thread_time() - begin
        small, rng = Router(made.graph), np.random.default_rng(_SEED)
        kept = _stretches(router, small, made, made.kept[rng.integers(0, len(made.kept), (count, 2))])
        every = _stretches(router, small, made, rng.integers(0, len(graph), (count, 2)))
        worst = max(worst, float(kept.max()) / stretch)
        rows.append([
            stretch, len(made.kept), 100 * len(made.kept) / len(graph), made.graph.edge_count,
            *(float(np.quantile(kept, share)) for share in (0.5, 0.95, 1.0)),
            *(float(np.quantile(every, share)) for share in (0.5, 0.95)), float(np.median(made.away)), spent * 1e3,
        ])  # fmt: skip
    columns = ["allowed", "places", "% of all", "edges", "p50", "p95", "max", "any two: p50", "p95", "m away", "CPU ms"]
    report.table(f"compression: stretch of {count:,} ways between kept places, and between any", columns, rows)
    report.bar("longest way of a compressed graph over what its stretch allows", worst, at_most=1 + _CLOSE)


def _stretches(router: Router, small: Router, made: Compressed, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many times longer ways are by the kept places, for pairs (p, 2) of places that a way joins."""
    found = []
    for a, b in pairs.tolist():
        before = router.snapshot.between(a, b, 0)[0]
        if 0 < before < np.inf:
            after = small.snapshot.between(int(made.place_of[a]), int(made.place_of[b]), 0)[0]
            found.append((made.away[a] + after + made.away[b]) / before)
    return np.array(found)


def _on_every_place(snapshot: Snapshot, a: int, b: int) -> float:
    zero, goal = np.zeros(1), snapshot.rows.xyz[b : b + 1]
    ends = np.array([a], np.int32), np.array([b], np.int32)
    return float(a_star(snapshot.rows, snapshot.costs, goal, snapshot.scale, ends[0], zero, ends[1], zero, np.inf)[0])


def _turns(search: Callable[[int, int], Any], pairs: NDArray[np.int64]) -> Callable[[int], Any]:
    asked = pairs.tolist()
    return lambda turn: search(*asked[turn])


def _differing(timing: Timing, truth: NDArray[np.float64]) -> int:
    return int((~np.isclose(np.array(timing.outputs), truth, rtol=_CLOSE, atol=_CLOSE)).sum())


def joined_pairs(streets: TouchdownGraph, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random pairs of different places (count, 2), of those between which there is a way there and back."""
    network = rx.PyDiGraph()
    network.add_nodes_from(range(len(streets)))
    network.add_edges_from_no_data([(int(a), int(b)) for a, b in streets.links])
    members = np.sort(np.array(max(rx.strongly_connected_components(network), key=len)))
    pairs = rng.choice(members, (2 * count, 2))
    return pairs[pairs[:, 0] != pairs[:, 1]][:count]


def run(options: Options) -> int:
    report = Report("routes", options, seeds={"pairs": _SEED}, packages=("networkx", "rustworkx", "igraph"))
    folder = data_folder()
    if not (folder / "graph" / "nodes.txt").exists():
        why = f"Touchdown's graph is not in {folder}: set EMBODIED_MEM_DATA to the folder that holds touchdown/"
        for name, limit in _BARS:
            report.bar(name, None, at_most=limit, why_open=why)
        return report.finish()
    streets = load_touchdown(folder)
    graph = placed(streets)
    graph.add_edges(streets.links[:, 0], streets.links[:, 1], streets.lengths)
    router = Router(graph)
    pairs = joined_pairs(streets, 30 if options.quick else 1000, np.random.default_rng(_SEED))
    junctions = int((router.snapshot.chains.junction >= 0).sum())
    report.note(f"{len(graph):,} places, {graph.edge_count:,} edges; {junctions:,} places are junctions.")
    insertion(report, streets, 3 if options.quick else 15)
    compare_exactness(report, streets, router, pairs)
    compare_peers(report, streets, router, pairs[: 10 if options.quick else 200])
    other_ways(report, router, pairs[: 10 if options.quick else 100], 2 if options.quick else 20)
    compress(graph)  # compiles
    stretches = (1.0, 1.5) if options.quick else (1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0)
    compression(report, graph, router, stretches, 50 if options.quick else 1000)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
