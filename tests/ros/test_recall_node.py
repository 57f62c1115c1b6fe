"""The recall node follows the log: pushed entries, gaps, a late start, a writer that was restarted or lost a tail."""

from __future__ import annotations

from pathlib import Path

import pytest
from embodied_mem_msgs.msg import MapIdentity, Record
from rclpy.node import Node

from embodied_mem.errors import UnavailableError
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.conversions.observations import entry_to_msg
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.records.entry import Entry, Kind
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, until
from tests.ros.samples import now_ns, seen


def test_a_late_start_catches_up_in_batches_and_then_follows(graph: Graph, tmp_path: Path) -> None:
    record = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    client = graph.client()
    for number in range(25):
        record.memory.remember(seen(f"thing number {number}"))
    client.forget((5,))

    recall = graph.up(RecallNode, {"fetch": 10, **SMALL})
    until(lambda: recall._reader.follower.caught_up, "the log was read")

    follower = recall._reader.follower
    assert follower.view.watermark == record.memory.watermark == 27
    assert follower.counters["fetched"] == 27 and follower.counters["gaps"] == 0
    until(lambda: record._records.get_subscription_count(), "recall reads records")
    client.wrote = client.remember(seen("one more thing")).seq
    assert client.query(seqs=(28,)).found and not client.query(seqs=(5,)).found
    assert follower.counters["followed"] + follower.counters["fetched"] == 28


def test_a_gap_is_noticed_and_filled(graph: Graph, tmp_path: Path) -> None:
    record = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    recall = graph.up(RecallNode, {"poll": 60.0, **SMALL})
    client = graph.client()
    client.remember(seen("first"))
    until(lambda: recall._reader.follower.view.watermark == 2, "the first was followed")
    listeners = list(record.memory._listeners)
    record.memory._listeners.clear()  # this message is lost on the way
    record.memory.remember(seen("lost"))
    record.memory._listeners.extend(listeners)
    record.memory.remember(seen("third"))

    until(lambda: recall._reader.follower.view.watermark == 4, "the gap was filled")
    assert recall._reader.follower.counters["gaps"] == 1
    assert [hit.caption for hit in client.query(seqs=(3,)).hits] == ["lost"]


def test_it_answers_while_the_record_node_is_away_and_follows_when_it_is_back(graph: Graph, tmp_path: Path) -> None:
    record = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    recall = graph.up(RecallNode, {"poll": 0.1, **SMALL})
    client = graph.client()
    client.remember(seen("kept over the restart"))
    assert client.query("kept over the restart").found
    graph.down(record)
    assert client.query("kept over the restart").found

    graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    client.remember(seen("written by the second writer"))
    assert client.query("written by the second writer", k=1).hits[0].caption == "written by the second writer"
    assert recall._reader.follower.counters["rebuilt"] == 0


def test_a_writer_that_lost_a_tail_makes_it_read_anew(graph: Graph, tmp_path: Path) -> None:
    record = graph.up(RecordNode, {"memory": str(tmp_path / "a"), **SMALL})
    recall = graph.up(RecallNode, {"poll": 0.1, **SMALL})
    client = graph.client()
    for words in ("first", "second", "lost in the power cut"):
        client.remember(seen(words))
    assert client.query("lost in the power cut").found
    graph.down(record)

    other = graph.up(RecordNode, {"memory": str(tmp_path / "b"), **SMALL})  # the same numbers, other entries
    for words in ("uno", "due"):
        other.memory.remember(seen(words))
    follower = recall._reader.follower
    until(lambda: follower.counters["rebuilt"] == 1 and follower.caught_up, "the view was made anew")
    until(lambda: recall._reader.follower.view.watermark == 3, "the other log was read")
    client.wrote = 0
    assert [hit.caption for hit in client.query(k=9).hits] == ["due", "uno"]


def test_before_the_log_was_read_it_says_so(graph: Graph) -> None:
    graph.up(RecallNode, SMALL)
    client = graph.client(timeout_s=1.5)
    with pytest.raises(UnavailableError, match="still being read"):
        client.query("anything")


def test_a_node_that_is_not_active_says_so_and_counts(graph: Graph) -> None:
    recall = graph.up(RecallNode, SMALL)
    graph.on_thread(recall.trigger_deactivate)
    with pytest.raises(UnavailableError, match="not active yet"):
        graph.client(timeout_s=1.5).ask("where is the cup?")
    assert recall.counters["refused_while_inactive"] > 0


def test_records_that_make_no_sense_are_counted(graph: Graph) -> None:
    recall = graph.up(RecallNode, SMALL)
    records = graph.publisher(Record, "records", qos.RECORDS)
    records.publish(Record(seq=0, kind=1))
    records.publish(Record(seq=1, kind=77))
    records.publish(Record(seq=1, kind=Record.COMMAND, command="{not json"))
    until(lambda: recall.counters["malformed"] == 3, "three malformed records counted")
    assert not recall.counters["faults_failed"]


def test_entries_pushed_before_the_log_can_be_read_are_not_lost(graph: Graph) -> None:
    """Without a record node nothing can be checked, so a pushed entry waits and nothing is answered from it."""
    recall = graph.up(RecallNode, {"fetch_timeout": 0.2, **SMALL})
    records = graph.publisher(Record, "records", qos.RECORDS)
    records.publish(entry_to_msg(Entry(1, Kind.OBSERVATION, now_ns(), observation=seen("early")), epoch=5))
    until(lambda: recall._reader.follower.log_watermark == 1, "the entry came")
    assert recall._reader.follower.view.watermark == 0 and not recall._reader.follower.caught_up


def test_two_robots_in_namespaces_do_not_mix(graph: Graph, tmp_path: Path) -> None:
    clients = []
    for name in ("robot1", "robot2"):
        graph.up(RecordNode, {"memory": str(tmp_path / name), **SMALL}, namespace=name)
        graph.up(RecallNode, SMALL, namespace=name)
        clients.append(MemoryClient(name, node=Node("client", context=graph.context, namespace="")))
    clients[0].remember(seen("only the first robot knows"))
    assert clients[0].query("only the first robot knows").found
    assert clients[1].query("only the first robot knows").reason == "Not found: memory is empty."
    maps = graph.inbox(MapIdentity, "robot1/current_map", qos.LATCHED)
    assert maps.wait(lambda message: message.map_id == "default").known == ["default"]
    for client in clients:
        client.close()
