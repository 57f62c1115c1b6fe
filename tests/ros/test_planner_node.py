"""System 2 over real actions: a task is done, tasks queue and are cancelled, and deaths in mid-task are survived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("embodied_mem_msgs", reason="the interfaces are not installed: run `make setup`")
pytest.importorskip("py_trees", reason="py_trees is not installed: run `make setup`")

from embodied_mem_msgs.action import ExecuteTask
from rclpy.action import ActionClient

from embodied_mem.nodes.controller_node import ControllerNode
from embodied_mem.nodes.planner_node import PlannerNode
from embodied_mem.nodes.record_node import RecordNode
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, until

PATIENCE_S = 60.0


class House:
    """Record, controller and planner nodes, and a client of the planner."""

    def __init__(self, graph: Graph, folder: Path, pace: float = 0.0) -> None:
        self.graph, self.folder, self.pace = graph, folder, pace
        self.record = self.start_record()
        self.controller = self.start_controller()
        self.planner = self.start_planner()
        self.client = ActionClient(graph.probe, ExecuteTask, "execute_task")
        self.feedback: list[Any] = []

    def start_record(self) -> Any:
        return self.graph.up(RecordNode, {"memory": str(self.folder / "memory"), **SMALL})

    def start_controller(self) -> Any:
        settings = {"places": str(self.folder / "places.json"), "checkpoint": str(self.folder / "house.json")}
        return self.graph.up(ControllerNode, {**settings, "period": 0.2, "pace": self.pace})

    def start_planner(self) -> Any:
        settings = {"places": str(self.folder / "places.json"), "tick": 0.03, "poll": 0.2, "gone": 2.0}
        return self.graph.up(PlannerNode, {**settings, "things": ", ".join(sorted(self.controller.world.items))})

    @property
    def world(self) -> Any:
        return self.controller.world

    def errand(self) -> tuple[str, str, str]:
        """An instruction about a thing that lies open, the thing, and where it goes."""
        item = next(item for item in self.world.items.values() if item.relation == "on")
        target = next(p.name for p in self.world.book.places if p.surface and p.name != item.place)
        return f"put the {item.label} from the {item.place} on the {target}", item.label, target

    def ask(self, instruction: str, **fields: Any) -> Any:
        until(self.client.server_is_ready, "the planner's action")
        goal = ExecuteTask.Goal(instruction=instruction, **fields)
        sent = self.client.send_goal_async(
            goal, feedback_callback=lambda message: self.feedback.append(message.feedback)
        )
        until(sent.done, "an answer to the goal")
        return sent.result()

    def result(self, handle: Any) -> Any:
        waiting = handle.get_result_async()
        until(waiting.done, "the end of the task", PATIENCE_S)
        return waiting.result().result


@pytest.fixture
def house(graph: Graph, tmp_path: Path) -> Iterator[House]:
    made = House(graph, tmp_path)
    yield made
    made.client.destroy()


def test_a_task_is_done_told_of_and_written_down(house: House) -> None:
    words, thing, target = house.errand()
    result = house.result(house.ask(words))
    assert result.done and result.error_code == 0, result.message
    assert house.world.items[thing].place == target
    assert [step.skill for step in result.plan.steps][-1] == "put_on" and result.plan.goal == [f"on({thing}, {target})"]
    until(lambda: "done" in _captions(house)[-1], "the record of the end")
    told = _captions(house)
    assert told[0] == f"task {result.task_id}: {words}: begun"
    assert any("pick(" in caption and " done" in caption for caption in told)


def test_what_is_not_understood_is_refused_in_words(house: House) -> None:
    result = house.result(house.ask("polish the moon"))
    assert not result.done and result.error_code == 1 and "not understood" in result.message


def test_tasks_queue_and_those_that_wait_can_be_cancelled(graph: Graph, tmp_path: Path) -> None:
    house = House(graph, tmp_path, pace=0.05)
    words, thing, target = house.errand()
    first = house.ask(words)
    second = house.ask("turn on the tv")
    third = house.ask("turn on the tv")
    cancelling = third.cancel_goal_async()
    until(cancelling.done, "the cancelling")
    assert "cancelled" in house.result(third).reason
    assert house.result(first).done and house.world.items[thing].place == target
    assert house.result(second).done and house.world.running["tv"]
    house.client.destroy()


def test_another_task_goes_first_and_the_interrupted_one_is_done_after_it(graph: Graph, tmp_path: Path) -> None:
    house = House(graph, tmp_path, pace=0.05)
    words, thing, target = house.errand()
    first = house.ask(words)
    until(lambda: house.planner.planner is not None and house.planner.planner.step_running, "a step of the first")
    urgent = house.ask("turn on the tv", mode=ExecuteTask.Goal.PREEMPT)
    assert house.result(urgent).done and house.world.items[thing].place != target
    assert house.result(first).done and house.world.items[thing].place == target
    house.client.destroy()


def test_the_deaths_of_controller_memory_and_planner_in_mid_task_are_survived(graph: Graph, tmp_path: Path) -> None:
    house = House(graph, tmp_path, pace=0.1)
    words, thing, target = house.errand()
    house.ask(words, task_id="long")
    # Not before it is kept: a skill that is cut off is as if it had not been begun.
    until(lambda: f"pick({thing}" in _kept(tmp_path), "the thing in the hand", PATIENCE_S)
    for node in (house.controller, house.record, house.planner):
        graph.down(node)
    house.record = house.start_record()
    house.controller = house.start_controller()
    assert house.world.held == thing  # the house went on from where it was
    house.planner = house.start_planner()
    result = house.result(house.ask(words, task_id="long"))
    assert result.done, result.message
    assert house.world.items[thing].place == target
    # The result may come before the last records: the one of the end is written after all of them.
    until(lambda: any(c.startswith(f"task long: {words}: done") for c in _captions(house)), "the record of the end")
    put = [
        caption for caption in _captions(house) if "put_on(" in caption and caption.endswith("s") and " done" in caption
    ]
    assert len(put) == 1 and sum(": begun" in c and c.startswith("task long:") for c in _captions(house)) == 1
    house.client.destroy()


def _kept(folder: Path) -> str:
    """What the house keeps over restarts, as text."""
    file = folder / "house.json"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _captions(house: House) -> list[str]:
    """What the planner wrote into the log, in order."""
    entries = house.record.memory.entries(1, 10_000)
    found = [entry.observation for entry in entries if entry.observation is not None]
    return [obs.caption for obs in found if obs.sensor_id == "planner"]
