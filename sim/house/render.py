"""What the sensors would measure without noise: colour, depth, instances, LiDAR points and laser scans.

Rays are made once for each sensor and turned for each pose. A pixel's ray has length 1 along the optical axis, so that
the distance along it is depth and not range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices
from sim.house.config import CameraConfig, LidarConfig, ScanConfig
from sim.house.scene import Scene

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

PLANK_LENGTH, PLANK_WIDTH = 0.9, 0.14


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """rgb (h, w, 3) uint8; depth (h, w) float32 metres along the optical axis, 0 = nothing hit; ids (h, w) int32."""

    rgb: NDArray[np.uint8]
    depth: Float32Array
    ids: NDArray[np.int32]


class CameraRenderer:
    """A pinhole camera; the pose that it takes is of the sensor's body frame (x forward, y left, z up)."""

    def __init__(self, config: CameraConfig) -> None:
        self.config = config
        self.shape = (config.height_px, config.width)
        fx, fy, cx, cy = config.intrinsics
        u, v = np.meshgrid(np.arange(config.width), np.arange(config.height_px))
        rays = np.stack([np.ones(self.shape), (cx - u) / fx, (cy - v) / fy], axis=-1)
        self._rays = rays.reshape(-1, 3).astype(np.float32)

    def render(self, scene: Scene, position: FloatArray, orientation: FloatArray) -> Image:
        """Draw the scene from a sensor pose: position (3,) metres, orientation (4,) x, y, z, w."""
        turn = rotation_matrices(orientation).astype(np.float32)
        rays = np.empty((len(self._rays), 6), dtype=np.float32)
        rays[:, :3] = position
        np.matmul(self._rays, turn.T, out=rays[:, 3:])
        depth, triangles = scene.cast(rays)
        ids = scene.triangle_instances[triangles]
        colour = scene.triangle_colours[triangles]
        hit = np.isfinite(depth)
        depth = np.where(hit, depth, np.float32(0))
        self._draw_planks(colour, rays, depth)
        colour *= (1 / (1 + 0.035 * depth))[:, None]
        rgb = colour.astype(np.uint8).reshape(*self.shape, 3)
        return Image(rgb, depth.reshape(self.shape), ids.reshape(self.shape))

    @staticmethod
    def _draw_planks(colour: Float32Array, rays: Float32Array, depth: Float32Array) -> None:
        """Give the floor a pattern, without which a picture shows neither scale nor perspective."""
        height = rays[:, 2] + depth * rays[:, 5]
        floor = np.flatnonzero((np.abs(height) < 2e-3) & (depth > 0))
        at = rays[floor, :2] + depth[floor, None] * rays[floor, 3:5]
        row = np.floor(at[:, 1] / PLANK_WIDTH)
        shifted = at[:, 0] / PLANK_LENGTH + 0.37 * row
        plank = np.floor(shifted)
        tone = np.modf(np.abs(np.sin(row * 12.9898 + plank * 78.233)) * 437.585)[0]
        seam = (np.modf(np.abs(at[:, 1] / PLANK_WIDTH))[0] < 0.06) | (np.modf(np.abs(shifted))[0] < 0.012)
        colour[floor] *= np.where(seam, 0.72, 0.88 + 0.2 * tone).astype(np.float32)[:, None]


class LidarRenderer:
    """A spinning LiDAR: ranges of `rows` beams at `columns` azimuths."""

    def __init__(self, config: LidarConfig) -> None:
        self.config = config
        azimuth = np.pi - np.arange(config.columns) * (2 * np.pi / config.columns)
        elevation = np.radians(np.linspace(config.fov_up_deg, -config.fov_down_deg, config.rows))
        self.directions = _directions(azimuth[None, :], elevation[:, None]).reshape(-1, 3)

    def render(self, scene: Scene, position: FloatArray, orientation: FloatArray) -> Float32Array:
        """(rows * columns,) ranges in metres, inf where nothing is hit."""
        return _ranges(scene, self.directions, position, orientation)


class ScanRenderer:
    """A 2-D laser scanner; beam i has the angle angle_min + i * angle_increment, counter-clockwise from ahead."""

    def __init__(self, config: ScanConfig) -> None:
        self.config = config
        self.angle_min = -np.pi
        self.angle_increment = 2 * np.pi / config.beams
        angles = self.angle_min + np.arange(config.beams) * self.angle_increment
        self.directions = _directions(angles, np.zeros_like(angles))

    def render(self, scene: Scene, position: FloatArray, orientation: FloatArray) -> Float32Array:
        """(beams,) ranges in metres, inf where nothing is hit."""
        return _ranges(scene, self.directions, position, orientation)


def _directions(azimuth: FloatArray, elevation: FloatArray) -> Float32Array:
    flat = np.cos(elevation)
    parts = np.broadcast_arrays(flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation))
    return np.stack(parts, axis=-1).astype(np.float32)


def _ranges(scene: Scene, directions: Float32Array, position: FloatArray, orientation: FloatArray) -> Float32Array:
    rays = np.empty((len(directions), 6), dtype=np.float32)
    rays[:, :3] = position
    np.matmul(directions, rotation_matrices(orientation).astype(np.float32).T, out=rays[:, 3:])
    return scene.cast(rays)[0]
