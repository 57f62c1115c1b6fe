"""A small made-up encoder in few bits: every kind of product, calibration, the file."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.inference.bert import LINEARS, BertLayer, BertWeights
from embodied_mem.inference.bert_numpy import NumpyEncoder
from embodied_mem.inference.bert_quantized import from_artefact, names
from embodied_mem.inference.calibrate import NEAREST, Recipe, quantize_bert
from embodied_mem.inference.quantize.artefact import Artefact, load, save
from embodied_mem.inference.quantize.tensor import Scheme
from embodied_mem.inference.sensitivity import sensitivity

WIDTH, INNER, WORDS = 64, 128, 300
HEADS = 4

needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")), reason="ONNX Runtime is not installed"
)


@pytest.fixture(scope="module")
def source() -> BertWeights:
    rng = np.random.default_rng(1)

    def made(*shape):
        return (rng.normal(size=shape) * (0.08 if len(shape) > 1 else 0.1)).astype(np.float32)

    def layer():
        sizes = {
            "qkv": (WIDTH, 3 * WIDTH),
            "attended": (WIDTH, WIDTH),
            "inner": (WIDTH, INNER),
            "outer": (INNER, WIDTH),
        }
        parts = {name: made(*shape) for name, shape in sizes.items()}
        parts |= {f"{name}_bias": made(shape[1]) for name, shape in sizes.items()}
        for name in ("attended", "outer"):
            parts |= {f"{name}_scale": 1 + made(WIDTH), f"{name}_shift": made(WIDTH)}
        return BertLayer(**parts)

    return BertWeights(
        HEADS, made(WORDS, WIDTH) * 10, made(32, WIDTH), 1 + made(WIDTH), made(WIDTH), (layer(), layer())
    )


def _batches(seed, count=6):
    rng = np.random.default_rng(seed)
    made = []
    for length in rng.integers(3, 20, count):
        ids = rng.integers(0, WORDS, (8, length)).astype(np.int32)
        mask = np.ones_like(ids)
        mask[3, length - 2 :] = 0
        made.append((ids, mask))
    return made


def _vectors(encode, batches):
    sums = np.concatenate([encode(ids, mask) for ids, mask in batches]).astype(np.float64)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def _cosine(encode, source, batches):
    return np.einsum("nd,nd->n", _vectors(encode, batches), _vectors(NumpyEncoder(source), batches))


def _all(source, scheme):
    return dict.fromkeys(names(source), scheme)


@needs_onnx
@pytest.mark.parametrize("scheme", [Scheme("fp6_e2m3", 32), Scheme("int4", 32), Scheme("uint3", 64, True)], ids=str)
def test_every_kind_of_product_holds_its_bound_to_the_reference(source, scheme):
    from embodied_mem.inference.bert_lowbit import LowBitOnnxEncoder
    from embodied_mem.inference.bert_onnx import OnnxEncoder

    model = quantize_bert(source, Scheme("int8", 0), _all(source, scheme), recipe=NEAREST)
    batches = _batches(2)
    reference = _vectors(NumpyEncoder(model.dequantized()), batches)
    for encode, bound in (
        (OnnxEncoder(model.dequantized()), 1e-6),
        (LowBitOnnxEncoder(model, "float"), 1e-6),
        (LowBitOnnxEncoder(model, "nbits"), 2e-2),  # inputs in 8 bits
        (LowBitOnnxEncoder(model, "int8"), 2e-2),  # and weights in 8 bits once more
    ):
        np.testing.assert_allclose(_vectors(encode, batches), reference, atol=bound)


@needs_onnx
def test_floats_with_many_exponents_run_in_float_and_a_batch_changes_nothing(source):
    from embodied_mem.inference.bert_lowbit import LowBitOnnxEncoder

    model = quantize_bert(source, Scheme("int8", 0), _all(source, Scheme("fp8_e5m2", 32)), recipe=NEAREST)
    encode = LowBitOnnxEncoder(model, "nbits")
    assert set(encode.kinds.values()) == {"float"}
    quick = LowBitOnnxEncoder(model, "int8")
    ids, mask = _batches(4)[0]
    alone = np.concatenate([quick(ids[row : row + 1], mask[row : row + 1]) for row in range(len(ids))])
    np.testing.assert_allclose(quick(ids, mask), alone, rtol=0.1, atol=0.1 * np.abs(alone).mean())
    with pytest.raises(BadInputError, match="float, nbits, int8"):
        LowBitOnnxEncoder(model, "int5")


def test_calibration_brings_few_bits_nearer_to_the_source_on_texts_not_calibrated_on(source):
    scheme = _all(source, Scheme("int3", 64))
    near = quantize_bert(source, Scheme("int8", 0), scheme, recipe=NEAREST)
    made = quantize_bert(source, Scheme("int8", 0), scheme, _batches(5, 40))
    columns = quantize_bert(source, Scheme("int8", 0), scheme, _batches(5, 40), Recipe(columns="error"))
    held_out = _batches(6)
    lost = [1 - _cosine(NumpyEncoder(model.dequantized()), source, held_out).mean() for model in (near, made, columns)]
    assert lost[1] < 0.6 * lost[0] and lost[2] < 0.6 * lost[0]


def test_the_reference_takes_any_back_end_for_a_product(source):
    calls = []

    def watched(x):
        calls.append(x.shape[-1])
        return x @ source.layers[1].inner

    batches = _batches(7, 1)
    plain, other = NumpyEncoder(source), NumpyEncoder(source, {(1, "inner"): watched})
    np.testing.assert_array_equal(plain(*batches[0]), other(*batches[0]))
    assert calls == [WIDTH]


def test_what_is_missing_for_quantising_is_said(source):
    with pytest.raises(BadInputError, match="Layer 0, attended"):
        quantize_bert(source, Scheme("int8", 0), {(0, "qkv"): Scheme("int4")}, recipe=NEAREST)
    with pytest.raises(BadInputError, match="needs texts"):
        quantize_bert(source, Scheme("int8", 0), _all(source, Scheme("int4")))


def test_a_model_comes_back_from_its_file(source, tmp_path):
    model = quantize_bert(source, Scheme("int8", 0), _all(source, Scheme("fp6_e2m3", 32)), _batches(5, 4))
    tensors, arrays = model.parts()
    settings = {"heads": HEADS, "layers": 2}
    save(Artefact("toy/fp6", "toy", "", tensors, arrays, settings), tmp_path / "toy.safetensors")
    back = from_artefact(load(tmp_path / "toy.safetensors"))
    ids, mask = _batches(8, 1)[0]
    np.testing.assert_array_equal(
        NumpyEncoder(back.dequantized())(ids, mask), NumpyEncoder(model.dequantized())(ids, mask)
    )
    with pytest.raises(StorageError, match="heads"):
        from_artefact(Artefact("toy/fp6", "toy", "", tensors, arrays, {}))


def test_more_bits_lose_less_in_every_matrix(source):
    table = sensitivity(source, [Scheme("int2", 64), Scheme("int4", 64), Scheme("int8", 64)], _batches(9, 2))
    assert set(table) == {(number, part) for number in range(2) for part in LINEARS}
    for costs in table.values():
        assert costs[0].loss > costs[1].loss > costs[2].loss >= 0
        assert costs[0].nbytes < costs[1].nbytes < costs[2].nbytes
