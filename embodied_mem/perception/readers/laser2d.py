"""A laser and odometry log in the format of the Mines datasets (`.dat`), as BreezySLAM reads it.

A line a scan, numbers separated by blanks: 0 time in microseconds; 2 and 3 the left and right wheel's odometer ticks;
24 and on, 682 ranges in millimetres over 240 degrees, right to left, 0 = nothing. The robot's size is that of the
Mines robot: wheels of 77 mm radius, 165 mm from its middle, 2,000 ticks a turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.perception.keyframes import CloudKeyframer
from embodied_mem.perception.ranges import observe_scan
from embodied_mem.records.observation import Observation

_RANGES_FROM = 24
_WHEEL_RADIUS, _HALF_TRACK, _TICKS = 0.077, 0.165, 2000
_FIELD = np.radians(240)
_MAX_RANGE = 10.0


class LaserLog:
    """Scans with dead-reckoned poses, in the frame "odom" of the first scan.

    `read`: scans so far, of len(); `between`: those from the place and direction of the last one kept.
    """

    def __init__(self, path: str | Path, *, map_id: str = "") -> None:
        self._map = map_id
        self.read, self.between = 0, 0
        try:
            rows = [
                np.array(line.split(), dtype=np.float64) for line in Path(path).read_text().splitlines() if line.strip()
            ]
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path} is not a laser log ({str(error)[:100]}).") from error
        widths = {len(row) for row in rows}
        if len(widths) != 1 or widths.pop() < _RANGES_FROM + 10:
            raise BadInputError(f"{path} is not a laser log: its lines must hold the same number of columns, over 34.")
        self._rows = np.array(rows)
        if (np.diff(self._rows[:, 0]) <= 0).any():
            raise BadInputError(f"The times in {path} do not increase.")
        self._poses = dead_reckon(self._rows[:, 2], self._rows[:, 3])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Observation]:
        self.read, self.between = 0, 0
        keyframer = CloudKeyframer(distance=0.3, angle=0.3)
        ranges = self._rows[:, _RANGES_FROM:] / 1000
        angles = np.linspace(-_FIELD / 2, _FIELD / 2, ranges.shape[1])
        for row, scan, (x, y, yaw) in zip(self._rows, ranges, self._poses, strict=True):
            observation = observe_scan(
                int(row[0]) * 1000,
                angles,
                np.where(scan > 0, scan, np.nan),
                np.array([x, y, 0.0]),
                quaternion_from_yaw(yaw),
                keyframer=keyframer,
                max_range=_MAX_RANGE,
                frame_id="odom",
                map_id=self._map,
            )
            self.read += 1
            if observation is not None:
                yield observation
            else:
                self.between += 1


def dead_reckon(left_ticks: NDArray[np.float64], right_ticks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) x, y (metres) and yaw (radians) of a differential drive, from its wheels' odometers."""
    metre = 2 * np.pi * _WHEEL_RADIUS / _TICKS
    left, right = (np.diff(ticks, prepend=ticks[:1]) * metre for ticks in (left_ticks, right_ticks))
    forward, turn = (left + right) / 2, (right - left) / (2 * _HALF_TRACK)
    yaw = np.cumsum(turn)
    middle = yaw - turn / 2
    return np.column_stack([np.cumsum(forward * np.cos(middle)), np.cumsum(forward * np.sin(middle)), yaw])
