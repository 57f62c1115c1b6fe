from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.inference.quantize.artefact import Artefact, load, save
from embodied_mem.inference.quantize.budget import Cost, allocate
from embodied_mem.inference.quantize.compensate import activation_columns, compensated, output_error
from embodied_mem.inference.quantize.tensor import Scheme, quantize

SCHEMES = [
    Scheme("int8"), Scheme("int4", 32), Scheme("uint4", 32, True), Scheme("int3", 0), Scheme("uint2", 64, True),
    Scheme("fp6_e2m3"), Scheme("fp4_e2m1", 16), Scheme("int1", 8), Scheme("uint1", 8, True), Scheme("int5", 96),
]  # fmt: skip


def _weights(rows=24, inputs=200, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, inputs)).astype(np.float32) * 0.05


def _moments(inputs=200, seed=2):
    """Of inputs that depend on each other and differ in size."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(600, 40)) @ rng.normal(size=(40, inputs)) + 0.3 * rng.normal(size=(600, inputs))
    mixed *= np.exp(rng.normal(size=inputs))
    return mixed.T @ mixed


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_each_weight_is_within_half_a_step_of_its_value_or_clipped(scheme):
    weights = _weights()
    made = quantize(weights, scheme)
    width = scheme.width(200)
    scale = np.abs(np.repeat(made.scales.astype(np.float64), width, axis=1)[:, :200])
    values = np.sort(scheme.lowbit.values[np.isfinite(scheme.lowbit.values)].astype(np.float64))
    widest = np.diff(values).max(initial=0)
    missed = np.abs(made.dequantize() - weights)
    # fp16 rounds a scale by 2^-11; two's complement clips at most one step of its shorter side.
    allowed = scale * widest * (1.01 if not scheme.lowbit.is_float else 0.51) + 2**-10 * np.abs(weights)
    assert (missed <= allowed).all()
    assert made.nbytes == sum(part.nbytes for part in (made.packed, made.scales) if part is not None) + (
        0 if made.zeros is None else -(-made.zeros.size // 8) * scheme.lowbit.bits
    )


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_values_times_scales_are_exact_in_float32(scheme):
    made = quantize(_weights(), scheme)
    width = scheme.width(200)
    scale = np.repeat(made.scales.astype(np.float64), width, axis=1)[:, :200]
    np.testing.assert_array_equal(made.dequantize().astype(np.float64), made.levels().astype(np.float64) * scale)


def test_some_rows_are_those_of_the_whole():
    for scheme in (Scheme("int8", 0), Scheme("fp6_e2m3", 40), Scheme("uint4", 40, True)):
        made = quantize(_weights(), scheme)
        chosen = np.array([3, 0, 3, 23])
        np.testing.assert_array_equal(made.rows(chosen), made.dequantize()[chosen])


def test_a_searched_range_loses_less_and_compensation_still_less():
    weights, moments = _weights(), _moments()
    for scheme in (Scheme("int4", 64), Scheme("uint3", 64, True), Scheme("fp4_e2m1", 64), Scheme("int3", 0)):
        plain = output_error(quantize(weights, scheme).dequantize() - weights, moments)
        searched = quantize(weights, scheme, search=True, importance=np.diag(moments))
        clipped = output_error(searched.dequantize() - weights, moments)
        made = compensated(weights, moments, scheme)
        assert output_error(made.dequantize() - weights, moments) < 0.6 * min(plain, clipped)


def test_columns_help_where_inputs_differ_in_size_and_are_part_of_the_weights():
    weights = _weights()
    moments = np.diag(np.exp(3 * np.random.default_rng(5).normal(size=200)))
    columns = activation_columns(weights, moments, Scheme("int3", 0))
    assert columns is not None
    made = compensated(weights, moments, Scheme("int3", 0), columns=columns)
    plain = compensated(weights, moments, Scheme("int3", 0))
    assert output_error(made.dequantize() - weights, moments) < output_error(plain.dequantize() - weights, moments)
    np.testing.assert_allclose(
        made.dequantize(columns=False) * columns.astype(np.float32), made.dequantize(), rtol=1e-6
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_broken_weights_and_moments_are_refused_with_their_place(bad):
    weights = _weights()
    weights[2, 7] = bad
    with pytest.raises(BadInputError, match="row 2, column 7"):
        quantize(weights, Scheme("int4"))
    with pytest.raises(BadInputError, match="calibrate again"):
        compensated(_weights(), np.full((200, 200), bad), Scheme("int4"))


def test_schemes_that_make_no_sense_are_refused():
    with pytest.raises(BadInputError, match="only integers"):
        Scheme("fp4_e2m1", 32, True)
    with pytest.raises(BadInputError, match="multiple of 8"):
        Scheme("int4", 20)
    with pytest.raises(BadInputError, match="asymmetric"):
        quantize(_weights(), Scheme("uint4"))
    with pytest.raises(BadInputError, match="too large"):
        quantize(_weights() * 1e9, Scheme("int4"))


@pytest.fixture
def artefact() -> Artefact:
    tensors = {"a": quantize(_weights(), Scheme("uint3", 64, True)), "b": quantize(_weights(), Scheme("fp6_e2m3"))}
    bias = np.arange(5, dtype=np.float32)
    return Artefact("toy/uint3", "toy", "00ff", tensors, {"bias": bias}, {"heads": 2}, {"cosine_min": 0.5})


def test_a_file_gives_back_what_was_saved_and_others_can_read_it(artefact, tmp_path):
    file = tmp_path / "toy.safetensors"
    assert save(artefact, file) == file.stat().st_size
    back = load(file)
    assert (back.name, back.source, back.source_sha256, back.settings, back.report) == (
        "toy/uint3", "toy", "00ff", {"heads": 2}, {"cosine_min": 0.5},
    )  # fmt: skip
    for name, tensor in artefact.tensors.items():
        np.testing.assert_array_equal(back.tensors[name].dequantize(), tensor.dequantize())
    np.testing.assert_array_equal(back.arrays["bias"], artefact.arrays["bias"])
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    np.testing.assert_array_equal(safetensors.load_file(file)["b.codes"], artefact.tensors["b"].packed)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.safetensors"]


def test_a_file_that_is_cut_at_any_place_or_changed_in_any_byte_is_refused(artefact, tmp_path):
    file = tmp_path / "toy.safetensors"
    save(artefact, file)
    content = file.read_bytes()
    for length in [*range(0, 12), *range(12, len(content), 97), len(content) - 1]:
        file.write_bytes(content[:length])
        with pytest.raises(StorageError, match="quantize"):
            load(file)
    for place in range(0, len(content), 61):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(StorageError, match=r"quantize|quantise"):
            load(file)
    with pytest.raises(StorageError, match="cannot be read"):
        load(tmp_path / "nothing")


def test_nan_is_never_saved(artefact, tmp_path):
    broken = replace(artefact, arrays={"bias": np.array([np.nan], dtype=np.float32)})
    with pytest.raises(BadInputError, match="bias"):
        save(broken, tmp_path / "toy.safetensors")
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadInputError, match="NaN"):
        tensor = artefact.tensors["a"]
        replace(tensor, scales=np.full_like(tensor.scales, np.nan))


def test_a_budget_is_kept_and_spent_well():
    rng = np.random.default_rng(7)
    schemes = [Scheme(f"int{bits}") for bits in (2, 3, 4, 6, 8)]
    for _ in range(30):
        table = {
            name: [
                Cost(scheme, size * scheme.lowbit.bits, float(loss))
                for scheme, loss in zip(schemes, np.sort(rng.random(5))[::-1], strict=True)
            ]
            for name, size in zip("abcd", rng.integers(10, 40, 4).tolist(), strict=True)
        }
        budget = int(rng.integers(sum(costs[0].nbytes for costs in table.values()), 900))
        chosen = allocate(table, budget)
        assert sum(cost.nbytes for cost in chosen.values()) <= budget
        loss = sum(cost.loss for cost in chosen.values())
        every = np.array(np.meshgrid(*[range(5)] * 4)).reshape(4, -1).T
        losses = np.array([sum(costs[at].loss for costs, at in zip(table.values(), row, strict=True)) for row in every])
        sizes = np.array(
            [sum(costs[at].nbytes for costs, at in zip(table.values(), row, strict=True)) for row in every]
        )
        # Greedy on the hull is at most one step short of the best choice.
        step = max(a.loss - b.loss for costs in table.values() for a, b in pairwise(costs))
        assert loss <= losses[sizes <= budget].min() + step + 1e-9
    with pytest.raises(BadInputError, match="allow more"):
        allocate(table, 1)
