"""Numbers that a caller gave, as arrays and tuples of the shape that is needed; or why they are not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError


def rows_of(values: ArrayLike, shape: tuple[int, ...], what: str, dtype: type[np.generic]) -> NDArray[Any]:
    """(n, *shape) numbers of a trajectory. Raises BadInputError where they are something else."""
    try:
        rows = np.asarray(values, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInputError(f"The trajectory's {what} are not numbers ({error}).") from error
    rows = rows.reshape(0, *shape) if not rows.size else rows
    if rows.ndim != 1 + len(shape) or rows.shape[1:] != shape:
        width = " of 7 numbers: x, y, z, qx, qy, qz, qw" if shape else " of nanoseconds"
        raise BadInputError(f"The trajectory's {what} must be rows{width}; their shape is {rows.shape}.")
    return rows


def floats(values: ArrayLike, count: int, what: str, shape: tuple[int, ...] = ()) -> tuple[float, ...]:
    """`count` numbers, also given in `shape`. Raises BadInputError where they are something else."""
    try:
        row = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"The {what} must be {count} numbers ({error}).") from error
    if shape and row.shape == shape:
        row = row.ravel()
    if row.shape != (count,):
        raise BadInputError(f"The {what} must be {count} numbers, not of the shape {row.shape}.")
    return tuple(row.tolist())
