"""One frame on its way into the stays: what every part of the work on it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.fold_state import FoldState
from embodied_mem.objects.frames import Frame

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SECOND = 1_000_000_000
_BEYOND = 3.0  # metres beyond what a frame shows, where a large thing may have its middle


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A frame with m detections, and the n stays that it may concern.

    labels  (m,) codes of the detections' labels; canon (labels,): the kind of each label
    noise   (m, 3, 3) covariance of the detections' centres, m^2
    active  (n,) rows of the stays; names (n,): their labels; centers, extents (n, 3) metres, all before this frame
    shown   (n,) what the frame shows of their places, see `looking`
    to      (m,) place in `active` of the stay that each detection is of, -1 where it is of none
    """

    state: FoldState
    frame: Frame
    labels: IntArray
    canon: IntArray
    noise: FloatArray
    active: IntArray
    names: IntArray
    centers: FloatArray
    extents: FloatArray
    shown: NDArray[np.int8]
    to: IntArray

    @property
    def found(self) -> IntArray:
        """The detections that are of a stay; `active[to[found]]` are these."""
        return np.flatnonzero(self.to >= 0)

    @property
    def left(self) -> IntArray:
        """The detections that are of none."""
        return np.flatnonzero(self.to < 0)

    def hit(self) -> NDArray[np.bool_]:
        """(n,) whether a stay was detected."""
        out = np.zeros(len(self.active), dtype=bool)
        out[self.to[self.to >= 0]] = True
        return out

    def since(self, rows: IntArray) -> FloatArray:
        """Seconds from the last look at stays to this one."""
        stays = self.state.stays
        return np.asarray((self.frame.stamp_ns - np.maximum(stays.last[rows], stays.looked[rows])) * 1e-9)


def in_reach(state: FoldState, frame: Frame) -> IntArray:
    """The stays that go on, as far as the frame can concern them."""
    stays = state.stays
    farthest = np.linalg.norm(frame.centers - frame.position, axis=1).max(initial=0.0)
    reach = max(frame.far, float(farthest)) + _BEYOND
    near = (np.abs(stays.mean - frame.position) < reach).all(axis=1)
    return np.flatnonzero(near & ~stays.closed)
