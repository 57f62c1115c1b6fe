"""What callers of an octree give, as arrays of the shape and kind that kernels want; or why it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError


def as_points(points: ArrayLike, dtype: type[np.float64] | None = None) -> NDArray[Any]:
    """(n, 3) contiguous and writable, float32 or float64: for other kinds of arrays kernels would be compiled again."""
    try:
        array = np.asarray(points, dtype)
        array = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError("Points must be (n, 3) coordinates in metres: these are no numbers.") from error
    if array.shape == (0,):
        array = array.reshape(0, 3)
    if array.ndim != 2 or array.shape[1] != 3:
        raise BadInputError(f"Points must be (n, 3) coordinates in metres, not of shape {array.shape}.")
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable and array.flags.aligned else array.copy()


def finite(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Finite numbers of this shape. Raises BadInputError."""
    array = np.asarray(values, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise BadInputError(f"The {name} must be {shape} finite numbers, not {np.asarray(values).tolist()}.")
    return array
