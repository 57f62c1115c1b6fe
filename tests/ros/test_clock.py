"""Time from /clock: stamps, ages, and a clock that jumps back (a bag in a loop) without harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import Observation as ObservationMsg
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from embodied_mem.errors import RefusedError
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.conversions import sensors
from embodied_mem.nodes.conversions.basics import ns_to_stamp
from embodied_mem.nodes.conversions.observations import observation_to_msg
from embodied_mem.nodes.perception_node import PerceptionNode
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.nodes.sync import PoseSample
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, until
from tests.ros.samples import SECOND, UPRIGHT, seen

START = 1000 * SECOND


class Bag:
    """A graph that runs on /clock, and something that plays."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self.graph = graph
        timed = {"use_sim_time": True}
        self.record: Any = graph.up(RecordNode, {"memory": str(folder), **timed, **SMALL})
        self.recall: Any = graph.up(RecallNode, {**timed, **SMALL})
        quick = {"camera": False, "captions": True, "reliability": "reliable", "wait": 0.2}
        self.perception: Any = graph.up(PerceptionNode, {**quick, **timed})
        self.client: MemoryClient = graph.client()
        self.nodes = (self.record, self.recall, self.perception)
        self._clock = graph.publisher(Clock, "/clock", qos.reliable(10))

    def tick(self, stamp_ns: int) -> None:
        """Set the clock of every node."""

        def arrived() -> bool:
            self._clock.publish(Clock(clock=ns_to_stamp(stamp_ns)))
            return all(node.get_clock().now().nanoseconds == stamp_ns for node in self.nodes)

        until(arrived, f"the time is {stamp_ns}")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bag]:
    with Graph() as graph:
        yield Bag(graph, tmp_path_factory.mktemp("memory"))


def test_before_the_first_clock_the_newest_stamp_is_the_time(bag: Bag) -> None:
    observations = bag.graph.publisher(ObservationMsg, "observations", qos.OBSERVATIONS)
    observations.publish(observation_to_msg(seen("before the clock", stamp_ns=START)))
    until(lambda: len(bag.record.memory.index), "it was remembered")
    bag.client.wrote = bag.record.memory.watermark
    assert bag.record.memory.counters["future"] == 0
    (hit,) = bag.client.query("before the clock").hits
    assert hit.age_s == pytest.approx(0.0, abs=1e-6)


def test_ages_and_relative_times_follow_the_clock(bag: Bag) -> None:
    bag.tick(START + 100 * SECOND)
    seq = bag.client.remember(seen("an apple", stamp_ns=START + 90 * SECOND)).seq
    (hit,) = bag.client.query(seqs=(seq,)).hits
    assert hit.age_s == pytest.approx(10.0)
    assert bag.client.query(seqs=(seq,), when="last 20 s").found
    bag.tick(START + 200 * SECOND)
    assert not bag.client.query(seqs=(seq,), when="last 20 s").found
    with pytest.raises(RefusedError, match="ahead of the clock"):
        bag.client.remember(seen(stamp_ns=START + 300 * SECOND))


def test_a_clock_that_jumps_back_starts_a_session_and_loses_nothing(bag: Bag) -> None:
    bag.tick(START + 500 * SECOND)
    first = bag.client.remember(seen("round one", stamp_ns=START + 499 * SECOND, sensor_id="same")).seq
    session = bag.record.memory.session_id
    jumps = [node.counters["clock_jumps_back"] for node in bag.nodes]

    bag.tick(START + 2 * SECOND)

    until(lambda: bag.record.memory.session_id != session, "a new session")
    assert [node.counters["clock_jumps_back"] for node in bag.nodes] == [count + 1 for count in jumps]
    second = bag.client.remember(seen("round two", (5, 0, 0), stamp_ns=START + SECOND, sensor_id="same")).seq
    found = {hit.seq: hit for hit in bag.client.query(seqs=(first, second)).hits}
    assert found.keys() == {first, second}
    assert found[second].age_s == pytest.approx(1.0)
    assert not any(node.counters["faults_failed"] for node in bag.nodes)


def test_perception_goes_on_after_a_loop_and_the_same_bag_is_not_remembered_twice(bag: Bag) -> None:
    def play() -> None:
        odom = bag.graph.publisher(Odometry, "odom", qos.reliable(50))
        said = bag.graph.publisher(String, "caption", qos.reliable(20))
        for second in range(3):
            stamp = START + (1000 + second) * SECOND
            bag.tick(stamp)
            sample = PoseSample(stamp, np.array([float(second), 0.0, 0.0]), UPRIGHT, None, "map")
            odom.publish(sensors.odometry_msg(sample, "base_link"))
            handled = bag.perception._perceiver.counters["observations"]
            said.publish(String(data=f"second {second}"))
            until(lambda: bag.perception._perceiver.counters["observations"] > handled, "it was perceived")  # noqa: B023

    play()
    until(lambda: bag.client.query("second 2", k=1).hits[0].caption == "second 2", "the first round was remembered")
    before, folded = bag.record.memory.watermark, bag.record.memory.counters["duplicate"]
    play()
    until(lambda: bag.record.memory.counters["duplicate"] == folded + 3, "the second round was folded")
    assert bag.record.memory.watermark == before
