"""The episode node over real DDS: what happened where, in which order, what is surprising, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import MemoryEvent
from embodied_mem_msgs.srv import RecallEpisode
from geometry_msgs.msg import Point

from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.episode_node import EpisodeNode
from embodied_mem.nodes.record_node import RecordNode
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, Inbox
from tests.ros.samples import seen, things

Kind = RecallEpisode.Request


@dataclass
class Robot:
    """A robot that went to and fro between (0, 0) and (10, 0) three times, and saw a mug, then a chair, then a mug."""

    graph: Graph
    client: MemoryClient
    seqs: list[int]
    events: Inbox

    def recall(self, kind: int, **fields: Any) -> Any:
        request = RecallEpisode.Request(kind=kind, read_to=self.client.wrote, **fields)
        return self.client.call(RecallEpisode, "recall_episode", request)


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with Graph() as graph:
        events = graph.inbox(MemoryEvent, "memory_events", qos.EVENTS)
        graph.up(RecordNode, {"memory": str(tmp_path_factory.mktemp("memory")), **SMALL})
        graph.up(EpisodeNode, {"poll": 0.2, **SMALL})
        client, seqs = graph.client(), []
        for visit, label in enumerate(["mug", "chair", "mug", "chair", "mug", "plate"]):
            x = 10.0 * (visit % 2)
            for look in range(2):
                found = things((label,), [[x, 1.0, 1.0]])
                seqs.append(client.remember(seen(f"a {label} {visit} {look}", (x, 0.0, 0.0), detections=found)).seq)
        yield Robot(graph, client, seqs, events)


def test_what_happened_at_a_place_some_visits_ago(robot: Robot) -> None:
    told = robot.recall(Kind.HAPPENED, use_position=True, position=Point(x=10.3), visits_ago=1)
    assert told.found and {item.seq for item in told.evidence} == set(robot.seqs[6:8])
    assert len(told.weights) == len(told.surprise) == len(told.evidence)
    assert 0.6 <= told.probability <= 1.0001 and abs(sum(told.weights) - told.probability) < 1e-4
    assert "chair" in told.sentence and told.map_id == "default" and told.frame_id == "map"
    assert told.retained == told.seen == 12 and told.watermark >= robot.client.wrote
    again = robot.recall(Kind.HAPPENED, place=told.place)
    assert {item.seq for item in again.evidence} == set(robot.seqs[10:12])


def test_times_neighbours_and_order(robot: Robot) -> None:
    assert len(robot.recall(Kind.DURING, when="last 5 min", k=50).evidence) == 12
    assert [item.seq for item in robot.recall(Kind.AROUND, record=robot.seqs[3], steps=1).evidence] == robot.seqs[2:5]
    first = robot.recall(Kind.FIRST, things=["plate", "chair"])
    assert first.found and first.sentence.startswith("The chair came first") and first.evidence[0].seq == robot.seqs[2]
    assert robot.recall(Kind.HOW_OFTEN, things=["mug"]).count == 3
    assert robot.recall(Kind.LAST, things=["mug"]).evidence[0].seq == robot.seqs[9]
    assert not robot.recall(Kind.LAST, things=["zebra"]).found


def test_what_cannot_be_asked_is_refused_with_a_sentence(robot: Robot) -> None:
    for kind, fields, error in (
        (Kind.HAPPENED, {"place": 99}, NotFoundError),
        (Kind.HAPPENED, {"use_position": True, "position": Point(x=500.0)}, NotFoundError),
        (Kind.HAPPENED, {"use_position": True, "position": Point(x=float("nan"))}, BadInputError),
        (Kind.AROUND, {"record": 999_999}, NotFoundError),
        (Kind.FIRST, {"things": ["mug"]}, BadInputError),
        (Kind.DURING, {"map_id": "moon"}, UnknownMapError),
        (77, {}, BadInputError),
    ):
        with pytest.raises(error):
            robot.recall(kind, **fields)


def test_what_is_surprising_is_told_and_what_is_forgotten_is_gone(robot: Robot) -> None:
    odd = robot.client.remember(seen("quite another thing: zebras dancing", (0.0, 0.0, 0.0))).seq
    event = robot.events.wait(lambda message: message.type == "surprising" and message.seq == odd)
    assert "Surprise" in event.text
    assert robot.recall(Kind.AROUND, record=odd, steps=0).evidence[0].seq == odd
    robot.client.forget([odd])
    with pytest.raises(NotFoundError):
        robot.recall(Kind.AROUND, record=odd)
    assert np.isfinite(robot.recall(Kind.HAPPENED, use_position=True, position=Point()).surprise).all()
