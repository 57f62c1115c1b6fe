"""Compaction through the record node, and what it tells of a disk budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from embodied_mem_msgs.msg import MemoryEvent

from embodied_mem.errors import BadInputError
from embodied_mem.nodes import qos
from embodied_mem.nodes.record_node import RecordNode
from tests.ros.conftest import SMALL, Pair
from tests.ros.graph import Graph
from tests.ros.samples import seen


def test_compact_erases_what_was_forgotten_while_the_nodes_run(pair: Pair) -> None:
    gone = pair.client.remember(seen("a secret that nobody may keep")).seq
    kept = pair.client.remember(seen("a lamp that stays")).seq
    pair.client.forget([gone])
    command = pair.client.wrote

    said = pair.client.compact()

    assert "were erased" in said
    pair.events.wait(lambda event: event.type == "erased")
    with pytest.raises(BadInputError, match="compaction has erased"):
        pair.client.undo(command)
    folder = pair.record.memory.log.folder
    assert not [path for path in folder.rglob("*") if path.is_file() and b"nobody may keep" in path.read_bytes()]
    assert [hit.seq for hit in pair.client.query("a lamp that stays", k=1).hits] == [kept]


def test_what_a_disk_budget_costs_is_told(graph: Graph, tmp_path: Path) -> None:
    events = graph.inbox(MemoryEvent, "memory_events", qos.EVENTS)
    record = graph.up(RecordNode, {"memory": str(tmp_path), "disk_budget_mb": 0.12, **SMALL})
    client = graph.client()
    rng = np.random.default_rng(0)
    for i in range(30):
        cloud = rng.uniform(-5, 5, (900, 3)).astype(np.float32)
        client.remember(seen(f"thing number {i}", (i, 0, 0), cloud=cloud), durable=True)
    event = events.wait(lambda event: event.type == "dropped_from_disk")
    assert "to keep within the disk budget" in event.text.lower()
    assert record.diagnose()["dropped_clouds"] > 0
    assert len(client.entries(1, 999, blobs=True)) == record.memory.watermark
