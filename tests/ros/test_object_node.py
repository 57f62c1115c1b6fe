"""The object node over real DDS: things with their states and histories, and what people say of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import ObjectStates
from embodied_mem_msgs.srv import Locate
from visualization_msgs.msg import MarkerArray

from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.object_node import ObjectNode
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.view import RecordView
from tests.objects.scene import Scene
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph

ON_TABLE, ON_FLOOR = (0.3, 0.1, 0.83), (3.5, 3.5, 0.13)


@dataclass
class Robot:
    """A robot that saw a mug on a table, and later on the floor, and the nodes that remember it."""

    graph: Graph
    record: Any
    object: Any
    client: MemoryClient


def seen() -> Scene:
    scene = Scene()
    scene.put("mug", ON_TABLE)
    scene.walk()
    scene.put("mug", ON_FLOOR)
    scene.wait(60)
    scene.walk()
    scene.walk(4, at=ON_FLOOR[:2])
    return scene


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with Graph() as graph:
        record = graph.up(RecordNode, {"memory": str(tmp_path_factory.mktemp("memory")), **SMALL})
        node = graph.up(ObjectNode)
        graph.up(RecallNode, SMALL)
        client = graph.client()
        remember(client, seen())
        yield Robot(graph, record, node, client)


def remember(client: MemoryClient, scene: Scene) -> None:
    """What was seen, as if it had just been: beliefs fade with time."""
    entries = [entry.observation for entry in scene.memory.entries(1, 1000) if entry.observation is not None]
    late = time.time_ns() - entries[-1].stamp_ns
    for seen_then in entries:
        client.remember(replace(seen_then, stamp_ns=seen_then.stamp_ns + late, session_id=""))


def test_the_history_tells_where_a_thing_was_before(robot: Robot) -> None:
    found = robot.client.object_history("mugs")
    now, before = found.objects
    assert now.id == before.id and (now.state, before.state) == ("moved", "gone")
    place = now.pose.pose.position
    assert np.allclose((place.x, place.y, place.z), ON_FLOOR, atol=0.1)
    assert before.pose.pose.position.x == pytest.approx(ON_TABLE[0], abs=0.1) and before.missed.sec
    assert now.records[0] > before.records[0] and 0 < now.pose.covariance[0] < 0.1
    assert found.frame_id == "map" and found.map_id == "default" and found.watermark == robot.client.wrote
    assert len(robot.client.object_history("mug", now_only=True).objects) == 1
    again = robot.client.object_history(id_=now.id).objects
    assert [(item.id, item.state) for item in again] == [(now.id, "moved"), (now.id, "gone")]
    everything = {item.label for item in robot.client.object_history(now_only=True).objects}
    assert everything == {"mug", "table"}


def test_what_is_not_known_is_said(robot: Robot) -> None:
    none = robot.client.object_history("unicorn")
    assert not none.found and none.reason.startswith("Not found") and not none.objects
    with pytest.raises(NotFoundError, match="list the things anew"):
        robot.client.object_history(id_="999.0")
    with pytest.raises(UnknownMapError):
        robot.client.object_history("mug", map_id="attic")


def test_recall_and_the_object_node_say_the_same_of_the_present(robot: Robot) -> None:
    asked = robot.client.call(Locate, "locate_object", Locate.Request(label="mug", read_to=robot.client.wrote)).answer
    told = robot.client.locate("mug")
    assert told.found and told.sentence == asked.sentence and told.probability == pytest.approx(asked.probability)
    assert "before" in robot.client.ask("where was the mug before?").interpretation
    first = robot.client.entries(1, 1)[0].seq
    early = robot.client.locate("mug", seqs=(first,))  # a filter, so it is gathered from what that record shows
    assert [item.seq for item in early.evidence] in ([], [first])


def test_things_are_published_with_their_states(robot: Robot) -> None:
    lists = robot.graph.inbox(ObjectStates, "objects", qos.LATCHED)
    boxes = robot.graph.inbox(MarkerArray, "object/markers", qos.MARKERS)
    last = lists.wait(lambda message: message.watermark == robot.client.wrote)
    assert {item.label: item.state for item in last.objects} == {"mug": "moved", "table": "observed"}
    assert last.header.frame_id == "map" and last.map_id == "default"
    cubes = {marker.ns for marker in boxes.wait().markers if marker.type == marker.CUBE}
    assert cubes == {"moved", "observed"}


def test_people_may_say_what_is_one_thing(robot: Robot) -> None:
    mug = robot.client.object_history("mug").objects[0]
    ends = detections(robot, "mug")
    command = robot.client.change_objects("part", [ends[0], ends[-1]])
    parted = robot.client.object_history("mug").objects
    assert len(parted) == 2 and parted[0].id != parted[1].id, "the one on the floor is another mug"
    assert robot.client.undo(command) == command
    assert [item.id for item in robot.client.object_history("mug").objects] == [mug.id] * 2
    with pytest.raises(BadInputError, match="names no detection"):
        robot.client.change_objects("unite", ["the mug", "1.0"])
    with pytest.raises(BadInputError, match="part or unite"):
        robot.client.change_objects("marry", ["1.0", "2.0"])
    with pytest.raises(NotFoundError):
        robot.client.change_objects("unite", ["1.0", "1.99"])


def detections(robot: Robot, label: str) -> list[str]:
    return [
        f"{entry.seq}.{entry.observation.detections.labels.index(label)}"
        for entry in robot.client.entries(1, 1000)
        if entry.observation is not None and label in entry.observation.detections.labels
    ]


def test_what_the_node_knows_is_what_a_rebuild_knows(robot: Robot) -> None:
    records = RecordView()
    records.apply(robot.client.entries(1, 1000))
    fresh = ObjectView(records.index).locate("mug").here[0]
    told = robot.client.object_history("mug").objects[0]
    place = told.pose.pose.position
    assert fresh.id == told.id and (place.x, place.y, place.z) == pytest.approx(fresh.position.tolist())
    assert list(told.records) == list(fresh.evidence)


def test_in_one_process_all_share_the_records_memory_and_the_view_of_things(tmp_path: Path) -> None:
    with Graph() as graph:
        record = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
        node = graph.up(ObjectNode, memory=lambda: record.memory)
        graph.up(RecallNode, SMALL, memory=lambda: record.memory, objects=lambda: node.objects)
        client = graph.client()
        assert not client.object_history().found
        remember(client, seen())
        assert client.locate("mug").found and client.object_history("mug").objects[0].state == "moved"
        assert node.objects.of(record.memory).watermark == record.memory.watermark == client.wrote


def test_a_memory_of_captions_alone_has_no_things(tmp_path: Path) -> None:
    memory = RecordMemory.open(tmp_path)
    assert ObjectView(memory.index).locate_all() == []
    memory.close()
