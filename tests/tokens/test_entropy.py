"""Numbers to bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.tokens import entropy
from embodied_mem.tokens.entropy import MOST_BYTES, SCALES, WIDEST


def _packed(numbers: np.ndarray, scales: np.ndarray, low_bits: int) -> bytes:
    out = np.zeros(len(numbers) * MOST_BYTES + 3, np.uint8)
    return out[entropy.encode(numbers, scales, low_bits, entropy.tables().starts, out) :].tobytes()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1 - WIDEST, WIDEST - 1), st.integers(0, SCALES - 1)), min_size=1, max_size=40),
    st.integers(0, 5),
    st.integers(0, 20),
)
def test_any_numbers_come_back(rows: list[tuple[int, int]], low_bits: int, shift: int) -> None:
    numbers = np.array([value >> shift for value, _ in rows], dtype=np.int64)
    scales = np.array([scale for _, scale in rows], dtype=np.uint8)
    data = np.frombuffer(b"ab" + _packed(numbers, scales, low_bits) + b"cd", dtype=np.uint8)
    found, tables = np.zeros(len(rows), np.int64), entropy.tables()
    end = entropy.decode(data[:-2], 2, scales, low_bits, tables.starts, tables.symbols, found)
    assert found.tolist() == numbers.tolist()
    assert end == len(data) - 2


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_come_back(value: int) -> None:
    out = np.zeros(12, np.uint8)
    end = entropy.put_varint(value, out, 1)
    assert entropy.get_varint(out, 1) == (value, end)
    assert (end == 2) == (-64 <= value < 64)


@pytest.mark.parametrize(("sigma", "low_bits"), [(0.8, 0), (4.0, 0), (100.0, 4)])
def test_bytes_are_near_the_entropy(sigma: float, low_bits: int) -> None:
    numbers = np.rint(np.random.default_rng(0).normal(0, sigma, (100, 128))).astype(np.int64)
    scales = entropy.best_scales(numbers, low_bits)
    size = float(np.mean([len(_packed(row, scales, low_bits)) for row in numbers]))
    bits = np.log2(sigma * np.sqrt(2 * np.pi * np.e))  # of a normal distribution on a grid of 1
    assert size < 1.05 * 128 * bits / 8 + 4


def test_tables_give_every_symbol_a_place() -> None:
    starts = entropy.tables().starts.astype(int)
    assert (np.diff(starts, axis=1) > 0).all()
    assert (starts[:, -1] == 4096).all()
    assert entropy.tables().symbols[7, starts[7, 30]] == 30
