"""The moments of a budget: rows, places and sums are those of what is kept, however it came and went."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.episodes.allocator import FEATURES, STRATEGIES
from embodied_mem.episodes.coding import WIDTH
from embodied_mem.episodes.memory import BYTES, EpisodicMemory
from embodied_mem.errors import BadInputError, NotFoundError


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 80), st.integers(1, 30), st.lists(st.integers(1, 80), max_size=6))
def test_what_is_read_is_what_is_kept(seed, n, capacity, cuts):
    rng = np.random.default_rng(seed)
    memory = EpisodicMemory(capacity, rng.normal(size=len(FEATURES)))
    tokens, places = rng.normal(size=(n, WIDTH)).astype(np.float32), rng.integers(5, size=n)
    stays, visits = np.arange(n), np.ones(n, dtype=np.int64)
    for part in np.split(np.arange(n), sorted({cut for cut in cuts if cut < n})):
        memory.extend(tokens[part], places[part], stays[part], visits[part], np.zeros(len(part)))
        assert len(memory) == len(memory.tokens) <= capacity
    kept = memory.steps
    assert len(kept) == min(n, capacity)
    order = np.argsort(memory.steps_of(np.arange(len(kept))))
    np.testing.assert_array_equal(memory.steps_of(order), kept)
    np.testing.assert_array_equal(memory.tokens[order], tokens[kept])
    numbers, means = memory.chunks
    assert numbers.tolist() == np.unique(places[kept]).tolist()
    for number, mean in zip(numbers.tolist(), means, strict=True):
        members = memory.steps_of(memory.members(number))
        assert sorted(members.tolist()) == kept[places[kept] == number].tolist()
        np.testing.assert_allclose(mean, tokens[members].mean(axis=0), atol=1e-5)


def test_nan_is_refused_and_nothing_is_changed():
    memory = EpisodicMemory(4, STRATEGIES["fifo"])
    one = np.zeros(1, dtype=np.int64)
    bad = np.full((1, WIDTH), np.nan, dtype=np.float32)
    with pytest.raises(BadInputError, match="NaN"):
        memory.extend(bad, one, one, one, np.zeros(1))
    assert len(memory) == 0 and memory.allocator.came == 0
    with pytest.raises(NotFoundError, match="no place 0"):
        memory.members(0)


def test_a_budget_is_a_number_of_moments():
    assert EpisodicMemory.of_budget(1.0) == 1_000_000 // BYTES
    for bad in (0.0, -1.0, 1e-5, float("nan")):
        with pytest.raises(BadInputError, match="holds no moment"):
            EpisodicMemory.of_budget(bad)
