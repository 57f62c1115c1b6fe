"""A ROS 2 graph of a test's own: nodes on one thread, a client, and inboxes that wait with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.private_domain import Domain

TIMEOUT_S = 15.0
T = TypeVar("T")
N = TypeVar("N", bound=Node)


def until(condition: Callable[[], T], what: str, timeout_s: float = TIMEOUT_S) -> T:
    """Wait until a condition holds; returns its value. Fails with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not: {what}"
        time.sleep(0.01)
    return value


class Inbox:
    """What came on a topic, in order."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.messages: list[Any] = []
        self._changed = threading.Condition()

    def take(self, message: Any) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait(self, wanted: Callable[[Any], bool] = lambda message: True, timeout_s: float = TIMEOUT_S) -> Any:
        """The first message that is wanted, among those that came already too."""
        with self._changed:
            there = self._changed.wait_for(lambda: any(map(wanted, self.messages)), timeout_s)
            assert there, f"nothing wanted came on {self.topic} in {timeout_s:g} s, but {self.messages[-3:]}"
            return next(message for message in self.messages if wanted(message))

    def wait_count(self, count: int, timeout_s: float = TIMEOUT_S) -> list[Any]:
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.messages) >= count, timeout_s)
            assert there, f"{len(self.messages)} messages on {self.topic} in {timeout_s:g} s, not {count}"
            return list(self.messages)


class Graph:
    """Nodes in a context and domain of their own. `probe` is a node for the test's publishers and inboxes."""

    def __init__(self, domain: int | None = None) -> None:
        self._own = Domain() if domain is None else None
        self.domain = self._own.number if self._own is not None else domain
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain, signal_handler_options=SignalHandlerOptions.NO)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.probe = Node("probe", context=self.context)
        self.executor.add_node(self.probe)
        self._nodes: list[Node] = [self.probe]
        self._clients: list[tuple[MemoryClient, Node]] = []
        self._publishers: dict[str, Any] = {}
        self._thread = threading.Thread(target=self.executor.spin, name="graph", daemon=True)
        self._thread.start()

    def add(self, make: Callable[..., N], parameters: dict[str, Any] | None = None, **kwargs: Any) -> N:
        """Make a node with these parameters, and spin it."""
        overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        node = make(context=self.context, parameter_overrides=overrides, **kwargs)
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def up(self, make: Callable[..., Any], parameters: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The same, configured and active."""
        node = self.add(make, parameters, **kwargs)
        assert self.on_thread(node.trigger_configure) == TransitionCallbackReturn.SUCCESS, node.problem
        assert self.on_thread(node.trigger_activate) == TransitionCallbackReturn.SUCCESS, node.problem
        return node

    def down(self, node: MemoryNode) -> None:
        """Shut a node down, as its process would at Ctrl-C."""
        self.on_thread(node.shut_down)
        self.executor.remove_node(node)
        self._nodes.remove(node)
        # There too: the executor may be just about to wait for what is destroyed, and its thread would end by that.
        self.on_thread(node.destroy_node)

    def on_thread(self, call: Callable[[], T], timeout_s: float = 60.0) -> T:
        """Run something where callbacks run."""
        done: threading.Event = threading.Event()
        task = self.executor.create_task(call)
        task.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "the nodes' thread is stuck"
        return task.result()

    def client(self, timeout_s: float = TIMEOUT_S) -> MemoryClient:
        node = Node(f"client_{len(self._clients)}", context=self.context)
        client = MemoryClient(node=node, timeout_s=timeout_s)
        self._clients.append((client, node))
        return client

    def inbox(self, kind: type, topic: str, profile: QoSProfile) -> Inbox:
        """Everything that comes on a topic from now on."""
        inbox = Inbox(topic)
        self.probe.create_subscription(kind, topic, inbox.take, profile)
        return inbox

    def publisher(self, kind: type, topic: str, profile: QoSProfile) -> Any:
        """The publisher of a topic, once it and the graph's readers have found each other."""
        known = self._publishers.get(topic)
        if known is not None:
            return known
        publisher = self._publishers[topic] = self.probe.create_publisher(kind, topic, profile)
        name = publisher.topic_name
        readers = [entity for node in self._nodes for entity in node.subscriptions if entity.topic_name == name]
        until(lambda: publisher.get_subscription_count() >= len(readers), f"{len(readers)} readers of {name}")
        writers = max(self.probe.count_publishers(name), 1)
        until(lambda: all(item.get_publisher_count() >= writers for item in readers), f"readers of {name} know of it")
        return publisher

    def close(self) -> None:
        for client, node in self._clients:
            client.close()
            node.destroy_node()
        for node in list(self._nodes):
            if isinstance(node, MemoryNode):
                self.down(node)
        self.executor.shutdown()
        self._thread.join(10.0)
        self.probe.destroy_node()
        self.context.try_shutdown()
        if self._own is not None:
            self._own.release()

    def __enter__(self) -> Graph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
