"""Codes whose errors make up for each other on the inputs that a matrix really gets.

Rounding column by column, and spreading each column's error over those still to come, as the inverse of the inputs'
second moments says: GPTQ (Frantar et al., ICLR 2023). Before, the columns may be scaled by the size of their inputs
(AWQ, Lin et al., MLSys 2024): `columns` of the tensor carries the factors, and the inputs are multiplied with them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.quantize.tensor import (
    QuantizedTensor,
    Scheme,
    Weights,
    assemble,
    checked_matrix,
    encode_blocks,
    fitted_scales,
    quantize,
)

_DAMPING = 0.01  # of the mean second moment, added to each, so that the inverse exists
_BLOCK = 128
_POWERS = tuple(np.linspace(0.0, 0.9, 7))
_FAINTEST = 1e-4  # of the largest input: what is fainter counts as that


def compensated(
    weights: Weights,
    moments: NDArray[np.float64],
    scheme: Scheme,
    *,
    columns: NDArray[np.float16] | None = None,
    damping: float = _DAMPING,
) -> QuantizedTensor:
    """Quantise a matrix (n, k) for inputs with second moments (k, k), the sum of x xᵀ.

    Raises BadInputError for weights or moments that are not finite or do not fit.
    """
    scaled = checked_matrix(weights).astype(np.float64)
    checked_moments(moments, scaled.shape[1])
    if columns is not None:
        wide = columns.astype(np.float64)
        scaled, moments = scaled / wide, moments * np.outer(wide, wide)
    order = np.argsort(-np.diag(moments), kind="stable") if scheme.group == 0 else np.arange(len(moments))
    codes, scales, zeros = _column_by_column(scaled, moments, scheme, order, damping)
    return assemble(scheme, codes, scales, None if zeros is None else scheme.lowbit.encode(zeros), columns)


def activation_columns(weights: Weights, moments: NDArray[np.float64], scheme: Scheme) -> NDArray[np.float16] | None:
    """Factors of the inputs (k,): their root mean squares to the power that loses least; None where none helps."""
    size = np.sqrt(np.maximum(np.diag(moments), 0.0))
    size = np.maximum(size, max(float(size.max()) * _FAINTEST, 1e-30))
    best, least = None, np.inf
    for power in _POWERS:
        columns = _balanced(size**-power) if power else None
        made = with_columns(weights, scheme, columns, np.diag(moments))
        lost = output_error(made.dequantize() - weights, moments)
        if lost < least:
            best, least = columns, lost
    return best


def smoothing_columns(weights: Weights, peaks: NDArray[np.floating]) -> NDArray[np.float16]:
    """Factors of the inputs (k,) that share peaks evenly with the weights (SmoothQuant, Xiao et al., ICML 2023)."""
    size = np.maximum(peaks.astype(np.float64), max(float(peaks.max()) * _FAINTEST, 1e-30))
    strength = np.abs(weights).max(axis=0).astype(np.float64)
    strength = np.maximum(strength, max(float(strength.max()) * _FAINTEST, 1e-30))
    return _balanced(np.sqrt(strength / size))


def with_columns(
    weights: Weights, scheme: Scheme, columns: NDArray[np.float16] | None, importance: NDArray[np.float64]
) -> QuantizedTensor:
    """Round to nearest what is left of a matrix (n, k) without its columns' factors."""
    if columns is None:
        return quantize(weights, scheme, search=True, importance=importance)
    wide = columns.astype(np.float32)
    made = quantize(weights / wide, scheme, search=True, importance=importance * wide.astype(np.float64) ** 2)
    return replace(made, columns=columns)


def output_error(errors: NDArray[np.floating], moments: NDArray[np.float64]) -> float:
    """Sum of squares of errors (n, k) times inputs with these second moments."""
    wide = errors.astype(np.float64)
    return float(np.einsum("nk,nk->", wide @ moments, wide))


def checked_moments(moments: NDArray[np.float64], inputs: int) -> None:
    """Raises BadInputError."""
    if moments.shape != (inputs, inputs) or not np.isfinite(moments).all():
        raise BadInputError(
            f"The inputs' second moments must be finite and {inputs} × {inputs}; they are of shape {moments.shape}: "
            "calibrate again, on texts that the source model can embed."
        )


def _column_by_column(
    weights: NDArray[np.float64],
    moments: NDArray[np.float64],
    scheme: Scheme,
    order: NDArray[np.intp],
    damping: float,
) -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.float32] | None]:
    """Codes (n, k), scales (n, groups), zero points (n, groups).

    The scales of a group are fitted when its first column comes, to what the columns before have made of its weights.
    """
    rows, inputs = weights.shape
    factor = _inverse_factor(moments[np.ix_(order, order)], damping)
    left = weights[:, order].copy()
    importance = np.diag(moments)[order]
    width = scheme.width(inputs)
    codes = np.empty((rows, inputs), dtype=np.uint8)
    scales = np.empty((rows, scheme.groups(inputs)), dtype=np.float16)
    zeros = np.zeros((rows, scheme.groups(inputs)), dtype=np.float32)
    block = scheme.group if 0 < scheme.group <= 2 * _BLOCK else _BLOCK
    for start in range(0, inputs, block):
        stop = min(start + block, inputs)
        errors = np.empty((rows, stop - start))
        for column in range(start, stop):
            group = column // width
            if column % width == 0:
                members = slice(column, column + width)
                fitted, offsets = _fit(left[:, members], scheme, importance[members])
                scales[:, group] = fitted
                if offsets is not None:
                    zeros[:, group] = offsets
            code, value = _round(left[:, column], scheme, scales[:, group], zeros[:, group])
            codes[:, column] = code
            missed = (left[:, column] - value) / factor[column, column]
            left[:, column + 1 : stop] -= np.outer(missed, factor[column, column + 1 : stop])
            errors[:, column - start] = missed
        left[:, stop:] -= errors @ factor[start:stop, stop:]
    codes[:, order] = codes.copy()
    return codes, scales, zeros if scheme.asymmetric else None


def _inverse_factor(moments: NDArray[np.float64], damping: float) -> NDArray[np.float64]:
    """Upper triangular U with UᵀU = inverse of the damped moments."""
    mean = float(np.diag(moments).mean())
    damped = moments + np.eye(len(moments)) * (damping * mean if mean > 0 else 1.0)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).T)


def _fit(
    weights: NDArray[np.float64], scheme: Scheme, importance: NDArray[np.float64]
) -> tuple[NDArray[np.float16], NDArray[np.float32] | None]:
    scales, zeros = fitted_scales(weights.astype(np.float32)[:, None], scheme, importance[None])
    return scales[:, 0], None if zeros is None else zeros[:, 0]


def _round(
    numbers: NDArray[np.float64], scheme: Scheme, scales: NDArray[np.float16], zeros: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Codes and values (n,) of one column."""
    offsets = zeros[:, None] if scheme.asymmetric else None
    code = encode_blocks(numbers.astype(np.float32)[:, None, None], scheme, scales[:, None], offsets)[:, 0, 0]
    return code, (scheme.lowbit.decode(code) - zeros).astype(np.float64) * scales.astype(np.float64)


def _balanced(factors: NDArray[np.float64]) -> NDArray[np.float16]:
    """Around one, so that fp16 holds all of them."""
    return np.asarray(factors / np.sqrt(factors.max() * factors.min()), dtype=np.float16)
