"""The k nearest occupied voxels, exactly: shells of blocks around the point, until none outside can be nearer."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import DEAD, KEY, ROWS, SOLID, Arrays
from embodied_mem.octree.bits import ONE, Word, lowest_bit
from embodied_mem.octree.find import check_everything, find
from embodied_mem.octree.morton import gather, interleave

_HALF = 1048576
_LAST_BLOCK = (1 << 19) - 1


@njit(cache=True, nogil=True)
def nearest(
    a: Arrays, points: NDArray[np.float64], resolution: float, k: int, farthest: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Squared distances (n, k) from points to centres of occupied voxels, ascending, and axis keys (n, k, 3).

    Only those not farther than `farthest`; where there are fewer than k, distances are inf. Ties go to the smaller key.
    """
    far = np.full((len(points), k), np.inf)
    keys = np.full((len(points), k, 3), -1, np.int64)
    for i in range(len(points)):
        if np.isfinite(points[i]).all():
            _nearest_of(a, points[i], resolution, farthest * farthest, far[i], keys[i])
    return far, keys


@njit(cache=True, nogil=True)
def _nearest_of(
    a: Arrays,
    point: NDArray[np.float64],
    resolution: float,
    limit: float,
    far: NDArray[np.float64],
    keys: NDArray[np.int64],
) -> None:
    size = 4 * resolution
    block = np.empty(3, np.int64)
    for axis in range(3):
        at = np.floor(point[axis] / size) + (_HALF >> 2)
        block[axis] = np.int64(min(max(at, -1.0), _LAST_BLOCK + 1.0))
    total = len(a.rows) if len(a.firsts) else a.counts[ROWS]
    asked, shell = 0, 0
    while True:
        # A shell that asks for more blocks than there are is dearer than looking at all of them.
        width = 2 * shell + 1
        asked += 6 * width * width - 12 * width + 8 if shell else 1
        if asked > total:
            far[:] = np.inf
            keys[:] = -1
            _try_all(a, point, resolution, limit, far, keys)
            return
        for dz in range(-shell, shell + 1):
            for dy in range(-shell, shell + 1):
                edge = abs(dz) == shell or abs(dy) == shell
                step = 1 if edge else max(2 * shell, 1)
                for dx in range(-shell, shell + 1, step):
                    _try_block(a, block[0] + dx, block[1] + dy, block[2] + dz, point, resolution, limit, far, keys)
        # The next shell begins at least this far from the point.
        reach = np.inf
        for axis in range(3):
            begin = (block[axis] - (_HALF >> 2)) * size
            reach = min(reach, point[axis] - begin, begin + size - point[axis])
        reach = max(reach, 0.0) + shell * size
        if reach * reach * (1 - 1e-9) > min(far[-1], limit):
            return
        shell += 1


@njit(cache=True, nogil=True)
def _try_block(
    a: Arrays,
    bx: int,
    by: int,
    bz: int,
    point: NDArray[np.float64],
    resolution: float,
    limit: float,
    far: NDArray[np.float64],
    keys: NDArray[np.int64],
) -> None:
    if min(bx, min(by, bz)) < 0 or max(bx, max(by, bz)) > _LAST_BLOCK:
        return
    size = 4 * resolution
    near = 0.0
    for b, p in ((bx, point[0]), (by, point[1]), (bz, point[2])):
        begin = (b - (_HALF >> 2)) * size
        outside = max(begin - p, p - begin - size, 0.0)
        near += outside * outside
    # A little less than it is, since it is rounded otherwise than the distances of voxels are.
    if near * (1 - 1e-9) > min(far[-1], limit):
        return
    row = find(a, interleave(bx, by, bz))
    if row >= 0:
        _try_voxels(a.rows[row, SOLID], bx, by, bz, point, resolution, limit, far, keys)


@njit(cache=True, nogil=True)
def _try_all(
    a: Arrays,
    point: NDArray[np.float64],
    resolution: float,
    limit: float,
    far: NDArray[np.float64],
    keys: NDArray[np.int64],
) -> None:
    if not check_everything(a):
        return
    size = 4 * resolution
    for row in range(len(a.rows) if len(a.firsts) else a.counts[ROWS]):
        key = a.rows[row, KEY]
        if key == DEAD or a.rows[row, SOLID] == np.uint64(0):
            continue
        bx, by, bz = gather(key), gather(key >> ONE), gather(key >> np.uint64(2))
        near = 0.0
        for b, p in ((bx, point[0]), (by, point[1]), (bz, point[2])):
            begin = (b - (_HALF >> 2)) * size
            outside = max(begin - p, p - begin - size, 0.0)
            near += outside * outside
        if near * (1 - 1e-9) <= min(far[-1], limit):
            _try_voxels(a.rows[row, SOLID], bx, by, bz, point, resolution, limit, far, keys)


@njit(cache=True, nogil=True)
def _try_voxels(
    solid: Word,
    bx: int,
    by: int,
    bz: int,
    point: NDArray[np.float64],
    resolution: float,
    limit: float,
    far: NDArray[np.float64],
    keys: NDArray[np.int64],
) -> None:
    k = len(far)
    while solid:
        bit = lowest_bit(solid)
        solid &= solid - ONE
        x, y, z = (bx << 2) + (bit & 3), (by << 2) + ((bit >> 2) & 3), (bz << 2) + (bit >> 4)
        dx = (x - _HALF + 0.5) * resolution - point[0]
        dy = (y - _HALF + 0.5) * resolution - point[1]
        dz = (z - _HALF + 0.5) * resolution - point[2]
        distance = dx * dx + dy * dy + dz * dz
        if distance > limit or not _before(distance, x, y, z, far[k - 1], keys[k - 1]):
            continue
        at = k - 1
        while at and _before(distance, x, y, z, far[at - 1], keys[at - 1]):
            far[at] = far[at - 1]
            keys[at] = keys[at - 1]
            at -= 1
        far[at] = distance
        keys[at, 0], keys[at, 1], keys[at, 2] = x, y, z


@njit(cache=True, nogil=True, inline="always")
def _before(distance: float, x: int, y: int, z: int, other: float, key: NDArray[np.int64]) -> bool:
    if distance != other:
        return distance < other
    if z != key[2]:
        return z < key[2]
    if y != key[1]:
        return y < key[1]
    return x < key[0]
