"""Which sweeps make up a map: the records that brought a cloud, as every command so far leaves them, in log order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from embodied_mem.records.index import RecordIndex

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Sweep(NamedTuple):
    """A cloud's place in its map: the sensor's position (3,) and orientation (4,) x, y, z, w; reach in metres."""

    seq: int
    stamp_ns: int
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    reach: float


def standing(index: RecordIndex, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m, 2): number, and print of time and pose, of those of the records `seqs` (ascending) that are not forgotten.

    Two maps made from equal arrays are equal; the first row that differs says from where on they are not.
    """
    with index.lock:
        table = index.table
        rows = table.current_row.data[seqs]
        there = rows >= 0
        there[there] = table.hidden.data[rows[there]] == 0
        rows = rows[there]
        poses = np.column_stack([table.positions.data[rows], table.orientations.data[rows]])
        stamps = table.first_seen.data[rows]
    return np.column_stack([seqs[there], _prints(stamps, poses)])


def sweep_of(index: RecordIndex, seq: int) -> Sweep:
    """Where the cloud of a record stands now. Raises NotFoundError when it was forgotten."""
    with index.lock:
        row = index.row_of(seq)
        table = index.table
        view = int(table.views.data[row])
        reach = float(index.views_seen.geometry.data[view, 3]) if view >= 0 else 0.0
        return Sweep(
            seq,
            int(table.first_seen.data[row]),
            table.positions.data[row].copy(),
            table.orientations.data[row].copy(),
            reach or np.inf,
        )


def alike(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """How many rows (n, 2) two lists of sweeps have in common before they first differ."""
    n = min(len(one), len(other))
    differ = np.flatnonzero((one[:n] != other[:n]).any(axis=1))
    return int(differ[0]) if len(differ) else n


def _prints(stamps: NDArray[np.int64], poses: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) and (n, 7) -> (n,): a number for each, alike for times and poses that are equal to the last bit."""
    words = np.ascontiguousarray(poses + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    mixed = stamps.view(np.uint64) * _MIX
    for column in words.T:
        mixed = (mixed ^ column) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return mixed.view(np.int64)
