"""An hour of a robot's life: 640 x 480 RGB-D with detections at 10 Hz through the nodes as processes, and questions.

The robot (bench/soak_camera.py) never stands still, so every frame is a record with its vector; clouds and thumbnails
are kept as the defaults say. Once a second another process asks a query, every ten seconds also where a thing is.
Shown: frames lost, CPU and resident memory of each node, and whether it grows by more than what memory holds. What
memory holds grows with the records, as it must; so the nodes are started again at the end on the same log, and a
process that ran for an hour may not be much larger than one that has just read what it wrote and answered each of the
questions once (what it computes with is loaded then).

Partial figures go to runs/soak.json every minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import ROOT, Options, Report, parse
from bench.ros import Records, cpu_s, running
from bench.soak_camera import CLASSES
from embodied_mem.nodes.private_domain import private_domain
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.supervisor import Supervisor

RATE = 10.0  # Hz
NODES = ("record", "recall", "perception")
PARTIAL = ROOT / "runs" / "soak.json"
_PATIENCE_S = 120.0
_LOCATE_EVERY = 10  # queries
# Frames may wait for 5 s rather than one, for the machine has other work to do, and nothing may be lost meanwhile.
_PERCEPTION = {"external_detections": True, "reliability": "reliable", "queue": 50}


@dataclass(frozen=True, slots=True)
class Size:
    """frames; seconds between samples; the share of the time that counts as warm-up; seconds between partial files"""

    frames: int
    sample_s: float
    warm_up: float
    partial_s: float


QUICK = Size(200, 1.0, 0.3, 10.0)
FULL = Size(36_000, 10.0, 0.1, 60.0)


@dataclass(slots=True)
class Samples:
    """Of each node, from the start: seconds, resident MB (all, and without files), CPU seconds; records known."""

    seconds: list[float] = field(default_factory=list)
    resident: dict[str, list[float]] = field(default_factory=dict)
    anonymous: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    records: list[int] = field(default_factory=list)

    def take(self, supervisor: Supervisor, elapsed_s: float, records: int) -> None:
        self.seconds.append(elapsed_s)
        self.records.append(records)
        for node in (*NODES, "manager"):
            supervisor.wait_for(lambda status, node=node: status[node].running, _PATIENCE_S)  # type: ignore[misc]
            total, anonymous = resident_mb(supervisor.pid_of(node))
            self.resident.setdefault(node, []).append(total)
            self.anonymous.setdefault(node, []).append(anonymous)
            self.cpu.setdefault(node, []).append(cpu_s(supervisor, node))

    def growth(self, node: str, warm_up: float) -> float:
        """MB an hour after warm-up: the least-squares slope of the resident size."""
        return 3600 * _slope(*self._after(warm_up, self.resident[node]))

    def bytes_a_record(self, node: str, warm_up: float) -> float:
        """By how much the node grew with each record, after warm-up."""
        first = self._first(warm_up)
        return 2**20 * _slope(self.records[first:], self.resident[node][first:])

    def cpu_percent(self, node: str, warm_up: float) -> float:
        """CPU time after warm-up, in per cent of one core."""
        seconds, cpu = self._after(warm_up, self.cpu[node])
        return 100 * (cpu[-1] - cpu[0]) / max(seconds[-1] - seconds[0], 1e-9)

    def _first(self, warm_up: float) -> int:
        return int(np.searchsorted(self.seconds, warm_up * self.seconds[-1]))

    def _after(self, warm_up: float, values: list[float]) -> tuple[list[float], list[float]]:
        first = self._first(warm_up)
        return self.seconds[first:], values[first:]


class Questions:
    """Asks a query every second and where a thing is every ten, and notes how long the answers took."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = {"query": [], "locate": []}
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE_S)

    def _ask(self) -> None:
        from embodied_mem.nodes.client import MemoryClient

        with MemoryClient(timeout_s=_PATIENCE_S) as client:
            turn = 0
            while not self._stop.wait(1.0):
                thing = CLASSES[(turn + turn // _LOCATE_EVERY) % len(CLASSES)]
                turn += 1
                self._time("query", partial(client.query, f"a {thing}", k=10, min_score=-1.0))
                if turn % _LOCATE_EVERY == 0:
                    self._time("locate", partial(client.locate, thing))

    def _time(self, name: str, ask: Callable[[], object]) -> None:
        begin = time.perf_counter()
        try:
            ask()
        except Exception as error:  # whatever it is, it counts, and the hour goes on
            self.failed.append(f"{name}: {error}")
        self.milliseconds[name].append((time.perf_counter() - begin) * 1e3)


def resident_mb(pid: int | str) -> tuple[float, float]:
    """Resident memory of a process (Linux): all of it, and what no file backs."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    total, anonymous = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    return total, anonymous


def soak(size: Size, folder: Path, progress: Path) -> dict[str, Any]:
    """The run itself; what it measured by name."""
    samples = Samples()
    given: dict[str, dict[str, Any]] = {"record": {"memory": str(folder / "memory")}, "perception": _PERCEPTION}
    with Supervisor(stack(NODES, parameters=given), log_folder=folder / "logs") as supervisor:
        witness, questions = Records(), Questions()
        camera = subprocess.Popen(
            [sys.executable, "-m", "bench.soak_camera", str(size.frames), str(RATE)], stdout=subprocess.PIPE, text=True
        )
        sent: list[int] = []
        reader = threading.Thread(target=lambda: sent.extend(map(int, camera.stdout or ())), daemon=True)
        reader.start()
        begin = written = time.monotonic()
        ended = False
        while not ended:
            try:
                camera.wait(size.sample_s)
                ended = True
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            samples.take(supervisor, now - begin, len(witness.at))
            if ended or now - written > size.partial_s:
                written = now
                _write(progress, samples, size, sent, witness)
        reader.join(_PATIENCE_S)
        questions.close()
        witness.close()
        restarts = {node: starts - 1 for node in (*NODES, "manager") if (starts := supervisor.status(node).starts) > 1}
        words = {node: supervisor.tail(node, 5) for node in (*restarts, *(["manager"] if restarts else []))}
        final = {node: resident_mb(supervisor.pid_of(node))[0] for node in NODES}
        if camera.returncode:
            raise SystemExit(f"The camera ended with code {camera.returncode}.")
    return {
        "samples": samples, "sent": sent, "lost": [stamp for stamp in sent if stamp not in witness.at],
        "told": witness.losses(), "questions": questions, "final": final, "restarts": restarts,
        "last words": words,
    }  # fmt: skip


def fresh_sizes(folder: Path, records: int) -> dict[str, float]:
    """Resident MB of record and recall that have just been started on the log of the run."""
    nodes = ("record", "recall")
    with running(nodes, folder) as supervisor:
        witness = Records()
        deadline = time.monotonic() + 10 * _PATIENCE_S
        while int(witness.health.get("recall", {}).get("watermark", 0)) < records:
            if time.monotonic() > deadline:
                raise SystemExit("The nodes that were started again did not catch up.")
            witness.heard.wait(1.0)
            witness.heard.clear()
        witness.close()
        ask_once()
        return {node: resident_mb(supervisor.pid_of(node))[0] for node in nodes}


def ask_once() -> None:
    """Ask the nodes each of the questions that were asked in the hour."""
    from embodied_mem.nodes.client import MemoryClient

    with MemoryClient(timeout_s=_PATIENCE_S) as client:
        for thing in CLASSES:
            client.query(f"a {thing}", k=10, min_score=-1.0)
            client.locate(thing)


def _slope(x: Iterable[float], y: Iterable[float]) -> float:
    across = np.asarray(list(x), dtype=np.float64)
    if len(across) < 3 or not np.ptp(across):
        return 0.0
    return float(np.polyfit(across - across[0], list(y), 1)[0])


def _write(path: Path, samples: Samples, size: Size, sent: list[int], witness: Records) -> None:
    done = {
        "frames_sent": len(sent), "frames_wanted": size.frames, "records": len(witness.at),
        "told": witness.losses(), "seconds": samples.seconds[-1],
        "resident_mb": {node: values[-1] for node, values in samples.resident.items()},
        "growth_mb_h": {node: samples.growth(node, size.warm_up) for node in samples.resident},
        "cpu_percent": {node: samples.cpu_percent(node, size.warm_up) for node in samples.cpu},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def show(report: Report, size: Size, found: dict[str, Any], fresh: dict[str, float]) -> None:
    samples, quick = found["samples"], report.options.quick
    rows = [
        [
            node, samples.cpu_percent(node, size.warm_up), max(samples.resident[node]),
            samples.growth(node, size.warm_up), samples.bytes_a_record(node, size.warm_up),
            found["final"].get(node), fresh.get(node),
        ]
        for node in samples.resident
    ]  # fmt: skip
    columns = [
        "node",
        "CPU %",
        "resident MB, most",
        "growth MB/h",
        "bytes a record",
        "MB at the end",
        "MB started anew",
    ]
    report.table(f"{len(found['sent']):,} frames, {samples.seconds[-1]:,.0f} s, after warm-up", columns, rows)
    asked = found["questions"]
    quantiles = [
        [name, *(float(np.quantile(values or [np.inf], share)) for share in (0.5, 0.99, 1.0)), len(values)]
        for name, values in asked.milliseconds.items()
    ]
    report.table("questions meanwhile: ms", ["service", "p50", "p99", "max", "calls"], quantiles)
    report.figures["resident MB over time"] = {
        "seconds": [round(value, 1) for value in samples.seconds],
        **{node: [round(value, 1) for value in values] for node, values in samples.resident.items()},
    }
    report.figures["perception's parameters"] = _PERCEPTION
    report.note("Other programs worked on the machine meanwhile (see the load in the figures).")
    if found["told"]:
        report.note(f"the nodes say: {found['told']}")
    for sentence in asked.failed[:5]:
        report.note(f"not answered: {sentence}")
    report.bar("frames dropped in an hour at 10 Hz", len(found["lost"]), at_most=0)
    report.bar("nodes started again", sum(found["restarts"].values()), at_most=0)
    if found["restarts"]:
        report.note(f"started again: {found['restarts']}; their last words: {found['last words']}")
    report.bar("questions not answered", len(asked.failed), at_most=0)
    why = "memory is flat or not only after minutes" if quick else ""
    for node in ("perception", "manager"):
        report.bar(
            f"resident memory of {node} grows (MB/h)", samples.growth(node, size.warm_up), at_most=20, why_open=why
        )
    for node in ("record", "recall"):
        ratio = found["final"][node] / fresh[node]
        report.bar(f"resident memory of {node}, to one that has just read the log", ratio, at_most=1.15, why_open=why)


def run(options: Options) -> int:
    packages = ("ros-kilted-rclpy", "ros-kilted-rmw-fastrtps-cpp", "onnxruntime")
    report = Report("soak", options, seeds={"patrol": 17}, packages=packages)
    size = QUICK if options.quick else FULL
    with private_domain(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = soak(size, folder, PARTIAL.with_name("soak-quick.json") if options.quick else PARTIAL)
        fresh = fresh_sizes(folder, len(found["sent"]) - len(found["lost"]))
    show(report, size, found, fresh)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
