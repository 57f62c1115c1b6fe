"""The compiled loops of the record index: every filter in one pass over the rows."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

ANY = -1  # a code that restricts nothing


@njit(cache=True, nogil=True)
def select_rows(
    candidates: NDArray[np.int32],
    valid_from: NDArray[np.int64],
    valid_to: NDArray[np.int64],
    hidden: NDArray[np.uint8],
    codes: NDArray[np.int32],
    wanted: NDArray[np.int32],
    first_seen: NDArray[np.int64],
    last_seen: NDArray[np.int64],
    positions: NDArray[np.float64],
    as_of: int,
    start: int,
    end: int,
    box: NDArray[np.float64],
    sphere: NDArray[np.float64],
) -> NDArray[np.int32]:
    """The candidates that pass every filter that is a property of the row.

    candidates (c,) row numbers, or empty for every row; codes (n, 3) of map, robot, session against wanted (3,), ANY
    restricts nothing; first_seen, last_seen (n,) ns against [start, end); box (2, 3) closed; sphere (4,) x y z radius.
    """
    every = len(candidates) == 0
    count = len(valid_from) if every else len(candidates)
    out = np.empty(count, dtype=np.int32)
    kept = 0
    radius2 = sphere[3] * sphere[3]
    for i in range(count):
        row = i if every else candidates[i]
        if hidden[row] or valid_from[row] > as_of or valid_to[row] <= as_of:
            continue
        if first_seen[row] >= end or last_seen[row] < start:
            continue
        if wanted[0] != ANY and codes[row, 0] != wanted[0]:
            continue
        if wanted[1] != ANY and codes[row, 1] != wanted[1]:
            continue
        if wanted[2] != ANY and codes[row, 2] != wanted[2]:
            continue
        x, y, z = positions[row, 0], positions[row, 1], positions[row, 2]
        if x < box[0, 0] or x > box[1, 0] or y < box[0, 1] or y > box[1, 1] or z < box[0, 2] or z > box[1, 2]:
            continue
        dx, dy, dz = x - sphere[0], y - sphere[1], z - sphere[2]
        if dx * dx + dy * dy + dz * dz > radius2:
            continue
        out[kept] = row
        kept += 1
    return out[:kept]


@njit(cache=True, nogil=True)
def select_by_detections(
    rows: NDArray[np.int32],
    spans: NDArray[np.int32],
    labels: NDArray[np.int32],
    centers: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    box: NDArray[np.float64],
    sphere: NDArray[np.float64],
) -> NDArray[np.int32]:
    """The rows with a detection of a wanted label whose centre lies in box and sphere.

    spans (n, 2): first and last + 1 of a row's detections; labels (m,) codes; centers (m, 3); wanted (codes,) flags.
    """
    out = np.empty(len(rows), dtype=np.int32)
    kept = 0
    radius2 = sphere[3] * sphere[3]
    for row in rows:
        for d in range(spans[row, 0], spans[row, 1]):
            if not wanted[labels[d]]:
                continue
            x, y, z = centers[d, 0], centers[d, 1], centers[d, 2]
            if x < box[0, 0] or x > box[1, 0] or y < box[0, 1] or y > box[1, 1] or z < box[0, 2] or z > box[1, 2]:
                continue
            dx, dy, dz = x - sphere[0], y - sphere[1], z - sphere[2]
            if dx * dx + dy * dy + dz * dz <= radius2:
                out[kept] = row
                kept += 1
                break
    return out[:kept]
