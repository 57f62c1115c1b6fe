"""The inference node under three times the load that it can bear, and killed while it works.

Requests of four captions come at fixed times, whatever the node answers; each is of use within half a second. The node
runs as a process of its own, over real DDS.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Options, Report, parse
from embodied_mem.inference.quantize.captions import made_captions
from embodied_mem.nodes import qos
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.supervisor import Supervisor

_SEED = 12
_TEXTS = 4
_DEADLINE_S = 0.5
_AT_ONCE = 0.1  # seconds within which a refusal counts as said at once
_OVERLOAD = 3.0


class Caller:
    """Sends requests without waiting, and notes when what came back."""

    def __init__(self) -> None:
        import rclpy
        from embodied_mem_msgs.srv import Embed
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node

        rclpy.init()
        self._kind, self._rclpy = Embed, rclpy
        self.node: Any = Node("caller")
        self.client = self.node.create_client(Embed, "embed", qos_profile=qos.reliable(qos.MANY_REQUESTS))
        self.executor: Any = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._texts = made_captions(256, _SEED)
        self._sent = 0

    def send(self, answered: Any, deadline_s: float = _DEADLINE_S) -> Any:
        """One request; `answered(response, seconds)` is called with the answer."""
        start = self._sent * _TEXTS % len(self._texts)
        self._sent += 1
        begin = time.monotonic()
        future = self.client.call_async(
            self._kind.Request(texts=self._texts[start : start + _TEXTS], deadline=deadline_s)
        )
        future.add_done_callback(lambda done: answered(done.result(), time.monotonic() - begin))
        return future

    def spin(self, until_s: float) -> None:
        while (left := until_s - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def ask(self, timeout_s: float) -> Any:
        """The response to one request, or None when none came in time."""
        future = self.send(lambda response, seconds: None, 5.0)
        self.executor.spin_until_future_complete(future, timeout_s)
        if not future.done():
            self.client.remove_pending_request(future)
            return None
        return future.result()

    def ready(self, timeout_s: float) -> bool:
        """Whether the node answers within so many seconds."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            response = self.ask(0.5) if self.client.service_is_ready() else None
            if response is not None and response.error_code == 0:
                return True
            self.executor.spin_once(timeout_sec=0.02)
        return False

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self._rclpy.try_shutdown()


def capacity(caller: Caller, seconds: float) -> float:
    """Requests a second when eight are always under way."""
    done = 0
    end = time.monotonic() + seconds

    def answered(response: Any, took: float) -> None:
        nonlocal done
        done += response.error_code == 0
        if time.monotonic() < end:
            caller.send(answered, 30.0)

    for _ in range(8):
        caller.send(answered, 30.0)
    caller.spin(end)
    rate = done / seconds
    caller.spin(time.monotonic() + 1.0)
    return rate


def overload(caller: Caller, rate: float, seconds: float) -> tuple[Counter[str], list[float], list[float]]:
    """What became of the requests, and how long answers and refusals took."""
    outcomes: Counter[str] = Counter()
    answers: list[float] = []
    refusals: list[float] = []

    def answered(response: Any, took: float) -> None:
        if response.error_code == 0:
            outcomes["in time" if took <= _DEADLINE_S else "late"] += 1
            answers.append(took)
        else:
            outcomes[response.reason or f"error {response.error_code}"] += 1
            refusals.append(took)

    begin = time.monotonic()
    for number in range(int(rate * seconds)):
        caller.spin(begin + number / rate)
        caller.send(answered)
        outcomes["sent"] += 1
    caller.spin(time.monotonic() + 2.0)
    return outcomes, answers, refusals


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(options: Options) -> int:
    report = Report("inference_node", options, seeds={"captions": _SEED}, packages=("onnxruntime",))
    seconds = 4.0 if options.quick else 60.0
    processes = stack(["inference"], parameters={"inference": {"embedder": "hashing" if options.quick else "auto"}})
    with tempfile.TemporaryDirectory() as folder, Supervisor(processes, log_folder=Path(folder)) as nodes:
        caller = Caller()
        try:
            if not caller.ready(90):
                raise SystemExit(f"The node did not come up: {nodes.tail('inference')}")
            rate = capacity(caller, seconds / 6)
            before = resident_mb(nodes.pid_of("inference"))
            outcomes, answers, refusals = overload(caller, rate * _OVERLOAD, seconds)
            after = resident_mb(nodes.pid_of("inference"))
            report.note(f"It bears {rate:.0f} requests of {_TEXTS} captions a second; {_OVERLOAD * rate:.0f} came.")
            report.table("outcomes", ["what", "requests"], [[name, count] for name, count in outcomes.items()])
            _overload_bars(report, outcomes, answers, refusals, after - before)
            _kill(report, caller, nodes)
        finally:
            caller.close()
    return report.finish()


def _overload_bars(
    report: Report, outcomes: Counter[str], answers: list[float], refusals: list[float], grown_mb: float
) -> None:
    quick = "a quick run is short, and shares the machine" if report.options.quick else ""
    admitted = outcomes["in time"] + outcomes["late"] + outcomes["missed"]
    kept = outcomes["in time"] / max(admitted, 1)
    rows = [
        [name, *(float(np.quantile(values, share) * 1e3) if values else None for share in (0.5, 0.99))]
        for name, values in (("answers", answers), ("refusals", refusals))
    ]
    report.table("seen by the caller", ["what", "p50 ms", "p99 ms"], rows)
    unanswered = outcomes["sent"] - sum(count for name, count in outcomes.items() if name != "sent")
    early = [took for took in refusals if took <= _AT_ONCE]
    report.bar("3x overload: share of what was admitted that was in time", kept, at_least=0.99, why_open=quick)
    report.bar(
        "3x overload: share of refusals within 0.1 s", len(early) / max(len(refusals), 1), at_least=0.99, why_open=quick
    )
    report.bar("3x overload: requests without any answer", unanswered, at_most=0, why_open=quick)
    report.bar("3x overload: memory grown, MB", grown_mb, at_most=20, why_open=quick)


def _kill(report: Report, caller: Caller, nodes: Supervisor) -> None:
    """SIGKILL while requests are under way; a client that waits no longer than its deadline has its error then."""
    for _ in range(20):
        caller.send(lambda response, seconds: None, 5.0)
    caller.spin(time.monotonic() + 0.01)
    begin = time.monotonic()
    os.kill(nodes.pid_of("inference"), signal.SIGKILL)
    caller.ask(0.9)
    error = time.monotonic() - begin
    up = caller.ready(60)
    report.bar("killed mid-batch: seconds to the caller's error", error, at_most=1.0)
    report.bar(
        "killed mid-batch: seconds until it serves again", time.monotonic() - begin if up else None, at_most=5.0,
        why_open="a quick run says nothing about speed" if report.options.quick else "",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
