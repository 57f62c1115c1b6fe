"""Observations in, numbered records out: admitted, refused with a reason, folded, dropped, and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import MapIdentity, MemoryEvent, Record
from embodied_mem_msgs.msg import Observation as ObservationMsg
from embodied_mem_msgs.srv import GetRecords, Remember
from visualization_msgs.msg import MarkerArray

from embodied_mem.errors import BadInputError, RefusedError
from embodied_mem.nodes import qos
from embodied_mem.nodes.conversions.observations import observation_to_msg
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.records.entry import Kind
from tests.ros.conftest import SMALL, Pair
from tests.ros.graph import Graph, until
from tests.ros.samples import SECOND, now_ns, seen, things


def test_an_observation_becomes_a_numbered_record_with_all_it_holds(pair: Pair) -> None:
    records = pair.graph.inbox(Record, "records", qos.RECORDS)
    observations = pair.graph.publisher(ObservationMsg, "observations", qos.OBSERVATIONS)
    until(lambda: pair.record._records.get_subscription_count() >= 2, "both readers of records")
    cloud = np.array([[1.0, 0.0, 0.0], [2.0, 0.5, 0.1]], dtype=np.float32)
    sent = seen("a lamp on a desk", (1, 2, 3), detections=things(("lamp",), (1, 2, 4)), cloud=cloud, thumbnail=b"jpg")
    observations.publish(observation_to_msg(sent))

    record = records.wait(lambda message: message.observation.caption == "a lamp on a desk")
    event = pair.events.wait(lambda message: message.seq == record.seq)

    assert event.type == "admitted" and record.kind == Record.OBSERVATION
    assert record.observation.detections[0].label == "lamp"
    assert record.observation.session_id == "session-1" and record.observation.map_id == "default"
    assert len(record.observation.vector) and record.observation.vector_model == pair.record.memory.index.model
    (entry,) = pair.client.entries(record.seq, 1, blobs=True)
    assert entry.observation is not None and entry.observation.stamp_ns == sent.stamp_ns
    assert entry.observation.cloud is not None and np.abs(entry.observation.cloud - cloud).max() < 0.05
    assert entry.observation.thumbnail == b"jpg"


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "nan": ({"position": (np.nan, 0, 0)}, "not_finite", "NaN"),
    "frame": ({"frame_id": "base_link"}, "unknown_frame", "base_link"),
    "map": ({"map_id": "atlantis"}, "unknown_map", "atlantis"),
    "quaternion": ({"orientation": np.array([0.0, 0.0, 0.0, 2.0])}, "bad_quaternion", "unit quaternion"),
    "covariance": ({"covariance": np.eye(6) * 9}, "uncertain_pose", "well localised"),
    "empty": ({"caption": "  "}, "empty", "empty"),
    "future": ({"stamp_ns": now_ns() + 3600 * SECOND}, "future", "ahead of the clock"),
    "dimension": ({"vector": np.array([1.0, 0.0], np.float32), "vector_model": "hashing-512"}, "", "vector"),
    "model": ({"vector": np.array([1.0, 0.0], np.float32), "vector_model": "other"}, "model_mismatch", "other"),
}


def test_no_stamp_is_now_by_the_nodes_clock(pair: Pair) -> None:
    """Whoever tells memory something need not know the time, which may be a simulator's."""
    admitted = pair.client.remember(seen("told without a time", stamp_ns=0, sensor_id="person"))
    (entry,) = pair.client.entries(admitted.seq, 1)
    assert entry.observation is not None and abs(entry.observation.stamp_ns - now_ns()) < 20 * SECOND


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_gate_refuses_is_told_and_counted(pair: Pair, name: str) -> None:
    pair.client.remember(seen("there is a first record with a vector"))
    fields, counter, words = REFUSED[name]
    before, watermark = dict(pair.record.memory.counters), pair.record.memory.watermark

    with pytest.raises(RefusedError, match=words):
        pair.client.remember(seen(**fields))

    after = pair.record.memory.counters
    risen = {key for key in after if after[key] > before.get(key, 0)}
    assert len(risen) == 1 and (not counter or risen == {counter})
    event = pair.events.wait(lambda message: message.type == "refused" and words in message.text)
    assert event.text.endswith(".")
    assert pair.record.memory.watermark == watermark


