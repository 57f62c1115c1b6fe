"""How the forest's inner loops are compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Functions that only compiled code calls: without the wrappers that unpack a tree's many arrays for Python, which take
# most of the time of compiling.
inner = njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@njit(cache=True, nogil=True, fastmath=True, no_cfunc_wrapper=True)
def dot(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """In double precision, the terms in whatever order is fastest: alike for rows that are alike."""
    total = 0.0
    for j in range(len(one)):
        total += np.float64(one[j]) * np.float64(two[j])
    return total
