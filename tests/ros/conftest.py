"""A graph with the record and recall nodes, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("embodied_mem_msgs", reason="the interfaces are not installed: run `make setup`")

from diagnostic_msgs.msg import DiagnosticArray
from embodied_mem_msgs.msg import MemoryEvent

from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from tests.ros.graph import Graph, Inbox

SMALL = {"embedder": "hashing"}


@dataclass
class Pair:
    """A record and a recall node that are up, a client, and what they say."""

    graph: Graph
    record: Any
    recall: Any
    client: MemoryClient
    events: Inbox
    diagnostics: Inbox


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as made:
        yield made


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Graph() as graph:
        yield make_pair(graph, tmp_path_factory.mktemp("memory"))


def make_pair(graph: Graph, folder: Path) -> Pair:
    events = graph.inbox(MemoryEvent, "memory_events", qos.EVENTS)
    told = graph.inbox(DiagnosticArray, diagnostics.TOPIC, qos.reliable(100))
    record = graph.up(RecordNode, {"memory": str(folder), **SMALL})
    recall = graph.up(RecallNode, SMALL)
    client = graph.client()
    client.wait_until_ready()
    return Pair(graph, record, recall, client, events, told)
