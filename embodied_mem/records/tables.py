"""What the index gives to other views: detections and sensor views as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import quaternion_from_matrix, quaternion_multiply, transform_points
from embodied_mem.records.filtering import resolve
from embodied_mem.records.query import Query

if TYPE_CHECKING:
    from embodied_mem.records.index import RecordIndex


@dataclass(frozen=True, slots=True, eq=False)
class DetectionTable:
    """n detections, in the coordinates of the map that was asked for.

    seq (n,) record; stamp_ns, last_seen_ns (n,); label (n,) index into `names`; score (n,); center (n, 3) and
    size (n, 3) metres; yaw (n,) radians; sensor (n, 3): where it was seen from
    """

    names: tuple[str, ...]
    seq: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    last_seen_ns: NDArray[np.int64]
    label: NDArray[np.int32]
    score: NDArray[np.float64]
    center: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    sensor: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, slots=True, eq=False)
class ViewTable:
    """n sensor views in which a detector ran, in the coordinates of the map that was asked for.

    seq, stamp_ns, last_seen_ns (n,); position (n, 3), orientation (n, 4) of the sensor; fov_h, fov_v radians;
    min_range, max_range metres; classes (n,) index into `class_sets`; depth_shape (n, 2) rows and columns of the depth
    grid (0 when there is none); depth_at(i (p,), row (p,), col (p,)) -> (p,) uint16 millimetres of view i's grid
    """

    class_sets: tuple[tuple[str, ...], ...]
    seq: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    last_seen_ns: NDArray[np.int64]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    fov_h: NDArray[np.float64]
    fov_v: NDArray[np.float64]
    min_range: NDArray[np.float64]
    max_range: NDArray[np.float64]
    classes: NDArray[np.int32]
    depth_shape: NDArray[np.int64]
    depth_at: Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], NDArray[np.uint16]]

    def __len__(self) -> int:
        return len(self.seq)


def detection_table(index: RecordIndex, labels: tuple[str, ...] | None, query: Query) -> DetectionTable:
    """See `RecordIndex.detections`, which holds the lock."""
    table, filters = index.table, resolve(index, replace(query, labels=()))
    rows = filters.select()
    which, owner = table.detections_of(rows)
    if labels is not None:
        codes = [code for label in labels if (code := index.labels_seen.find(label)) is not None]
        kept = np.isin(table.labels.data[which], codes)
        which, owner = which[kept], owner[kept]
    source = rows[owner]
    centers, yaws = table.centers.data[which], table.yaws.data[which]
    for map_code, matrix in filters.moved_maps():
        moved = table.codes.data[source, 0] == map_code
        centers[moved] = transform_points(matrix, centers[moved])
        yaws[moved] += np.arctan2(matrix[1, 0], matrix[0, 0])
    return DetectionTable(
        names=tuple(index.labels_seen.all()),
        seq=table.seqs.data[source],
        stamp_ns=table.first_seen.data[source],
        last_seen_ns=filters.last_seen[source],
        label=table.labels.data[which],
        score=table.scores.data[which],
        center=centers,
        size=table.sizes.data[which],
        yaw=yaws,
        sensor=filters.positions_of(source),
    )


def view_table(index: RecordIndex, query: Query) -> ViewTable:
    """See `RecordIndex.views`, which holds the lock."""
    table, views = index.table, index.views_seen
    filters = resolve(index, replace(query, labels=(), box=None, center=None, radius=None, near_record=None))
    rows = filters.select()
    rows = rows[table.views.data[rows] >= 0]
    ids = table.views.data[rows].astype(np.int64)
    orientations = table.orientations.data[rows]
    for map_code, matrix in filters.moved_maps():
        moved = table.codes.data[rows, 0] == map_code
        orientations[moved] = quaternion_multiply(quaternion_from_matrix(matrix[:3, :3]), orientations[moved])
    geometry = views.geometry.data[ids]

    def depth_at(i: NDArray[np.int64], row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.uint16]:
        with index.lock:
            return views.depth(ids[i], row, col)

    return ViewTable(
        class_sets=tuple(views.class_sets.all()),
        seq=table.seqs.data[rows],
        stamp_ns=table.first_seen.data[rows],
        last_seen_ns=filters.last_seen[rows],
        position=filters.positions_of(rows),
        orientation=orientations,
        fov_h=geometry[:, 0],
        fov_v=geometry[:, 1],
        min_range=geometry[:, 2],
        max_range=geometry[:, 3],
        classes=views.classes.data[ids],
        depth_shape=views.shapes.data[ids],
        depth_at=depth_at,
    )
