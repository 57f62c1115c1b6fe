"""One writer, four readers, one compaction after the other: in one process, with readers in others, and through nodes.

In process: a thread remembers, corrects and forgets, a thread compacts without pause, two threads query the same
memory, one follows it with a view of its own, and a process opens the folder read-only again and again. Through
services: record and recall as processes; a client writes and forgets, four ask, one asks for compaction without pause.

Every answer is judged by bench/concurrency_ledger.py: nothing torn, nothing acknowledged missing, nothing forgotten
found. At the end the log is checked, and a rebuild says the same as the live memory.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.concurrency_ledger import START_NS, Ledger, observation, torn
from bench.harness import ROOT, Options, Report, parse
from embodied_mem.errors import NotFoundError
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.check import check
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView

QUICK_S, FULL_S = 8.0, 600.0
_PACE_S = 0.02  # between observations; the others share the machine
_FORGET_EVERY, _CORRECT_EVERY = 10, 7


def now_ns() -> int:
    return START_NS + 10**17


def open_memory(folder: Path, *, read_only: bool = False) -> RecordMemory:
    return RecordMemory.open(folder, HashingEmbedder(), clock=now_ns, session_id="bench", read_only=read_only)


class Crew:
    """Threads that work until the time is over; what one raises is a failure, and ends only that one."""

    def __init__(self, ledger: Ledger) -> None:
        self.over = threading.Event()
        self._ledger = ledger
        self._threads: list[threading.Thread] = []

    def add(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                while not self.over.is_set():
                    work()
                    self._ledger.count(name)
            except Exception as error:
                self._ledger.fail(f"{name}: {type(error).__name__}: {error}")

        self._threads.append(threading.Thread(target=run, name=name))

    def work(self, seconds: float) -> None:
        for thread in self._threads:
            thread.start()
        self.over.wait(seconds)
        self.over.set()
        for thread in self._threads:
            thread.join(120)
            if thread.is_alive():
                self._ledger.fail(f"{thread.name} hangs")


class Writer:
    """Remembers, corrects and forgets, through a memory or a client."""

    def __init__(self, target: Any, ledger: Ledger, over: threading.Event, *, real_time: bool) -> None:
        self._target, self._ledger, self._over, self._real_time = target, ledger, over, real_time
        self._rng, self._i = random.Random(5), 0

    def __call__(self) -> None:
        self._i += 1
        stamp = time.time_ns() if self._real_time else 0
        admitted = self._target.remember(observation(self._i, stamp), durable=self._i % 5 == 0)
        if admitted.folded:
            self._ledger.fail(f"observation {self._i} was folded into {admitted.seq}")
        self._ledger.admitted(admitted.seq, self._i)
        alive = list(self._ledger.alive)
        if self._i % _CORRECT_EVERY == 0:
            seq = self._rng.choice(alive)
            self._target.correct(seq, caption=f"thing {self._ledger.alive[seq]} as corrected")
        if self._i % _FORGET_EVERY == 0:
            seqs = self._rng.sample(alive, min(len(alive), _FORGET_EVERY // 2))
            self._ledger.forgetting(seqs)
            self._target.forget(seqs)
            self._ledger.forgot(seqs)
        self._over.wait(_PACE_S)


def in_process(folder: Path, seconds: float) -> tuple[Ledger, list[str]]:
    """The run in one process with a reading process beside it; the ledger, and what is wrong with what it left."""
    ledger = Ledger()
    memory = open_memory(folder)
    crew = Crew(ledger)
    view = RecordView(HashingEmbedder(), clock=now_ns)

    def read(rng: random.Random, of: RecordView) -> None:
        wanted, unwanted, least = ledger.pick(rng)
        if of is view:
            while entries := memory.entries(view.watermark + 1, 500):
                view.apply(entries)
        result = of.query(Query(seqs=np.array([*wanted, *unwanted] or [0]), map_id="*", k=50))
        ledger.judge(wanted, unwanted, {hit.record.seq for hit in result.hits}, result.watermark, least)
        for hit in of.query(Query(text=f"thing {rng.randrange(1, 500)} as seen", map_id="*", k=5)).hits:
            _examine(ledger, hit.record)
        if of is memory and wanted:
            try:
                _examine(ledger, memory.get(wanted[0], blobs=True), pictures=True)
            except NotFoundError:
                if wanted[0] in ledger.alive:
                    raise

    crew.add("observations", Writer(memory, ledger, crew.over, real_time=False))
    crew.add("compactions", lambda: ledger.count("entries erased", Compaction(memory).run().entries))
    for name, of in (("reader 1", memory), ("reader 2", memory), ("reader 3, a view", view)):
        rng = random.Random(name)
        crew.add(name, lambda rng=rng, of=of: read(rng, of))  # type: ignore[misc]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.concurrency", "--reader", str(folder), str(seconds)], cwd=ROOT,
        stdout=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip
    crew.work(seconds)
    said = json.loads(process.communicate(timeout=180)[0] or '{"opened": 0, "failures": ["the reading process died"]}')
    ledger.count("read-only openings by another process", said["opened"])
    ledger.failures += [f"the reading process: {failure}" for failure in said["failures"]]
    Compaction(memory).run()
    return ledger, aftermath(folder, memory, ledger)


def aftermath(folder: Path, memory: RecordMemory | None, ledger: Ledger) -> list[str]:
    """What is wrong with the folder in the end."""
    wrong = []
    live = None if memory is None else _state(memory)
    if memory is not None:
        memory.close()
    wrong += check(folder).problems
    again = open_memory(folder)
    rebuilt = _state(again)
    again.close()
    if live is not None and live != rebuilt:
        wrong.append("a rebuild says something else than the live memory")
    if {seq for seq, *_ in rebuilt} != set(ledger.alive):
        wrong.append("other records are there than were acknowledged and not forgotten")
    return wrong


def read_only(folder: Path, seconds: float) -> dict[str, Any]:
    """A process that opens the folder again and again, as a person with a command line does."""
    ledger = Ledger()
    until = time.monotonic() + seconds
    opened = newest = 0
    while time.monotonic() < until and not ledger.failures:
        if not (folder / "log.db").exists():
            continue
        try:
            memory = open_memory(folder, read_only=True)
            try:
                if memory.watermark < newest:
                    ledger.fail(f"the log had {newest} entries, and now {memory.watermark}")
                newest = memory.watermark
                for hit in memory.query(Query(map_id="*", k=20)).hits if newest else ():
                    _examine(ledger, hit.record)
            finally:
                memory.close()
            opened += 1
        except Exception as error:
            ledger.fail(f"{type(error).__name__}: {error}")
    return {"opened": opened, "failures": ledger.failures}


def through_services(folder: Path, seconds: float) -> tuple[Ledger, list[str]]:
    from bench.ros import running
    from embodied_mem.nodes.client import MemoryClient
    from embodied_mem.nodes.private_domain import private_domain

    ledger = Ledger()
    given = {"record": {"memory": str(folder / "memory"), "embedder": "hashing"}, "recall": {"embedder": "hashing"}}
    with private_domain(), running(("record", "recall"), folder, **given):
        crew = Crew(ledger)
        clients = [MemoryClient(timeout_s=60.0) for _ in range(6)]
        for client in clients:
            client.wait_until_ready()

        def read(client: MemoryClient, rng: random.Random) -> None:
            wanted, unwanted, least = ledger.pick(rng)
            client.wrote = least  # the answer must have read that far
            result = client.query(seqs=tuple([*wanted, *unwanted] or [0]), map_id="*", k=50)
            ledger.judge(wanted, unwanted, {hit.seq for hit in result.hits}, result.watermark, least)
            found = client.query(f"thing {rng.randrange(1, 500)} as seen", map_id="*", k=5).hits
            for hit in (*result.hits, *found):
                wrong = torn(hit.caption, hit.labels, hit.sensor_position)
                if wrong:
                    ledger.fail(f"torn: {wrong}")

        crew.add("observations", Writer(clients[0], ledger, crew.over, real_time=True))
        crew.add("compactions", lambda: _compact(clients[1]))
        for n, client in enumerate(clients[2:], 1):
            rng = random.Random(n)
            crew.add(f"reader {n}", lambda client=client, rng=rng: read(client, rng))  # type: ignore[misc]
        crew.work(seconds)
        for client in clients:
            client.close()
    return ledger, aftermath(folder / "memory", None, ledger)


def _compact(client: Any) -> None:
    client.compact()


def _examine(ledger: Ledger, record: Any, *, pictures: bool = False) -> None:
    obs = record.observation
    wrong = torn(obs.caption, obs.detections.labels, obs.position, obs.thumbnail if pictures else None)
    ledger.count("records examined")
    if wrong:
        ledger.fail(f"torn: {wrong}")


def _state(memory: RecordMemory) -> list[tuple[Any, ...]]:
    seqs = memory.select(Query(map_id="*"))
    records = [record for start in range(0, len(seqs), 500) for record in memory.records(seqs[start : start + 500])]
    return [(record.seq, record.observation.caption, record.seen_count) for record in records]


def show(report: Report, title: str, seconds: float, ledger: Ledger, wrong: list[str]) -> None:
    rows = [[name, count] for name, count in sorted(ledger.counts.items())]
    rows += [["records remembered", len(ledger.alive) + len(ledger.gone)], ["of these forgotten", len(ledger.gone)]]
    report.table(f"{title}, {seconds:.0f} s", ["what", "count"], rows)
    for sentence in [*ledger.failures, *wrong][:10]:
        report.note(f"{title}: {sentence}")
    report.bar(f"{title}: errors, torn or stale answers, crashes", len(ledger.failures), at_most=0)
    report.bar(f"{title}: what is wrong with the log afterwards", len(wrong), at_most=0)
    report.bar(f"{title}: compactions meanwhile", ledger.counts["compactions"], at_least=2)


def run(options: Options) -> int:
    packages = ("ros-kilted-rclpy", "ros-kilted-rmw-fastrtps-cpp")
    report = Report("concurrency", options, seeds={"writer": 5}, packages=packages)
    seconds = QUICK_S if options.quick else FULL_S
    for title, arm in (("in process", in_process), ("through services", through_services)):
        with tempfile.TemporaryDirectory() as name:
            show(report, title, seconds, *arm(Path(name), seconds))
    return report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reader"]:
        print(json.dumps(read_only(Path(sys.argv[2]), float(sys.argv[3]))))
        sys.exit(0)
    sys.exit(run(parse(__doc__)))
