"""What arrives (`Observation`) and what is remembered (`Record`).

Frames. `position` and `orientation` are the *sensor's* pose in `frame_id` (REP 105, usually "map") of the map
`map_id`. Every sensor frame here follows the body convention of REP 103: x forward, y left, z up, cameras included
(perception turns optical frames). Detections are in the map frame, clouds in the sensor frame.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]


def _no_rows(width: int) -> FloatArray:
    return np.zeros((0, width), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The things seen in one observation, as arrays with a row each (structure of arrays).

    labels  n strings, lower case
    scores  (n,) in 0..1
    centers (n, 3) metres, map frame
    sizes   (n, 3) metres, full extents along the box's own axes
    yaws    (n,) radians, the box's rotation about the map's z axis
    vectors (n, d) float32, L2 normalised, or None
    """

    labels: tuple[str, ...] = ()
    scores: FloatArray = field(default_factory=lambda: np.zeros(0))
    centers: FloatArray = field(default_factory=lambda: _no_rows(3))
    sizes: FloatArray = field(default_factory=lambda: _no_rows(3))
    yaws: FloatArray = field(default_factory=lambda: np.zeros(0))
    vectors: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the sensor could have seen: without it, "not detected" would mean nothing.

    fov_h, fov_v          radians; a spinning LiDAR has fov_h = 2*pi. 0 = unknown (a caption-only robot)
    min_range, max_range  metres
    intrinsics            (fx, fy, cx, cy, width, height) of a pinhole camera in pixels, or None
    detector              name of the detector that ran, "" when none did; then `classes` are those it can find.
                          A detector that ran and found nothing is evidence of absence.
    depth                 (rows, cols) uint16 millimetres: the nearest return in each cell of an even grid over
                          azimuth (column 0 = leftmost, +fov_h/2) and elevation (row 0 = topmost, +fov_v/2);
                          0 = no measurement. Range along the ray, not z. Or None.
    """

    kind: str = "none"  # camera, lidar, scan, none
    fov_h: float = 0.0
    fov_v: float = 0.0
    min_range: float = 0.0
    max_range: float = 0.0
    intrinsics: tuple[float, float, float, float, int, int] | None = None
    detector: str = ""
    classes: tuple[str, ...] = ()
    depth: NDArray[np.uint16] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One thing a robot perceived, at one time, from one pose. See the module docstring for frames.

    stamp_ns     ROS time in integer nanoseconds
    position     (3,) metres; orientation (4,) quaternion x, y, z, w
    covariance   (6, 6) of x, y, z, roll, pitch, yaw in m^2 and rad^2, or None when the localiser gives none
    vector       (d,) float32, L2 normalised, made by the model `vector_model`; None = embed the caption
    cloud        (n, 3) float32 metres, sensor frame, or None
    thumbnail    JPEG bytes, or empty
    """

    stamp_ns: int
    position: FloatArray
    orientation: FloatArray
    frame_id: str = "map"
    map_id: str = ""  # "" = the memory's current map
    robot_id: str = "robot"
    session_id: str = ""  # "" = the memory's current session
    sensor_id: str = ""
    covariance: FloatArray | None = None
    caption: str = ""
    detections: Detections = field(default_factory=Detections)
    view: View = field(default_factory=View)
    vector: Float32Array | None = None
    vector_model: str = ""
    cloud: Float32Array | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An admitted observation with its sequence number.

    logged_ns     when the log took it (the time axis of `as_of`)
    seen_count    how many observations were folded into it, itself included
    last_seen_ns  stamp of the newest of them
    """

    seq: int
    observation: Observation
    logged_ns: int
    seen_count: int = 1
    last_seen_ns: int = 0


def fingerprint(obs: Observation) -> int:
    """A number (64 bits) for what a sensor said: alike for the same sensor, caption and labels, in any order."""
    labels = sorted(label.strip().lower() for label in obs.detections.labels)
    said = "\0".join((obs.sensor_id, obs.caption, *labels))
    return int.from_bytes(hashlib.blake2b(said.encode(), digest_size=8).digest(), "little", signed=True)
