from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from embodied_mem.errors import BadInputError
from embodied_mem.inference.quantize.packing import pack, packed_size, unpack
from embodied_mem.inference.quantize.types import all_types, lowbit

TYPES = all_types()


def _nearest(numbers, kind):
    """By brute force: of the finite values the nearest, of two as near the one with the even code."""
    codes = np.flatnonzero(np.isfinite(kind.values))
    values = kind.values[codes].astype(np.float64)
    if kind.is_float:  # zero has two codes: the sign decides
        keep = (values != 0) | (codes == 0)
        codes, values = codes[keep], values[keep]
    distance = np.abs(numbers[:, None] - values)
    least = distance == distance.min(axis=1, keepdims=True)
    odd_last = np.where(least, codes % 2, 2)
    return values[np.argmin(odd_last, axis=1)]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_every_code_comes_back_and_what_lies_between_goes_to_the_nearest(kind):
    finite = np.isfinite(kind.values)
    codes = kind.encode(kind.values[finite])
    np.testing.assert_array_equal(codes, np.flatnonzero(finite))
    values = np.unique(kind.values[finite]).astype(np.float64)
    middles = (values[1:] + values[:-1]) / 2
    near = np.concatenate([values, middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)])
    near = np.concatenate([near, [values[0] * 3 - 1, values[-1] * 3 + 1]])
    np.testing.assert_array_equal(kind.decode(kind.encode(near)).astype(np.float64), _nearest(near, kind))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("fp8_e4m3", "float8_e4m3fn"), ("fp8_e5m2", "float8_e5m2"), ("fp6_e2m3", "float6_e2m3fn"),
        ("fp6_e3m2", "float6_e3m2fn"), ("fp4_e2m1", "float4_e2m1fn"),
    ],
)  # fmt: skip
def test_the_types_that_others_know_are_the_same_bits(name, other):
    known = getattr(pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed"), other)
    kind = lowbit(name)
    codes = np.arange(2**kind.bits, dtype=np.uint8)
    np.testing.assert_array_equal(kind.values, codes.view(known).astype(np.float32))
    numbers = np.random.default_rng(3).normal(size=4000) * kind.largest / 3
    numbers = np.clip(np.concatenate([numbers, numbers * 1e-3]), kind.lowest, kind.largest).astype(np.float32)
    np.testing.assert_array_equal(kind.encode(numbers), numbers.astype(known).view(np.uint8))


@pytest.mark.parametrize("name", ["int9", "int0", "fp6_e2m2", "fp2_e1m0", "fp9_e4m4", "bf16", "", "uint"])
def test_another_type_is_refused_with_what_there_is(name):
    with pytest.raises(BadInputError, match="int1 to int8"):
        lowbit(name)


@pytest.mark.parametrize("name", ["int4", "fp6_e2m3"])
def test_nan_has_no_code(name):
    with pytest.raises(BadInputError, match="NaN"):
        lowbit(name).encode([0.5, np.nan])


@given(st.integers(1, 8), arrays.arrays(np.uint8, st.integers(0, 70)))
def test_unpacking_undoes_packing_without_a_bit_to_spare(bits, codes):
    codes &= np.uint8(2**bits - 1)
    data = pack(codes, bits)
    assert data.size == packed_size(len(codes), bits)
    np.testing.assert_array_equal(unpack(data, bits, len(codes)), codes)


def test_the_lowest_bits_come_first():
    assert pack(np.array([1, 2, 3, 0, 0, 0, 0, 0], dtype=np.uint8), 3).tolist() == [0b11010001, 0, 0]


def test_what_cannot_be_packed_or_unpacked_is_refused():
    with pytest.raises(BadInputError, match="does not fit"):
        pack(np.array([8], dtype=np.uint8), 3)
    with pytest.raises(BadInputError, match="broken"):
        unpack(np.zeros(4, dtype=np.uint8), 3, 8)
    with pytest.raises(BadInputError, match="1 to 8 bits"):
        pack(np.zeros(1, dtype=np.uint8), 9)
