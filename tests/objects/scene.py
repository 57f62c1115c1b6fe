"""A room with boxes in it and a robot that looks at them: depth is cast ray by ray, detections are what is in sight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.geometry import quaternion_from_yaw, rotation_matrices
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View
from tests.records.builders import SECOND, START, Clock

FloatArray = NDArray[np.float64]
FOV_H, FOV_V, ROWS, COLS = 1.5, 1.1, 33, 45
MAX_RANGE = 6.0
WALLS = (np.array([-6.0, -6.0, 0.0]), np.array([6.0, 6.0, 2.6]))
TABLE = ("table", (0.0, 0.0, 0.35), (1.4, 0.9, 0.7))
KNOWN = ("mug", "table", "vase", "chair", "screen wall", "laptop", "book")


class Scene:
    """Things are boxes: name -> (centre, size). `clock` follows the last look."""

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.memory = RecordMemory.in_memory(HashingEmbedder(), clock=self.clock)
        self.things: dict[str, tuple[FloatArray, FloatArray]] = {}
        self.put(*TABLE)

    def put(self, name: str, center: ArrayLike, size: ArrayLike = (0.25, 0.25, 0.25)) -> None:
        """Place a thing, or move it there. A name may end in a number: "chair 2" is a chair."""
        self.things[name] = (np.asarray(center, dtype=np.float64), np.asarray(size, dtype=np.float64))

    def remove(self, name: str) -> None:
        del self.things[name]

    def wait(self, seconds: float) -> None:
        self.clock.now_ns += round(seconds * SECOND)

    def look(
        self,
        position: ArrayLike,
        at: ArrayLike = (0.0, 0.0),
        *,
        blind_to: Sequence[str] = (),
        false: dict[str, ArrayLike] | None = None,
        classes: Sequence[str] = KNOWN,
        caption: str = "",
    ) -> int:
        """Look from a place (x, y) towards another, a second later; the record's number.

        blind_to: things that the detector misses; false: labels that it sees where nothing is
        """
        self.wait(1)
        x, y = np.asarray(position, dtype=np.float64)
        yaw = float(np.arctan2(at[1] - y, at[0] - x))  # type: ignore[index]
        sensor = np.array([x, y, 1.3])
        seen = [name for name in self.things if name not in blind_to and self._sees(sensor, yaw, name)]
        labels = [name.rstrip("0123456789 ") for name in seen] + list(false or {})
        rows = [label in classes for label in labels]
        centers = [self.things[name][0] for name in seen] + [np.asarray(c, float) for c in (false or {}).values()]
        sizes = [self.things[name][1] for name in seen] + [np.full(3, 0.25) for _ in (false or {})]
        kept = [i for i, row in enumerate(rows) if row]
        n = len(kept)
        found = Detections(
            tuple(labels[i] for i in kept), np.full(n, 0.8), np.array([centers[i] for i in kept]).reshape(n, 3),
            np.array([sizes[i] for i in kept]).reshape(n, 3), np.zeros(n),
        )  # fmt: skip
        view = View("camera", FOV_H, FOV_V, 0.1, MAX_RANGE, None, "scene", tuple(classes), self._depth(sensor, yaw))
        words = caption or f"I see {', '.join(found.labels) or 'nothing'}."
        obs = Observation(
            self.clock.now_ns, sensor, quaternion_from_yaw(yaw), caption=words, detections=found, view=view
        )
        return self.memory.remember(obs).seq

    def walk(self, count: int = 6, radius: float = 2.2, at: ArrayLike = (0.0, 0.0), **how: object) -> list[int]:
        """Look at a place from all round it; the records' numbers."""
        middle = np.asarray(at, dtype=np.float64)
        turns = 0.3 + 2 * np.pi * np.arange(count) / count
        places = [middle + radius * np.array([np.cos(turn), np.sin(turn)]) for turn in turns]
        return [self.look(place, at, **how) for place in places]  # type: ignore[arg-type]

    def _sees(self, sensor: FloatArray, yaw: float, name: str) -> bool:
        center, size = self.things[name]
        away = center - sensor
        bearing = (np.arctan2(away[1], away[0]) - yaw + np.pi) % (2 * np.pi) - np.pi
        elevation = np.arctan2(away[2], np.hypot(*away[:2]))
        distance = float(np.linalg.norm(away))
        if abs(bearing) > FOV_H / 2 or abs(elevation) > FOV_V / 2 or distance > MAX_RANGE:
            return False
        others = [box for other, box in self.things.items() if other != name]
        top = away + np.array([0, 0, size[2] / 2])  # enough of it
        return all(_hit(sensor, (top / distance)[None], box)[0] > distance - 0.05 for box in others)

    def _depth(self, sensor: FloatArray, yaw: float) -> NDArray[np.uint16]:
        azimuth = FOV_H * (0.5 - (np.arange(COLS) + 0.5) / COLS)
        elevation = FOV_V * (0.5 - (np.arange(ROWS) + 0.5) / ROWS)
        el, az = np.meshgrid(elevation, azimuth, indexing="ij")
        rays = np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], axis=-1).reshape(-1, 3)
        rays = rays @ rotation_matrices(quaternion_from_yaw(yaw)).T
        with np.errstate(divide="ignore"):
            nearest = np.abs(np.where(rays > 0, (WALLS[1] - sensor) / rays, (WALLS[0] - sensor) / rays)).min(axis=1)
        for box in self.things.values():
            nearest = np.minimum(nearest, _hit(sensor, rays, box))
        return np.asarray(nearest * 1000, dtype=np.uint16).reshape(ROWS, COLS)


def _hit(sensor: FloatArray, rays: FloatArray, box: tuple[FloatArray, FloatArray]) -> FloatArray:
    """(n,) how far along each ray (n, 3) a box begins; infinity where it is missed."""
    center, size = box
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = ((center - side * size / 2 - sensor) / rays for side in (1, -1))
    begin, end = np.minimum(near, far).max(axis=1), np.maximum(near, far).min(axis=1)
    return np.where((begin <= end) & (end > 0), np.maximum(begin, 0), np.inf)
