"""Exact ranking: single precision proposes, double precision decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.kernels import gathered_scores

_SCAN_FROM = 0.35  # above this share of all rows one sequential scan beats gathering
_ROUNDING = 4e-6  # bound on the error of a float32 dot product of unit vectors of some hundred numbers


def rank(
    matrix: NDArray[np.float32], slots: NDArray[np.int32], query: NDArray[np.float32], k: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The k best of the rows `slots` of matrix (n, d) for the unit vector query (d,): indices into slots, and cosines.

    Exact: whatever single-precision rounding could have pushed out of the first k is scored again in double precision.
    Ties go to the later index.
    """
    if len(slots) > _SCAN_FROM * len(matrix):
        rough = (matrix @ query)[slots]
    else:
        rough = gathered_scores(matrix, slots, query)
    if len(rough) > k:
        worst = np.partition(rough, len(rough) - k)[len(rough) - k]
        chosen = np.flatnonzero(rough >= worst - _ROUNDING)
    else:
        chosen = np.arange(len(rough))
    scores = matrix[slots[chosen]].astype(np.float64) @ query.astype(np.float64)
    order = np.lexsort((-chosen, -scores))[:k]
    return chosen[order], scores[order]
