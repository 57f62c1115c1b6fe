"""The compiled loops of the record index: every filter in one pass over the rows."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

ANY = -1  # a code that restricts nothing
FOREVER = int(np.iinfo(np.int64).max)  # a time that restricts nothing


@njit(cache=True, nogil=True)
def select_rows(
    candidates: NDArray[np.int32],
    valid_from: NDArray[np.int64],
    valid_to: NDArray[np.int64],
    hidden: NDArray[np.uint8],
    live: NDArray[np.uint8],
    codes: NDArray[np.int32],
    wanted: NDArray[np.int32],
    first_seen: NDArray[np.int64],
    last_seen: NDArray[np.int64],
    positions: NDArray[np.float64],
    as_of: int,
    now: bool,
    start: int,
    end: int,
    box: NDArray[np.float64],
    sphere: NDArray[np.float64],
) -> NDArray[np.int32]:
    """The candidates that pass every filter that is a property of the row.

    candidates (c,) row numbers, or empty for every row; `now`: as_of is the newest entry, so `live` says it all;
    codes (n, 3) of map, robot, session against wanted (3,), ANY
    restricts nothing; first_seen, last_seen (n,) ns against [start, end); box (2, 3) closed; sphere (4,) x y z radius.
    """
    every = len(candidates) == 0
    count = len(valid_from) if every else len(candidates)
    out = np.empty(count, dtype=np.int32)
    kept = 0
    radius2 = sphere[3] * sphere[3]
    # Looking at a row costs a cache miss a column: columns that restrict nothing are not looked at.
    bounded = radius2 < np.inf or not (np.isinf(box[0]).all() and np.isinf(box[1]).all())
    timed = start > -FOREVER or end < FOREVER
    for i in range(count):
        row = i if every else candidates[i]
        if now and not live[row]:
            continue
        if wanted[0] != ANY and codes[row, 0] != wanted[0]:
            continue
        if wanted[1] != ANY and codes[row, 1] != wanted[1]:
            continue
        if wanted[2] != ANY and codes[row, 2] != wanted[2]:
            continue
        if bounded:
            x, y, z = positions[row, 0], positions[row, 1], positions[row, 2]
            if x < box[0, 0] or x > box[1, 0] or y < box[0, 1] or y > box[1, 1] or z < box[0, 2] or z > box[1, 2]:
                continue
            dx, dy, dz = x - sphere[0], y - sphere[1], z - sphere[2]
            if dx * dx + dy * dy + dz * dz > radius2:
                continue
        if timed and (first_seen[row] >= end or last_seen[row] < start):
            continue
        if not now and (hidden[row] or valid_from[row] > as_of or valid_to[row] <= as_of):
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


@njit(cache=True, nogil=True)
def best_detections(
    spans: NDArray[np.int32],
    labels: NDArray[np.int32],
    scores: NDArray[np.float64],
    centers: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    box: NDArray[np.float64],
    sphere: NDArray[np.float64],
) -> NDArray[np.int64]:
    """For each span (n, 2) of detections its best-scored one of a wanted label in box and sphere, or -1."""
    out = np.full(len(spans), -1, dtype=np.int64)
    radius2 = sphere[3] * sphere[3]
    for i in range(len(spans)):
        best = -np.inf
        for d in range(spans[i, 0], spans[i, 1]):
            if not wanted[labels[d]] or scores[d] <= best:
                continue
            x, y, z = centers[d, 0], centers[d, 1], centers[d, 2]
            if x < box[0, 0] or x > box[1, 0] or y < box[0, 1] or y > box[1, 1] or z < box[0, 2] or z > box[1, 2]:
                continue
            dx, dy, dz = x - sphere[0], y - sphere[1], z - sphere[2]
            if dx * dx + dy * dy + dz * dz <= radius2:
                best = scores[d]
                out[i] = d
    return out


@njit(cache=True, nogil=True)
def count_in_ranges(ordered: NDArray[np.int64], lows: NDArray[np.int64], highs: NDArray[np.int64]) -> int:
    """How many of the ascending values lie in the half-open ranges [low, high)."""
    total = 0
    for i in range(len(lows)):
        total += max(np.searchsorted(ordered, highs[i]) - np.searchsorted(ordered, lows[i]), 0)
    return total


@njit(cache=True, nogil=True)
def rows_in_ranges(
    ordered: NDArray[np.int64], rows: NDArray[np.int32], lows: NDArray[np.int64], highs: NDArray[np.int64]
) -> NDArray[np.int32]:
    """The rows of the ascending values in the half-open ranges, and all rows beyond `ordered`."""
    tail = rows[len(ordered) :]
    out = np.empty(count_in_ranges(ordered, lows, highs) + len(tail), dtype=np.int32)
    kept = 0
    for i in range(len(lows)):
        start, stop = np.searchsorted(ordered, lows[i]), np.searchsorted(ordered, highs[i])
        if stop > start:
            out[kept : kept + stop - start] = rows[start:stop]
            kept += stop - start
    out[kept:] = tail
    return out


@njit(cache=True, nogil=True)
def box_runs(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    cell: float,
    half: int,
    most: int,
) -> tuple[bool, NDArray[np.int64], NDArray[np.int64]]:
    """Half-open ranges of keys (spatial.py) that cover the box [low, high] where cells first .. last are occupied.

    False and none when they would be more than `most`.
    """
    begin, end = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    for axis in range(3):
        begin[axis] = max(np.int64(min(max(np.floor(low[axis] / cell), -half), half - 1)), first[axis])
        end[axis] = min(np.int64(min(max(np.floor(high[axis] / cell), -half), half - 1)), last[axis])
    wide, deep, tall = end - begin + 1
    empty = min(wide, deep, tall) <= 0
    count = 0 if empty or deep * tall > most else deep * tall
    lows = np.empty(count, dtype=np.int64)
    for i in range(count):
        z, y = begin[2] + i // deep, begin[1] + i % deep
        lows[i] = ((z + half) << 42) | ((y + half) << 21) | (begin[0] + half)
    return empty or count > 0, lows, lows + wide
