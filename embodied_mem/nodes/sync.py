"""Puts together what belongs to one moment: an image, its depth, its boxes, the robot's pose then. No ROS here."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEPT_POSES = 2000
_DISORDER_NS = 1_000_000_000  # messages may come so much out of order; a stream that goes back by more began anew
_FAR_NS = 5_000_000_000  # so far ahead of a frame, a stream is of the round before


@dataclass(frozen=True, slots=True, eq=False)
class PoseSample:
    """Where the robot's base was: position (3,), orientation (4,) in `frame_id`; covariance (6, 6) or None."""

    stamp_ns: int
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    covariance: NDArray[np.float64] | None
    frame_id: str


class PoseTrack:
    """The latest poses of the robot, to be asked for the pose at a time.

    They may come a second out of order. What goes back by more is a bag that began again: older poses are let go,
    since between two rounds nothing can be interpolated.
    """

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._poses: list[PoseSample] = []

    def add(self, pose: PoseSample) -> None:
        if self._stamps and pose.stamp_ns < self._stamps[-1] - _DISORDER_NS:
            self.clear()
        at = bisect_left(self._stamps, pose.stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == pose.stamp_ns:
            self._poses[at] = pose
            return
        self._stamps.insert(at, pose.stamp_ns)
        self._poses.insert(at, pose)
        if len(self._stamps) > _KEPT_POSES:
            del self._stamps[: _KEPT_POSES // 2], self._poses[: _KEPT_POSES // 2]

    def clear(self) -> None:
        self._stamps.clear()
        self._poses.clear()

    def reaches(self, stamp_ns: int) -> bool:
        """Whether a pose at or soon after this time is known."""
        after = bisect_left(self._stamps, stamp_ns)
        return after < len(self._stamps) and self._stamps[after] <= stamp_ns + _FAR_NS

    def at(self, stamp_ns: int, slop_ns: int) -> PoseSample | None:
        """The pose at a time: between neighbours that both lie within `slop_ns`, else the nearest within."""
        after = bisect_left(self._stamps, stamp_ns)
        near = [i for i in (after - 1, after) if 0 <= i < len(self._stamps)]
        near = [i for i in near if abs(self._stamps[i] - stamp_ns) <= slop_ns]
        if not near:
            return None
        if len(near) == 1 or self._stamps[near[-1]] == stamp_ns:
            return self._poses[near[-1]]
        first, second = self._poses[near[0]], self._poses[near[1]]
        if first.frame_id != second.frame_id:
            return min(first, second, key=lambda pose: abs(pose.stamp_ns - stamp_ns))
        return _between(first, second, stamp_ns)


@dataclass(slots=True)
class _Waiting:
    stamp_ns: int
    message: Any
    since: float


@dataclass
class FrameSync:
    """Pairs each message of a leading stream with the nearest ones of other streams, within `slop_ns`.

    A frame waits until each other stream has a message near it or has gone past it, at most `wait_s` of steady time,
    which callers hand in; what stays without a partner is given up and counted under "without_NAME". At most `depth`
    frames wait; the oldest gives way, counted as "sync_dropped". Streams may come in any order, each a second out of
    order; one that goes back by more (a bag that began again) is followed there.
    """

    others: tuple[str, ...]
    slop_ns: int
    wait_s: float
    depth: int = 30
    counters: Counter[str] = field(default_factory=Counter)
    _leading: deque[_Waiting] = field(default_factory=deque)
    _seen: dict[str, deque[tuple[int, Any]]] = field(default_factory=dict)

    def lead(self, stamp_ns: int, message: Any, now: float) -> None:
        """A message of the leading stream."""
        self._leading.append(_Waiting(stamp_ns, message, now))
        if len(self._leading) > self.depth:
            self._leading.popleft()
            self.counters["sync_dropped"] += 1

    def other(self, name: str, stamp_ns: int, message: Any) -> None:
        """A message of another stream."""
        seen = self._seen.setdefault(name, deque(maxlen=2 * self.depth))
        if seen and stamp_ns < seen[-1][0] - _DISORDER_NS:
            seen.clear()
        seen.append((stamp_ns, message))

    def waited(self, now: float) -> float:
        """Seconds for which the oldest frame has been waiting."""
        return now - self._leading[0].since if self._leading else 0.0

    def clear(self) -> None:
        """Begin anew; frames that wait are given up, counted as "cleared_dropped"."""
        self.counters["cleared_dropped"] += len(self._leading)
        self._leading.clear()
        self._seen.clear()

    def complete(
        self, now: float, poses: PoseTrack, pose_slop_ns: int
    ) -> list[tuple[int, Any, dict[str, Any], PoseSample]]:
        """Frames whose parts are all there, in order: stamp, leading message, the others by name, pose."""
        done = []
        while self._leading:
            frame = self._leading[0]
            expired = now - frame.since > self.wait_s
            parts = {name: self._nearest(name, frame.stamp_ns) for name in self.others}
            missing = [name for name, part in parts.items() if part is None]
            if missing and not (expired or any(self._passed(name, frame.stamp_ns) for name in missing)):
                break
            if not missing and not expired and not poses.reaches(frame.stamp_ns):
                break
            self._leading.popleft()
            pose = poses.at(frame.stamp_ns, pose_slop_ns)
            if missing or pose is None:
                self.counters[f"without_{missing[0] if missing else 'pose'}"] += 1
                continue
            done.append((frame.stamp_ns, frame.message, parts, pose))
        return done

    def __len__(self) -> int:
        return len(self._leading)

    def _nearest(self, name: str, stamp_ns: int) -> Any | None:
        seen = self._seen.get(name)
        if not seen:
            return None
        best, message = min(seen, key=lambda item: abs(item[0] - stamp_ns))
        return message if abs(best - stamp_ns) <= self.slop_ns else None

    def _passed(self, name: str, stamp_ns: int) -> bool:
        """Whether the stream is so far on that a partner will not come any more. One that has yet to go back is not."""
        seen = self._seen.get(name)
        if not seen:
            return False
        return stamp_ns + _DISORDER_NS < seen[-1][0] <= stamp_ns + _FAR_NS


def _between(a: PoseSample, b: PoseSample, stamp_ns: int) -> PoseSample:
    share = (stamp_ns - a.stamp_ns) / (b.stamp_ns - a.stamp_ns)
    turn_b = b.orientation if a.orientation @ b.orientation >= 0 else -b.orientation
    turn = (1 - share) * a.orientation + share * turn_b  # neighbours are close: the chord is as good as the arc
    length = float(np.linalg.norm(turn))
    covariances = [pose.covariance for pose in (a, b) if pose.covariance is not None]
    return PoseSample(
        stamp_ns=stamp_ns,
        position=(1 - share) * a.position + share * b.position,
        orientation=turn / length if length > 0 else a.orientation,
        covariance=max(covariances, key=lambda matrix: float(np.trace(matrix))) if covariances else None,
        frame_id=a.frame_id,
    )
