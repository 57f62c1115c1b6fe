"""System 2: carries out instructions by planning, having steps done, watching and planning again.

Acts        execute_task     feedback, cancel, preempt; several tasks queue
Asks        execute_skill    any System 1
Subscribes  records          follows the log: what it knows is a view of it
Publishes   observations     the steps it did, for the log; plan (latched)

Threads: everything runs on the executor, but plans are looked for on a thread of their own. A task that a restart
interrupted goes on: what was done of it stands in the log.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from embodied_mem_msgs.action import ExecuteSkill, ExecuteTask
from embodied_mem_msgs.msg import MemoryEvent
from embodied_mem_msgs.msg import Observation as ObservationMsg
from embodied_mem_msgs.msg import Plan as PlanMsg
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from embodied_mem.errors import BadInputError, EmbodiedMemError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import plans
from embodied_mem.nodes.conversions.basics import stamp_to_ns
from embodied_mem.nodes.conversions.observations import observation_to_msg
from embodied_mem.nodes.log_reader import LogReader, Patience
from embodied_mem.nodes.outbox import Outbox
from embodied_mem.nodes.planner_settings import PlannerSettings
from embodied_mem.nodes.planner_view import PlannerView
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.tasking import ActionController, Asked, Tasks
from embodied_mem.planner.experience import observation_of
from embodied_mem.planner.facts import parse_facts
from embodied_mem.planner.framing import Pricing
from embodied_mem.planner.places import PlaceBook
from embodied_mem.planner.solving import make_solver
from embodied_mem.planner.system2 import Progress, Settings, System2
from embodied_mem.planner.ways import PlaceWays

_AGAIN_S = 0.5
_FEEDBACK_S = 0.5


class PlannerNode(MemoryNode):
    """See the module docstring. `planner` is System 2 while a log is read."""

    Parameters = PlannerSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        self.planner: Any = None
        self._log: Any = None
        self._pool: Any = None
        self._server: Any = None
        self._client: Any = None
        self._resumed = False

    def configure(self) -> None:
        p: PlannerSettings = self.parameters
        if not p.places:
            raise BadInputError("The parameter `places` is empty: give the path of the place book.")
        book = PlaceBook.load(p.places)
        self._solver = make_solver(p.solver)
        self._tasks, self._resumed, self.planner = Tasks(), False, None
        self._pool = ThreadPoolExecutor(1, "plans")
        self._plans = self.publish_to(PlanMsg, "plan", qos.LATCHED)
        self._observations = self.publish_to(ObservationMsg, "observations", qos.OBSERVATIONS)
        self._outbox: Outbox[Any] = Outbox(self._observations.publish)
        self.subscribe(MemoryEvent, "memory_events", qos.EVENTS, self._heard)
        self._log = LogReader(
            self, lambda: PlannerView(book, self.now_ns, p.fresh, p.sure),
            Patience(p.fetch, p.fetch_timeout, p.poll, 2.0),
        )  # fmt: skip
        self._client = ActionClient(
            self, ExecuteSkill, "execute_skill", callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._hands = ActionController(self._client, self.now_ns, p.frame, p.gone)
        self._server = ActionServer(
            self, ExecuteTask, "execute_task", self._execute, goal_callback=self._asked,
            cancel_callback=lambda handle: CancelResponse.ACCEPT, callback_group=self._services_group,
        )  # fmt: skip
        self._told = 0.0
        self._shown: tuple[Any, ...] = ()
        self.every(p.tick, self._tick)
        self.every(_AGAIN_S, lambda: self._outbox.send_again(time.monotonic()))

    def activate(self) -> None:
        self._log.poll()

    def cleanup(self) -> None:
        if self._log is not None:
            self._log.close()
        for entity in (self._server, self._client):
            if entity is not None:
                entity.destroy()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._log = self._server = self._client = self._pool = self.planner = None

    def diagnose(self) -> Mapping[str, object]:
        if self._log is None:
            return {}
        current = self._tasks.current
        doing = "nothing" if current is None or self.planner is None else self.planner.run.goal.words
        return {**self._log.diagnose(), "doing": doing, "waiting": len(self._tasks.waiting)}

    # --- tasks -------------------------------------------------------------------------------------------------

    def _asked(self, goal: Any) -> GoalResponse:
        full = len(self._tasks.waiting) >= self.parameters.queue
        return GoalResponse.ACCEPT if self.active and not full else GoalResponse.REJECT

    async def _execute(self, handle: Any) -> Any:
        goal = handle.request
        try:
            facts = parse_facts(goal.goal) if goal.goal else None
            limit = float(goal.time_limit)
            if not np.isfinite(limit) or limit < 0:
                raise BadInputError(f"The time limit must be at least 0 seconds, not {limit}.")
            asked = Asked(goal.instruction, facts, goal.task_id, limit, handle, self.future())
            if not self._tasks.attach(asked):
                stopped, given_up = self._tasks.put(asked, goal.mode)
                if stopped is not None and self.planner is not None:
                    if stopped in given_up:
                        self.planner.cancel("another task replaced it")
                        self._answer(stopped)
                    else:
                        self.planner.suspend()
                for one in given_up:
                    if one is not stopped:
                        self._refuse(one, "another task replaced it")
        except EmbodiedMemError as error:
            handle.abort()
            return ExecuteTask.Result(error_code=error.code, message=str(error))
        return await asked.answer

    def _tick(self) -> None:
        if not self._ready():
            return
        current = self._tasks.current
        if current is not None and current.handle is not None and current.handle.is_cancel_requested:
            self.planner.cancel("it was cancelled")
            self._answer(current)
        for one in [one for one in self._tasks.waiting if one.handle is not None and one.handle.is_cancel_requested]:
            self._tasks.waiting.remove(one)
            self._refuse(one, "it was cancelled")
        begun = self._tasks.next()
        if begun is not None and not self._begin(begun):
            return
        if self._tasks.current is not None:
            if self.planner.tick() is not Progress.GOING:
                self._answer(self._tasks.current)
            else:
                self._tell()

    def _ready(self) -> bool:
        """Whether the log was read and something was seen; System 2 is made anew over a log that is another one."""
        view = self._log.view
        if not self._log.follower.caught_up or view.knowledge.last is None:
            return False
        if self.planner is None or self.planner.known is not view.knowledge:
            if self.planner is not None and self._tasks.current is not None:
                self._tasks.current.task = self.planner.run.task
                self.planner.suspend()
                self._tasks.waiting.appendleft(self._tasks.current)
                self._tasks.current = None
            p: PlannerSettings = self.parameters
            known = view.knowledge
            words = [name.strip() for name in p.things.split(",") if name.strip()]
            self.planner = System2(
                known, self._hands, self._write, things=lambda: tuple(dict.fromkeys((*words, *view.things))),
                clock=self.now_ns, solver=self._solver, settings=Settings(p.replans, p.steps),
                pricing=Pricing(known.book, known.experience, PlaceWays(view.places.router)),
                think=lambda call: self._pool.submit(call),
            )  # fmt: skip
        if not self._resumed:
            self._resumed = True
            if self.parameters.resume:
                for task in view.knowledge.experience.unfinished():
                    asked = Asked("", task=task.task)
                    named = [one for one in self._tasks.waiting if one.task == task.task]
                    if not named:
                        self._tasks.waiting.append(asked)
        return True

    def _begin(self, asked: Asked) -> bool:
        try:
            self.planner.begin(asked.instruction, goal=asked.goal, task=asked.task, limit_s=asked.limit_s)
            asked.task = self.planner.run.task
            return True
        except EmbodiedMemError as error:
            asked.error = error
            self._tasks.current = None
            self._refuse(asked, str(error), error.code)
            return False

    # --- telling -----------------------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> None:
        """The current task has ended."""
        self._tasks.current = None
        task = self.planner.run
        self._show()
        if asked.handle is None:
            return
        done = task.state == Progress.DONE.value
        seconds = (self.now_ns() - task.begun_ns) / 1e9
        result = plans.task_result(task, done, seconds, self.now_ns(), self.parameters.frame)
        self._end(asked, done, result)

    def _refuse(self, asked: Asked, why: str, code: int = 0) -> None:
        """A task that was not begun."""
        if asked.handle is not None:
            self._end(asked, False, ExecuteTask.Result(error_code=code, message=why, reason=why, task_id=asked.task))

    @staticmethod
    def _end(asked: Asked, done: bool, result: Any) -> None:
        if done:
            asked.handle.succeed()
        elif asked.handle.is_cancel_requested:
            asked.handle.canceled()
        else:
            asked.handle.abort()
        asked.answer.set_result(result)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told < _FEEDBACK_S:
            return
        self._told = now
        self._show()
        current = self._tasks.current
        if current is not None and current.handle is not None:
            running = self.planner.step_running
            current.handle.publish_feedback(
                plans.task_feedback(self.planner.run, self.now_ns(), self.parameters.frame, running)
            )

    def _show(self) -> None:
        """Publish the plan when it has changed."""
        task, running = self.planner.run, self.planner.step_running
        shown = (task.task, task.plan, running)
        if shown != self._shown:
            self._shown = shown
            self._plans.publish(plans.plan_to_msg(task, self.now_ns(), self.parameters.frame, running))

    # --- the log -----------------------------------------------------------------------------------------------

    def _write(self, caption: str) -> None:
        """A record of the planner; it is known at once, and again when it comes back from the log."""
        known = self._log.view.knowledge
        x, y = known.last.position.tolist() if known.last is not None else (0.0, 0.0)
        turn = quaternion_from_yaw(np.zeros(1))[0]
        obs = observation_of(caption, self.now_ns(), np.array([x, y, 0.0]), turn, self.parameters.robot_id)
        known.note(obs)
        self._outbox.put(obs.stamp_ns, observation_to_msg(obs), time.monotonic())

    def _heard(self, event: MemoryEvent) -> None:
        if event.type in ("admitted", "folded", "refused", "dropped"):
            self._outbox.heard(stamp_to_ns(event.header.stamp))


def main() -> int:
    return run(lambda: [PlannerNode()])


if __name__ == "__main__":
    sys.exit(main())
