"""A node's sign of life, as the manager sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`started` tells two processes with the same number apart (see leash.process_start)."""

    node: str  # with its namespace, without the leading slash
    host: str
    pid: int
    started: int
    state: str  # unconfigured, inactive, active; "" for a node without a lifecycle
    problem: str = ""
