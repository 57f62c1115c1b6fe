"""Free memory goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Let the C library return the pages that it keeps for later; nothing where it cannot (it is not glibc).

    It does so by itself only at the end of its heap. A second index that was made and dropped left its size behind.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
