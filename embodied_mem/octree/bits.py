"""Sets of 64 voxels as bits of one word: a block's voxel (x, y, z) is bit x + 4 y + 16 z."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

Word = Any  # of kernels: a numpy.uint64, which mypy does not let mix with the integers that numba makes of it
Number = Any  # of kernels: an int64
ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@intrinsic
def popcount(typing_context: Any, word: Any) -> Any:
    """How many bits of a uint64 are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """The number of the lowest set bit of a uint64, 64 when there is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


@intrinsic
def highest_bit(typing_context: Any, word: Any) -> Any:
    """The number of the highest set bit of a uint64 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], context.get_constant(types.boolean, False))
        return builder.sub(context.get_constant(types.int64, 63), zeros)

    return types.int64(types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def bit_of(x: Number, y: Number, z: Number) -> Number:
    """The bit of the voxel with these axis keys within its block."""
    return (x & 3) | ((y & 3) << 2) | ((z & 3) << 4)


@njit(cache=True, nogil=True, inline="always")
def has(word: Word, bit: Number) -> bool:
    return (np.uint64(word) >> np.uint64(bit)) & ONE != np.uint64(0)


@njit(cache=True, nogil=True, inline="always")
def rank(word: Word, bit: Number) -> Number:
    """How many of the bits below `bit` are set: the place of its voxel in the block's packed run."""
    return popcount(np.uint64(word) & ((ONE << np.uint64(bit)) - ONE))
