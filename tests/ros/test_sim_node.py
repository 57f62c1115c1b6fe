"""The simulator's node in lock-step: no frame is lost when a node is away, and a restarted simulator goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from embodied_mem_msgs.msg import MemoryEvent
from rosgraph_msgs.msg import Clock

from embodied_mem.nodes import qos, simulating
from embodied_mem.nodes.conversions.basics import stamp_to_ns
from embodied_mem.nodes.perception_node import PerceptionNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.nodes.sim_node import SimNode
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, Inbox, until
from tests.ros.samples import SECOND

CAMERA = Intrinsics(20.0, 20.0, 15.5, 11.5, 32, 24)
START = 100 * SECOND


@dataclass
class Frame:
    """What a world's step gives (see sim.house.simulator.SimFrame)."""

    stamp_ns: int
    base: tuple[float, float, float]
    frame_id: str = "map"
    covariance: Any = None
    camera: Intrinsics = CAMERA
    boxes: Boxes2D = field(default_factory=lambda: Boxes2D(("cup",), np.array([0.9]), np.array([[8.0, 6, 24, 18]])))
    detector: str = "eyes"
    classes: tuple[str, ...] = ("cup",)
    depth: Any = field(default_factory=lambda: np.full((24, 32), 2.0, np.float32))
    rgb: Any = field(default_factory=lambda: np.zeros((24, 32, 3), np.uint8))
    lidar: Any = None
    scan: Any = None


class Corridor:
    """A world of a few frames: the robot goes straight on, a metre a frame."""

    def __init__(self, frames: int = 20) -> None:
        self.frames, self.stepped = frames, 0

    @property
    def done(self) -> bool:
        return self.stepped >= self.frames

    @property
    def progress(self) -> float:
        return self.stepped / self.frames

    def step(self) -> Frame:
        self.stepped += 1
        return Frame(START + self.stepped * SECOND, (float(self.stepped), 0.0, 0.0))


@pytest.fixture
def corridor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embodied_mem.nodes.sim_node.make_world", lambda settings: Corridor())


LOCK_STEP = {"real_time_factor": 0.0, "lock_step_timeout": 5.0}
HASTY = {**LOCK_STEP, "lock_step_timeout": 0.3}
EYES = {"external_detections": True, "reliability": "reliable", "wait": 5.0, "use_sim_time": True}


def positions(record: Any) -> list[float]:
    entries = [entry for entry in record.memory.entries(1, 999) if entry.observation is not None]
    return [float(entry.observation.position[0]) for entry in entries]


def perceiving(graph: Graph, parameters: dict[str, Any]) -> Any:
    """A perception node that a record node listens to."""
    node = graph.up(PerceptionNode, parameters)
    until(lambda: node._observations.get_subscription_count(), "the record node listens to perception")
    return node


def done(inbox: Inbox) -> Any:
    return inbox.wait(lambda message: message.message == "done", 30.0)


@pytest.mark.usefixtures("corridor")
def test_every_frame_of_a_lock_step_run_becomes_a_record_in_order(graph: Graph, tmp_path: Path) -> None:
    progress = graph.inbox(DiagnosticStatus, "sim/progress", qos.LATCHED)
    record = graph.up(RecordNode, {"memory": str(tmp_path), "use_sim_time": True, **SMALL})
    perceiving(graph, EYES)
    sim = graph.up(SimNode, LOCK_STEP)
    values = {item.key: item.value for item in done(progress).values}
    assert positions(record) == [float(number) for number in range(1, 21)]
    assert values["frames"] == "20" and values["progress"] == "1.000" and values["lock_step_timeouts"] == "0"
    assert record.get_clock().now().nanoseconds >= START + 19 * SECOND
    assert not sim.counters["faults_failed"] and record.memory.counters["duplicate"] == 0


@pytest.mark.usefixtures("corridor")
def test_news_of_other_frames_does_not_release_the_next_one(graph: Graph) -> None:
    sim = graph.up(SimNode, LOCK_STEP)
    events = graph.publisher(MemoryEvent, "memory_events", qos.EVENTS)
    perceiver = graph.up(PerceptionNode, EYES)
    until(lambda: sim.run.counters["frames"] == 1, "the first frame")
    until(lambda: perceiver._perceiver.counters["observations"], "it was perceived")
    for second in (99, 102, 5000):
        event = MemoryEvent(type="admitted")
        event.header.stamp.sec = second
        events.publish(event)
    event.header.stamp.sec = 101
    events.publish(event)
    until(lambda: sim.run.counters["frames"] >= 2, "the second frame follows its own event")
    assert sim.run.counters["frames"] == 2


@pytest.mark.usefixtures("corridor")
def test_a_frame_that_perception_lost_is_published_again(graph: Graph, tmp_path: Path) -> None:
    progress = graph.inbox(DiagnosticStatus, "sim/progress", qos.LATCHED)
    record = graph.up(RecordNode, {"memory": str(tmp_path), "use_sim_time": True, **SMALL})
    first = perceiving(graph, EYES)
    sim = graph.up(SimNode, HASTY)
    until(lambda: len(positions(record)) >= 3, "the run is on")
    graph.down(first)
    until(lambda: sim.run.counters["lock_step_timeouts"], "nobody perceives")
    perceiving(graph, EYES)
    done(progress)
    assert positions(record) == [float(number) for number in range(1, 21)]


@pytest.mark.usefixtures("corridor")
def test_frames_that_come_to_nothing_do_not_hold_up_the_run(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = graph.inbox(DiagnosticStatus, "sim/progress", qos.LATCHED)
    record = graph.up(RecordNode, {"memory": str(tmp_path), "use_sim_time": True, **SMALL})
    perceiving(graph, {**EYES, "external_detections": False, "cloud_distance": 5.0})
    graph.up(SimNode, LOCK_STEP)
    values = {item.key: item.value for item in done(progress).values}
    assert values["lock_step_timeouts"] == "0"
    assert positions(record) == [1.0, 6.0, 11.0, 16.0]  # no detector ran: only keyframes with their cloud say something


@pytest.mark.usefixtures("corridor")
def test_a_restarted_simulator_goes_on_where_it_was_and_its_clock_does_not_go_back(
    graph: Graph, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "sim.json"
    checkpoint.write_text(json.dumps({"seed": 1, "frames": 15}))
    clock = graph.inbox(Clock, "/clock", qos.best_effort(100))
    progress = graph.inbox(DiagnosticStatus, "sim/progress", qos.LATCHED)
    record = graph.up(RecordNode, {"memory": str(tmp_path / "memory"), "use_sim_time": True, **SMALL})
    perceiving(graph, EYES)
    graph.up(SimNode, {**LOCK_STEP, "checkpoint": str(checkpoint)})
    done(progress)
    assert positions(record) == [16.0, 17.0, 18.0, 19.0, 20.0]
    assert min(stamp_to_ns(message.clock) for message in clock.messages) >= START + 15 * SECOND
    assert json.loads(checkpoint.read_text()) == {"seed": 1, "frames": 20}


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    from embodied_mem.errors import BadInputError
    from embodied_mem.nodes.settings import SimSettings

    (tmp_path / "mark").write_text("{")
    failures: list[Exception] = []
    run = simulating.Run(
        Corridor(), SimSettings(checkpoint=str(tmp_path / "mark")), lambda frame: None, listening=lambda: True,
        finished=lambda: None, failed=failures.append,
    )  # fmt: skip
    run.start()
    until(lambda: failures, "the failure")
    assert isinstance(failures[0], BadInputError) and "delete it to begin anew" in str(failures[0])