MALFORMED: dict[str, dict[str, Any]] = {
    "an encoded cloud that is none": {"cloud": b"not a cloud"},
    "a stamp with too many nanoseconds": {"nanosec": 4_000_000_000},
    "intrinsics of a wrong number": {"intrinsics": [1.0, 2.0]},
    "a depth grid of a wrong size": {"depth_rows": 3},
    "a view with NaN": {"fov_h": float("nan")},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_message_that_cannot_be_read_is_counted_and_harms_nothing(pair: Pair, name: str) -> None:
    message = observation_to_msg(seen())
    for field, value in MALFORMED[name].items():
        if field == "nanosec":
            message.header.stamp.nanosec = value
        else:
            setattr(message if field == "cloud" else message.view, field, value)
    before = pair.record.counters["malformed"]
    told = len([event for event in pair.events.messages if event.type == "refused"])

    pair.graph.publisher(ObservationMsg, "observations", qos.OBSERVATIONS).publish(message)

    until(lambda: pair.record.counters["malformed"] == before + 1, "a malformed message counted")
    until(lambda: len([e for e in pair.events.messages if e.type == "refused"]) > told, "the refusal is told")
    with pytest.raises(BadInputError):
        pair.client.call(Remember, "remember", Remember.Request(observation=message))
    assert pair.client.remember(seen("still alive")).seq == pair.record.memory.watermark


def test_an_unknown_acknowledgement_is_refused(pair: Pair) -> None:
    request = Remember.Request(observation=observation_to_msg(seen()), ack=7)
    with pytest.raises(BadInputError, match="ack is 7"):
        pair.client.call(Remember, "remember", request)


def test_repetitions_are_folded_and_counted(pair: Pair) -> None:
    first = seen("the same corner")
    one = pair.client.remember(first)
    again = pair.client.remember(first)
    standing = pair.client.remember(
        seen("the same corner", stamp_ns=first.stamp_ns + SECOND, sensor_id=first.sensor_id)
    )

    assert not one.folded and again.folded and standing.folded
    assert one.seq == again.seq == standing.seq
    assert [entry.kind for entry in pair.client.entries(one.seq)] == [Kind.OBSERVATION, Kind.SEEN_AGAIN]
    assert pair.record.memory.get(one.seq).seen_count == 2  # the very same message counts once
    pair.events.wait(lambda message: message.type == "folded" and message.seq == one.seq)


def test_a_repetition_on_the_heels_of_the_first_is_folded_too(pair: Pair) -> None:
    observations = pair.graph.publisher(ObservationMsg, "observations", qos.OBSERVATIONS)
    first, watermark = observation_to_msg(seen("said three times")), pair.client.remember(seen("before")).seq
    accepted = pair.record.worker.counters["accepted"]
    with pair.record.memory._write_lock:
        observations.publish(observation_to_msg(seen("something else")))
        until(lambda: pair.record.worker.counters["accepted"] > accepted and not len(pair.record.worker), "one in hand")
        for _ in range(3):
            observations.publish(first)
        until(lambda: len(pair.record.worker) >= 3, "all wait together")
    pair.client.remember(seen("behind them"))
    assert pair.record.memory.watermark == watermark + 3


def test_get_records_pages_through_the_log_packed_and_as_messages(pair: Pair) -> None:
    seqs = [pair.client.remember(seen(f"thing {i}")).seq for i in range(5)]
    request = GetRecords.Request(first=seqs[0], limit=3)
    page = pair.client.call(GetRecords, "get_records", request)

    assert [record.seq for record in page.records] == seqs[:3]
    assert page.watermark >= seqs[-1] and page.epoch == pair.record.epoch
    assert [entry.seq for entry in pair.client.entries(seqs[0], 3)] == seqs[:3]
    assert [entry.seq for entry in pair.client.entries(0, 10_000)] == list(range(1, seqs[-1] + 1))
    assert pair.client.entries(10**6, 10) == []


def test_markers_show_records_and_things_when_somebody_looks(pair: Pair) -> None:
    pair.client.remember(seen("a vase", (4, 5, 1), detections=things(("vase",), (4, 5, 0.5))))
    markers = pair.graph.inbox(MarkerArray, "record/markers", qos.MARKERS)
    shown = markers.wait(lambda message: any(marker.text == "vase" for marker in message.markers))
    by_name = {marker.ns: marker for marker in shown.markers if marker.ns}
    assert any((point.x, point.y) == (4, 5) for point in by_name["records"].points)
    assert any(point.z == 0.5 for point in by_name["detections"].points)
    assert all(marker.header.frame_id == "map" for marker in shown.markers)


def test_heartbeats_carry_state_and_counters(pair: Pair) -> None:
    seq = pair.client.remember(seen("something to count")).seq

    def tells(message: Any) -> bool:
        status = message.status[0]
        values = {item.key: item.value for item in status.values}
        return status.name == "record" and int(values.get("watermark", 0)) >= seq and values["state"] == "active"

    values = {item.key: item.value for item in pair.diagnostics.wait(tells).status[0].values}
    assert int(values["queue_done"]) > 0 and values["queue"] == "0" and values["map"] == "default"


def test_what_comes_faster_than_it_is_written_is_dropped_oldest_first_and_counted(graph: Graph, tmp_path: Path) -> None:
    events = graph.inbox(MemoryEvent, "memory_events", qos.EVENTS)
    record = graph.up(RecordNode, {"memory": str(tmp_path), "queue": 3, "batch": 1, **SMALL})
    observations = graph.publisher(ObservationMsg, "observations", qos.OBSERVATIONS)
    until(lambda: record._events.get_subscription_count(), "the reader of events")
    assert record.worker.wait_idle(10.0)  # it looks for missing vectors first
    with record.memory._write_lock:  # the disk is slow
        accepted = record.worker.counters["accepted"]
        observations.publish(observation_to_msg(seen("in hand")))
        until(lambda: record.worker.counters["accepted"] > accepted and not len(record.worker), "one in hand")
        for number in range(5):
            observations.publish(observation_to_msg(seen(f"number {number}")))
        until(lambda: record.worker.counters["dropped"] == 2, "two dropped")
    assert record.worker.wait_idle(10.0)

    written = [entry.observation.caption for entry in record.memory.entries(1, 99) if entry.observation]
    assert written == ["in hand", "number 2", "number 3", "number 4"]
    until(lambda: sum(event.type == "dropped" for event in events.messages) == 2, "both drops told")


def test_a_second_start_continues_the_log_in_a_new_session(graph: Graph, tmp_path: Path) -> None:
    first = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    client = graph.client()
    client.set_map("house")
    kept = client.remember(seen("before the restart"))
    graph.down(first)

    second = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    maps = graph.inbox(MapIdentity, "current_map", qos.LATCHED)

    assert maps.wait().map_id == "house" and maps.messages[0].known == ["house"]
    added = client.remember(seen("after the restart"))
    assert added.seq == kept.seq + 1
    assert [e.observation.session_id for e in client.entries(kept.seq) if e.observation] == ["session-1", "session-2"]
    assert second.memory.index.has_vector(kept.seq)


def test_a_memory_that_cannot_be_opened_leaves_the_node_unconfigured_with_the_reason(
    graph: Graph, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no memory")
    node = graph.add(RecordNode, {"memory": str(tmp_path / "file"), **SMALL})
    graph.on_thread(node.trigger_configure)
    assert node.lifecycle_state == "unconfigured"
    assert "is a file" in node.problem
