"""Brings the lifecycle nodes up in order, watches them, and brings back what died or hangs.

Subscribes  /diagnostics       the nodes' heartbeats
Publishes   /diagnostics       its own, with the state of each node

A node that was started again (by the supervisor or by launch) is configured and activated again; one that is silent
too long is killed, so that it is started again. The manager itself holds no state that matters: it may die too.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.leash import process_start
from embodied_mem.nodes.parameters import declare
from embodied_mem.nodes.settings import ManagerSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.watching import Action, Watch, Watched

_TICK_S = 0.1
_LAST_WORDS_S = 1.0  # that a hung process has to print where it hangs
_TRANSITIONS = {
    Action.CONFIGURE: Transition.TRANSITION_CONFIGURE,
    Action.ACTIVATE: Transition.TRANSITION_ACTIVATE,
}


class ManagerNode(Node):
    """See the module docstring."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("manager", **kwargs)
        try:
            self.parameters = declare(self, ManagerSettings)
        except BaseException:
            self.destroy_node()
            raise
        p = self.parameters
        space = self.get_namespace().rstrip("/")
        names = tuple(f"{space}/{name}".lstrip("/") for name in p.nodes)
        self.watch = Watch(
            names, host=socket.gethostname(),
            heartbeat_timeout=p.heartbeat_timeout, transition_timeout=p.transition_timeout,
        )  # fmt: skip
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._changers = {
            name: self.create_client(
                ChangeState, f"/{name}/change_state", callback_group=MutuallyExclusiveCallbackGroup()
            )
            for name in names
        }  # fmt: skip
        self._ending: dict[int, tuple[int, float]] = {}  # by process: when it was started, until when it may speak
        self._reporter = diagnostics.Reporter(self.get_fully_qualified_name())
        self._diagnostics = self.create_publisher(DiagnosticArray, diagnostics.TOPIC, qos.reliable(10))
        self.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._listen, qos.reliable(100))
        self.create_timer(diagnostics.PERIOD_S, self._report, clock=steady)
        if p.autostart:
            self.create_timer(_TICK_S, self._act, clock=steady)

    def _listen(self, message: DiagnosticArray) -> None:
        for status in message.status:
            beat = diagnostics.heartbeat_of(status)
            if beat is not None:
                self.watch.heard(beat, time.monotonic())

    def _act(self) -> None:
        self._kill_what_is_left()
        for node, action in self.watch.next_actions(time.monotonic()):
            if action is Action.KILL:
                self._kill(node)
            else:
                self._ask(node, action)

    def _ask(self, node: Watched, action: Action) -> None:
        client = self._changers[node.name]
        if not client.service_is_ready():
            self.watch.failed(node, action, "its service is not there yet", time.monotonic(), answered=False)
            return
        request = ChangeState.Request(transition=Transition(id=_TRANSITIONS[action]))
        client.call_async(request).add_done_callback(partial(self._answered, node, action, node.beat))

    def _answered(self, node: Watched, action: Action, asked: Any, future: Any) -> None:
        if node.beat is None or (node.beat.pid, node.beat.started) != (asked.pid, asked.started):
            return  # another process by now
        if future.exception() is None and future.result().success:
            self.watch.succeeded(node, action, time.monotonic())
            self.get_logger().info(f"{node.name} is {node.state}.")
        else:
            self.watch.failed(node, action, "the node refused", time.monotonic())
            if node.problem:
                self.get_logger().error(f"{node.name}: {node.problem}")

    def _kill(self, node: Watched) -> None:
        beat = node.beat
        if not self.parameters.kill_hung or beat is None or process_start(beat.pid) != beat.started:
            return  # it is dead already, and whoever started it will start it again
        self.get_logger().error(
            f"{node.name} has been silent too long: ending process {beat.pid}; its log says where it hung."
        )
        os.kill(beat.pid, signal.SIGABRT)
        self._ending[beat.pid] = (beat.started, time.monotonic() + _LAST_WORDS_S)

    def _kill_what_is_left(self) -> None:
        """A process that cannot even end itself, such as a stopped one, is killed."""
        now = time.monotonic()
        for pid, (started, deadline) in list(self._ending.items()):
            if now < deadline:
                continue
            del self._ending[pid]
            if process_start(pid) == started:
                os.kill(pid, signal.SIGKILL)

    def _report(self) -> None:
        values: dict[str, object] = {"all_active": self.watch.all_active}
        for name, node in self.watch.nodes.items():
            values[name] = node.state
            values[f"{name} restarts"] = node.restarts
            values[f"{name} kills"] = node.kills
        broken = [f"{name}: {node.problem}" for name, node in self.watch.nodes.items() if node.problem]
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(self._reporter.message(stamp, "", "; ".join(broken), values))


def main() -> int:
    return run(lambda: [ManagerNode()])


if __name__ == "__main__":
    sys.exit(main())
