"""A robot that drives round a table in an empty room, with depth views computed by hand."""

from __future__ import annotations

import numpy as np

from embodied_mem.geometry import quaternion_from_yaw, rotation_matrices
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View

LOW, HIGH = np.array([0.0, 0.0, 0.0]), np.array([6.0, 4.0, 2.5])
THINGS = {"mug": (3.0, 2.0, 0.8), "chair": (1.0, 3.2, 0.4), "lamp": (5.5, 0.5, 1.2)}
START_NS = 1_767_225_600 * 10**9


def observations(count: int = 40) -> list[Observation]:
    made = []
    for i in range(count):
        turn = 2 * np.pi * i / count
        position = np.array([3 + 2 * np.cos(turn), 2 + 1.2 * np.sin(turn), 1.0])
        heading = turn + np.pi if i % 4 == 0 else turn + np.pi / 2  # a look at the middle now and then
        made.append(_observe(START_NS + i * 10**9, position, heading))
    return made


def memory(count: int = 40) -> RecordMemory:
    made = RecordMemory.in_memory(HashingEmbedder())
    made.set_map("room")
    made.remember_many(observations(count))
    return made


def _observe(stamp_ns: int, position: np.ndarray, yaw: float) -> Observation:
    names, centers = [], []
    for name, place in THINGS.items():
        offset = np.array(place) - position
        bearing = (np.arctan2(offset[1], offset[0]) - yaw + np.pi) % (2 * np.pi) - np.pi
        if abs(bearing) < 0.75:
            names.append(name)
            centers.append(place)
    found = Detections()
    if names:
        n = len(names)
        found = Detections(tuple(names), np.full(n, 0.8), np.array(centers), np.full((n, 3), 0.3), np.zeros(n))
    view = View("camera", 1.5, 1.0, 0.2, 8.0, None, "sim", tuple(THINGS), _depth(position, yaw))
    caption = f"I see a {' and a '.join(names)}." if names else "I see an empty room."
    return Observation(stamp_ns, position, quaternion_from_yaw(yaw), caption=caption, detections=found, view=view)


def _depth(position: np.ndarray, yaw: float) -> np.ndarray:
    """Range to the inside of the room's box along each ray of a 24 x 32 grid, millimetres."""
    azimuth = 1.5 * (0.5 - (np.arange(32) + 0.5) / 32)
    elevation = 1.0 * (0.5 - (np.arange(24) + 0.5) / 24)
    el, az = np.meshgrid(elevation, azimuth, indexing="ij")
    rays = np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], axis=-1)
    rays = rays @ rotation_matrices(quaternion_from_yaw(yaw)).T
    with np.errstate(divide="ignore"):
        walls = np.where(rays > 0, (HIGH - position) / rays, (LOW - position) / rays)
    return (np.abs(walls).min(axis=-1) * 1000).astype(np.uint16)
