"""A street as a world over real DDS: what was perceived on a patrol is found, gone to and followed, as in process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from embodied_mem_msgs.srv import FollowInstruction, PlanRoute, RecallNearby, RecallPlace
from geometry_msgs.msg import Point

from bench.street_nodes import follow_all, patrol_in_process, same
from bench.street_robot import InProcess, OverNodes
from embodied_mem.errors import BadInputError
from embodied_mem.instructions.problem import Lengths
from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.perception_node import PerceptionNode
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.nodes.sim_node import SimNode
from embodied_mem.nodes.spatial_node import SpatialNode
from embodied_mem.nodes.stack import OF_THE_STREET, PLACES_OF_THE_STREET
from sim.street.graph import TouchdownGraph, load_touchdown
from sim.street.simulator import load_street
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, Inbox, until
from tests.town import NAMED, write_town

FRAMES, SEED = 110, 11
SIM_TIME = {"use_sim_time": True}


@dataclass
class City:
    """A robot that has patrolled the town, and the nodes that remember it."""

    graph: Graph
    folder: Path
    streets: TouchdownGraph
    record: Any
    perception: Any
    sim: Any
    spatial: Any
    client: MemoryClient
    told: Inbox

    def ask(self, kind: Any, name: str, **fields: Any) -> Any:
        return self.client.call(kind, name, kind.Request(read_to=self.client.wrote, **fields))

    def at(self, name: str) -> np.ndarray:
        """(2,) where something really stands."""
        _, x, y = NAMED[name]
        return self.streets.xy[self.streets.number["0_0"]] + np.array([x, y]) * 11.1


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("town")
    write_town(folder)
    with Graph() as graph:
        told = graph.inbox(DiagnosticArray, diagnostics.TOPIC, qos.reliable(100))
        progress = graph.inbox(DiagnosticStatus, "sim/progress", qos.LATCHED)
        memory = {"memory": str(tmp_path_factory.mktemp("memory")), **SMALL, **SIM_TIME}
        record = graph.up(RecordNode, memory)
        recall = graph.up(RecallNode, {**SMALL, **SIM_TIME})
        nearby = {"nearby_radius": 60.0, "nearby_likeness": 0.4}
        spatial = graph.up(SpatialNode, {**memory, **PLACES_OF_THE_STREET, **nearby, "checkpoints": False})
        perception = graph.up(PerceptionNode, {**OF_THE_STREET, **SIM_TIME, "wait": 5.0})
        until(lambda: perception._observations.get_subscription_count(), "the record node listens to perception")
        world = {"world": "street", "street": str(folder), "seed": SEED, "max_frames": FRAMES}
        sim = graph.up(SimNode, {**world, "real_time_factor": 0.0, "lock_step_timeout": 5.0})
        progress.wait(lambda message: message.message == "done", 60.0)
        client = graph.client()
        client.wrote = until(lambda: record.memory.watermark > FRAMES and record.memory.watermark, "the last frame")
        assert recall.active
        yield City(graph, folder, load_touchdown(folder), record, perception, sim, spatial, client, told)


def test_every_frame_of_the_patrol_came_whole(city: City) -> None:
    entries = [entry.observation for entry in city.record.memory.entries(1, 999) if entry.observation is not None]
    assert len(entries) == FRAMES and not city.sim.run.counters["lock_step_timeouts"]
    world = load_street(city.folder, SEED, FRAMES)
    for obs in entries:  # each caption with its own picture, each picture from its own pose
        frame = world.step()
        assert (obs.stamp_ns, obs.caption) == (frame.stamp_ns, frame.caption)
        assert obs.position.tolist() == [*frame.base[:2], 1.5]
    labels = {label for obs in entries for label in obs.detections.labels}
    assert {"zorba grill", "restaurant", "corner bank", "bank"} <= labels


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("where is a pharmacy?", "Old Mill"),
        ("where is Zorba Grill?", "Zorba Grill"),
        ("where is the bank?", "Corner Bank"),
    ],
)
def test_things_are_where_they_stand(city: City, question: str, name: str) -> None:
    answer = city.client.ask(question)
    assert answer.found and answer.position is not None, answer.sentence
    assert np.linalg.norm(answer.position[:2] - city.at(name)) < 3, answer.sentence


def test_places_and_ways_by_name(city: City) -> None:
    found = city.ask(RecallPlace, "recall_place", landmark="zorba grill", k=20)
    assert found.found
    for place in found.places:
        assert np.hypot(*(city.at("Zorba Grill") - (place.position.x, place.position.y))) < 45
    route = city.ask(PlanRoute, "plan_route", goal_landmark="corner bank", use_start=True, start=Point(x=0.0, y=0.0))
    assert route.found and "'corner bank' was seen" in route.reason and "corner bank" in route.routes[0].instructions
    end = route.routes[0].path.poses[-1].pose.position
    assert np.hypot(*(city.at("Corner Bank") - (end.x, end.y))) < 45
    several = city.ask(PlanRoute, "plan_route", goal_landmark="corner bank", routes=3)
    assert "'corner bank' was seen" in several.reason and len(several.routes) >= 1


def test_a_radius_without_a_position_is_around_the_robot(city: City) -> None:
    last = [entry.observation for entry in city.record.memory.entries(1, 999) if entry.observation is not None][-1]
    found = city.ask(RecallPlace, "recall_place", radius=25.0, k=100)
    everywhere = city.ask(RecallPlace, "recall_place", k=100)
    away = [
        np.hypot(place.position.x - last.position[0], place.position.y - last.position[1]) for place in found.places
    ]
    assert 2 <= len(away) < len(everywhere.places) and max(away) <= 25 and away == sorted(away)
    with pytest.raises(BadInputError, match="radius"):
        city.ask(RecallPlace, "recall_place", radius=float("inf"))


def test_what_is_near_is_in_short_term_memory_and_the_rest_in_the_long_term_store(city: City) -> None:
    entries = [entry.observation for entry in city.record.memory.entries(1, 999) if entry.observation is not None]
    text = entries[-1].caption
    found = city.ask(RecallNearby, "recall_nearby", text=text)
    assert found.found and found.source == "short" and found.hits[0].caption == text and found.best > 0.99
    hit, away, place = found.hits[0].pose.position, found.relative[0], found.place
    assert (place.x + away.x, place.y + away.y) == pytest.approx((hit.x, hit.y))
    nothing = city.ask(RecallNearby, "recall_nearby", text="qwertz uiop")
    assert not nothing.found and nothing.source == "none" and not nothing.hits
    with pytest.raises(BadInputError, match="empty"):
        city.ask(RecallNearby, "recall_nearby", text=" ")

    def rates(message: Any) -> bool:
        values = {item.key: item.value for status in message.status for item in status.values}
        return (
            values.get("nearby_asked") == "2" and values["nearby_short"] == "1" and values["nearby_hit_rate"] == "0.5"
        )

    city.told.wait(rates)


def test_descriptions_are_followed_as_in_process(city: City, tmp_path: Path) -> None:
    """Three episodes, each with questions on the way and what is perceived there."""
    lengths = Lengths(3, 16)
    alone = InProcess(tmp_path / "alone", lengths)
    end_ns = patrol_in_process(city.folder, FRAMES, alone)
    rows = [
        {"route_panoids": ["0_0"], "start_heading": 90, "navigation_text": text} for text in (
            "Go straight past the Old Mill on the right. Turn left at the light and stop at Zorba Grill.",
            "Turn left at the second light. Stop at Corner Bank.",
            "Go straight to the first light, turn left, go through the next light and stop at the corner.",
        )
    ]  # fmt: skip
    expected = follow_all(alone, city.streets, city.folder, rows, end_ns)
    found = follow_all(OverNodes(city.client, lengths), city.streets, city.folder, rows, end_ns)
    assert all(len(each.told) > 1 and len(each.told[0].points) > 3 for each in expected)
    for one, other in zip(expected, found, strict=True):
        assert same(one, other)[0], (one.told, other.told)
    alone.memory.close()


def test_descriptions_that_cannot_be_followed(city: City) -> None:
    start = city.streets.xy[city.streets.number["0_0"]]
    text = "Go straight and turn left at the first light. Stop at Zorba Grill."
    driven = [Point(x=start[0], y=start[1])]
    asked = {"text": text, "driven": driven, "use_heading": True, "min_places": 3, "max_places": 16}
    found = city.ask(FollowInstruction, "follow_instruction", **asked)
    assert found.found and found.route.path.poses[0].pose.position.x == pytest.approx(start[0], abs=2)
    assert any("turn left" in clause for clause in found.understood) and 0 < found.confidence <= 1 and found.evidence
    unsure = city.ask(FollowInstruction, "follow_instruction", **{**asked, "least_sure": 1.0})
    assert not unsure.found and "ask a person" in unsure.reason
    far = city.ask(FollowInstruction, "follow_instruction", **{**asked, "driven": [Point(x=9e3)]})
    assert not far.found and "nearest place" in far.reason
    for wrong in ({"text": " "}, {"max_places": 0}, {"driven": [Point(x=float("nan"))]}, {"heading": float("inf")}):
        with pytest.raises(BadInputError):
            city.ask(FollowInstruction, "follow_instruction", **{**asked, **wrong})


def test_a_city_without_data_is_refused_with_what_to_do(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBODIED_MEM_DATA", raising=False)
    node = graph.add(SimNode, {"world": "street"})
    graph.on_thread(node.trigger_configure)
    assert "set EMBODIED_MEM_DATA" in node.problem
