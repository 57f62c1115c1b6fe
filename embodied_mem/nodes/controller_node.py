"""System 1 in the simulated house of chores: does skills, and sees what happens.

Acts       execute_skill      what was done under a key is not done again
Publishes  observations       what the robot sees, also while it does nothing
Subscribes memory_events      which observations arrived; others are sent again

Threads: skills run on a worker, everything else on the executor.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from embodied_mem_msgs.action import ExecuteSkill
from embodied_mem_msgs.msg import MemoryEvent
from embodied_mem_msgs.msg import Observation as ObservationMsg
from rclpy.action import ActionServer, CancelResponse, GoalResponse

from embodied_mem.errors import EmbodiedMemError, UnavailableError
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import plans
from embodied_mem.nodes.conversions.basics import stamp_to_ns
from embodied_mem.nodes.conversions.observations import observation_to_msg
from embodied_mem.nodes.outbox import Outbox
from embodied_mem.nodes.planner_settings import ControllerSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.thinker import Thinker
from embodied_mem.planner.acting import Ended
from embodied_mem.records.files import write_atomically
from embodied_mem.records.observation import Observation

_AGAIN_S = 0.5


class ControllerNode(MemoryNode):
    """See the module docstring. `world` exists while configured and is for judges."""

    Parameters = ControllerSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("controller", **kwargs)
        self.world: Any = None
        self._hands: Any = None
        self._server: Any = None
        self._lock = threading.Lock()
        self._newest_ns = 0
        self._finished: dict[str, tuple[str, Ended]] = {}

    def configure(self) -> None:
        from sim.house.chores.robot import HouseController
        from sim.house.chores.tasks import make_task, world_of

        p: ControllerSettings = self.parameters
        self.world = world_of(make_task(p.suite, p.seed, p.index), clock=self.now_ns)
        self._resume()
        if p.places:
            Path(p.places).write_text(self.world.book.to_json(), encoding="utf-8")
        self._skills = HouseController(self.world)
        self.world.watch = self._watch
        self._observations = self.publish_to(ObservationMsg, "observations", qos.OBSERVATIONS)
        self._outbox: Outbox[Any] = Outbox(self._observations.publish)
        self.subscribe(MemoryEvent, "memory_events", qos.EVENTS, self._heard)
        self._hands = Thinker(self, "skills", 4)
        self._server = ActionServer(
            self, ExecuteSkill, "execute_skill", self._execute, goal_callback=self._asked,
            cancel_callback=lambda handle: CancelResponse.ACCEPT, callback_group=self._services_group,
        )  # fmt: skip
        self.every(_AGAIN_S, lambda: self._outbox.send_again(time.monotonic()))
        self.every(p.period, self._glance)

    def cleanup(self) -> None:
        hands, self._hands = self._hands, None
        if hands is not None:
            hands.stop()
        if self._server is not None:
            self._server.destroy()
        self._server = self.world = None

    def diagnose(self) -> Mapping[str, object]:
        return {} if self.world is None else {"spot": self.world.spot, "holds": self.world.held or "nothing"}

    # --- skills ------------------------------------------------------------------------------------------------

    def _asked(self, goal: Any) -> GoalResponse:
        return GoalResponse.ACCEPT if self.active else GoalResponse.REJECT

    async def _execute(self, handle: Any) -> Any:
        goal = handle.request
        try:
            step, context = plans.step_from_goal(goal), plans.context_from_msg(goal.context)
        except EmbodiedMemError as error:
            handle.abort()
            return ExecuteSkill.Result(error_code=error.code, message=str(error))
        words = f"{step.skill}({', '.join(step.arguments)})"
        before = self._finished.get(goal.step_key)
        if before is not None and before[0] == words and before[1].done:
            handle.succeed()
            return plans.ended_to_result(before[1], repeated=True)

        def do() -> Ended:
            with self._lock:
                self._skills.start(step, f"{goal.step_key} {words}", context)
                ended = replace(self._skills.poll() or Ended(False, "canceled"), seen_ns=self._newest_ns)
                self._finished[goal.step_key] = words, ended
                self._keep()
            time.sleep(ended.seconds * self.parameters.pace)
            return ended

        try:
            ended = await self._hands.thought(do)
        except UnavailableError as busy:
            handle.abort()
            return ExecuteSkill.Result(error_code=busy.code, message=str(busy))
        if handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.succeed()
        return plans.ended_to_result(ended)

    # --- seeing ------------------------------------------------------------------------------------------------

    def _watch(self, frame: Observation) -> None:
        self._skills.saw(frame)
        self._newest_ns = frame.stamp_ns
        self._outbox.put(frame.stamp_ns, observation_to_msg(frame), time.monotonic())

    def _glance(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self.world.watch(self.world.frame())
            finally:
                self._lock.release()

    def _heard(self, event: MemoryEvent) -> None:
        if event.type in ("admitted", "folded", "refused", "dropped"):
            self._outbox.heard(stamp_to_ns(event.header.stamp))

    # --- restarts ----------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        if self.parameters.checkpoint:
            finished = {key: [words, *astuple(ended)] for key, (words, ended) in self._finished.items()}
            text = json.dumps({"world": self.world.state(), "finished": finished})
            write_atomically(Path(self.parameters.checkpoint), text.encode())

    def _resume(self) -> None:
        file = Path(self.parameters.checkpoint) if self.parameters.checkpoint else None
        if file is not None and file.is_file():
            kept = json.loads(file.read_text(encoding="utf-8"))
            self.world.restore(kept["world"])
            self._finished = {key: (words, Ended(*rest)) for key, (words, *rest) in kept["finished"].items()}


def main() -> int:
    return run(lambda: [ControllerNode()])


if __name__ == "__main__":
    sys.exit(main())
