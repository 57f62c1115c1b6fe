"""Starts the nodes as processes and lets the robot drive until the house is covered."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.cli.console import Console
from embodied_mem.cli.simulated import simulated_parameters
from embodied_mem.errors import UnavailableError
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.supervisor import Supervisor

if TYPE_CHECKING:
    from embodied_mem.nodes.onlooking import Watcher

NODES = ("record", "recall", "perception", "sim")
_START_S = 120.0  # from the first process to the first frame; models are loaded meanwhile
_STALL_S = 60.0  # without a new frame, a run has failed
_LOOK_S = 0.2
_CATCH_UP_S = 30.0


@dataclass
class Drive:
    """What became of the run. `phases`: (name, seconds); `health`: each node's last words of itself."""

    frames: int = 0
    end_ns: int = 0
    watermark: int = 0
    killed: list[str] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)
    phases: list[tuple[str, float]] = field(default_factory=list)
    health: dict[str, dict[str, str]] = field(default_factory=dict)


@contextmanager
def running_nodes(folder: Path, seed: int, config: Path | None, console: Console) -> Iterator[Supervisor]:
    """The nodes as processes, their logs in folder/logs; stopped in order at the end, whatever happens."""
    parameters = simulated_parameters(folder / "memory", seed, config=config, lock_step=True)
    parameters["sim"] |= {"truth_file": str(folder / "truth.json"), "checkpoint": str(folder / "logs" / "sim.json")}
    processes = stack(NODES, parameters=parameters, use_sim_time=True)
    told = lambda name, sentence: console.note(f"  {name} {sentence}")  # noqa: E731
    with Supervisor(processes, log_folder=folder / "logs", on_event=told) as supervisor:
        yield supervisor


def drive(supervisor: Supervisor, watcher: Watcher, console: Console, *, kill: bool = False) -> Drive:
    """Wait until the robot has seen the whole house. `kill`: kill each node once on the way.

    Raises UnavailableError, naming the logs, when a node cannot be started or nothing moves any more.
    """
    result = Drive()
    began = time.monotonic()
    _wait_for_start(supervisor, watcher)
    result.phases.append(("start the nodes", time.monotonic() - began))
    began = time.monotonic()
    _explore(supervisor, watcher, console, _victims() if kill else [], result)
    _catch_up(supervisor, watcher, result)
    result.phases.append(("explore the house", time.monotonic() - began))
    return result


def _wait_for_start(supervisor: Supervisor, watcher: Watcher) -> None:
    deadline = time.monotonic() + _START_S
    while not watcher.progress.frames:
        watcher.look(_LOOK_S)
        _check(supervisor)
        if time.monotonic() > deadline:
            waiting = [f"{name} is {watcher.state(name)}" for name in NODES if watcher.state(name) != "active"]
            raise UnavailableError(
                f"The nodes did not start within {_START_S:.0f} s ({', '.join(waiting) or 'all are active'}); "
                f"their output is in {supervisor.log_of('record').parent}."
            )


def _explore(
    supervisor: Supervisor, watcher: Watcher, console: Console, victims: list[tuple[float, str]], result: Drive
) -> None:
    bar = console.bar(1000, "exploring", "‰")
    shown, moved_at, frames = 0, time.monotonic(), 0
    marks = [0.25, 0.5, 0.75]
    try:
        while not watcher.progress.done:
            watcher.look(_LOOK_S)
            _check(supervisor)
            now = watcher.progress
            if now.frames != frames:
                frames, moved_at = now.frames, time.monotonic()
            elif time.monotonic() - moved_at > _STALL_S:
                raise UnavailableError(
                    f"The robot stands still at frame {frames}; the nodes' output is in "
                    f"{supervisor.log_of('sim').parent}."
                )
            records = watcher.health.get("record", {}).get("records", "0")
            bar.set_postfix_str(f"{now.frames} frames, {records} records")
            bar.update(round(now.share * 1000) - shown)
            shown = round(now.share * 1000)
            if marks and now.share >= marks[0]:
                console.milestone(f"  {marks.pop(0):.0%} of the way: {now.frames} frames, {records} records")
            if victims and now.share >= victims[0][0]:
                _kill(supervisor, victims.pop(0)[1], console, result)
    finally:
        bar.close()


def _catch_up(supervisor: Supervisor, watcher: Watcher, result: Drive) -> None:
    """Two more words of the record node: the first may have been under way before the last frame was remembered."""
    wanted = watcher.beats.get("record", 0) + 2
    deadline = time.monotonic() + _CATCH_UP_S
    while watcher.beats.get("record", 0) < wanted:
        watcher.look(_LOOK_S)
        if time.monotonic() > deadline:
            raise UnavailableError(f"The record node is silent; its output is in {supervisor.log_of('record')}.")
    result.frames, result.end_ns = watcher.progress.frames, watcher.progress.stamp_ns
    result.watermark = int(watcher.health["record"].get("watermark", 0))


def _victims() -> list[tuple[float, str]]:
    """When each node is killed, as a share of the way."""
    return [(0.15, "perception"), (0.3, "recall"), (0.45, "record"), (0.6, "manager"), (0.75, "sim")]


def _kill(supervisor: Supervisor, name: str, console: Console, result: Drive) -> None:
    os.kill(supervisor.pid_of(name), signal.SIGKILL)
    result.killed.append(name)
    console.note(f"  killed the {name} node")


def _check(supervisor: Supervisor) -> None:
    if supervisor.wait(0.0):
        failed = next(name for name in (*NODES, "manager") if supervisor.status(name).given_up)
        raise UnavailableError(f"The {failed} node cannot be started: {supervisor.tail(failed, 3)}")
