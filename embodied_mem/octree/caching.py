"""Keeps the compiled kernels on disk true to their sources.

Numba compiles a kernel again when its own file has changed, but not when a file has whose functions it calls.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_FOLDER = Path(__file__).parent


def drop_stale_kernels() -> int:
    """Remove what was compiled before any source of this package changed; returns how many files that were."""
    compiled = [*(_FOLDER / "__pycache__").glob("*.nbi"), *(_FOLDER / "__pycache__").glob("*.nbc")]
    try:
        newest = max(path.stat().st_mtime_ns for path in _FOLDER.glob("*.py") if not path.name.startswith("view"))
        stale = [path for path in compiled if path.stat().st_mtime_ns < newest]
    except OSError:  # another process is removing the same ones
        return 0
    for path in stale:
        with contextlib.suppress(OSError):  # a folder that may only be read keeps what it has
            path.unlink()
    return len(stale)
