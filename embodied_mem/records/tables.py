"""What the index gives to other views: detections and sensor views as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
