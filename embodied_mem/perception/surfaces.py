"""Surfaces in a depth image: neighbouring pixels without a step in depth between them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def surfaces(
    reach: NDArray[np.float32], kept: NDArray[np.bool_], step: float, step_per_metre: float
) -> NDArray[np.int32]:
    """(h, w) a number from 1 on for each connected surface; 0 where `kept` (h, w) is false.

    reach (h, w) metres. Two neighbours (of eight) are of one surface when their depths differ by less than
    step + step_per_metre * depth; a single missing pixel between two parts of a row or column is bridged.
    """
    height, width = reach.shape
    out = np.zeros((height, width), dtype=np.int32)
    stack = np.empty((height * width, 2), dtype=np.int32)
    number = 0
    for v in range(height):
        for u in range(width):
            if not kept[v, u] or out[v, u]:
                continue
            number += 1
            out[v, u] = number
            stack[0, 0], stack[0, 1] = v, u
            waiting = 1
            while waiting:
                waiting -= 1
                y, x = stack[waiting]
                limit = step + step_per_metre * reach[y, x]
                for dy in range(-2, 3):
                    for dx in range(-2, 3):
                        if max(abs(dy), abs(dx)) == 2 and dy != 0 and dx != 0:
                            continue
                        j, i = y + dy, x + dx
                        if not (0 <= j < height and 0 <= i < width) or not kept[j, i] or out[j, i]:
                            continue
                        if max(abs(dy), abs(dx)) == 2 and kept[y + dy // 2, x + dx // 2]:
                            continue  # what lies between says whether the two belong together
                        if abs(reach[j, i] - reach[y, x]) < limit:
                            out[j, i] = number
                            stack[waiting, 0], stack[waiting, 1] = j, i
                            waiting += 1
    return out
