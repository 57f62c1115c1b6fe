"""Per-pixel loops of the camera, compiled: colours and instances of hits, and what a depth camera makes of depth."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

PLANK_LENGTH, PLANK_WIDTH = 0.9, 0.14


@njit(cache=True, nogil=True)
def turn_rays(directions: Float32Array, turn: Float32Array, position: Float32Array, rays: Float32Array) -> None:
    """directions (n, 3) turned by (3, 3) and starting at (3,) -> rays (n, 6), in place."""
    for i in range(len(directions)):
        x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
        for k in range(3):
            rays[i, k] = position[k]
            rays[i, 3 + k] = turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z


@njit(cache=True, nogil=True)
def _floor_tone(x: float, y: float) -> float:
    """Brightness of a floor of planks, without which a picture shows neither scale nor perspective."""
    row = np.floor(y / PLANK_WIDTH)
    along = x / PLANK_LENGTH + 0.37 * row
    plank = np.floor(along)
    if y / PLANK_WIDTH - row < 0.06 or along - plank < 0.012:
        return 0.72
    mixed = abs(np.sin(row * 12.9898 + plank * 78.233)) * 437.585
    return 0.88 + 0.2 * (mixed - np.floor(mixed))


@njit(cache=True, nogil=True)
def colour_hits(
    depth: Float32Array,
    triangles: NDArray[np.uint32],
    rays: Float32Array,
    colours: Float32Array,
    instances: NDArray[np.int32],
    rgb: NDArray[np.uint8],
    ids: NDArray[np.int32],
) -> None:
    """Fill rgb (n, 3) and ids (n,) from hits (n,); depth (n,) loses its infinities, in place: 0 is nothing."""
    last = len(instances) - 1
    for i in range(len(depth)):
        triangle = min(int(triangles[i]), last)
        ids[i] = instances[triangle]
        far = depth[i]
        if not np.isfinite(far):
            depth[i] = 0.0
            rgb[i] = 0
            continue
        tone = 1.0 / (1.0 + 0.035 * far)
        if abs(rays[i, 2] + far * rays[i, 5]) < 2e-3:
            tone *= _floor_tone(rays[i, 0] + far * rays[i, 3], rays[i, 1] + far * rays[i, 4])
        for k in range(3):
            rgb[i, k] = np.uint8(colours[triangle, k] * tone)


@njit(cache=True, nogil=True)
def spoil_depth(
    depth: Float32Array,
    normal: Float32Array,
    fate: Float32Array,
    luck: Float32Array,
    noise: tuple[float, float],
    edges: tuple[float, float, float, float],
    dropout: float,
    limits: tuple[float, float],
) -> Float32Array:
    """True depth (h, w) -> measured, from random numbers of the same shape: standard normal, and twice uniform 0..1.

    noise: std = noise[0] + noise[1] * z^2; edges: jump in metres, then the fractions that turn 0, NaN and flying
    """
    height, width = depth.shape
    out = np.zeros((height, width), dtype=np.float32)
    jump, zero, nan, flying = edges[0], edges[1], edges[1] + edges[2], edges[1] + edges[2] + edges[3]
    for v in range(height):
        for u in range(width):
            z = depth[v, u]
            if z <= 0.0 or luck[v, u] < dropout:
                continue
            limit = jump + 0.03 * z
            left = depth[v, u - 1] if u > 0 else z
            above = depth[v - 1, u] if v > 0 else z
            beside = left if abs(z - left) > limit else above
            value = z + (noise[0] + noise[1] * z * z) * normal[v, u]
            if abs(z - beside) > limit:
                if fate[v, u] < zero:
                    continue
                if fate[v, u] < nan:
                    out[v, u] = np.nan
                    continue
                if fate[v, u] < flying:
                    share = luck[v, u]
                    value = share * z + (1.0 - share) * beside
            if limits[0] <= value <= limits[1]:
                out[v, u] = value
    return out
