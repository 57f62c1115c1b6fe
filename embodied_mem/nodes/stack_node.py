"""The whole stack in one process: its nodes share Python objects, and no manager is needed.

Observations go from perception to record, and recall reads record's own memory, without a message in between. One
thread runs all callbacks; each node has its worker threads. A node that cannot be brought up is tried again.

    ros2 run embodied_mem stack_node --ros-args -p record:memory:=/data/robot_memory
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node

from embodied_mem.errors import BadInputError
from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.forest_node import ForestNode
from embodied_mem.nodes.object_node import ObjectNode
from embodied_mem.nodes.parameters import declare
from embodied_mem.nodes.perception_node import PerceptionNode
from embodied_mem.nodes.recall_node import RecallNode
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.nodes.settings import StackSettings
from embodied_mem.nodes.spatial_node import SpatialNode
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.stack import ORDER

_TICK_S = 0.1
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 30.0


class StackNode(Node):
    """Brings up the nodes of its process, in order; see the module docstring. `held` are these nodes, by name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("stack", **kwargs)
        self.held: dict[str, Any] = {}
        try:
            self.parameters = declare(self, StackSettings)
            self._hold(self.parameters.nodes, kwargs)
        except BaseException:
            for node in self.held.values():
                node.destroy_node()
            self.destroy_node()
            raise
        self._retry_at, self._failures = 0.0, 0
        self._reporter = diagnostics.Reporter(self.get_fully_qualified_name())
        self._diagnostics = self.create_publisher(DiagnosticArray, diagnostics.TOPIC, qos.reliable(10))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_TICK_S, self._bring_up, clock=steady)
        self.create_timer(diagnostics.PERIOD_S, self._report, clock=steady)

    @property
    def all_active(self) -> bool:
        return all(node.active for node in self.held.values())

    def _hold(self, names: Sequence[str], kwargs: dict[str, Any]) -> None:
        unknown = [name for name in names if name not in ORDER]
        if unknown or not names:
            raise BadInputError(
                f"Parameter 'nodes' of stack names nodes out of {', '.join(ORDER)}; "
                + (f"{unknown[0]!r} is none of them." if unknown else "it is empty.")
            )
        for name in (name for name in ORDER if name in names):
            self.held[name] = self._make(name, kwargs)

    def _make(self, name: str, kwargs: dict[str, Any]) -> MemoryNode:
        record: Any = self.held.get("record")
        if name == "record":
            return RecordNode(**kwargs)
        if name == "recall":
            objects = (lambda: self.held["object"].objects) if "object" in self.parameters.nodes else None
            forests = (lambda: self.held["forest"].forests) if "forest" in self.parameters.nodes else None
            memory = None if record is None else lambda: record.memory
            return RecallNode(memory=memory, forests=forests, objects=objects, **kwargs)
        if name == "object":
            return ObjectNode(memory=None if record is None else lambda: record.memory, **kwargs)
        if name == "forest":
            return ForestNode(memory=None if record is None else lambda: record.memory, **kwargs)
        if name == "perception":
            return PerceptionNode(deliver=None if record is None else record.observe, **kwargs)
        if name == "spatial":
            return SpatialNode(**kwargs)
        if name == "episode":
            from embodied_mem.nodes.episode_node import EpisodeNode

            return EpisodeNode(**kwargs)
        if name == "inference":
            from embodied_mem.nodes.inference_node import InferenceNode

            return InferenceNode(**kwargs)
        from embodied_mem.nodes.sim_node import SimNode

        return SimNode(**kwargs)

    def _bring_up(self) -> None:
        """The next step of the first node that is not active."""
        if time.monotonic() < self._retry_at:
            return
        node = next((node for node in self.held.values() if not node.active), None)
        if node is None:
            return
        step = {"unconfigured": node.trigger_configure, "inactive": node.trigger_activate}.get(node.lifecycle_state)
        if step is None or step() == TransitionCallbackReturn.SUCCESS:
            self._failures = 0
            return
        self._failures += 1
        self._retry_at = time.monotonic() + min(_FIRST_RETRY_S * 2 ** (self._failures - 1), _LAST_RETRY_S)

    def _report(self) -> None:
        values = {"all_active": self.all_active, **{name: node.lifecycle_state for name, node in self.held.items()}}
        problems = [f"{name}: {node.problem}" for name, node in self.held.items() if node.problem]
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(self._reporter.message(stamp, "", "; ".join(problems), values))


def main() -> int:
    return run(_nodes)


def _nodes() -> Sequence[Node]:
    stack = StackNode()
    return [stack, *stack.held.values()]


if __name__ == "__main__":
    sys.exit(main())
