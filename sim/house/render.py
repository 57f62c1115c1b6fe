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
from sim.house.pixels import colour_hits, turn_rays
from sim.house.scene import Scene

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]


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
        n = len(self._rays)
        rays = np.empty((n, 6), dtype=np.float32)
        turn = rotation_matrices(orientation).astype(np.float32)
        turn_rays(self._rays, turn, np.asarray(position, dtype=np.float32), rays)
        depth, triangles = scene.cast(rays)
        rgb, ids = np.empty((n, 3), dtype=np.uint8), np.empty(n, dtype=np.int32)
        colour_hits(depth, triangles, rays, scene.triangle_colours, scene.triangle_instances, rgb, ids)
        return Image(rgb.reshape(*self.shape, 3), depth.reshape(self.shape), ids.reshape(self.shape))


class LidarRenderer:
    """A spinning LiDAR: ranges of `rows` beams at `columns` azimuths."""

    def __init__(self, config: LidarConfig) -> None:
        self.config = config
        azimuth = np.asarray(np.pi - np.arange(config.columns) * (2 * np.pi / config.columns), dtype=np.float64)
        elevation = np.asarray(
            np.radians(np.linspace(config.fov_up_deg, -config.fov_down_deg, config.rows)), np.float64
        )
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
        angles = np.asarray(self.angle_min + np.arange(config.beams) * self.angle_increment, dtype=np.float64)
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
