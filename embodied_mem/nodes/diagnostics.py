"""What a node says about itself once a second on /diagnostics; the manager takes it as the node's heartbeat."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from embodied_mem.nodes.heartbeat import Heartbeat
from embodied_mem.nodes.leash import process_start

TOPIC = "/diagnostics"
PERIOD_S = 1.0

OK, WARN, ERROR = (int.from_bytes(level, "big") for level in (b"\x00", b"\x01", b"\x02"))
_LEVELS = {OK: DiagnosticStatus.OK, WARN: DiagnosticStatus.WARN, ERROR: DiagnosticStatus.ERROR}


class Reporter:
    """Makes the messages of one node; a counter ending in `dropped` or `failed` makes it WARN when it rises."""

    def __init__(self, node: str) -> None:
        self._node = node.lstrip("/")
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._started = process_start(self._pid)
        self._alarming: dict[str, int] = {}

    def message(self, stamp: Any, state: str, problem: str, values: Mapping[str, object]) -> DiagnosticArray:
        """One status: the heartbeat's fields first, then `values`; `stamp` is a builtin_interfaces/Time."""
        alarming = {
            name: value
            for name, value in values.items()
            if isinstance(value, int) and name.endswith(("dropped", "failed"))
        }
        rising = [name for name, value in alarming.items() if value > self._alarming.get(name, 0)]
        self._alarming = alarming
        level = ERROR if problem else WARN if rising else OK
        text = problem or (", ".join(f"{name}: {alarming[name]}" for name in rising) if rising else state or "running")
        own = {"state": state, "pid": self._pid, "started": self._started, "problem": problem}
        status = DiagnosticStatus(
            level=_LEVELS[level],
            name=self._node,
            message=text,
            hardware_id=self._host,
            values=[KeyValue(key=name, value=str(value)) for name, value in {**own, **values}.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array


def heartbeat_of(status: DiagnosticStatus) -> Heartbeat | None:
    """The heartbeat in a status, or None when it is not one of ours."""
    values = {item.key: item.value for item in status.values}
    if not {"state", "pid", "started"} <= values.keys():
        return None
    try:
        pid, started = int(values["pid"]), int(values["started"])
    except ValueError:
        return None
    problem = values.get("problem", "")
    return Heartbeat(status.name, status.hardware_id, pid, started, values["state"], problem)
