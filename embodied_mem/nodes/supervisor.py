"""Runs the nodes as processes: starts them, starts dead ones again, stops all in order. No ROS is imported here.

    with Supervisor(stack(memory="~/robot_memory"), log_folder=Path("logs")) as nodes:
        nodes.wait()                      # until Ctrl-C, or until a node cannot be started

Each node runs in a session of its own, so Ctrl-C reaches only the supervisor, which then stops them in reverse order.
A killed supervisor takes its nodes with it (see leash.py). A node that exits with code 2 (its parameters are wrong) is
not started again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from embodied_mem.errors import UnavailableError
from embodied_mem.nodes import leash

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 10.0
_STEADY_S = 30.0  # after so long, a start counts as good and the pauses begin anew
_BAD_START = 2
_GRACE_S = 8.0


@dataclass(frozen=True)
class NodeProcess:
    """A process to run: a node's module, and what stands behind its --ros-args."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        ros = ["--ros-args", *self.arguments] if self.arguments else []
        return [sys.executable, "-m", self.module, *ros]


@dataclass(slots=True)
class Status:
    """What became of a process."""

    pid: int = 0
    starts: int = 0
    codes: list[int] = field(default_factory=list)  # of every time it ended; negative: by that signal
    running: bool = False
    given_up: bool = False


class Supervisor:
    """Processes with logs in `log_folder`/NAME.log; `on_event(name, sentence)` is told of starts and ends.

    Use as a context manager, or call `start` and `stop`. `environment` is added to this process's own.
    """

    def __init__(
        self,
        processes: Sequence[NodeProcess],
        *,
        log_folder: Path,
        environment: Mapping[str, str] | None = None,
        restart: bool = True,
        on_event: Callable[[str, str], None] = lambda name, sentence: None,
    ) -> None:
        self._processes = {process.name: process for process in processes}
        self._log_folder = log_folder
        self._environment = {**os.environ, **transport_environment(), **(environment or {})}
        self._restart, self._on_event = restart, on_event
        self._status = {name: Status() for name in self._processes}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._changed = threading.Condition()
        self._stopping: set[str] = set()
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        self._log_folder.mkdir(parents=True, exist_ok=True)
        for name in self._processes:
            thread = threading.Thread(target=self._keep, args=(name,), name=f"supervise {name}", daemon=True)
            self._threads[name] = thread
            thread.start()

    def stop(self, grace_s: float = _GRACE_S) -> dict[str, int]:
        """SIGINT to each, the last started first, SIGKILL after `grace_s`; returns the exit codes."""
        for name in reversed(self._processes):
            self._stop_one(name, grace_s)
        return {name: status.codes[-1] if status.codes else 0 for name, status in self._status.items()}

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until a process has been given up; False when the time is over first."""
        with self._changed:
            return self._changed.wait_for(lambda: any(item.given_up for item in self._status.values()), timeout_s)

    def wait_for(self, condition: Callable[[Mapping[str, Status]], bool], timeout_s: float) -> bool:
        """Wait until the states of the processes meet a condition; False when the time is over first."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._status), timeout_s)

    def status(self, name: str) -> Status:
        return self._status[name]

    def pid_of(self, name: str) -> int:
        """Process id. Raises UnavailableError when it is not running."""
        status = self._status[name]
        if not status.running:
            raise UnavailableError(f"Node {name!r} is not running; its log is {self.log_of(name)}.")
        return status.pid

    def log_of(self, name: str) -> Path:
        return self._log_folder / f"{name}.log"

    def tail(self, name: str, lines: int = 20) -> str:
        """The last lines of a log."""
        try:
            text = self.log_of(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- inside ------------------------------------------------------------------------------------------------

    def _keep(self, name: str) -> None:
        """Run one process again and again, on a thread that lives as long as it does (the leash is tied to it)."""
        status, pause = self._status[name], _FIRST_PAUSE_S
        while name not in self._stopping:
            began = time.monotonic()
            code = self._run_once(name)
            with self._changed:
                status.running = False
                status.codes.append(code)
                if name in self._stopping:
                    self._changed.notify_all()
                    return
                if code == _BAD_START or not self._restart:
                    status.given_up = True
                self._changed.notify_all()
            if status.given_up:
                self._on_event(name, f"ended with code {code} and is not started again: {self.tail(name, 3)}")
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else min(pause * 2, _LAST_PAUSE_S)
            self._on_event(name, f"{_ended(code)}; starting it again in {pause:g} s")
            with self._changed:
                self._changed.wait_for(lambda: name in self._stopping, pause)

    def _run_once(self, name: str) -> int:
        status = self._status[name]
        environment = {**self._environment, leash.VARIABLE: str(os.getpid())}
        with self.log_of(name).open("ab") as log:
            with self._changed:
                if name in self._stopping:
                    return 0
                child = subprocess.Popen(
                    self._processes[name].command(),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    env=environment, start_new_session=True,
                )  # fmt: skip
                self._children[name] = child
                status.pid, status.running = child.pid, True
                status.starts += 1
                self._changed.notify_all()
            return child.wait()

    def _stop_one(self, name: str, grace_s: float) -> None:
        with self._changed:
            self._stopping.add(name)
            self._changed.notify_all()
            child = self._children.get(name)
        thread = self._threads.get(name)
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGINT)
        if thread is None:
            return
        thread.join(grace_s)
        if thread.is_alive() and child is not None:
            self._on_event(name, f"did not stop within {grace_s:g} s and is killed")
            child.kill()
            thread.join()


def transport_environment() -> dict[str, str]:
    """The variables that select Fast DDS's transport, unless some are set already."""
    chosen = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
    if any(os.environ.get(name) for name in chosen):
        return {}
    profile = config_folder() / "fastdds.xml"
    if profile.is_file():
        return {"FASTDDS_DEFAULT_PROFILES_FILE": str(profile)}
    return {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}


def config_folder() -> Path:
    """config/ of the checkout, or share/embodied_mem/config of an installation."""
    beside = Path(__file__).resolve().parents[2] / "config"
    if (beside / "fastdds.xml").is_file():
        return beside
    for prefix in [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]:
        installed = Path(prefix) / "share" / "embodied_mem" / "config"
        if prefix and installed.is_dir():
            return installed
    return beside


def _ended(code: int) -> str:
    return f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
