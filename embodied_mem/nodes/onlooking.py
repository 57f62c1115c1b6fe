"""Looks on while the nodes run: how far the robot is, and what each node says of itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from embodied_mem.nodes import diagnostics, qos


@dataclass(frozen=True)
class Progress:
    """Of the simulated robot: camera frames so far, share of the way in 0..1, time of the newest frame."""

    frames: int = 0
    share: float = 0.0
    stamp_ns: int = 0
    done: bool = False


class Watcher:
    """A ROS node of its own context that only listens. `health` holds the newest values of each node, by name."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.health: dict[str, dict[str, str]] = {}
        self.beats: dict[str, int] = {}
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("demo", context=self._context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._node.create_subscription(DiagnosticStatus, "sim/progress", self._went_on, qos.LATCHED)
        self._node.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._reported, qos.reliable(50))

    def look(self, seconds: float) -> None:
        """Handle one message, or none within the time."""
        self._executor.spin_once(timeout_sec=seconds)

    def listen(self, seconds: float) -> None:
        """Handle messages for so long: every node speaks once a second."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.look(left)

    def state(self, name: str) -> str:
        """The lifecycle state of a node, "missing" before it was heard."""
        return self.health.get(name, {}).get("state", "missing")

    def close(self) -> None:
        self._executor.remove_node(self._node)
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _went_on(self, message: Any) -> None:
        values = {item.key: item.value for item in message.values}
        self.progress = Progress(
            frames=int(values.get("frames", 0)),
            share=float(values.get("progress", 0.0)),
            stamp_ns=int(values.get("stamp_ns", 0)),
            done=message.message == "done",
        )

    def _reported(self, message: Any) -> None:
        for status in message.status:
            name = status.name.rsplit("/", 1)[-1]
            self.health[name] = {item.key: item.value for item in status.values}
            self.beats[name] = self.beats.get(name, 0) + 1
