"""Numbers of one to eight bits: integers, and floats of e exponent and m mantissa bits with subnormals.

    lowbit("int4"), lowbit("uint3"), lowbit("fp6_e2m3")

A float is (-1)^s 2^(E - bias) (1 + M / 2^m), bias = 2^(e-1) - 1; where E = 0 it is (-1)^s 2^(1 - bias) M / 2^m. Every
code is a finite number, with two exceptions that hardware knows under these names: fp8_e4m3 keeps its last code of each
sign for NaN, fp8_e5m2 its last exponent for infinity and NaN (OCP 8-bit floating point specification, 2023).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError

_INTEGER = re.compile(r"(u?)int([1-8])")
_FLOAT = re.compile(r"fp([3-8])_e([1-7])m([0-6])")
_RESERVED = {"fp8_e4m3": 1, "fp8_e5m2": 4}  # codes of each sign, the largest, that are no finite number


@dataclass(frozen=True, slots=True, eq=False)
class LowBit:
    """A type of `bits` bits. A code is the number's bit pattern; integers with a sign are two's complement.

    exponent, mantissa  of a float; both 0 for an integer
    values              (2^bits,) float32 by code
    largest             the largest finite value
    """

    name: str
    bits: int
    signed: bool
    exponent: int
    mantissa: int
    values: NDArray[np.float32] = field(repr=False)
    largest: float
    _middles: NDArray[np.float64] = field(repr=False)  # between neighbouring magnitudes of a float

    @property
    def is_float(self) -> bool:
        return self.exponent > 0

    @property
    def lowest(self) -> float:
        """The lowest finite value."""
        return -self.largest if self.is_float else float(self.values.min())

    @property
    def step(self) -> float:
        """Every finite value is a multiple of it."""
        return float(2.0 ** (1 - _bias(self.exponent) - self.mantissa)) if self.is_float else 1.0

    def encode(self, numbers: ArrayLike) -> NDArray[np.uint8]:
        """The code of the nearest finite value; of two as near, the even code. What is beyond the range is its end.

        Raises BadInputError for NaN.
        """
        array = np.asarray(numbers, dtype=np.float64)
        if np.isnan(array).any():
            raise BadInputError(f"NaN has no code in {self.name}: the weights are broken, take them from their source.")
        if not self.is_float:
            whole = np.rint(np.clip(array, self.lowest, self.largest)).astype(np.int16)
            return (whole & (2**self.bits - 1)).astype(np.uint8)
        magnitude = np.abs(array)
        code = np.searchsorted(self._middles, magnitude)
        tied = self._middles[np.minimum(code, len(self._middles) - 1)] == magnitude
        code += tied & (code % 2 == 1)
        return (code | (np.signbit(array).astype(np.int64) << (self.bits - 1))).astype(np.uint8)

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32, exact."""
        return self.values[codes]


@lru_cache(maxsize=128)
def lowbit(name: str) -> LowBit:
    """The type of that name. Raises BadInputError for another than the module's docstring names."""
    integer, small = _INTEGER.fullmatch(name), _FLOAT.fullmatch(name)
    if integer is not None:
        return _integer(name, signed=not integer[1], bits=int(integer[2]))
    if small is not None and 1 + int(small[2]) + int(small[3]) == int(small[1]):
        return _small_float(name, int(small[1]), int(small[2]), int(small[3]))
    raise BadInputError(
        f"There is no type {name!r}: take int1 to int8, uint1 to uint8, or a float such as fp6_e2m3, of 3 to 8 bits "
        "that are one for the sign, at least one for the exponent, and the rest."
    )


def all_types() -> list[LowBit]:
    """Every type there is."""
    names = [f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 9)]
    names += [f"fp{bits}_e{e}m{bits - 1 - e}" for bits in range(3, 9) for e in range(1, bits)]
    return [lowbit(name) for name in names]


def _bias(exponent: int) -> int:
    return int(2 ** (exponent - 1) - 1)


def _integer(name: str, *, signed: bool, bits: int) -> LowBit:
    values = np.arange(2**bits, dtype=np.int64)
    if signed:
        values[2 ** (bits - 1) :] -= 2**bits
    numbers = values.astype(np.float32)
    return LowBit(name, bits, signed, 0, 0, _frozen(numbers), float(numbers.max()), np.empty(0))


def _small_float(name: str, bits: int, exponent: int, mantissa: int) -> LowBit:
    codes = np.arange(2 ** (bits - 1))
    power, fraction = codes >> mantissa, (codes & (2**mantissa - 1)) / 2.0**mantissa
    scale = 2.0 ** (np.maximum(power, 1) - _bias(exponent))
    magnitudes = np.where(power == 0, fraction, 1 + fraction) * scale
    finite = len(codes) - _RESERVED.get(name, 0)
    largest, middles = magnitudes[finite - 1], (magnitudes[1:finite] + magnitudes[: finite - 1]) / 2
    magnitudes[finite:] = np.nan
    if name == "fp8_e5m2":
        magnitudes[finite] = np.inf
    values = np.concatenate([magnitudes, -magnitudes]).astype(np.float32)
    return LowBit(name, bits, True, exponent, mantissa, _frozen(values), float(largest), middles)


def _frozen(values: NDArray[np.float32]) -> NDArray[np.float32]:
    values.flags.writeable = False
    return values
