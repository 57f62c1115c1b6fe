"""The nodes as processes: brought up, killed, hung, restarted, stopped; nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray

from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.supervisor import Status, Supervisor
from embodied_mem.records.memory import RecordMemory
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, Inbox, until
from tests.ros.samples import seen

NODES = ("record", "recall", "perception")
PATIENT_S = 60.0


class Robot:
    """The stack as processes in a domain of its own, a client, and what the nodes say of themselves."""

    def __init__(self, graph: Graph, folder: Path, *, composed: bool = False, **manager: Any) -> None:
        self.memory = folder / "memory"
        parameters: dict[str, dict[str, Any]] = {
            "record": {"memory": str(self.memory), **SMALL}, "recall": {**SMALL, "poll": 0.5},
            "perception": {"camera": False, "captions": True}, "manager": manager,
        }  # fmt: skip
        self.graph = graph
        self.told: Inbox = graph.inbox(DiagnosticArray, diagnostics.TOPIC, qos.reliable(100))
        self.events: list[str] = []
        self.supervisor = Supervisor(
            stack(NODES, parameters=parameters, composed=composed),
            log_folder=folder / "logs",
            environment={"ROS_DOMAIN_ID": str(graph.domain)},
            on_event=lambda name, sentence: self.events.append(f"{name} {sentence}"),
        )
        self.supervisor.start()
        self.client: MemoryClient = graph.client(timeout_s=PATIENT_S)
        self.client.wait_until_ready()

    def values(self, node: str) -> dict[str, str]:
        """The newest heartbeat of a node."""
        for message in reversed(self.told.messages):
            if message.status[0].name == node:
                return {item.key: item.value for item in message.status[0].values}
        return {}

    def wait_active(self, node: str, pid: int) -> None:
        """Until the process with this number is active, and the manager says so of all."""
        until(
            lambda: self.values(node).get("pid") == str(pid) and self.values(node).get("state") == "active",
            f"{node} is active: {self.values(node)}",
            PATIENT_S,
        )

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Kill a node's process; returns the one that took its place."""
        old, starts = self.supervisor.pid_of(name), self.supervisor.status(name).starts
        os.kill(old, number)

        def again(status: Mapping[str, Status]) -> bool:
            return status[name].starts > starts and status[name].running

        assert self.supervisor.wait_for(again, PATIENT_S), self.supervisor.tail(name)
        return self.supervisor.pid_of(name)


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with Graph() as graph:
        made = Robot(graph, tmp_path_factory.mktemp("stack"), heartbeat_timeout=3.0)
        try:
            yield made
        finally:
            made.supervisor.stop()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_manager_brings_all_up_and_says_so(robot: Robot) -> None:
    until(lambda: robot.values("manager").get("all_active") == "True", "all are active", PATIENT_S)
    assert {name: robot.values("manager")[name] for name in NODES} == dict.fromkeys(NODES, "active")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", NODES)
