"""Short-term memory in front of the records: what it says is what the log says now, and it tells where it is from."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import NotFoundError
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query
from embodied_mem.tokens.surroundings import Surroundings, SurroundingsSettings
from embodied_mem.topology.view import TopologyView

SECOND = 1_000_000_000
THINGS = ("red mug", "blue chair", "green plant", "white lamp", "black kettle", "old clock", "round table", "fire exit")


class Robot:
    """Remembers captions along a corridor, a second and a metre apart."""

    def __init__(self, **settings) -> None:
        self.now = 0
        self.memory = RecordMemory.in_memory(HashingEmbedder(), clock=lambda: self.now)
        self.places = TopologyView(self.memory.index, clock=lambda: self.now)
        self.near = Surroundings(self.memory, self.places, SurroundingsSettings(**{"radius": 5.0, **settings}))

    def see(self, caption: str, x: float, map_id: str = "") -> int:
        self.now += SECOND
        position = np.array([x, 0.0, 1.0])
        seen = Observation(self.now, position, np.array([0, 0, 0, 1.0]), "map", caption=caption, map_id=map_id)
        return self.memory.remember(seen).seq

    def recall(self, text: str, **more):
        return self.near.recall(text, stamp_ns=self.now, map_id=more.pop("map_id", self.memory.map_id), **more)

    def best(self, text: str, x: float, radius: float = 5.0):
        hits = self.memory.query(Query(text=text, center=np.array([x, 0.0, 1.0]), radius=radius, k=1)).hits
        return [(hit.record.seq, hit.score) for hit in hits]


def told(found):
    return [(int(seq), pytest.approx(float(cosine), abs=1e-6)) for seq, cosine in
            zip(found.records, found.cosines, strict=True)]  # fmt: skip


def test_with_room_for_all_its_answers_are_those_of_the_records():
    robot, rng = Robot(capacity=1000), np.random.default_rng(3)
    sources = set()
    for i in range(60):
        robot.see(f"{THINGS[rng.integers(8)]} number {i}", float(i) / 2)
        if i % 3 == 0:
            text = f"{THINGS[rng.integers(8)]} number {rng.integers(60)}"
            found = robot.recall(text)
            sources.add(found.source)
            assert robot.best(text, i / 2) == told(found)
    assert sources == {"short", "none"} or sources == {"short", "long", "none"}
    assert robot.near.hits.asked == 20 and robot.near.hits.short > 5


def test_what_has_left_comes_from_the_records_once():
    robot = Robot(capacity=2, radius=50.0)
    first = robot.see("a red mug", 0.0)
    for i, thing in enumerate(THINGS[1:5]):
        robot.see(f"a {thing}", 1.0 + i)
    found = robot.recall("a red mug")
    assert (found.source, found.records.tolist()) == ("long", [first]) and found.best < 0.5
    again = robot.recall("a red mug")
    assert (again.source, again.records.tolist()) == ("short", [first])
    assert (robot.near.hits.short, robot.near.hits.long) == (1, 1)


def test_what_the_log_forgets_or_corrects_is_not_recalled_any_more():
    robot = Robot()
    mug, other = robot.see("a red mug", 0.0), robot.see("a blue chair", 0.5)
    assert robot.recall("a red mug").records.tolist() == [mug]
    robot.memory.forget([mug])
    assert robot.recall("a red mug").source == "none"
    assert robot.near.memory is not None and robot.near.memory.records.tolist() == [other]
    robot.memory.undo()
    found = robot.recall("a red mug")
    assert (found.source, found.records.tolist()) == ("long", [mug])
    robot.memory.correct(other, caption="a fire exit")
    assert robot.recall("a blue chair").source == "none"
    found = robot.recall("a fire exit")
    assert (found.source, found.records.tolist()) == ("long", [other])
    robot.memory.correct(other, position=np.array([40.0, 0.0, 1.0]))
    assert robot.recall("a fire exit", position=np.array([0.0, 0.0, 1.0])).source == "none"


def test_positions_are_told_from_the_current_place():
    robot = Robot(radius=100.0)
    mug = robot.see("a red mug", 0.0)
    assert robot.recall("a red mug").relative.tolist() == [[0.0, 0.0, 0.0]]
    robot.see("a white lamp", 20.0)
    found = robot.recall("a red mug")
    assert found.records.tolist() == [mug] and found.positions.tolist() == [[0.0, 0.0, 1.0]]
    assert robot.near.origin.tolist() == [20.0, 0.0, 1.0] and found.relative.tolist() == [[-20.0, 0.0, 0.0]]


def test_other_maps_have_no_surroundings_and_are_asked_directly():
    robot = Robot()
    robot.memory.set_map("upstairs")
    up = robot.see("a red mug", 0.0)
    apart = np.eye(4)
    apart[0, 3] = 500.0  # metres from upstairs to downstairs
    robot.memory.set_map("downstairs", parent="upstairs", transform=apart)
    down = robot.see("a red mug", 0.0)
    assert robot.recall("a red mug").records.tolist() == [down]
    found = robot.recall("a red mug", map_id="upstairs", position=np.array([0.0, 0.0, 1.0]))
    assert (found.source, found.records.tolist()) == ("long", [up])
    assert robot.near.memory is not None and robot.near.memory.map_id == "downstairs"
    assert robot.recall("a red mug").source == "short"


def test_before_anything_was_remembered_nobody_knows_where_the_robot_is():
    robot = Robot()
    robot.memory.set_map("empty")
    with pytest.raises(NotFoundError, match="no record"):
        robot.recall("a red mug")
    assert np.isnan(robot.near.origin).all()
