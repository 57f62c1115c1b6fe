"""Ties a child process to the one that started it, so that none is left behind when the parent is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

VARIABLE = "EMBODIED_MEM_PARENT"  # the process id of the supervisor, in the environment of its children
_PR_SET_PDEATHSIG = 1


def obey() -> None:
    """In a child: be terminated (SIGTERM) when the parent named in the environment ends. Linux only."""
    named = os.environ.pop(VARIABLE, "")  # not for the children of this process
    if not named.isdecimal() or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(named):  # it ended before the line above
        sys.exit(0)


def process_start(pid: int) -> int:
    """When a process was started, in clock ticks since boot; 0 when there is none. Tells a reused number apart."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
