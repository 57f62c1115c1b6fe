"""What objects are made of: the frames of a log, each a look of a sensor with what a detector found in it.

A frame is a record that brought detections, or in which a detector ran, as every command so far leaves it; a record
that was seen again is a further frame each time. Frames are folded in order of time, not of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices
from embodied_mem.records.versions import NO_ROW

if TYPE_CHECKING:
    from embodied_mem.records.index import RecordIndex

FloatArray = NDArray[np.float64]
STAMP, ENTRY, RECORD, ROW, PRINT = range(5)  # columns of what a fold is made of
_SMALLEST = 0.02  # metres: no box is thinner


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One look.

    seq        the record; again: it was seen before and is only confirmed
    position   (3,) of the sensor, metres; facing (4,) its quaternion; rotation (3, 3) sensor to map
    fov_h, fov_v radians; near, far metres
    depth      (rows, cols) uint16 millimetres, no cells when there is none
    ran        whether a detector ran, one that knows the labels `classes`
    labels     m words; scores (m,); centers, sizes (m, 3) metres, along the map's axes; vectors (m, d) or None
    """

    seq: int
    stamp_ns: int
    again: bool
    position: FloatArray
    facing: FloatArray
    rotation: FloatArray
    fov_h: float
    fov_v: float
    near: float
    far: float
    depth: NDArray[np.uint16]
    ran: bool
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    scores: FloatArray
    centers: FloatArray
    sizes: FloatArray
    vectors: NDArray[np.float32] | None = None


def standing(index: RecordIndex, map_id: str, since: int = 0) -> NDArray[np.int64]:
    """(n, 5) the frames of a map in order of time: stamp, entry that brought it, record, its version, and a 0.

    since  only frames of entries with a larger number, which is quick
    """
    with index.lock:
        code = index.map_names.find(map_id)
        if code is None:
            return np.zeros((0, 5), dtype=np.int64)
        table = index.table
        entries = np.arange(since + 1, index.watermark + 1)
        records, stamps, rows = entries, np.zeros(len(entries), np.int64), table.current_row.data[entries]
        said = rows != NO_ROW
        stamps[said] = table.first_seen.data[rows[said]]
        records, stamps, rows, entries = records[said], stamps[said], rows[said], entries[said]
        again = index.repetitions.since(since)  # entry, record, stamp
        about = table.current_row.data[again[:, 1]]
        again, about = again[about != NO_ROW], about[about != NO_ROW]
        entries = np.concatenate([entries, again[:, 0]])
        records = np.concatenate([records, again[:, 1]])
        stamps = np.concatenate([stamps, again[:, 2]])
        rows = np.concatenate([rows, about]).astype(np.int64)
        spans = table.spans.data[rows]
        kept = (table.hidden.data[rows] == 0) & (table.codes.data[rows, 0] == code)
        kept &= (table.views.data[rows] != NO_ROW) | (spans[:, 1] > spans[:, 0])
    found = np.column_stack([stamps, entries, records, rows, np.zeros_like(stamps)])[kept]
    return found[np.lexsort((found[:, ENTRY], found[:, STAMP]))]


def read(index: RecordIndex, item: NDArray[np.int64], vectors: NDArray[np.float32] | None = None) -> Frame:
    """The frame of a row (5,) of `standing`."""
    row = int(item[ROW])
    with index.lock:
        table, views = index.table, index.views_seen
        begin, end = table.spans.data[row]
        names = tuple(index.labels_seen[code] for code in table.labels.data[begin:end].tolist())
        sizes, yaws = table.sizes.data[begin:end], table.yaws.data[begin:end]
        view = int(table.views.data[row])
        position, facing = table.positions.data[row].copy(), table.orientations.data[row].copy()
        scores, centers = table.scores.data[begin:end].copy(), table.centers.data[begin:end].copy()
        sizes = along_axes(sizes, yaws)
        fov_h = fov_v = near = far = 0.0
        classes: tuple[str, ...] = ()
        depth = np.zeros((0, 0), dtype=np.uint16)
        if view != NO_ROW:
            fov_h, fov_v, near, far = views.geometry.data[view].tolist()
            classes = views.class_sets[int(views.classes.data[view])]
            depth = views.grid(view)
    return Frame(
        int(item[RECORD]), int(item[STAMP]), bool(item[ENTRY] != item[RECORD]), position, facing,
        rotation_matrices(facing), fov_h, fov_v, near, far, depth, view != NO_ROW, classes, names, scores, centers,
        sizes, vectors if vectors is not None and len(vectors) == len(names) else None,
    )  # fmt: skip


def along_axes(sizes: FloatArray, yaws: FloatArray) -> FloatArray:
    """(m, 3) the extents along the map's axes of boxes turned about z."""
    cos, sin = np.abs(np.cos(yaws)), np.abs(np.sin(yaws))
    wide, deep = sizes[:, 0] * cos + sizes[:, 1] * sin, sizes[:, 0] * sin + sizes[:, 1] * cos
    return np.maximum(np.column_stack([wide, deep, sizes[:, 2]]), _SMALLEST)


def alike(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """How many rows two lists of frames have in common before they first differ."""
    n = min(len(one), len(other))
    differ = np.flatnonzero((one[:n] != other[:n]).any(axis=1))
    return int(differ[0]) if len(differ) else n
