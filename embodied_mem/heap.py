"""A binary heap in two arrays, for compiled searches: keys, and the item of each. Callers skip stale entries."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def push(keys: NDArray[Any], items: NDArray[Any], size: int, key: float, item: int) -> int:
    """Put an item on the heap of `size`, for which there must be room; returns the new size."""
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if keys[above] <= key:
            break
        keys[at], items[at] = keys[above], items[above]
        at = above
    keys[at], items[at] = key, item
    return size + 1


@njit(cache=True, nogil=True)
def pop(keys: NDArray[Any], items: NDArray[Any], size: int) -> int:
    """Take the smallest, which stands first, off the heap of `size`; returns the new size."""
    size -= 1
    key, item, at = keys[size], items[size], 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        keys[at], items[at] = keys[below], items[below]
        at = below
    keys[at], items[at] = key, item
    return size
