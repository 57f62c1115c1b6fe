"""The tasks of a planner: one is done, others wait, and what a controller does for it. No algorithm, and no node."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.nodes.conversions import plans
from embodied_mem.planner.acting import Context, Ended
from embodied_mem.planner.facts import Facts
from embodied_mem.planner.plan import PlanStep

QUEUE, PREEMPT, REPLACE = 0, 1, 2


@dataclass(eq=False)
class Asked:
    """A task that somebody asked for, or (without a handle) that a restart interrupted."""

    instruction: str
    goal: Facts | None = None
    task: str = ""
    limit_s: float = 0.0
    handle: Any = None
    answer: Any = None  # the future of its result
    error: EmbodiedMemError | None = None


@dataclass(eq=False)
class Tasks:
    """The current one, and those that wait."""

    current: Asked | None = None
    waiting: deque[Asked] = field(default_factory=deque)

    def put(self, asked: Asked, mode: int) -> tuple[Asked | None, list[Asked]]:
        """Take in a task; returns the one that is to be suspended for it, and those that are given up for it."""
        if mode == QUEUE:
            self.waiting.append(asked)
            return None, []
        stopped, self.current = self.current, None
        if mode == PREEMPT:
            if stopped is not None:
                self.waiting.appendleft(stopped)
            self.waiting.appendleft(asked)
            return stopped, []
        given_up = [one for one in (stopped, *self.waiting) if one is not None]
        self.waiting.clear()
        self.waiting.append(asked)
        return stopped, given_up

    def next(self) -> Asked | None:
        """Begin with the next one when there is no current one."""
        if self.current is None and self.waiting:
            self.current = self.waiting.popleft()
            return self.current
        return None

    def attach(self, asked: Asked) -> bool:
        """Let a client wait for a task that goes on already under the same name."""
        for one in (self.current, *self.waiting):
            if one is not None and asked.task and one.task == asked.task and one.handle is None:
                one.handle, one.answer, one.limit_s = asked.handle, asked.answer, asked.limit_s
                return True
        return False


class ActionController:
    """System 1 behind the action ExecuteSkill. A controller that is gone has failed, after some patience."""

    def __init__(self, client: Any, now_ns: Callable[[], int], frame: str, gone_s: float) -> None:
        self._client, self._now_ns, self._frame, self._gone_s = client, now_ns, frame, gone_s
        self._goal: Any = None
        self._handle: Any = None
        self._ended: Ended | None = None
        self._serial = 0
        self._seen_s = 0.0

    def start(self, step: PlanStep, key: str, context: Context) -> None:
        self._serial += 1
        self._ended, self._handle = None, None
        self._goal = plans.skill_goal(step, key, context, self._now_ns(), self._frame)
        self._seen_s = time.monotonic()
        self._send()

    def _send(self) -> None:
        if self._goal is None or not self._client.server_is_ready():
            return
        serial, goal, self._goal = self._serial, self._goal, None
        self._client.send_goal_async(goal).add_done_callback(lambda future: self._accepted(serial, future))

    def _accepted(self, serial: int, future: Any) -> None:
        if serial != self._serial:
            return
        handle = future.result()
        if handle is None or not handle.accepted:
            self._ended = Ended(False, "refused")
            return
        self._handle = handle
        handle.get_result_async().add_done_callback(lambda done: self._finished(serial, done))

    def _finished(self, serial: int, future: Any) -> None:
        if serial == self._serial:
            self._ended = plans.ended_from_result(future.result().result)

    def poll(self) -> Ended | None:
        if self._ended is None:
            now = time.monotonic()
            if self._client.server_is_ready():
                self._seen_s = now
                self._send()
            elif now - self._seen_s > self._gone_s:
                self._serial += 1
                self._ended = Ended(False, "gone", now - self._seen_s)
        return self._ended

    def cancel(self) -> None:
        self._serial += 1
        if self._handle is not None and self._ended is None:
            self._handle.cancel_goal_async()
        self._goal, self._handle = None, None
