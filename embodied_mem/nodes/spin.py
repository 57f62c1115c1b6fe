"""Runs nodes in a process until it is told to stop: `main` of every executable."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.nodes import leash

BAD_START = 2  # exit code: the parameters or arguments are wrong, so starting again would not help
_START_S = 60.0  # joining the graph takes a second or two; a process that hangs there could be seen by no manager
_PATIENCE_S = 2.0  # a second signal after this long ends the process at once

_PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")


class Stoppable(Protocol):
    def shut_down(self) -> None: ...


def run(make_nodes: Callable[[], Sequence[Node]], args: list[str] | None = None) -> int:
    """Make nodes and spin them on one thread until SIGINT or SIGTERM; returns the exit code of the process.

    0 after a signal, BAD_START when the nodes could not be made (the reason is printed in one sentence). A process that
    hangs before its nodes spin prints where, and ends with 1, so that whoever started it starts it again.
    """
    faulthandler.enable()  # SIGABRT, by which the manager ends a hung process, prints where each thread is
    faulthandler.dump_traceback_later(_START_S, exit=True)
    stop_asked = _Signals()
    leash.obey()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    nodes: list[Node] = []
    try:
        nodes.extend(make_nodes())
        for node in nodes:
            executor.add_node(node)
        _check_transport(nodes[0])
        stop: Future = Future(executor=executor)
        stop_asked.tell(lambda: (stop.set_result(None), executor.wake()))
        faulthandler.cancel_dump_traceback_later()
        executor.spin_until_future_complete(stop)
    except ExternalShutdownException:
        pass
    except EmbodiedMemError as error:
        print(error, file=sys.stderr, flush=True)
        return BAD_START
    finally:
        faulthandler.cancel_dump_traceback_later()
        for node in reversed(nodes):
            shut_down = getattr(node, "shut_down", None)
            if shut_down is not None:
                shut_down()
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
    return 0


class _Signals:
    """Calls back, on a thread of its own, when SIGINT or SIGTERM arrives.

    The main thread waits inside the middleware, where no Python handler runs; so the handler written in C tells a
    socket, and a thread listens to that.
    """

    def __init__(self) -> None:
        self._told = threading.Event()
        self._callback: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def tell(self, callback: Callable[[], object]) -> None:
        """Call `callback` at the signal, or now when it came already."""
        with self._lock:
            self._callback = callback
            if self._told.is_set():
                callback()

    def _listen(self) -> None:
        first = 0.0
        while numbers := self._reader.recv(16):
            if not set(numbers) & {signal.SIGINT, signal.SIGTERM}:
                continue
            if first and time.monotonic() - first > _PATIENCE_S:
                os._exit(130)
            first = first or time.monotonic()
            with self._lock:
                if not self._told.is_set():
                    self._told.set()
                    if self._callback is not None:
                        self._callback()


def _check_transport(node: Node) -> None:
    fast_dds = "fast" in os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if fast_dds and not any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        node.get_logger().warning(
            "Fast DDS runs with its default transport, which loses most camera images: set "
            "FASTDDS_DEFAULT_PROFILES_FILE to embodied_mem's config/fastdds.xml (the launch files do)."
        )
