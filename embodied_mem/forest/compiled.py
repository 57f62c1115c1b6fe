"""How the forest's inner loops are compiled."""

from __future__ import annotations

from numba import njit

# Functions that only compiled code calls: without the wrappers that unpack a tree's many arrays for Python, which take
# most of the time of compiling.
inner = njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
