from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.inference.kernels.linear import LowBitLinear, OnnxLinear, Reference
from embodied_mem.inference.kernels.onnx_nodes import can_nbits, fields
from embodied_mem.inference.quantize.tensor import Scheme, quantize
from embodied_mem.inference.quantize.types import all_types

needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")), reason="ONNX Runtime is not installed"
)


def _tensor(scheme, rows=40, inputs=128):
    weights = np.random.default_rng(1).normal(size=(rows, inputs)).astype(np.float32)
    return quantize(weights if scheme.lowbit.signed or scheme.asymmetric else np.abs(weights), scheme)


def _inputs(rows, inputs=128):
    return np.random.default_rng(2).normal(size=(rows, inputs)).astype(np.float32)


@needs_onnx
@pytest.mark.parametrize("kind", [kind.name for kind in all_types() if kind.exponent < 5])
def test_weight_only_products_are_the_reference_for_every_type(kind):
    tensor = _tensor(Scheme(kind, 32))
    x = _inputs(5)
    exact = x.astype(np.float64) @ tensor.dequantize().T.astype(np.float64)
    for backend in (Reference(tensor), OnnxLinear(tensor, "float")):
        assert np.abs(backend(x) - exact).max() <= 1e-6 * np.abs(exact).max()


@needs_onnx
@pytest.mark.parametrize(
    "scheme", [Scheme("fp6_e2m3", 32), Scheme("int4", 64), Scheme("uint3", 32, True), Scheme("int8", 128)], ids=str
)
def test_products_that_code_their_inputs_hold_their_bound(scheme):
    tensor = _tensor(scheme)
    for rows in (1, 3, 40):
        x = _inputs(rows)
        x[0, 3] = 30  # a peak must not drown the other rows
        reference = Reference(tensor)(x)
        size = np.sqrt(np.square(x).sum(axis=1, keepdims=True) * np.square(tensor.dequantize()).sum(axis=1))
        peak = np.abs(x).max(axis=1, keepdims=True) / np.sqrt(np.square(x).mean(axis=1, keepdims=True))
        for kind in ("nbits", "int8"):
            assert (np.abs(OnnxLinear(tensor, kind)(x) - reference) <= 0.01 * peak * size / np.sqrt(128) * 4).all()


@needs_onnx
def test_columns_are_part_of_every_product():
    from dataclasses import replace

    columns = np.exp(np.random.default_rng(3).normal(size=128)).astype(np.float16)
    tensor = replace(_tensor(Scheme("int8", 128)), columns=columns)
    x = _inputs(4)
    reference = x.astype(np.float64) @ tensor.dequantize().T.astype(np.float64)
    for kind, bound in (("float", 1e-5), ("nbits", 0.03), ("int8", 0.03)):
        assert np.abs(OnnxLinear(tensor, kind)(x) - reference).max() <= bound * np.abs(reference).max()


def test_fields_hold_the_very_levels_or_say_that_they_cannot():
    for scheme in (Scheme("fp6_e2m3", 32), Scheme("int5", 32), Scheme("uint4", 32, True), Scheme("fp4_e2m1", 32)):
        tensor = _tensor(scheme)
        levels, step, bits = fields(tensor)
        np.testing.assert_array_equal(levels * np.float32(step), tensor.levels())
        assert np.abs(levels + 0.5).max() < 2 ** (bits - 1)
    assert not can_nbits(_tensor(Scheme("fp8_e5m2", 32))) and not can_nbits(_tensor(Scheme("int4", 24)))
    with pytest.raises(BadInputError, match="run it as 'float'"):
        fields(_tensor(Scheme("fp8_e5m2", 32)))


def test_the_fastest_is_taken_for_each_number_of_rows():
    tensor = _tensor(Scheme("int4", 32))
    reference, now = Reference(tensor), [0.0]

    def taking(seconds):
        def run(x):
            now[0] += seconds(len(x))
            return reference(x)

        return run

    linear = LowBitLinear(tensor, {"few": taking(lambda rows: rows * 1.0), "many": taking(lambda rows: 12.0)})
    assert linear.backend_for(1000) == "few"  # before it was measured
    linear.measure(clock=lambda: now[0])
    assert [linear.backend_for(rows) for rows in (1, 8, 9, 16, 1024, 5000)] == ["few"] * 2 + ["many"] * 4
    np.testing.assert_array_equal(linear(_inputs(3)), reference(_inputs(3)))
    with pytest.raises(BadInputError, match="128"):
        linear(_inputs(3)[:, :100])
    with pytest.raises(BadInputError, match="back-end"):
        LowBitLinear(tensor, {})
