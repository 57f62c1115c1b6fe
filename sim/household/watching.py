"""A robot looks round a household: detections by a sensor that misses, confuses and measures with noise.

Things stand on slabs that stay when they are taken away; floor and walls close the room. The depth grid is cast ray by
ray, so what stands before what is known to the memory, as it would be from a real camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from embodied_mem.errors import BadInputError
from embodied_mem.records.observation import Detections, Observation, View
from sim.household.traces import Household, Item

FloatArray = NDArray[np.float64]
Rng = np.random.Generator
EPOCH_NS = 1_700_000_000_000_000_000
_SECOND = 1_000_000_000
_ROWS, _COLS = 24, 32
_HEIGHT, _DISTANCE = 1.4, 1.6  # metres: the sensor, and how far from what it looks at it stands
_MARGIN = 1.2  # metres from the outermost things to the walls


@dataclass(frozen=True, slots=True)
class Sensor:
    """reach metres; fov_h, fov_v radians; miss, confusion: probabilities for each thing in view; false: detections of
    nothing for each frame; noise, noise_per_m: standard deviation of a centre, metres, and its growth with distance.
    """

    reach: float = 3.0
    fov_h: float = 1.4
    fov_v: float = 1.1
    miss: float = 0.1
    confusion: float = 0.05
    false: float = 0.02
    noise: float = 0.02
    noise_per_m: float = 0.01

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in (self.miss, self.confusion, self.false)):
            raise BadInputError("The sensor's miss, confusion and false are probabilities, from 0 to 1.")
        if not (self.reach > 0 and 0 < self.fov_h < np.pi and 0 < self.fov_v < np.pi):
            raise BadInputError("The sensor's reach must be above 0 m, its fields of view between 0 and pi.")


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """stage: how many moves were made; visible: names of the things in view, detected or not."""

    stage: int
    visible: frozenset[str]
    observation: Observation


def watch(
    home: Household, sensor: Sensor, classes: tuple[str, ...], seed: int, *, looks: int = 40, away_s: float = 600.0
) -> Iterator[Glance]:
    """`looks` looks before the first move and after the last, and half as many between; away for `away_s` each time."""
    rng = np.random.default_rng(seed)
    stamp, last = EPOCH_NS, len(home.stages) - 1
    for stage, items in enumerate(home.stages):
        aims = _aims(items, home.stages[0], rng, looks if stage in (0, last) else looks // 2)
        for aim in aims:
            yield _glance(home, stage, items, aim, sensor, classes, stamp, rng)
            stamp += _SECOND // 2
        stamp += round(away_s * _SECOND)


def _aims(items: tuple[Item, ...], before: tuple[Item, ...], rng: Rng, count: int) -> FloatArray:
    """(count, 3) points to look at, in random order: where things are, and where they were."""
    places = np.array([item.center for item in (*items, *before)])
    order = np.concatenate([rng.permutation(len(places)) for _ in range(count // len(places) + 1)])[:count]
    return places[order]


def _glance(
    home: Household, stage: int, items: tuple[Item, ...], aim: FloatArray, sensor: Sensor, classes: tuple[str, ...],
    stamp: int, rng: Rng,
) -> Glance:  # fmt: skip
    turn = rng.uniform(0, 2 * np.pi)
    eye = np.array([aim[0] + _DISTANCE * np.cos(turn), aim[1] + _DISTANCE * np.sin(turn), _HEIGHT])
    ahead = aim - eye
    yaw, pitch = np.arctan2(ahead[1], ahead[0]), np.arctan2(-ahead[2], np.hypot(ahead[0], ahead[1]))
    facing = Rotation.from_euler("ZYX", [yaw + rng.normal(0, 0.1), pitch, 0])
    rotation = facing.as_matrix()
    shown = [item for item in items if not item.inside]
    low, high = _boxes(shown, home.stages[0])
    depth = _depth(eye, rotation, low, high, sensor, _walls(home))
    seen = [i for i, item in enumerate(shown) if _sees(eye, rotation, item, i, low, high, sensor)]
    found = _detected([shown[i] for i in seen], eye, sensor, classes, rng, home)
    view = View("camera", sensor.fov_h, sensor.fov_v, 0.1, sensor.reach, None, "household", classes, depth)
    caption = f"look {stamp}"
    observation = Observation(stamp, eye, facing.as_quat(), caption=caption, detections=found, view=view)
    return Glance(stage, frozenset(shown[i].name for i in seen), observation)


def _detected(
    items: list[Item], eye: FloatArray, sensor: Sensor, classes: tuple[str, ...], rng: Rng, home: Household
) -> Detections:
    labels, centers, sizes, scores = [], [], [], []
    for item in items:
        if rng.random() < sensor.miss:
            continue
        label = str(rng.choice(classes)) if rng.random() < sensor.confusion else item.label
        std = sensor.noise + sensor.noise_per_m * float(np.linalg.norm(np.subtract(item.center, eye)))
        labels.append(label)
        centers.append(np.array(item.center) + rng.normal(0, std, 3))
        sizes.append(np.array(item.size) * np.exp(rng.normal(0, 0.1, 3)))
        scores.append(rng.uniform(0.5, 0.95))
    if rng.random() < sensor.false:
        low, high = _walls(home)
        labels.append(str(rng.choice(classes)))
        centers.append(np.array([*rng.uniform(low[:2], high[:2]), rng.uniform(0.1, 1.2)]))
        sizes.append(np.full(3, 0.15))
        scores.append(rng.uniform(0.3, 0.6))
    n = len(labels)
    return Detections(
        tuple(labels), np.array(scores).reshape(n), np.array(centers).reshape(n, 3), np.array(sizes).reshape(n, 3),
        np.zeros(n),
    )  # fmt: skip


def _boxes(shown: list[Item], before: tuple[Item, ...]) -> tuple[FloatArray, FloatArray]:
    """Corners (n, 3): first of the things in the open, then of the slabs on which things stand or stood."""
    center, size = np.array([item.center for item in shown]), np.array([item.size for item in shown])
    stood = [item for item in (*shown, *before) if item.center[2] - item.size[2] / 2 > 0.15]
    slab = np.array([item.center for item in stood]).reshape(-1, 3)
    slab[:, 2] -= np.array([item.size[2] / 2 + 0.02 for item in stood])
    half = np.tile([0.2, 0.2, 0.01], (len(slab), 1))
    return np.concatenate([center - size / 2, slab - half]), np.concatenate([center + size / 2, slab + half])


def _walls(home: Household) -> tuple[FloatArray, FloatArray]:
    places = np.array([item.center for stage in home.stages for item in stage])
    low, high = places.min(axis=0) - _MARGIN - _DISTANCE, places.max(axis=0) + _MARGIN + _DISTANCE
    return np.array([low[0], low[1], 0.0]), np.array([high[0], high[1], 2.6])


def _depth(
    eye: FloatArray, rotation: FloatArray, low: FloatArray, high: FloatArray, sensor: Sensor,
    walls: tuple[FloatArray, FloatArray],
) -> NDArray[np.uint16]:  # fmt: skip
    azimuth = sensor.fov_h * (0.5 - (np.arange(_COLS) + 0.5) / _COLS)
    elevation = sensor.fov_v * (0.5 - (np.arange(_ROWS) + 0.5) / _ROWS)
    up, side = np.meshgrid(elevation, azimuth, indexing="ij")
    rays = np.stack([np.cos(up) * np.cos(side), np.cos(up) * np.sin(side), np.sin(up)], axis=-1).reshape(-1, 3)
    rays = rays @ rotation.T
    with np.errstate(divide="ignore", invalid="ignore"):
        nearest = np.where(rays > 0, (walls[1] - eye) / rays, (walls[0] - eye) / rays)
    nearest = np.nanmin(np.where(nearest > 0, nearest, np.inf), axis=1)
    close = np.linalg.norm((low + high) / 2 - eye, axis=1) < 6
    nearest = np.minimum(nearest, _hits(eye, rays, low[close], high[close]).min(axis=1, initial=np.inf))
    return np.asarray(np.clip(nearest * 1000, 0, 65534), dtype=np.uint16).reshape(_ROWS, _COLS)


def _hits(eye: FloatArray, rays: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """(rays, boxes) metres to where each ray enters each box, infinity where it misses."""
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = (low - eye)[None] / rays[:, None], (high - eye)[None] / rays[:, None]
    begin, end = np.minimum(near, far).max(axis=2), np.maximum(near, far).min(axis=2)
    return np.where((begin <= end) & (end > 0), np.maximum(begin, 0), np.inf)


def _sees(
    eye: FloatArray, rotation: FloatArray, item: Item, own: int, low: FloatArray, high: FloatArray, sensor: Sensor
) -> bool:
    away = np.array(item.center) - eye
    distance = float(np.linalg.norm(away))
    x, y, z = rotation.T @ away
    if distance > sensor.reach or x <= 0 or abs(np.arctan2(y, x)) > 0.48 * sensor.fov_h:
        return False
    if abs(np.arctan2(z, np.hypot(x, y))) > 0.48 * sensor.fov_v:
        return False
    before = _hits(eye, (away / distance)[None], low, high)[0]
    before[own] = np.inf
    return bool(before.min() > distance - 0.02)
