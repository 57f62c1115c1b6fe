"""Products with weights in few bits as nodes of ONNX Runtime.

float   float32 weights, dequantised once: the reference's numbers, at the speed and memory of float32
nbits   MatMulNBits: the very codes in fields of 4 or 8 bits, the inputs coded in 8 bits for each row and group
int8    DynamicQuantizeMatMul: weights in 8 bits with a scale for each output (rounded once more, unless that is what
        they are), inputs in 8 bits. That node has one scale for a whole batch, in which a token with a peak drowns the
        others; so each row is divided by its own peak before, and multiplied with it after.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.onnx_graph import FUSED, OnnxGraph
from embodied_mem.inference.quantize.tensor import QuantizedTensor

KINDS = ("float", "nbits", "int8")
_ACCURACY_INT8 = 4  # MatMulNBits' `accuracy_level`: inputs in 8 bits
_WIDTHS = (4, 8)  # that MatMulNBits knows and executes fast
_SMALLEST_GROUP = 16
_FAINTEST = 1e-20  # peak of a row of zeros


def add_linear(graph: OnnxGraph, name: str, tensor: QuantizedTensor, hidden: str, kind: str) -> str:
    """Append y = x @ wᵀ for x (..., k); returns y's name. Raises BadInputError for a kind that cannot execute it."""
    if tensor.columns is not None and kind != "float":
        factors = graph.put(f"{name}_columns", tensor.columns.astype(np.float32))
        hidden = graph.node("Mul", [hidden, factors])
    if kind == "float":
        return graph.node("MatMul", [hidden, graph.put(name, tensor.dequantize().T)])
    if kind == "nbits":
        return _nbits(graph, name, tensor, hidden)
    if kind == "int8":
        return _int8(graph, name, tensor, hidden)
    raise BadInputError(f"There is no kind of product {kind!r}: choose one of {', '.join(KINDS)}.")


def fields(tensor: QuantizedTensor) -> tuple[NDArray[np.int64], float, int]:
    """The levels as whole numbers (n, k), what one of them is worth, and the bits of a field that holds them.

    Raises BadInputError when they are more than 8 bits apart, as those of floats with many exponents are.
    """
    step = tensor.scheme.lowbit.step
    levels = tensor.levels() / np.float32(step)
    reach = max(float(levels.max()), -float(levels.min()) - 1)
    bits = next((width for width in _WIDTHS if reach < 2 ** (width - 1)), None)
    if bits is None:
        raise BadInputError(
            f"{tensor.scheme.type} spans {reach:.0f} steps and does not fit into 8-bit fields: run it as 'float'."
        )
    return levels.astype(np.int64), step, bits


def can_nbits(tensor: QuantizedTensor) -> bool:
    """Whether `nbits` can execute it: its levels fit into 8 bits, its groups are powers of two."""
    width = tensor.scheme.width(tensor.shape[1])
    try:
        fields(tensor)
    except BadInputError:
        return False
    return width >= _SMALLEST_GROUP and width & (width - 1) == 0 and tensor.shape[1] % width == 0


def _nbits(graph: OnnxGraph, name: str, tensor: QuantizedTensor, hidden: str) -> str:
    rows, inputs = tensor.shape
    width = tensor.scheme.width(inputs)
    if not can_nbits(tensor):
        raise BadInputError(f"MatMulNBits does not know groups of {width} or {tensor.scheme.type}: take another kind.")
    levels, step, bits = fields(tensor)
    unsigned = (levels + 2 ** (bits - 1)).astype(np.uint8).reshape(rows, inputs // width, width)
    if bits == 4:
        unsigned = unsigned[..., 0::2] | (unsigned[..., 1::2] << 4)
    scales = (tensor.scales.astype(np.float32) * np.float32(step)).reshape(rows, inputs // width)
    parts = [graph.put(f"{name}_codes", unsigned), graph.put(f"{name}_scales", scales)]
    return graph.node(
        "MatMulNBits", [hidden, *parts], domain=FUSED,
        K=inputs, N=rows, bits=bits, block_size=width, accuracy_level=_ACCURACY_INT8,
    )  # fmt: skip


def _int8(graph: OnnxGraph, name: str, tensor: QuantizedTensor, hidden: str) -> str:
    weights = tensor.dequantize(columns=False)
    scales = np.maximum(np.abs(weights).max(axis=1) / np.float32(127), np.float32(1e-30))
    codes = np.rint(weights / scales[:, None]).astype(np.int8).T
    parts = [graph.put(f"{name}_codes", codes), graph.put(f"{name}_scales", scales)]
    floor = graph.constant(f"{name}_floor", np.array(_FAINTEST, dtype=np.float32))
    peaks = graph.node("Max", [graph.node("ReduceMax", [graph.node("Abs", [hidden])], axes=[-1], keepdims=1), floor])
    product = graph.node("DynamicQuantizeMatMul", [graph.node("Div", [hidden, peaks]), *parts], domain=FUSED)
    return graph.node("Mul", [product, peaks])
