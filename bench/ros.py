"""The nodes as separate processes over real DDS: how long a Query takes, and how long from an image to its Record.

Query: 10,000 records with vectors of 384 numbers, k = 10, called one after the other from another process. Image to
Record: a camera process sends 640 x 480 RGB-D at 10 Hz (bench/ros_camera.py); the time is from the stamp to the moment
at which another process has the Record. The log is on disk. Nothing else than the nodes runs in these processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import Options, Report, Timing, measure, parse
from embodied_mem.inference.select import default_embedder
from embodied_mem.nodes.private_domain import private_domain
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.supervisor import Supervisor
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation

K = 10
RATE = 10.0  # Hz
_SEED = 11
_START_NS = 1_700_000_000 * 10**9
_UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])
_PATIENCE_S = 120.0
_WARM_UP = 10  # frames whose latency is not counted: the first of everything
_THINGS = ("cup", "book", "chair", "lamp", "plant", "sofa", "table", "towel", "kettle", "clock", "bag", "shoe")
_COLOURS = ("red", "green", "blue", "white", "black", "brown", "yellow", "grey")
_ROOMS = ("kitchen", "bedroom", "bathroom", "hall", "office", "cellar", "garage", "attic")


@dataclass(frozen=True, slots=True)
class Size:
    records: int
    queries: int
    frames: int


QUICK = Size(2_000, 100, 100)
FULL = Size(10_000, 1_500, 600)


def caption(rng: np.random.Generator) -> str:
    thing, colour, room = rng.choice(_THINGS), rng.choice(_COLOURS), rng.choice(_ROOMS)
    return f"a {colour} {thing} {rng.integers(100)} in the {room}"


def fill(folder: Path, count: int, model: str, dim: int) -> NDArray[np.float32]:
    """A memory of so many records; returns their vectors."""
    rng = np.random.default_rng([_SEED, 0])
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    memory = RecordMemory.open(folder, clock=lambda: _START_NS + count * 10**9)
    for start in range(0, count, 500):
        memory.remember_many([
            Observation(
                _START_NS + i * 10**9, rng.uniform((-25, -25, 1.0), (25, 25, 1.2)), _UPRIGHT, caption=caption(rng),
                detections=Detections(
                    (str(rng.choice(_THINGS)),), np.array([0.9]), rng.uniform(-25, 25, (1, 3)), np.full((1, 3), 0.2),
                    np.zeros(1),
                ),
                vector=vectors[i], vector_model=model,
            )
            for i in range(start, min(start + 500, count))
        ])  # fmt: skip
    memory.close()
    return vectors


@contextmanager
def running(nodes: tuple[str, ...], folder: Path, **parameters: dict[str, Any]) -> Iterator[Supervisor]:
    """The nodes, active."""
    given = {"record": {"memory": str(folder / "memory")}, **parameters}
    with Supervisor(stack(nodes, parameters=given), log_folder=folder / "logs") as supervisor:
        yield supervisor
        restarted = [name for name in (*nodes, "manager") if supervisor.status(name).starts != 1]
        if restarted:
            raise SystemExit(f"{restarted[0]} was started again: {supervisor.tail(restarted[0])}")


def query_times(report: Report, size: Size) -> None:
    from embodied_mem_msgs.srv import Query as QuerySrv

    from embodied_mem.nodes.client import MemoryClient
    from embodied_mem.nodes.conversions.queries import request_from_query
    from embodied_mem.records.query import Query

    embedder = default_embedder("auto")
    with tempfile.TemporaryDirectory() as folder:
        vectors = fill(Path(folder) / "memory", size.records, embedder.name, embedder.dim)
        rng = np.random.default_rng([_SEED, 1])
        texts = [f"{caption(rng)}, seen {number} times" for number in range(size.queries)]
        mixed = vectors[rng.integers(0, size.records, size.queries)]
        vectored = [Query(vector=row, vector_model=embedder.name, k=K) for row in mixed]
        box = (np.array([-10.0, -10, 0]), np.array([10.0, 10, 3]))
        arms: dict[str, list[Query]] = {
            "vector": vectored,
            "vector, box, label": [
                Query(vector=query.vector, vector_model=query.vector_model, k=K, box=box, labels=("cup",))
                for query in vectored
            ],
            "text asked before": [Query(text="a red cup in the kitchen", k=K, min_score=-1.0)] * size.queries,
            "text never asked before": [Query(text=text, k=K, min_score=-1.0) for text in texts],
            "newest": [Query(k=K)] * size.queries,
        }
        with running(("record", "recall"), Path(folder)), MemoryClient(timeout_s=_PATIENCE_S) as client:
            client.wait_until_ready()
            requests = {name: [request_from_query(query) for query in made] for name, made in arms.items()}

            def ask(made: list[Any]) -> Callable[[int], int]:
                return lambda turn: len(client.call(QuerySrv, "query", made[turn]).hits)

            timings = measure(
                {name: ask(made) for name, made in requests.items()}, size.queries, warmup=20, clock=time.perf_counter
            )
    for name, timing in timings.items():
        if min(timing.outputs) < K and name != "vector, box, label":
            raise SystemExit(f"{name}: only {min(timing.outputs)} hits of {K}.")
    title = f"Query, k = {K}, {size.records:,} records, embedder {embedder.name}: ms from call to answer"
    columns = ["query by", "p50", "p95", "p99", "max", "calls"]
    report.table(title, columns, [[name, *_quantiles(timing)] for name, timing in timings.items()])
    why = "a quick run's few calls give no percentiles" if report.options.quick else ""
    report.bar(
        "Query k = 10 round trip p50 (ms), by vector", timings["vector"].quantile_ms(0.5), at_most=5, why_open=why
    )
    report.bar(
        "Query k = 10 round trip p99 (ms), by vector", timings["vector"].quantile_ms(0.99), at_most=20, why_open=why
    )
    text = timings["text asked before"]
    report.bar(
        "Query k = 10 round trip p50 (ms), by a text asked before", text.quantile_ms(0.5), at_most=5, why_open=why
    )
    report.bar(
        "Query k = 10 round trip p99 (ms), by a text asked before", text.quantile_ms(0.99), at_most=20, why_open=why
    )
    fresh = timings["text never asked before"]
    report.bar("Query k = 10 round trip p50 (ms), by a new text", fresh.quantile_ms(0.5), at_most=5, why_open=why)
    report.bar("Query k = 10 round trip p99 (ms), by a new text", fresh.quantile_ms(0.99), at_most=20, why_open=why)
    longer = fresh.quantile_ms(0.5) - text.quantile_ms(0.5)
    report.note(f"A new text takes {longer:.1f} ms longer (p50), nearly all of it for its vector (bench/embed).")


class Records:
    """Notes when each Record comes, by the stamp of its observation, and what the nodes say of themselves."""

    def __init__(self) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from embodied_mem_msgs.msg import Record
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.signals import SignalHandlerOptions

        from embodied_mem.nodes import diagnostics, qos

        self.at: dict[int, int] = {}
        self.health: dict[str, dict[str, str]] = {}
        self.heard = threading.Event()  # set with every word of health
        self.context = Context()
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("witness", context=self.context)
        self.reader = self.node.create_subscription(Record, "records", self._take, qos.RECORDS)
        self.node.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._hear, qos.reliable(50))
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _take(self, record: Any) -> None:
        now, stamp = time.time_ns(), record.observation.header.stamp
        if record.kind == record.OBSERVATION:
            self.at[stamp.sec * 10**9 + stamp.nanosec] = now

    def _hear(self, message: Any) -> None:
        for status in message.status:
            self.health[status.name] = {item.key: item.value for item in status.values}
        self.heard.set()

    def losses(self) -> str:
        """What the nodes say was lost on the way, by name."""
        told = ("dropped", "without_", "malformed", "failed", "refused")
        return ", ".join(
            f"{node} {name}: {value}"
            for node, values in sorted(self.health.items())
            for name, value in values.items()
            if any(word in name for word in told) and value.isdecimal() and int(value)
        )

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5.0)
        self.node.destroy_node()
        self.context.try_shutdown()


def image_to_record(report: Report, size: Size, name: str, perception: dict[str, Any]) -> None:
    """One run of the camera: how long each frame took to become a Record, and how many never did."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(("record", "perception"), Path(folder), perception=perception) as supervisor,
    ):
        witness = Records()
        camera = [sys.executable, "-m", "bench.ros_camera", str(size.frames), str(RATE)]
        begin = {node: cpu_s(supervisor, node) for node in ("record", "perception")}
        sent = subprocess.run(camera, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        spent = {node: (cpu_s(supervisor, node) - begin[node]) / size.frames * 1e3 for node in begin}
        witness.close()
    stamps = [int(stamp) for stamp in sent]
    lost = sum(stamp not in witness.at for stamp in stamps)
    counted = [(witness.at[stamp] - stamp) * 1e-9 for stamp in stamps[_WARM_UP:] if stamp in witness.at]
    timing = Timing(np.array(counted or [np.inf]), [])
    report.table(
        f"image to Record, {name}: ms from stamp to Record, {RATE:g} Hz, 640 x 480",
        ["p50", "p95", "p99", "max", "frames", "lost", "record CPU ms", "perception CPU ms"],
        [[*_quantiles(timing)[:4], len(stamps), lost, spent["record"], spent["perception"]]],
    )
    if lost:
        report.note(f"the nodes say: {witness.losses() or 'nothing was lost'}")
    why = "a quick run is too short for a percentile" if report.options.quick else ""
    report.bar(f"image to Record p99 (ms), {name}", timing.quantile_ms(0.99), at_most=150, why_open=why)
    report.bar(f"frames lost, {name}", lost, at_most=0)


def _quantiles(timing: Timing) -> list[float | int]:
    return [timing.quantile_ms(0.5), timing.quantile_ms(0.95), timing.quantile_ms(0.99), timing.quantile_ms(1.0),
            len(timing.seconds)]  # fmt: skip


def cpu_s(supervisor: Supervisor, node: str) -> float:
    """CPU seconds of a node's process so far (Linux)."""
    supervisor.wait_for(lambda status: status[node].running, _PATIENCE_S)
    fields = Path(f"/proc/{supervisor.pid_of(node)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(options: Options) -> int:
    packages = ("ros-kilted-rclpy", "ros-kilted-rmw-fastrtps-cpp", "onnxruntime")
    report = Report("ros", options, seeds={"memory": _SEED}, packages=packages)
    size = QUICK if options.quick else FULL
    with private_domain():
        query_times(report, size)
        every = {"cloud_distance": 0.01, "cloud_angle": 0.01}
        image_to_record(report, size, "every frame with its cloud and thumbnail", every)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
