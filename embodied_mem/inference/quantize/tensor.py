"""A matrix in few bits: its codes, and a scale for each group of neighbours in a row.

    w[n, k] = (value(code[n, k]) - zero[n, k // group]) * scale[n, k // group] * column[k]

Rows are outputs, columns inputs: y = w @ x. Scales are fp16; a value has at most 8 significant bits and a scale 11, so
the product of the two is exact in float32, and every back-end that keeps to it computes with the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.quantize.packing import pack, packed_size, unpack
from embodied_mem.inference.quantize.types import LowBit, lowbit

Weights = NDArray[np.float32]
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a matrix is coded.

    type        see `lowbit`
    group       inputs that share a scale; 0 = the whole row
    asymmetric  integers: each group has a zero point, a value of the type itself, so that 0 is exact
    """

    type: str
    group: int = 128
    asymmetric: bool = False

    def __post_init__(self) -> None:
        """Raises BadInputError for an unknown type, a bad group, or a float with a zero point."""
        if lowbit(self.type).is_float and self.asymmetric:
            raise BadInputError(f"{self.type} has values on both sides of zero already: only integers are asymmetric.")
        if self.group < 0 or self.group % 8:
            raise BadInputError(f"A group is a multiple of 8 inputs, or 0 for the whole row, not {self.group}.")

    @property
    def lowbit(self) -> LowBit:
        return lowbit(self.type)

    def groups(self, inputs: int) -> int:
        return 1 if self.group == 0 else -(-inputs // self.group)

    def width(self, inputs: int) -> int:
        """Inputs of a whole group."""
        return self.group or inputs

    def nbytes(self, rows: int, inputs: int, *, columns: bool = False) -> int:
        """Bytes that a matrix takes in a file."""
        groups = rows * self.groups(inputs)
        zeros = packed_size(groups, self.lowbit.bits) if self.asymmetric else 0
        return packed_size(rows * inputs, self.lowbit.bits) + 2 * groups + zeros + (2 * inputs if columns else 0)


@dataclass(frozen=True, eq=False)
class QuantizedTensor:
    """A matrix (n, k). Its arrays are those of the file; `codes` and `dequantize` are what they mean.

    packed   bytes of the codes, row by row
    scales   (n, groups) float16
    zeros    (n, groups) codes of the zero points; None when symmetric
    columns  (k,) float16 factors of the inputs; None = 1
    """

    shape: tuple[int, int]
    scheme: Scheme
    packed: NDArray[np.uint8]
    scales: NDArray[np.float16]
    zeros: NDArray[np.uint8] | None = None
    columns: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        """Raises BadInputError when the parts do not belong together or hold NaN."""
        rows, inputs = self.shape
        grouped = (rows, self.scheme.groups(inputs))
        fits = (
            self.packed.size == packed_size(rows * inputs, self.scheme.lowbit.bits)
            and self.scales.shape == grouped
            and (self.zeros is not None) == self.scheme.asymmetric
            and (self.zeros is None or self.zeros.shape == grouped)
            and (self.columns is None or self.columns.shape == (inputs,))
        )
        if not fits:
            raise BadInputError(f"The parts of a {rows} × {inputs} matrix of {self.scheme} do not fit together.")
        for part in (self.scales, self.columns):
            if part is not None and not np.isfinite(part).all():
                raise BadInputError("A scale is NaN or infinite: quantise the model again from its source.")

    @property
    def nbytes(self) -> int:
        return self.scheme.nbytes(*self.shape, columns=self.columns is not None)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """(n, k)"""
        return unpack(self.packed, self.scheme.lowbit.bits, self.shape[0] * self.shape[1]).reshape(self.shape)

    def levels(self) -> NDArray[np.float32]:
        """(n, k) values of the codes less their zero points: exact, without scales."""
        values = self.scheme.lowbit.decode(self.codes)
        if self.zeros is not None:
            values = values - self._spread(self.scheme.lowbit.decode(self.zeros))
        return values

    def dequantize(self, *, columns: bool = True) -> Weights:
        """(n, k) float32. Without `columns`, the inputs must be multiplied with those."""
        weights = self.levels()
        weights *= self._spread(self.scales.astype(np.float32))
        if columns and self.columns is not None:
            weights *= self.columns.astype(np.float32)
        return weights

    def rows(self, chosen: NDArray[np.integer]) -> Weights:
        """(m, k) float32, some rows only: an embedding's look-up. Does not unpack the others."""
        inputs, bits = self.shape[1], self.scheme.lowbit.bits
        if inputs % 8 or self.zeros is not None or self.columns is not None:
            return self.dequantize()[chosen]
        lines = self.packed.reshape(self.shape[0], inputs * bits // 8)[chosen]
        codes = unpack(lines.reshape(-1), bits, len(chosen) * inputs).reshape(len(chosen), inputs)
        scales = np.repeat(self.scales[chosen].astype(np.float32), self.scheme.width(inputs), axis=1)[:, :inputs]
        return self.scheme.lowbit.decode(codes) * scales

    def _spread(self, grouped: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.repeat(grouped, self.scheme.width(self.shape[1]), axis=1)[:, : self.shape[1]]


def assemble(
    scheme: Scheme,
    codes: NDArray[np.uint8],
    scales: NDArray[np.float16],
    zeros: NDArray[np.uint8] | None = None,
    columns: NDArray[np.float16] | None = None,
) -> QuantizedTensor:
    """The tensor of these codes (n, k)."""
    rows, inputs = codes.shape
    return QuantizedTensor((rows, inputs), scheme, pack(codes, scheme.lowbit.bits), scales, zeros, columns)


def quantize(
    weights: Weights, scheme: Scheme, *, importance: NDArray[np.float64] | None = None, search: bool = False
) -> QuantizedTensor:
    """Round a matrix (n, k) to the nearest codes.

    search      try smaller ranges for each group, which clip its largest weights, and keep the one of least error
    importance  (k,) weights of the squared errors in that search: the inputs' mean squares
    Raises BadInputError for weights that are no finite matrix or too large for a scale.
    """
    checked = checked_matrix(weights)
    parts = [
        _quantize_rows(checked[start : start + _ROWS_AT_ONCE], scheme, importance, search)
        for start in range(0, len(checked), _ROWS_AT_ONCE)
    ]
    codes, scales = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    zeros = np.concatenate([part[2] for part in parts if part[2] is not None]) if scheme.asymmetric else None
    return assemble(scheme, codes, scales, zeros)


def checked_matrix(weights: Weights) -> Weights:
    """float32. Raises BadInputError."""
    if weights.ndim != 2 or not weights.size:
        raise BadInputError(f"A matrix is wanted, not an array of shape {weights.shape}.")
    if not np.isfinite(weights).all():
        bad = np.argwhere(~np.isfinite(weights))[0]
        raise BadInputError(
            f"The weight at row {bad[0]}, column {bad[1]} is {weights[tuple(bad)]}: the model is broken, take it from "
            "its source again."
        )
    return np.asarray(weights, dtype=np.float32)


def _quantize_rows(
    weights: Weights, scheme: Scheme, importance: NDArray[np.float64] | None, search: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.uint8] | None]:
    rows, inputs = weights.shape
    width, groups = scheme.width(inputs), scheme.groups(inputs)
    padded = np.zeros((rows, groups * width), dtype=np.float32)
    padded[:, :inputs] = weights
    blocks = padded.reshape(rows, groups, width)
    weighing = np.ones(groups * width)
    if importance is not None:
        weighing[:inputs] = importance
    scales, zeros = fitted_scales(blocks, scheme, weighing.reshape(groups, width) if search else None)
    codes = encode_blocks(blocks, scheme, scales, zeros)
    kept = np.ascontiguousarray(codes.reshape(rows, -1)[:, :inputs])
    return kept, scales, None if zeros is None else scheme.lowbit.encode(zeros)


def fitted_scales(
    blocks: Weights, scheme: Scheme, weighing: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float16], NDArray[np.float32] | None]:
    """Scales (n, groups) and zero points (values) for blocks (n, groups, width).

    weighing  (groups, width): search for the range of least weighted squared error; None = the whole range
    Raises BadInputError when a weight is too large for fp16 scales.
    """
    best = _scales_for(blocks, scheme, 1.0)
    if weighing is None:
        return best
    least = _error(blocks, scheme, best, weighing)
    for share in _SHARES:
        tried = _scales_for(blocks, scheme, share)
        error = _error(blocks, scheme, tried, weighing)
        better = error < least
        least = np.where(better, error, least)
        zeros = None if best[1] is None or tried[1] is None else np.where(better, tried[1], best[1])
        best = (np.where(better, tried[0], best[0]), zeros)
    return best


_SHARES = tuple(np.linspace(0.95, 0.5, 10))


def encode_blocks(
    blocks: Weights, scheme: Scheme, scales: NDArray[np.float16], zeros: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """Codes of blocks (n, groups, width)."""
    divisor = scales.astype(np.float32)[:, :, None]
    numbers = np.divide(blocks, divisor, out=np.zeros_like(blocks), where=divisor != 0)
    return scheme.lowbit.encode(numbers if zeros is None else numbers + zeros[:, :, None])


def _scales_for(
    blocks: Weights, scheme: Scheme, share: float
) -> tuple[NDArray[np.float16], NDArray[np.float32] | None]:
    """Scales so that a share of each block's range is within the type's."""
    low, high = blocks.min(axis=2).astype(np.float64) * share, blocks.max(axis=2).astype(np.float64) * share
    kind = scheme.lowbit
    if scheme.asymmetric:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        scales = _as_scales((high - low) / (kind.largest - kind.lowest))
        wide = scales.astype(np.float64)
        zeros = np.rint(kind.lowest - np.divide(low, wide, out=np.zeros_like(low), where=wide != 0))
        return scales, np.clip(zeros, kind.lowest, kind.largest).astype(np.float32)
    if kind.is_float:
        return _as_scales(np.maximum(-low, high) / kind.largest), None
    if not kind.signed:
        if low.min() < 0:
            raise BadInputError(f"{kind.name} has no negative values: make it asymmetric.")
        return _as_scales(high / kind.largest), None
    # Two's complement reaches one step further below zero: the larger side goes there, by a negative scale if need be.
    return _as_scales(np.where(high > -low, high, low) / kind.lowest), None


def _as_scales(scales: NDArray[np.float64]) -> NDArray[np.float16]:
    if scales.size and np.abs(scales).max() > np.finfo(np.float16).max:
        raise BadInputError(f"A scale of {np.abs(scales).max():.3g} does not fit into fp16: the weights are too large.")
    return scales.astype(np.float16)


def _error(
    blocks: Weights,
    scheme: Scheme,
    made: tuple[NDArray[np.float16], NDArray[np.float32] | None],
    weighing: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n, groups) weighted squared errors."""
    scales, zeros = made
    values = scheme.lowbit.decode(encode_blocks(blocks, scheme, scales, zeros))
    if zeros is not None:
        values = values - zeros[:, :, None]
    missed = (values * scales.astype(np.float32)[:, :, None] - blocks).astype(np.float64)
    return np.asarray(np.einsum("ngw,gw->ng", missed * missed, weighing))
