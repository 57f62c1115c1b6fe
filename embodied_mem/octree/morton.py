"""Voxel keys: 21 bits an axis, by floor in double precision, interleaved in Morton (Z) order.

A voxel's key on an axis is floor(x / resolution) + 2^20, so a map reaches 2^20 voxels to either side of its origin:
104 km at 0.1 m. Voxels stand in blocks of 4 x 4 x 4; a block has the Morton code of its own key (19 bits an axis), and
within it a voxel has the bit x + 4 y + 16 z. G. M. Morton, "A computer oriented geodetic data base", 1966.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

AXIS_BITS = 21
HALF = 1 << (AXIS_BITS - 1)  # the key of the voxel that begins at 0
BLOCK_SHIFT = 2
BLOCK = 1 << BLOCK_SHIFT  # voxels along a block's edge


@njit(cache=True, nogil=True, inline="always")
def axis_key(coordinate: float, scale: float) -> Any:
    """The key of a coordinate (metres; scale = 1 / resolution), -1 when it is outside of what keys reach or NaN."""
    cell = math.floor(coordinate * scale)
    if cell >= -1048576.0 and cell < 1048576.0:
        return np.int64(cell) + 1048576
    return -1


@njit(cache=True, nogil=True, inline="always")
def spread(axis: int) -> Any:
    """Put two zero bits between the 21 bits of an axis key."""
    x = np.uint64(axis)
    x = (x | (x << np.uint64(32))) & np.uint64(0x1F00000000FFFF)
    x = (x | (x << np.uint64(16))) & np.uint64(0x1F0000FF0000FF)
    x = (x | (x << np.uint64(8))) & np.uint64(0x100F00F00F00F00F)
    x = (x | (x << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (x | (x << np.uint64(2))) & np.uint64(0x1249249249249249)


@njit(cache=True, nogil=True, inline="always")
def gather(code: int) -> Any:
    """Every third bit of a Morton code, from bit 0: the inverse of `spread`."""
    x = np.uint64(code) & np.uint64(0x1249249249249249)
    x = (x | (x >> np.uint64(2))) & np.uint64(0x10C30C30C30C30C3)
    x = (x | (x >> np.uint64(4))) & np.uint64(0x100F00F00F00F00F)
    x = (x | (x >> np.uint64(8))) & np.uint64(0x1F0000FF0000FF)
    x = (x | (x >> np.uint64(16))) & np.uint64(0x1F00000000FFFF)
    return np.int64((x | (x >> np.uint64(32))) & np.uint64(0x1FFFFF))


@njit(cache=True, nogil=True, inline="always")
def interleave(x: int, y: int, z: int) -> Any:
    """The Morton code of three axis keys; x has the lowest bit."""
    return spread(x) | (spread(y) << np.uint64(1)) | (spread(z) << np.uint64(2))


@njit(cache=True, nogil=True)
def _encode(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    out = np.empty(len(keys), np.uint64)
    for i in range(len(keys)):
        out[i] = interleave(keys[i, 0], keys[i, 1], keys[i, 2])
    return out


@njit(cache=True, nogil=True)
def _decode(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    out = np.empty((len(codes), 3), np.int64)
    for i in range(len(codes)):
        out[i, 0] = gather(codes[i])
        out[i, 1] = gather(codes[i] >> np.uint64(1))
        out[i, 2] = gather(codes[i] >> np.uint64(2))
    return out


def encode(keys: NDArray[Any]) -> NDArray[np.uint64]:
    """(n, 3) axis keys, each in 0 .. 2^21 - 1, -> (n,) Morton codes of 63 bits."""
    return _encode(np.ascontiguousarray(keys, np.int64).reshape(-1, 3))


def decode(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(n,) Morton codes -> (n, 3) axis keys."""
    return _decode(np.ascontiguousarray(codes, np.uint64))


def keys_of(points: NDArray[Any], resolution: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n, 3) points in metres -> (n, 3) axis keys, and which of them (n,) have one; keys of the others mean nothing."""
    cells = np.floor(np.asarray(points, np.float64).reshape(-1, 3) * (1.0 / resolution))
    inside = np.all((cells >= -HALF) & (cells < HALF), axis=1)
    return np.where(inside[:, None], cells, 0).astype(np.int64) + HALF, inside


def centers_of(keys: NDArray[Any], resolution: float, level: int = 0) -> NDArray[np.float64]:
    """(n, 3) axis keys of `level` (shifted right by it) -> (n, 3) centres of these voxels, metres."""
    size = 1 << level
    return ((np.asarray(keys, np.int64) * size - HALF).astype(np.float64) + size / 2) * resolution
