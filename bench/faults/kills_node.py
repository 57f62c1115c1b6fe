"""kill -9 of the record node while a client writes through it; the nodes are real processes over real DDS."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench.faults.kills import Kills, compare, look
from bench.faults.samples import START_NS, clock, embedder, sample
from embodied_mem.nodes import supervisor
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.supervisor import Supervisor
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query, TimeRange
from embodied_mem.records.view import RecordView

_PATIENCE_S = 120.0
_NODES = ("record", "recall", "manager")
_LONGEST_S = 0.5  # of writing, after the first observation that the new process acknowledged


class _Writer:
    """A client on a thread of its own that writes durable observations, each until it is acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, int] = {}
        self.failure: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = False
        self._thread = threading.Thread(target=self._write, name="writer")
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Until so many are acknowledged."""
        with self._changed:
            there = self._changed.wait_for(
                lambda: len(self.acknowledged) >= count or self.failure is not None, _PATIENCE_S
            )
        if self.failure is not None or not there:
            raise RuntimeError(f"the client wrote no further: {self.failure or 'no answer'!r}")

    def stop(self) -> None:
        self._stop = True
        self._thread.join(_PATIENCE_S)

    def _write(self) -> None:
        key = 0
        try:
            with MemoryClient(timeout_s=_PATIENCE_S) as client:
                while not self._stop:
                    key += 1
                    seq = client.remember(sample(key), durable=True).seq
                    with self._changed:
                        self.acknowledged[seq] = key
                        self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self.failure = error
                self._changed.notify_all()


def kill_nodes(folder: Path, *, kills: int, seed: int, progress: Callable[[int], None] = lambda number: None) -> Kills:
    """Kill the record node so often, at random moments of a write load; ROS_DOMAIN_ID must be a domain of our own.

    The supervisor starts it again as it does on a robot, and the manager brings it up. A view here follows through
    GetRecords, the recall node through the topic; both are compared with a rebuild at the end.
    """
    chance, found, begin = random.Random(seed), Kills(), time.perf_counter()
    memory = folder / "memory"
    view = RecordView(embedder(), clock=clock)
    parameters = {"record": {"memory": str(memory), "embedder": "hashing"}, "recall": {"embedder": "hashing"}}
    nodes = Supervisor(stack(("record", "recall"), parameters=parameters), log_folder=folder / "logs")
    prompt = patch.object(supervisor, "_LAST_PAUSE_S", 0.2)  # it pauses for 10 s when a node dies again and again
    with prompt, nodes, MemoryClient(timeout_s=_PATIENCE_S) as client:
        client.wait_until_ready()
        writer = _Writer()
        try:
            for number in range(1, kills + 1):
                writer.wait_for(len(writer.acknowledged) + 1)
                time.sleep(chance.uniform(0.0, _LONGEST_S))  # the random moment itself
                starts = nodes.status("record").starts
                os.kill(nodes.pid_of("record"), signal.SIGKILL)
                found.kills += 1
                if not nodes.wait_for(
                    lambda status: status["record"].starts > starts and status["record"].running,  # noqa: B023
                    _PATIENCE_S,
                ):
                    raise RuntimeError(f"the record node was not started again: {nodes.tail('record')}")
                _follow(client, view)
                progress(number)
            writer.wait_for(len(writer.acknowledged) + 5)
        except RuntimeError as error:
            said = "\n".join(f"--- {name}, pid {nodes.pid_of(name)}\n{nodes.tail(name)}" for name in _NODES)
            raise RuntimeError(f"{error}; after {found.kills} kills\n{said}") from error
        finally:
            writer.stop()
        _follow(client, view)
        client.wrote = max(writer.acknowledged)
        recalled = [_shown(client.query(query.text, k=query.k, time=query.time).hits) for query in _questions()]
    look(memory, writer.acknowledged, found)
    compare(memory, view, found)
    rebuilt = RecordMemory.open(memory, embedder(), clock=clock, read_only=True)
    wanted = [_shown(rebuilt.query(query).hits) for query in _questions()]
    rebuilt.close()
    for number, (one, other) in enumerate(zip(recalled, wanted, strict=True)):
        found.views += [f"recall answers question {number} differently"] if one != other else []
    found.acknowledged, found.seconds = len(writer.acknowledged), time.perf_counter() - begin
    return found


def _follow(client: MemoryClient, view: RecordView) -> None:
    while entries := client.entries(view.watermark + 1, 256):
        view.apply(entries)


def _questions() -> list[Query]:
    spans = [TimeRange(START_NS + first * 10**9, START_NS + (first + 150) * 10**9) for first in (0, 150, 300)]
    texts = ("a red cup", "a blue lamp with the number 12", "the green towel")
    return [Query(k=200, time=span) for span in spans] + [Query(text=text, k=50) for text in texts]


def _shown(hits: object) -> list[tuple[int, float]]:
    """Numbers and scores of hits, of a client or of a memory; scores as messages carry them, in single precision."""
    return [
        (getattr(hit, "record", hit).seq, float(np.float32(hit.score))) for hit in hits  # type: ignore[attr-defined]
    ]  # fmt: skip
