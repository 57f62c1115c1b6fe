"""What one frame shows of the places of things: the ground on which "not detected" becomes evidence."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.objects.frames import Frame

FloatArray = NDArray[np.float64]
UNSEEN, HIDDEN, FILLED, OPEN = 0, 1, 2, 3
_SPREAD = 0.3  # share of a thing's size at which it is sampled, to each side of its middle
_COVERED = 2  # of the seven samples, so many may be hidden
_BORDER = 0.07  # share of the field of view at its border where detectors see only parts of things


def look(frame: Frame, centers: FloatArray, extents: FloatArray, reach: FloatArray) -> NDArray[np.int8]:
    """(p,) what the frame shows of the places of things.

    UNSEEN: out of the field of view or of reach, or the frame has no depth that could tell. HIDDEN: something stands
    before much of it. FILLED: something is there, perhaps the thing, undetected. OPEN: the sensor looked through.

    centers, extents (p, 3) metres in the frame's map; reach (p,): metres within which each thing is recognised
    """
    if not frame.depth.size or not len(centers):
        return np.zeros(len(centers), dtype=np.int8)
    half_h = frame.fov_h * (0.5 - _BORDER * (frame.fov_h < 6.2))  # a full turn has no border
    half_v = frame.fov_v * (0.5 - _BORDER)
    return _look(
        frame.position, frame.rotation, frame.fov_h, frame.fov_v, half_h, half_v, frame.near, frame.far, frame.depth,
        centers, extents, reach,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _look(
    origin: FloatArray, rotation: FloatArray, fov_h: float, fov_v: float, half_h: float, half_v: float, near: float,
    far: float, depth: NDArray[np.uint16], centers: FloatArray, extents: FloatArray, reach: FloatArray,
) -> NDArray[np.int8]:  # fmt: skip
    rows, cols = depth.shape
    out = np.zeros(len(centers), dtype=np.int8)
    for i in range(len(centers)):
        dx, dy, dz = centers[i, 0] - origin[0], centers[i, 1] - origin[1], centers[i, 2] - origin[2]
        square = dx * dx + dy * dy + dz * dz
        limit = min(reach[i], far)
        if square > limit * limit or square < near * near:
            continue
        wide, deep = extents[i, 0], extents[i, 1]
        front = min(max(0.1 + min(wide, deep) / 2, 0.1), 0.35)  # a return this much nearer is the thing's own
        back = 0.03 + max(wide, deep) / 5  # and one this much farther lies behind it
        covered, filled = 0, False
        for sample in range(7):
            x, y, z = dx, dy, dz
            if sample:
                axis, side = (sample - 1) // 2, 1.0 - 2.0 * ((sample - 1) % 2)
                step = side * _SPREAD * extents[i, axis]
                if axis == 0:
                    x += step
                elif axis == 1:
                    y += step
                else:
                    z += step
            ahead = rotation[0, 0] * x + rotation[1, 0] * y + rotation[2, 0] * z
            left = rotation[0, 1] * x + rotation[1, 1] * y + rotation[2, 1] * z
            up = rotation[0, 2] * x + rotation[1, 2] * y + rotation[2, 2] * z
            azimuth = np.arctan2(left, ahead)
            elevation = np.arctan2(up, np.sqrt(ahead * ahead + left * left))
            if sample == 0 and (abs(azimuth) > half_h or abs(elevation) > half_v):
                covered = -1
                break
            col = min(max(int(np.floor((0.5 - azimuth / fov_h) * cols)), 0), cols - 1)
            row = min(max(int(np.floor((0.5 - elevation / fov_v) * rows)), 0), rows - 1)
            nearest = depth[row, col] * 1e-3
            distance = np.sqrt(x * x + y * y + z * z)
            if nearest == 0 or nearest < distance - front:
                covered += 1
            elif nearest <= distance + back:
                filled = True
        if covered < 0:
            continue
        out[i] = HIDDEN if covered > _COVERED else FILLED if filled else OPEN
    return out
