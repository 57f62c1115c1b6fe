"""What a camera on the robot would show, worked out from boxes: detections, depth, and what is open or shut.

The noise is that of a detector: things are missed, taken for others, invented, and their places are a little wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import radians

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices
from embodied_mem.records.observation import Detections, Observation, View
from sim.house.objects import SIMILAR
from sim.house.robot import Mount

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

DETECTOR = "house-boxes"
_ROWS, _COLUMNS = 22, 30
_MARGIN = 1.0  # metres beyond the detector's range that depth still reaches
EDGE = 0.45  # share of the field of view, from its middle, within which things are recognised


@dataclass(frozen=True, slots=True)
class EyeConfig:
    """The camera, in metres and radians, and how its detector errs: shares of what is visible, standard deviations."""

    mount: Mount = field(default_factory=lambda: Mount(0.05, 1.2, radians(18)))
    fov_h: float = radians(86)
    fov_v: float = radians(70)
    near: float = 0.3
    far: float = 4.0
    missed: float = 0.10
    confused: float = 0.01
    invented: float = 0.01
    place_std: float = 0.015
    pose_std: float = 0.015
    state_missed: float = 0.10
    state_wrong: float = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Solids:
    """Boxes that block the view, and which of them do so now. lows, highs (n, 3) metres; blocking (n,)."""

    lows: FloatArray
    highs: FloatArray
    blocking: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """things: indices of what is visible; depth (rows, cols) uint16 millimetres."""

    things: NDArray[np.int64]
    depth: NDArray[np.uint16]


class Eye:
    """One robot's camera."""

    def __init__(self, config: EyeConfig, classes: tuple[str, ...], rng: Rng) -> None:
        self.config, self.classes, self.rng = config, classes, rng
        az = (0.5 - (np.arange(_COLUMNS) + 0.5) / _COLUMNS) * config.fov_h
        el = (0.5 - (np.arange(_ROWS) + 0.5) / _ROWS) * config.fov_v
        grid = np.stack(np.meshgrid(el, az, indexing="ij"), axis=-1).reshape(-1, 2)
        self._rays = np.column_stack(
            [np.cos(grid[:, 0]) * np.cos(grid[:, 1]), np.cos(grid[:, 0]) * np.sin(grid[:, 1]), np.sin(grid[:, 0])]
        )

    def look(self, pose: tuple[float, float, float], solids: Solids, centers: FloatArray, sizes: FloatArray) -> Seen:
        """What is really in view from x, y, yaw of the base; centers, sizes (n, 3) of the things."""
        c = self.config
        position, turn = c.mount.pose(np.array(pose[:2]), pose[2])
        rotation = rotation_matrices(turn)
        gap = np.maximum(np.maximum(solids.lows - position, position - solids.highs), 0)
        keep = solids.blocking & ((gap**2).sum(axis=1) < (c.far + _MARGIN) ** 2)  # what is beyond is not told apart
        lows = np.concatenate([solids.lows[keep], centers - sizes / 2])
        highs = np.concatenate([solids.highs[keep], centers + sizes / 2])
        ranges = cast(position, self._rays @ rotation.T, lows, highs)
        depth = np.where(ranges < 60, ranges * 1000, 0).astype(np.uint16).reshape(_ROWS, _COLUMNS)
        local = (centers - position) @ rotation
        distance = np.linalg.norm(local, axis=1)
        azimuth = np.arctan2(local[:, 1], local[:, 0])
        elevation = np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1]))
        inside = (np.abs(azimuth) < c.fov_h * EDGE) & (np.abs(elevation) < c.fov_v * EDGE)
        inside &= (distance > c.near) & (distance < c.far)
        shown = np.flatnonzero(inside)
        if len(shown):
            first = cast(
                position, (centers[shown] - position) / distance[shown, None], lows[: keep.sum()], highs[: keep.sum()]
            )
            shown = shown[first > distance[shown] - 0.05]
        return Seen(shown, depth)

    def observe(
        self, seen: Seen, pose: tuple[float, float, float], labels: tuple[str, ...], centers: FloatArray,
        sizes: FloatArray, said: list[str], stamp_ns: int,
    ) -> Observation:  # fmt: skip
        """The observation that the robot makes of it; `said`: facts that it reports besides."""
        c, rng = self.config, self.rng
        ids = seen.things[rng.random(len(seen.things)) >= c.missed]
        names = [labels[i] for i in ids]
        for k in np.flatnonzero(rng.random(len(ids)) < c.confused):
            similar = SIMILAR.get(names[k], ())
            names[k] = similar[int(rng.integers(len(similar)))] if similar else names[k]
        places = centers[ids] + rng.normal(size=(len(ids), 3)) * c.place_std
        boxes, scores = sizes[ids], np.clip(0.85 + 0.06 * rng.normal(size=len(ids)), 0.3, 0.99)
        if len(ids) and rng.random() < c.invented:
            names.append(self.classes[int(rng.integers(len(self.classes)))])
            places = np.concatenate([places, places[:1] + np.array([0.15, 0.1, 0.0])])
            boxes, scores = np.concatenate([boxes, boxes[:1]]), np.append(scores, 0.4)
        believed = np.array(pose[:2]) + rng.normal(size=2) * c.pose_std
        position, turn = c.mount.pose(believed, pose[2])
        covariance = np.diag([c.pose_std**2, c.pose_std**2, 1e-6, 1e-6, 1e-6, 1e-4])
        found = Detections(tuple(names), scores, places, boxes, np.zeros(len(names)))
        view = View("camera", c.fov_h, c.fov_v, c.near, c.far, None, DETECTOR, self.classes, seen.depth)
        return Observation(
            stamp_ns, position, turn, sensor_id="camera", covariance=covariance, caption="; ".join(said),
            detections=found, view=view,
        )  # fmt: skip

    def reports(self, truths: list[tuple[str, str]]) -> list[str]:
        """Facts about what is open or on, of pairs (true, false), as the detector reports them."""
        c, rng = self.config, self.rng
        luck = rng.random((len(truths), 2))
        return [
            pair[int(wrong < c.state_wrong)] for pair, (missed, wrong) in zip(truths, luck, strict=True)
            if missed >= c.state_missed
        ]  # fmt: skip


@njit(cache=True, nogil=True)
def cast(origin: FloatArray, rays: FloatArray, lows: FloatArray, highs: FloatArray) -> FloatArray:
    """(r,) metres along unit rays (r, 3) to the first box, inf for none; one around the origin is not seen."""
    out = np.full(len(rays), np.inf)
    for r in range(len(rays)):
        for b in range(len(lows)):
            near, far = 0.0, out[r]
            for k in range(3):
                low, high = lows[b, k] - origin[k], highs[b, k] - origin[k]
                d = rays[r, k]
                if abs(d) < 1e-12:
                    if low > 0.0 or high < 0.0:
                        far = -1.0
                        break
                    continue
                a, z = low / d, high / d
                if a > z:
                    a, z = z, a
                near, far = max(near, a), min(far, z)
                if near > far:
                    break
            if 0.0 < near <= far:
                out[r] = near
    return out
