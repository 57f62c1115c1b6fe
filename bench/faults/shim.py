"""Compiles shim.c with the system's compiler, and speaks to it in a process that was started with it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.harness import ROOT

ON_OPEN, ON_WRITE, ON_SYNC, ON_NAME, ON_READ = 1, 2, 4, 8, 16  # as in shim.c
_SOURCE = Path(__file__).with_name("shim.c")
_EVER = 2**30


def why_not() -> str:
    """Why faults cannot be made here; "" where they can."""
    if not sys.platform.startswith("linux"):
        return "disk faults are made with LD_PRELOAD, which is Linux's"
    if compiler() is None:
        return "no C compiler (cc, gcc or clang) was found to build bench/faults/shim.c"
    return ""


def compiler() -> str | None:
    return next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def library() -> Path:
    """The compiled shim, made once for each version of its source. Raises OSError, CalledProcessError."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"embodied_mem_shim_{os.getuid()}_{digest}.so"
    if not target.exists():
        fresh = target.with_suffix(f".{os.getpid()}")
        cc = compiler()
        assert cc is not None, why_not()
        subprocess.run(
            [cc, "-O2", "-shared", "-fPIC", "-o", str(fresh), str(_SOURCE), "-ldl", "-lpthread"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        fresh.replace(target)
    return target


def run(module: str, *arguments: str) -> str:
    """`python -m module arguments` with the shim before the C library; what it printed.

    Raises RuntimeError with the last lines of its complaint.
    """
    return _run(module, arguments, {"LD_PRELOAD": str(library())})


def plain(module: str, *arguments: str) -> str:
    """The same without the shim."""
    return _run(module, arguments, {})


def _run(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


class Disk:
    """The shim of this process, which must have been started by `run`. Only files below `folder` are its business."""

    def __init__(self, folder: Path, trace: Path | None = None) -> None:
        self._shim = ctypes.CDLL(None)
        self._shim.em_root(str(folder.resolve()).encode())
        if trace is not None and self._shim.em_trace(str(trace).encode()) < 0:
            raise OSError(f"the trace {trace} cannot be written")

    def mark(self, text: str) -> None:
        """Write a line of our own into the trace."""
        data = text.encode()
        self._shim.em_mark(data, len(data))

    def fail(self, kinds: int, error: int, *, first: int = 1, times: int = _EVER) -> None:
        """Let operations of these kinds fail with an errno, from the `first` one from now on, so many of them."""
        self._shim.em_arm(kinds, first, times, error)

    def count(self, kinds: int) -> None:
        """Count the operations of these kinds from now on."""
        self._shim.em_arm(kinds, 1, 0, 0)

    def work(self) -> None:
        """Let nothing fail from now on."""
        self._shim.em_arm(0, 1, 0, 0)

    @property
    def seen(self) -> int:
        """Operations of the kinds that are counted, or that were to fail, since `fail` or `count`."""
        return int(self._shim.em_seen())
