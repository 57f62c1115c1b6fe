"""Decides what the manager does next about each node it brings up and watches. No ROS here, time is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from embodied_mem.nodes.heartbeat import Heartbeat

_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 30.0
_SETTLING_S = 0.5
_LOST_S = 2.0
_ATTENTIVE_S = 1.0


class Action(Enum):
    """What is to be done about a node."""

    CONFIGURE = "configure"
    ACTIVATE = "activate"
    KILL = "kill"


_STEPS = {"unconfigured": Action.CONFIGURE, "inactive": Action.ACTIVATE}


@dataclass(slots=True)
class Watched:
    """What is known of one node. Times are seconds of a steady clock."""

    name: str
    state: str = "missing"
    beat: Heartbeat | None = None
    heard: float = 0.0
    asked_at: float = 0.0  # a transition was asked for then
    asked_until: float = 0.0  # and may take until then
    retry_at: float = 0.0
    settled_at: float = 0.0  # heartbeats sent before a transition may still come in until then
    failures: int = 0
    restarts: int = 0
    kills: int = 0
    problem: str = ""
    killed: tuple[int, int] = field(default=(0, 0))  # the process that was killed last


class Watch:
    """The nodes in the order in which they are brought up: a node waits until all before it are active.

    A node that comes back as a new process is brought up again by itself, the others go on. A node that is silent
    for `heartbeat_timeout` and of this `host` is to be killed; while it carries out a transition, it may be silent.
    It *is* silent then: one that goes on saying where it was has not got the request (a request to a process that has
    just started can be lost), so it is asked again. Silence counts only while somebody listens: a manager that did not
    run for a while has the heartbeats of that time still before it.
    """

    def __init__(
        self, names: tuple[str, ...], *, host: str, heartbeat_timeout: float, transition_timeout: float
    ) -> None:
        self.nodes = {name: Watched(name) for name in names}
        self._host = host
        self._heartbeat_timeout, self._transition_timeout = heartbeat_timeout, transition_timeout
        self._looked: float | None = None  # when next_actions was called last

    @property
    def all_active(self) -> bool:
        return all(node.state == "active" for node in self.nodes.values())

    def heard(self, beat: Heartbeat, now: float) -> None:
        """A heartbeat came in."""
        node = self.nodes.get(beat.node)
        if node is None or (beat.pid, beat.started) == node.killed:
            return
        if node.beat is not None and (beat.pid, beat.started) != (node.beat.pid, node.beat.started):
            node.restarts += 1
            node.asked_until = node.retry_at = node.settled_at = 0.0
            node.failures = 0
        node.beat, node.heard = beat, now
        if now < node.asked_until and now > node.asked_at + _LOST_S and beat.state == node.state:
            node.asked_until = 0.0
        if now >= node.settled_at:
            node.state, node.problem = beat.state, beat.problem

    def next_actions(self, now: float) -> list[tuple[Watched, Action]]:
        """What to do now; each is also noted as begun."""
        missed = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        if missed > _ATTENTIVE_S:
            for node in self.nodes.values():
                node.heard = min(node.heard + missed, now)
        actions = []
        ready = True  # are all before it active?
        for node in self.nodes.values():
            action = self._next(node, now, ready)
            if action is not None:
                actions.append((node, action))
            ready = ready and node.state == "active"
        return actions

    def succeeded(self, node: Watched, action: Action, now: float) -> None:
        """A transition was carried out. The node said so, which is a sign of life: it had no time for heartbeats."""
        node.heard = now
        node.settled_at = now + _SETTLING_S
        node.asked_until = node.retry_at = 0.0
        node.failures, node.problem = 0, ""
        node.state = "inactive" if action is Action.CONFIGURE else "active"

    def failed(self, node: Watched, action: Action, why: str, now: float, *, answered: bool = True) -> None:
        """A transition failed: try again later, each time later still. Of no account when it is past that already."""
        if answered:
            node.heard = now
        if _STEPS.get(node.state) is not action:
            return
        node.asked_until = 0.0
        node.failures += 1
        node.retry_at = now + min(_FIRST_RETRY_S * 2 ** (node.failures - 1), _LAST_RETRY_S)
        node.problem = node.problem or f"{action.value.capitalize().rstrip('e')}ing failed: {why}"

    def _next(self, node: Watched, now: float, ready: bool) -> Action | None:
        if node.beat is None:
            return None
        if now < node.asked_until:
            return None
        if now - node.heard > self._heartbeat_timeout:
            return self._silent(node)
        if now < node.retry_at or not ready:
            return None
        action = _STEPS.get(node.state)
        if action is not None:
            node.asked_at, node.asked_until = now, now + self._transition_timeout
        return action

    def _silent(self, node: Watched) -> Action | None:
        assert node.beat is not None
        node.state = "silent"
        process = (node.beat.pid, node.beat.started)
        if node.beat.host != self._host or process == node.killed:
            return None
        node.killed = process
        node.kills += 1
        return Action.KILL
