"""Ranking by 8-bit codes first is ranking by double precision: whatever the vectors, ties and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.records.vectors import VectorStore


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from((0, 1, 511, 513, 3000)),
    width=st.sampled_from((1, 3, 26, 384)),
    k=st.sampled_from((1, 10, 600)),
    spread=st.sampled_from((0.0, 1e-4, 1e-2, 1.0)),
    length=st.sampled_from((1.0, 0.01, 30.0)),
)
def test_the_best_are_those_of_double_precision(
    seed: int, count: int, width: int, k: int, spread: float, length: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=width) + spread * rng.normal(size=(count, width))  # down to all alike
    rows = (length * rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    direction = rng.normal(size=width) if rng.random() < 0.5 or not count else rows[0].astype(np.float64)
    query = (direction / np.linalg.norm(direction)).astype(np.float32)
    store = VectorStore(width)
    for start in range(0, count, 700):
        assert store.extend(rows[start : start + 700]) == start
    slots = rng.permutation(count)[: max(count - 7, 0)].astype(np.int32)
    chosen, scores = store.rank(slots, query, k)
    truth = rows[slots].astype(np.float64) @ query.astype(np.float64)
    best = np.sort(truth)[::-1][:k]
    assert np.allclose(scores, best, rtol=0, atol=1e-12 * length)
    assert np.allclose(truth[chosen], scores, rtol=0, atol=1e-12 * length)
    assert len(set(chosen.tolist())) == len(chosen) == min(k, len(slots))


def test_of_vectors_that_are_alike_the_later_comes_first() -> None:
    store = VectorStore(8)
    row = np.full((1, 8), 8**-0.5, dtype=np.float32)
    store.extend(np.repeat(row, 2000, axis=0))
    chosen, scores = store.rank(np.arange(2000, dtype=np.int32), row[0], 5)
    assert chosen.tolist() == [1999, 1998, 1997, 1996, 1995] and len(set(scores.tolist())) == 1


@pytest.mark.parametrize("width", [8192, 20_000])
def test_wide_vectors_do_not_overflow(width: int) -> None:
    rows = np.full((600, width), width**-0.5, dtype=np.float32)
    rows[7] *= -1
    store = VectorStore(width)
    store.extend(rows)
    chosen, scores = store.rank(np.arange(600, dtype=np.int32), rows[0], 599)
    assert 7 not in chosen and np.allclose(scores, 1, atol=1e-5)


def test_a_copy_is_given_not_the_store() -> None:
    store = VectorStore(2)
    store.extend(np.array([[1, 0]], dtype=np.float32))
    store[0][:] = 9
    assert store[0].tolist() == [1, 0] and len(store) == 1
