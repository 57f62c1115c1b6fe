"""The forest node over real DDS: what places are like, the tree as messages and markers, a model that misbehaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import Filter, SummaryForest
from embodied_mem_msgs.srv import Describe
from geometry_msgs.msg import Point, PoseStamped
from visualization_msgs.msg import Marker, MarkerArray

from embodied_mem.errors import BadInputError, UnknownMapError
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.forest_node import ForestNode
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from tests.forest.test_model_summaries import Server, echo, reply
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, until
from tests.ros.samples import seen

KITCHEN = ("a kitchen with an oven and a sink", "the oven of the kitchen", "plates in the kitchen sink")
GARAGE = ("a car in the garage", "tools on the wall of a garage", "a red car and a bicycle")
QUICK = {"settle_after": 0.5, "publish_period": 0.2, "poll": 0.2}


@dataclass
class Robot:
    """A robot that has been in a kitchen around (0, 0) and a garage around (40, 0), and the nodes that remember it."""

    graph: Graph
    record: Any
    forest: Any
    client: MemoryClient

    def describe(self, question: str = "", **fields: Any) -> Any:
        request = Describe.Request(question=question, read_to=self.client.wrote, **fields)
        return self.client.call(Describe, "describe", request)


def furnished(graph: Graph, folder: str, **parameters: Any) -> Robot:
    record = graph.up(RecordNode, {"memory": folder, **SMALL})
    forest = graph.up(ForestNode, {**QUICK, **parameters})
    robot = Robot(graph, record, forest, graph.client())
    for x, captions in ((0.0, KITCHEN), (40.0, GARAGE)):
        for i in range(21):
            where = np.array([x + i % 5, i % 4, 1.0])
            robot.client.remember(seen(f"{captions[i % 3]} {i}", where, sensor_id=str(x)))
    return robot


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with Graph() as graph:
        yield furnished(graph, str(tmp_path_factory.mktemp("memory")), shown=5)


def around(x: float, radius: float = 10.0) -> Filter:
    return Filter(center=Point(x=x, y=0.0, z=1.0), radius=radius)


def at(x: float) -> PoseStamped:
    pose = PoseStamped()
    pose.header.frame_id, pose.pose.position, pose.pose.orientation.w = "map", Point(x=x, y=0.0, z=1.0), 1.0
    return pose


def test_a_region_is_described_with_evidence(robot: Robot) -> None:
    told = robot.describe(area=around(0.0))
    assert told.found and "oven" in told.text and "car" not in told.text.split("Typical")[0]
    assert told.areas[0].records == 21 and "oven" in told.areas[0].terms and told.areas[0].id == -1
    assert dict(zip(told.areas[0].terms, told.areas[0].counts, strict=True))["oven"] == 14
    assert told.map_id == "default" and told.frame_id == "map" and told.watermark >= robot.client.wrote
    named = {seq for sentence in told.sentences for seq in sentence.records}
    assert named and {item.seq for item in told.evidence} == named
    assert all(item.pose.position.x < 10 for item in told.evidence)


def test_words_name_regions_and_compare_them(robot: Robot) -> None:
    here = robot.describe("what is it like here?", robot=at(42.0))
    assert here.found and "car" in here.text and here.areas[0].low.x >= 39
    assert "oven" in robot.describe("what is the kitchen like?").text
    first, second = robot.describe("how do the kitchen and the garage differ?").sentences
    assert "oven" in first.text and "car" in second.text
    assert robot.describe(area=around(0.0), use_other=True, other=around(40.0)).text.count("area has more") == 2
    more = robot.describe("where are there more cars?", areas=1)
    assert len(more.areas) == 1 and more.areas[0].center.x > 35 and 0.5 < more.shares[0] <= 1
    assert robot.describe().areas[0].records == 42, "nothing asked: the whole map"


def test_what_cannot_be_said_is_not_found_or_refused(robot: Robot) -> None:
    nothing = robot.describe(area=around(500.0))
    assert not nothing.found and nothing.reason.startswith("Not found") and not nothing.sentences
    assert not robot.describe("what is the ballroom like?").found
    for wrong, error in (
        ({"question": "where is the mug?"}, BadInputError),
        ({"question": "what kind of place is it right here?"}, BadInputError),
        ({"area": Filter(as_of=3)}, BadInputError),
        ({"area": Filter(map_id="moon")}, UnknownMapError),
        ({"question": "where are there more cars?", "areas": 0}, BadInputError),
        ({"area": Filter(radius=float("nan"))}, BadInputError),
    ):
        with pytest.raises(error):
            robot.describe(**wrong)


def test_the_upper_part_of_the_tree_is_published_for_whoever_comes_late(robot: Robot) -> None:
    trees = robot.graph.inbox(SummaryForest, "forest", qos.LATCHED)
    drawn = robot.graph.inbox(MarkerArray, "forest/markers", qos.MARKERS)
    tree = trees.wait(lambda message: message.records == 42)
    assert len(tree.nodes) == 5 < tree.total and tree.map_id == "default" and tree.header.frame_id == "map"
    assert tree.nodes[0].parent == -1 and tree.nodes[0].records == 42
    known: set[int] = set()
    for node in tree.nodes:
        assert node.parent in known or node.parent == -1
        known.add(node.id)
        assert node.sentences and node.name and node.low.x <= node.center.x <= node.high.x
    markers = drawn.wait(lambda message: len(message.markers) > 3).markers
    levels = {node.level for node in tree.nodes}
    heights = {marker.points[0].z for marker in markers if marker.type == Marker.SPHERE_LIST}
    assert len(heights) == len(levels) and markers[0].action == Marker.DELETEALL
    assert any(marker.type == Marker.LINE_LIST and len(marker.points) == 8 for marker in markers)


def test_what_was_forgotten_is_in_no_summary_and_the_tree_settles(tmp_path: Any, graph: Graph) -> None:
    robot = furnished(graph, str(tmp_path))
    trees = graph.inbox(SummaryForest, "forest", qos.LATCHED)
    trees.wait(lambda message: message.records == 42)
    numbers = [seq for seq in range(2, 44) if "car" in robot.record.memory.get(seq).observation.caption]
    robot.client.forget(numbers)
    told = robot.describe(area=around(40.0))
    assert "car" not in told.areas[0].terms and "car" not in told.text
    until(lambda: robot.forest.forests.held(robot.forest._held()).settled, "the forest is settled")
    newest = trees.wait(lambda message: message.records == 42 - len(numbers))
    assert not any("car" in node.terms or "car" in node.name for node in newest.nodes)


def test_a_model_that_hangs_blocks_no_callback_and_one_that_lies_is_not_believed(tmp_path: Any, graph: Graph) -> None:
    server, release, hung = Server(), threading.Event(), threading.Event()

    def hang(number: int, request: Any) -> str:
        hung.set()
        release.wait(30)
        return reply("a purple elephant")

    server.behave = hang
    try:
        robot = furnished(graph, str(tmp_path), model_url=server.url, model="tiny", model_period=1.0, model_calls=50)
        assert hung.wait(15), "the model was asked"
        assert robot.describe(area=around(0.0)).found, "while the model hangs"
        assert robot.forest.lifecycle_state == "active"
        release.set()
        until(lambda: robot.forest._summariser.counters["rejected"] >= 2, "the lie was refused")
        trees = graph.inbox(SummaryForest, "forest", qos.LATCHED)
        lies = trees.wait(lambda message: message.records == 42)
        assert {node.source for node in lies.nodes} == {"extractive"}
        server.behave = echo
        worded = trees.wait(lambda message: any(node.source == "tiny" for node in message.nodes))
        assert not any("elephant" in sentence.text for node in worded.nodes for sentence in node.sentences)
        assert robot.forest.diagnose()["model_calls"] >= 3
    finally:
        release.set()
        server.http.shutdown()
        server.http.server_close()


def test_composed_all_share_the_records_memory_and_the_forest(tmp_path: Any, graph: Graph) -> None:
    record = graph.up(RecordNode, {"memory": str(tmp_path), **SMALL})
    forest = graph.up(ForestNode, QUICK, memory=lambda: record.memory)
    graph.up(RecallNode, SMALL, memory=lambda: record.memory, forests=lambda: forest.forests)
    client = graph.client()
    for i in range(9):
        client.remember(seen(f"{KITCHEN[i % 3]} {i}", np.array([i / 2, 0.0, 1.0])))
    answer = client.ask("what is the kitchen like?")
    assert answer.found and "oven" in answer.sentence and answer.kind == "region" and answer.evidence
    assert forest.forests.held(record.memory).memory is record.memory and len(forest.forests.held(record.memory)) == 9
    told = client.call(Describe, "describe", Describe.Request(read_to=client.wrote))
    assert told.found and told.areas[0].records == 9
    assert forest.diagnose()["records"] == 9
