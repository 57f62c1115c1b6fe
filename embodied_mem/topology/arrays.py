"""Small things about arrays that the topology package shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def column(values: ArrayLike, n: int, what: str, dtype: type[np.generic]) -> NDArray[Any]:
    """(n,) numbers; a single number stands for n alike. Raises BadInputError for anything else."""
    try:
        given = np.asarray(values)
        row = given.astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInputError(f"The {what} are not numbers ({error}).") from error
    if np.issubdtype(dtype, np.integer) and not np.array_equal(row, given):
        raise BadInputError(f"The {what} must be whole numbers.")
    if row.shape not in ((), (n,)):
        raise BadInputError(f"The {what} must be {n} numbers; their shape is {row.shape}.")
    return np.broadcast_to(row, (n,))


def points(values: ArrayLike, what: str) -> FloatArray:
    """(n, 3) finite metres; (n, 2) lie in the plane z = 0. Raises BadInputError for anything else."""
    try:
        rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"The {what} are not numbers ({error}).") from error
    if rows.size == 0:
        return np.zeros((0, 3))
    if rows.ndim != 2 or rows.shape[1] not in (2, 3):
        raise BadInputError(f"The {what} must be rows of x, y, z in metres; their shape is {rows.shape}.")
    if not np.isfinite(rows).all():
        raise BadInputError(f"The {what} hold NaN or infinity.")
    return rows if rows.shape[1] == 3 else np.column_stack([rows, np.zeros(len(rows))])


def grouped(ordered: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct values of an ascending array, and where each of them begins."""
    if not len(ordered):
        return ordered, np.zeros(0, dtype=np.intp)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[starts], starts


def normalised(rows: NDArray[Any]) -> NDArray[np.float32]:
    """(n, d) rows of unit length; a zero row stays zero."""
    length = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0), dtype=np.float32)


def wrapped(angle: ArrayLike) -> FloatArray:
    """Angles in (-pi, pi]."""
    return np.asarray(np.pi - np.mod(np.pi - np.asarray(angle, dtype=np.float64), 2 * np.pi))
