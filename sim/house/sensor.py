"""What is wrong with real sensors: a detector that misses, confuses and invents, and depth with holes and ghosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embodied_mem.geometry import rotation_matrices
from embodied_mem.perception.detector import Boxes2D
from sim.house.config import CameraConfig, LidarConfig, ScanConfig, SensorConfig
from sim.house.objects import SIMILAR
from sim.house.pixels import spoil_depth
from sim.house.render import Image
from sim.house.thing import Thing

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Rng = np.random.Generator

DETECTOR_NAME = "house-noisy-labels"

_QUADS = np.array([[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]])
_UNIT = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """The instances in one image, a row each.

    ids (n,), pixels (n,) counts, fractions (n,) of the unoccluded silhouette of the instance's box,
    boxes (n, 4) x_min, y_min, x_max, y_max in pixels (edges, not centres), distances (n,) metres to the centre,
    detectable (n,) bool: enough of it is seen for the detector to have a chance
    """

    ids: NDArray[np.int64]
    pixels: NDArray[np.int64]
    fractions: FloatArray
    boxes: FloatArray
    distances: FloatArray
    detectable: NDArray[np.bool_]


class Silhouettes:
    """How many pixels a thing's box would cover if nothing stood before it."""

    def __init__(self, camera: CameraConfig) -> None:
        self.camera = camera
        self._corners: dict[int, tuple[Thing, FloatArray]] = {}

    def _box(self, thing: Thing) -> FloatArray:
        kept = self._corners.get(thing.id)
        if kept is None or kept[0] is not thing:
            lo, hi = thing.mesh.bounds()
            local = lo + _UNIT * (hi - lo)
            c, s = np.cos(thing.yaw), np.sin(thing.yaw)
            kept = thing, local @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + thing.position
            self._corners[thing.id] = kept
        return kept[1]

    def measure(
        self, things: list[Thing], position: FloatArray, orientation: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Areas (n,) in pixels, image borders disregarded (0: reaches behind the camera), and distances (n,)."""
        corners = np.array([self._box(thing) for thing in things]).reshape(-1, 8, 3)
        local = (corners - position) @ rotation_matrices(orientation)
        fx, fy, _, _ = self.camera.intrinsics
        depth = np.maximum(local[..., 0], 0.05)
        u, v = -local[..., 1] / depth * fx, -local[..., 2] / depth * fy
        # Of a convex body, the faces that look at the camera add up to its silhouette.
        x, y = u[:, _QUADS], v[:, _QUADS]
        area = (x * np.roll(y, -1, axis=2) - y * np.roll(x, -1, axis=2)).sum(axis=2) / 2
        silhouette = np.abs(area).sum(axis=1) / 2
        silhouette[(local[..., 0] < 0.05).any(axis=1)] = 0
        return silhouette, np.linalg.norm(corners.mean(axis=1) - position, axis=1)


def find_visible(
    image: Image,
    things: Mapping[int, Thing],
    silhouettes: Silhouettes,
    config: SensorConfig,
    pose: tuple[FloatArray, FloatArray],
) -> Visible:
    """The truth behind the detector: which instances an image shows, and how much of each."""
    counts = np.bincount(image.ids.ravel())
    ids = np.flatnonzero(counts)
    ids = ids[ids > 0]
    if not len(ids):
        none = np.zeros(0)
        return Visible(ids, ids, none, np.zeros((0, 4)), none, np.zeros(0, dtype=bool))
    slices = ndimage.find_objects(image.ids)
    boxes = np.array([[s[1].start, s[0].start, s[1].stop, s[0].stop] for s in (slices[i - 1] for i in ids)], float)
    shown = [things[int(i)] for i in ids]
    areas, distances = silhouettes.measure(shown, *pose)
    pixels = counts[ids]
    fractions = np.where(areas > 0, np.minimum(pixels / np.maximum(areas, 1), 1), 1.0)
    furniture = np.array([thing.furniture for thing in shown])
    enough = fractions >= np.where(furniture, config.min_fraction_furniture, config.min_fraction)
    return Visible(ids, pixels, fractions, boxes, distances, enough & (pixels >= config.min_pixels))


class NoisyDetector:
    """Labels of what is visible, as a trained detector would give them."""

    def __init__(self, config: SensorConfig, camera: CameraConfig, vocabulary: tuple[str, ...], rng: Rng) -> None:
        self.config = config
        self.size = np.array([camera.width, camera.height_px], dtype=np.float64)
        self.classes = vocabulary
        self.rng = rng

    def detect(self, visible: Visible, things: Mapping[int, Thing]) -> Boxes2D:
        """Noisy boxes of an image; the order says nothing."""
        c, rng = self.config, self.rng
        seen = np.flatnonzero(visible.detectable)
        seen = seen[rng.random(len(seen)) >= c.miss_rate]
        confused = rng.random(len(seen)) < c.confusion_rate
        labels = [things[int(visible.ids[i])].label for i in seen]
        for k in np.flatnonzero(confused):
            similar = SIMILAR.get(labels[k], ())
            labels[k] = similar[int(rng.integers(len(similar)))] if similar else labels[k]
        clear = np.minimum(1, visible.fractions[seen] / 0.6) * (1 - np.exp(-visible.pixels[seen] / 150))
        scores = 0.5 + 0.43 * clear + rng.normal(size=len(seen)) * c.score_std
        scores[confused] *= 0.8
        boxes = visible.boxes[seen] + rng.normal(size=(len(seen), 4)) * c.box_jitter_px
        ghosts = int(rng.poisson(c.false_rate))
        if ghosts:
            labels += [self.classes[int(i)] for i in rng.integers(len(self.classes), size=ghosts)]
            scores = np.concatenate([scores, rng.uniform(*c.false_score, size=ghosts)])
            middle, half = rng.uniform(0, 1, size=(ghosts, 2)) * self.size, rng.uniform(8, 40, size=(ghosts, 2))
            boxes = np.concatenate([boxes, np.concatenate([middle - half, middle + half], axis=1)])
        order = rng.permutation(len(labels))
        boxes = np.clip(boxes, 0, np.tile(self.size, 2))
        low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
        boxes = np.concatenate([low, np.minimum(np.maximum(high, low + 1), self.size)], axis=1)
        return Boxes2D(tuple(labels[i] for i in order), np.clip(scores[order], 0.01, 0.99), boxes[order])


def noisy_depth(depth: Float32Array, sensor: SensorConfig, camera: CameraConfig, rng: Rng) -> Float32Array:
    """True depth (h, w) -> measured: noise that grows with distance, holes, and false values at edges.

    0 and NaN mean that nothing was measured.
    """
    normal = rng.standard_normal(depth.shape, dtype=np.float32)
    fate, luck = rng.random((2, *depth.shape), dtype=np.float32)
    edges = (sensor.edge_jump, sensor.edge_zero, sensor.edge_nan, sensor.edge_flying)
    noise, limits = (sensor.depth_std, sensor.depth_std_z2), (camera.min_depth, camera.max_depth)
    return spoil_depth(depth, normal, fate, luck, noise, edges, sensor.dropout, limits)


def noisy_points(ranges: Float32Array, directions: Float32Array, config: LidarConfig, rng: Rng) -> Float32Array:
    """(n,) ranges along (n, 3) directions -> (m, 3) points in the LiDAR's frame, only those that were measured."""
    measured = ranges + rng.standard_normal(len(ranges), dtype=np.float32) * np.float32(config.range_std)
    with np.errstate(invalid="ignore"):
        kept = (ranges > config.min_range) & (ranges < config.max_range)
    kept &= rng.random(len(ranges)) >= config.dropout
    return np.asarray(directions[kept] * measured[kept, None], dtype=np.float32)


def noisy_scan(ranges: Float32Array, config: ScanConfig, rng: Rng) -> Float32Array:
    """(n,) ranges -> measured ranges; infinity where nothing came back, as in sensor_msgs/LaserScan."""
    out = ranges + rng.standard_normal(len(ranges), dtype=np.float32) * np.float32(config.range_std)
    with np.errstate(invalid="ignore"):
        lost = ~((ranges > config.min_range) & (ranges < config.max_range)) | (rng.random(len(ranges)) < config.dropout)
    out[lost] = np.inf
    return np.asarray(out, dtype=np.float32)
