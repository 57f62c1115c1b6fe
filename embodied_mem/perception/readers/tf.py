"""A tree of coordinate frames from recorded transforms: the part of tf2 that reading a bag needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from embodied_mem.errors import NotFoundError
from embodied_mem.geometry import pose_matrix

FloatArray = NDArray[np.float64]


@dataclass
class Track:
    """Poses over time: stamps in ns, positions (3,), quaternions (4,) x, y, z, w, covariances (6, 6) or None."""

    stamps: list[int] = field(default_factory=list)
    positions: list[FloatArray] = field(default_factory=list)
    quaternions: list[FloatArray] = field(default_factory=list)
    covariances: list[FloatArray | None] = field(default_factory=list)
    static: bool = False
    _sorted: tuple[NDArray[np.int64], NDArray[np.intp]] | None = field(default=None, init=False, repr=False)

    def add(
        self, stamp: int, position: FloatArray, quaternion: FloatArray, covariance: FloatArray | None = None
    ) -> None:
        """Poses may come in any order; one that is not finite or has no rotation is left out."""
        length = float(np.linalg.norm(quaternion))
        if np.isfinite(position).all() and np.isfinite(length) and length > 1e-6:
            self.stamps.append(stamp)
            self.positions.append(position)
            self.quaternions.append(quaternion / length)
            self.covariances.append(covariance)
            self._sorted = None

    def _in_order(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Stamps (n,) in order of time, and where in the lists each stands."""
        if self._sorted is None:
            stamps = np.array(self.stamps, dtype=np.int64)
            order = np.argsort(stamps, kind="stable")
            self._sorted = stamps[order], order
        return self._sorted

    def covariance_at(self, stamp: int) -> FloatArray | None:
        """(6, 6) of the pose that is nearest in time; None when it has none."""
        if not self.stamps:
            return None
        stamps, order = self._in_order()
        after = int(np.clip(np.searchsorted(stamps, stamp), 0, len(stamps) - 1))
        before = max(after - 1, 0)
        near = before if abs(stamp - stamps[before]) < abs(stamps[after] - stamp) else after
        return self.covariances[order[near]]

    def at(self, stamp: int, tolerance_ns: int) -> FloatArray | None:
        """(4, 4) the pose at a time, interpolated; None when no pose lies within `tolerance_ns` of it."""
        if not self.stamps:
            return None
        if self.static or len(self.stamps) == 1:
            near = self.static or abs(stamp - self.stamps[0]) <= tolerance_ns
            return pose_matrix(self.positions[0], self.quaternions[0]) if near else None
        stamps, order = self._in_order()
        after = int(np.clip(np.searchsorted(stamps, stamp), 1, len(stamps) - 1))
        first, last = stamps[after - 1], stamps[after]
        if min(abs(stamp - first), abs(stamp - last)) > tolerance_ns:
            return None
        share = float(np.clip((stamp - first) / max(last - first, 1), 0, 1))
        a, b = order[after - 1], order[after]
        place = (1 - share) * self.positions[a] + share * self.positions[b]
        turn = Slerp([0, 1], Rotation.from_quat([self.quaternions[a], self.quaternions[b]]))(share)
        return pose_matrix(place, turn.as_quat())


class TransformTree:
    """Frames and the transforms that lead from each to its parent."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._tracks: dict[str, Track] = {}

    def add(
        self, parent: str, child: str, stamp: int, position: FloatArray, quaternion: FloatArray, *, static: bool = False
    ) -> None:
        parent, child = parent.lstrip("/"), child.lstrip("/")
        self._parents[child] = parent
        track = self._tracks.setdefault(child, Track())
        track.static = track.static or static
        track.add(stamp, position, quaternion)

    def __bool__(self) -> bool:
        return bool(self._parents)

    def ancestors(self, frame: str) -> list[str]:
        """The frame and everything above it, up to the root."""
        chain = [frame.lstrip("/")]
        while (parent := self._parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def lookup(self, fixed: str, frame: str, stamp: int, tolerance_ns: int) -> FloatArray:
        """(4, 4) mapping points of `frame` into its ancestor `fixed`; NotFoundError when none is known then."""
        chain = self.ancestors(frame)
        if fixed not in chain:
            raise NotFoundError(f"No transform leads from {frame!r} to {fixed!r}.")
        matrix = np.eye(4)
        for child in chain[: chain.index(fixed)]:
            step = self._tracks[child].at(stamp, tolerance_ns)
            if step is None:
                raise NotFoundError(f"No transform of {child!r} was recorded near that time.")
            matrix = step @ matrix
        return matrix