def test_a_killed_node_is_started_and_brought_up_again(robot: Robot, name: str) -> None:
    kept = robot.client.remember(seen(f"before {name} was killed"), durable=True)
    pid = robot.kill(name)
    robot.wait_active(name, pid)
    after = robot.client.remember(seen(f"after {name} was killed"), durable=True)
    found = robot.client.query(seqs=(kept.seq, after.seq)).hits
    assert {hit.caption for hit in found} == {f"before {name} was killed", f"after {name} was killed"}
    assert any(event.startswith(f"{name} was ended by signal SIGKILL; starting it again") for event in robot.events)
    until(lambda: int(robot.values("manager").get(f"{name} restarts", 0)) >= 1, "the manager counts it", PATIENT_S)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_manager_finds_the_nodes_as_they_are(robot: Robot) -> None:
    pids = [robot.supervisor.pid_of(name) for name in NODES]
    pid = robot.kill("manager")
    until(
        lambda: robot.values("manager").get("pid") == str(pid) and robot.values("manager").get("all_active") == "True",
        "the new manager sees all active",
        PATIENT_S,
    )
    assert [robot.supervisor.pid_of(name) for name in NODES] == pids


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_node_that_hangs_is_killed_by_the_manager_and_comes_back(robot: Robot) -> None:
    pid = robot.kill("recall", signal.SIGSTOP)
    assert robot.supervisor.status("recall").codes[-1] == -signal.SIGKILL
    robot.wait_active("recall", pid)
    assert robot.client.query(k=1).found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_acknowledged_observation_is_lost_however_often_nodes_are_killed(robot: Robot) -> None:
    acknowledged: dict[int, str] = {}
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        with Graph(robot.graph.domain) as graph:
            client, number = graph.client(timeout_s=PATIENT_S), 0
            while not stop.is_set():
                number += 1
                words = f"crate {number} of the endless delivery"
                try:
                    acknowledged[client.remember(seen(words, (number, 0, 0)), durable=True).seq] = words
                except BaseException as error:
                    failures.append(error)
                    return

    writer = threading.Thread(target=write)
    writer.start()
    chance = random.Random(2)
    for name in ("record", "recall", "record"):
        count = len(acknowledged) + chance.randint(1, 40)
        until(lambda: len(acknowledged) >= count or failures, "the writer goes on", PATIENT_S)  # noqa: B023
        robot.kill(name)
    count = len(acknowledged) + 10
    until(lambda: len(acknowledged) >= count or failures, "the writer goes on", PATIENT_S)
    stop.set()
    writer.join(PATIENT_S)

    assert not failures
    entries = robot.client.entries(1, 4096)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    kept = {entry.seq: entry.observation.caption for entry in entries if entry.observation is not None}
    assert {seq: kept.get(seq) for seq in acknowledged} == acknowledged
    assert len(set(kept.values())) == len(kept), "a repeated request was logged twice"
    robot.client.wrote = max(acknowledged)
    for seq in chance.sample(sorted(acknowledged), 10):
        (hit,) = robot.client.query(seqs=(seq,)).hits
        assert hit.caption == acknowledged[seq]
    last = max(acknowledged)
    answer = robot.client.ask(f"where is the {acknowledged[last]}?")
    assert answer.found and answer.evidence[0].seq == last


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_interrupt_stops_all_in_order_and_leaves_a_usable_memory(robot: Robot) -> None:
    seq = robot.client.remember(seen("the last thing before Ctrl-C")).seq  # acknowledged from memory
    assert robot.supervisor.stop() == dict.fromkeys((*NODES, "manager"), 0)
    memory = RecordMemory.open(robot.memory, read_only=True)
    assert memory.watermark >= seq and memory.get(seq).observation.caption == "the last thing before Ctrl-C"
    memory.close()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_all_nodes_run_composed_in_one_process(graph: Graph, tmp_path: Path) -> None:
    robot = Robot(graph, tmp_path, composed=True)
    try:
        seq = robot.client.remember(seen("a composed teapot"), durable=True).seq
        assert robot.client.query("composed teapot").hits[0].seq == seq
        pid = robot.supervisor.pid_of("stack")
        assert {robot.values(name).get("pid", str(pid)) for name in NODES} == {str(pid)}
        until(lambda: robot.values("stack").get("all_active") == "True", "all are active", PATIENT_S)
        robot.kill("stack")
        assert robot.client.query("composed teapot").hits[0].seq == seq
    finally:
        codes = robot.supervisor.stop()
    assert codes == {"stack": 0}, robot.supervisor.tail("stack")


@pytest.mark.slow
def test_a_process_with_a_bad_parameter_ends_with_a_sentence_and_is_not_started_again(tmp_path: Path) -> None:
    from embodied_mem.nodes.supervisor import NodeProcess

    process = NodeProcess("record", "embodied_mem.nodes.record_node", ("-p", "queue:=0"))
    begin = time.monotonic()
    with Supervisor([process], log_folder=tmp_path) as supervisor:
        assert supervisor.wait(30.0)
        assert supervisor.status("record").codes == [2] and supervisor.status("record").starts == 1
    assert supervisor.tail("record").endswith("Parameter 'queue' of record must be at least 1, not 0.")
    assert time.monotonic() - begin < 30.0
