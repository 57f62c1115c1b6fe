"""How a point cloud is stored: quantised to a grid, delta-coded along the sorted order, compressed.

Layout: "EMC1", resolution (float64), number of points (uint32), then zlib of the columns of
int32 differences. Points are quantised to `resolution` metres; duplicates on the grid are stored once.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, StorageError

_MAGIC = b"EMC1"
_HEAD = struct.Struct("<4sdI")
MAX_POINTS = 5_000_000
MAX_EXTENT = 10_000.0  # metres; a cloud is in its sensor's frame


def encode_cloud(points: NDArray[np.float32], resolution: float = 0.01) -> bytes:
    """(n, 3) metres -> bytes. Encoding what was decoded gives the same points. Raises BadInputError."""
    cloud = np.asarray(points, dtype=np.float64)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise BadInputError(f"A cloud must have the shape (n, 3), not {cloud.shape}.")
    if len(cloud) > MAX_POINTS:
        raise BadInputError(
            f"A cloud of {len(cloud):,} points is over the limit of {MAX_POINTS:,}: voxel-filter it first."
        )
    if len(cloud) and not (np.abs(cloud) <= MAX_EXTENT).all():
        raise BadInputError(
            "A cloud holds NaN, infinity or a point over 10 km from its sensor: drop such points first."
        )
    cells = _distinct(np.round(cloud / resolution).astype(np.int32))
    steps = np.diff(cells, axis=0, prepend=np.zeros((1, 3), dtype=np.int32))
    packed = zlib.compress(np.ascontiguousarray(steps.T, dtype="<i4").tobytes(), 1)
    return _HEAD.pack(_MAGIC, resolution, len(cells)) + packed


def _distinct(cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """Distinct rows (n, 3), sorted: by one number a row where the extents allow, which takes a third of the time."""
    if not len(cells):
        return cells
    low = cells.min(axis=0).astype(np.int64)
    span = cells.max(axis=0) - low + 1
    if float(span[0]) * float(span[1]) * float(span[2]) >= 2**62:
        return np.unique(cells, axis=0)
    x, y, z = (cells.astype(np.int64) - low).T
    keys = np.unique((x * span[1] + y) * span[2] + z)
    rest, z = np.divmod(keys, span[2])
    x, y = np.divmod(rest, span[1])
    return (np.column_stack([x, y, z]) + low).astype(np.int32)


def decode_cloud(data: bytes) -> NDArray[np.float32]:
    """Bytes -> (n, 3) float32 metres. Raises StorageError when they are not an encoded cloud."""
    try:
        magic, resolution, count = _HEAD.unpack_from(data)
        if magic != _MAGIC or count > MAX_POINTS:
            raise ValueError("no cloud header")
        steps = np.frombuffer(zlib.decompress(data[_HEAD.size :]), dtype="<i4").reshape(3, count)
    except (struct.error, zlib.error, ValueError) as error:
        raise StorageError(f"These {len(data)} bytes are not an encoded cloud ({error}).") from error
    return np.ascontiguousarray((np.cumsum(steps, axis=1).T * resolution).astype(np.float32))
