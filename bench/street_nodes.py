"""The same instructions through real nodes over DDS as in process: `python -m bench.street_nodes [--quick]`.

A robot patrols a part of the city; everything it perceives goes through perception, record and spatial as messages
between processes, and the follower asks the spatial node by its service. In process the same frames go through the
same classes without ROS. Then both follow the same descriptions, remember what they perceive on the way, and ask again
every ten places. The bar is that every answer is the same. Instructions are of the tuning pool, on which the follower's
weights were fitted: the share that arrives says that the chain works, and nothing of how well it follows. (The world's
settings of places were chosen on these instructions too: with those for rooms, edges longer than 15 m were missing.)
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Options, Report, parse
from bench.street_crop import busiest_square, ways_of, write_crop
from bench.street_metrics import Hops
from bench.street_nearby import nearby
from bench.street_robot import Backend, Eyes, Followed, InProcess, OverNodes, Told, follow, perceived
from bench.street_tune import data_folder
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings
from embodied_mem.nodes.stack import OF_THE_STREET, stack
from embodied_mem.nodes.supervisor import Supervisor
from sim.street.graph import TouchdownGraph, load_touchdown, yaw_of_heading
from sim.street.landmarks import load_landmarks
from sim.street.simulator import load_street

_SEED = 11
_SIDE_M = 700.0
_NODES = ("record", "spatial", "perception", "sim")
_START_S, _STALL_S = 1200.0, 240.0  # kernels that were never compiled before are, while nodes are configured
Rows = Sequence[dict[str, Any]]


def patrol_in_process(folder: Path, frames: int, backend: InProcess) -> int:
    """Let the backend remember a patrol; returns the time of its last frame."""
    world, perceiver = load_street(folder, _SEED, frames), Perceiver(PerceptionSettings(**OF_THE_STREET))
    stamp_ns = 0
    while not world.done:
        frame = world.step()
        stamp_ns = frame.stamp_ns
        backend.remember(perceived(perceiver, frame))
    return stamp_ns


@contextmanager
def patrol_through_nodes(folder: Path, memory: Path, frames: int) -> Iterator[tuple[OverNodes, dict[str, Any]]]:
    """The same patrol by processes in a domain of their own, in lock-step; then the nodes stay and can be asked."""
    from embodied_mem.nodes.client import MemoryClient
    from embodied_mem.nodes.onlooking import Watcher
    from embodied_mem.nodes.private_domain import private_domain

    hashing = {"embedder": "hashing"}
    parameters: dict[str, dict[str, Any]] = {
        "record": {"memory": str(memory), **hashing},
        "spatial": {"memory": str(memory), "checkpoints": False, **hashing},
        "perception": {"wait": 10.0},
        "sim": {
            "world": "street", "street": str(folder), "seed": _SEED, "real_time_factor": 0.0, "max_frames": frames,
            "lock_step_timeout": 20.0,
        },
        "manager": {"heartbeat_timeout": 120.0, "transition_timeout": _START_S},
    }  # fmt: skip
    begin = time.monotonic()
    with private_domain():
        processes = stack(_NODES, parameters=parameters, use_sim_time=True)
        with Supervisor(processes, log_folder=memory.parent / "logs") as nodes, Watcher() as watcher:
            moved, seen = time.monotonic(), -1
            while not watcher.progress.done:
                watcher.look(0.2)
                if watcher.progress.frames != seen:
                    moved, seen = time.monotonic(), watcher.progress.frames
                if nodes.wait(0.0) or time.monotonic() - moved > (_STALL_S if seen > 0 else _START_S):
                    raise RuntimeError(f"The nodes stand still at frame {seen}: {nodes.tail('sim', 5)}")
            took = time.monotonic() - begin
            watcher.listen(3.0)
            health = watcher.health
            with MemoryClient(timeout_s=120.0, use_sim_time=True) as client:
                client.wrote = int(health["record"]["watermark"])
                yield OverNodes(client), {"seconds": took, "health": health}


def first_answer(backend: Backend, graph: TouchdownGraph, row: dict[str, Any]) -> Told:
    """Where a description leads, asked at its start."""
    start = graph.xy[graph.nodes_of(row["route_panoids"][:1])]
    driven = np.column_stack([start, np.zeros(1)])
    return backend.follow(row["navigation_text"], driven, float(yaw_of_heading(float(row["start_heading"]))))


def follow_all(backend: Backend, graph: TouchdownGraph, folder: Path, rows: Rows, end_ns: int) -> list[Followed]:
    """Every description in order; memory is never cleared between them."""
    landmarks = load_landmarks(folder, graph)
    done = []
    for i, row in enumerate(rows):
        start = int(graph.nodes_of(row["route_panoids"][:1])[0])
        eyes = Eyes(graph, landmarks, seed=1000 + i)
        stamp_ns = end_ns + 1_000_000_000 + i * 100_000_000
        done.append(follow(backend, eyes, graph, row["navigation_text"], start, float(row["start_heading"]), stamp_ns))
    return done


def same(a: Followed, b: Followed) -> tuple[bool, float, float]:
    """Whether two episodes had the same answers; the greatest differences of positions (m) and of confidences."""
    if len(a.told) != len(b.told) or not np.array_equal(a.path, b.path):
        return False, np.inf, np.inf
    gap = sure = 0.0
    for one, other in zip(a.told, b.told, strict=True):
        if one.points.shape != other.points.shape:
            return False, np.inf, np.inf
        gap = max(gap, float(np.abs(one.points - other.points).max(initial=0.0)))
        sure = max(sure, abs(one.confidence - other.confidence))
    return gap < 1e-6 and sure < 1e-5, gap, sure


def run(options: Options) -> int:
    report = Report("street_nodes", options, seeds={"all": _SEED})
    source = data_folder()
    city, pool = load_touchdown(source), ways_of(source / "map2seq" / "tuning_pool.jsonl")
    frames, count = (150, 3) if options.quick else (2000, 50)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "crop"
        corner, inside = busiest_square(city, pool, _SIDE_M)
        write_crop(source, folder, city, corner, _SIDE_M)
        graph, rows = load_touchdown(folder), [pool[i] for i in inside]
        alone = InProcess(Path(name) / "alone")
        end_ns = patrol_in_process(folder, frames, alone)
        if options.quick:  # a short patrol knows few starts
            rows.sort(key=lambda row: not len(first_answer(alone, graph, row).points))
        rows = rows[:count]
        begin = time.process_time()
        expected = follow_all(alone, graph, folder, rows, end_ns)
        spent = time.process_time() - begin
        with patrol_through_nodes(folder, Path(name) / "nodes", frames) as (nodes, told):
            begin = time.monotonic()
            found = follow_all(nodes, graph, folder, rows, end_ns)
            waited = time.monotonic() - begin
        _tell(report, graph, rows, expected, found)
        asked = sum(len(each.told) for each in found)
        report.table("cost", ["what", "in process", "through nodes"], [
            ["patrol, s", None, round(told["seconds"], 1)],
            ["an answer, ms (CPU in process, wall through nodes; what was perceived since included)",
             round(1e3 * spent / asked, 1), round(1e3 * waited / asked, 1)],
        ])  # fmt: skip
        report.note(
            f"{len(graph)} street nodes within {_SIDE_M:g} m, a patrol of {frames} frames, {len(alone.places.graph)} "
            f"places; lost on the way: {_lost(told['health'])}"
        )
        alone.memory.close()
    nearby(report, options.quick)
    return report.finish()


def _tell(report: Report, graph: TouchdownGraph, rows: Rows, expected: list[Followed], found: list[Followed]) -> None:
    hops = Hops(len(graph), graph.links)
    table = []
    for name, episodes in (("in process", expected), ("through nodes", found)):
        arrived = []
        for row, each in zip(rows, episodes, strict=True):
            goal = graph.nodes_of(row["route_panoids"][-1:])
            arrived.append(float(hops.between(goal, each.path[-1:])[0, 0]) <= 1)
        answered = [len(each.told[0].points) > 0 for each in episodes]
        table.append([
            name, len(episodes), sum(len(each.told) for each in episodes), sum(len(each.path) - 1 for each in episodes),
            100 * float(np.mean(answered)), 100 * float(np.mean(arrived)),
        ])  # fmt: skip
    columns = ["memory", "episodes", "answers", "observations on the way", "answered %", "TC % (tuning pool)"]
    report.table("following through memory's own interfaces", columns, table)
    verdicts = [same(a, b) for a, b in zip(expected, found, strict=True)]
    equal = sum(verdict[0] for verdict in verdicts)
    report.note(
        f"{equal} of {len(verdicts)} episodes alike; greatest differences: {max(v[1] for v in verdicts):.2g} m, "
        f"{max(v[2] for v in verdicts):.2g} of confidence"
    )
    report.bar("episodes through nodes", len(found), at_least=len(found) if len(found) < 50 else 50)
    report.bar("episodes with the same answers as in process", equal, at_least=len(verdicts))


def _lost(health: dict[str, dict[str, str]]) -> str:
    """Counters of the nodes that speak of losses, where they are not 0."""
    words = ("dropped", "without", "refused", "gaps", "timeouts")
    found = [
        f"{node} {name} {value}" for node, values in health.items() for name, value in values.items()
        if any(word in name for word in words) and value not in ("0", "")
    ]  # fmt: skip
    return ", ".join(found) or "nothing"


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
