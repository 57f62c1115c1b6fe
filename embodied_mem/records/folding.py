"""Folding: an observation that says what a record says already is counted on it, not stored again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_mem.records.index import RecordIndex
from embodied_mem.records.observation import Observation

_NEAR = 0.05  # metres
_TURN = 0.035  # radians, 2 degrees
_DRIFT = 0.2  # metres between a detection and its repetition
_PAUSE_NS = 10_000_000_000  # a longer gap is another sighting


@dataclass(slots=True)
class _Newest:
    seq: int
    observation: Observation
    seen_ns: int


class Folder:
    """Knows the newest record of each stream (robot, session, sensor)."""

    def __init__(self, index: RecordIndex) -> None:
        self._index = index
        self._newest: dict[tuple[str, str, str], _Newest] = {}

    def admitted(self, obs: Observation, seq: int) -> None:
        self._newest[(obs.robot_id, obs.session_id, obs.sensor_id)] = _Newest(seq, obs, obs.stamp_ns)

    def repeats(self, obs: Observation) -> int | None:
        """The stream's newest record when the robot stands still since and sees the same; it counts as seen again."""
        newest = self._newest.get((obs.robot_id, obs.session_id, obs.sensor_id))
        if (
            newest is None
            or not 0 < obs.stamp_ns - newest.seen_ns <= _PAUSE_NS
            or not _same_scene(newest.observation, obs)
        ):
            return None
        if not self._index.usable(newest.seq):
            return None  # forgotten or corrected since
        newest.seen_ns = obs.stamp_ns
        return newest.seq


def _labels(obs: Observation) -> list[str]:
    return sorted(label.strip().lower() for label in obs.detections.labels)


def _same_scene(a: Observation, b: Observation) -> bool:
    if b.cloud is not None or a.map_id != b.map_id or a.frame_id != b.frame_id or a.caption != b.caption:
        return False
    if _labels(a) != _labels(b) or a.view.detector != b.view.detector or (a.vector is None) != (b.vector is None):
        return False
    if np.linalg.norm(a.position - b.position) > _NEAR or abs(float(a.orientation @ b.orientation)) < np.cos(_TURN / 2):
        return False
    if a.vector is not None and b.vector is not None and float(a.vector @ b.vector) < 0.999:
        return False
    if not len(a.detections):
        return True
    gaps = np.linalg.norm(a.detections.centers[:, None] - b.detections.centers[None], axis=-1)
    kinds_a, kinds_b = (np.array([label.strip().lower() for label in o.detections.labels]) for o in (a, b))
    gaps[kinds_a[:, None] != kinds_b[None]] = np.inf
    return bool(max(gaps.min(axis=1).max(), gaps.min(axis=0).max()) <= _DRIFT)
