"""Order and number in time against every way that things may have been, one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.episodes.order import Sightings, came_first, how_often, last_at

chances = st.lists(st.floats(0, 1), min_size=1, max_size=4)


def seen(shows, before=None, missing=0, stays=None) -> Sightings:
    n = len(shows)
    return Sightings(
        np.array(shows), np.zeros(n, dtype=np.int64) if before is None else np.array(before), missing,
        np.arange(n) if stays is None else np.array(stays),
    )  # fmt: skip


def worlds(shows):
    """Every way the sightings may have been, with its probability."""
    for world in product([0, 1], repeat=len(shows)):
        yield world, float(np.prod([p if there else 1 - p for p, there in zip(shows, world, strict=True)]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4))
def test_what_came_first_is_the_sum_over_all_worlds(pairs):
    one, other = zip(*pairs, strict=True)
    ahead = behind = both = 0.0
    for (a, p), (b, q) in product(list(worlds(one)), list(worlds(other))):
        if any(a) and any(b):
            ahead += p * q * (a.index(1) < b.index(1))
            behind += p * q * (a.index(1) > b.index(1))
            both += p * q * (a.index(1) == b.index(1))
    np.testing.assert_allclose(came_first(seen(one), seen(other)), (ahead, behind, both), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(chances, st.integers(0, 10**6))
def test_how_often_is_the_likeliest_number_of_stays(shows, seed):
    stays = np.random.default_rng(seed).integers(3, size=len(shows))
    stays = np.unique(stays, return_inverse=True)[1]
    total = np.zeros(len(shows) + 1)
    for world, p in worlds(shows):
        total[len({int(stay) for stay, there in zip(stays, world, strict=True) if there})] += p
    count, sure = how_often(seen(shows, stays=stays))
    assert total[count] == pytest.approx(total.max(), abs=1e-4) and sure == pytest.approx(total[count], abs=1e-4)


def test_the_last_sighting_is_as_sure_as_none_came_after():
    at, sure = last_at(seen([0.9, 0.9, 0.1, 0.2]))
    assert at == 1 and sure == pytest.approx(0.9 * 0.9 * 0.8)
    assert last_at(seen([0.1, 0.3])) == (-1, 0.0)


def test_what_was_forgotten_lowers_every_probability():
    whole, gaps = seen([1.0, 0, 1, 0]), seen([1.0, 0, 1, 0], before=[5, 5, 5, 5], missing=20, stays=[0, 1, 4, 9])
    late, late_gaps = seen([0.0, 1, 0, 0]), seen([0.0, 1, 0, 0], before=[5, 5, 5, 5], missing=20)
    assert came_first(whole, late)[0] == 1 and 0.5 < came_first(gaps, late_gaps)[0] < 0.9
    assert how_often(whole) == (2, 1.0) and how_often(gaps)[1] < 0.5
    assert last_at(whole) == (2, 1.0) and last_at(gaps)[1] < 0.01


def test_what_was_never_seen_came_neither_first_nor_last():
    assert came_first(seen([0.0, 0.0]), seen([1.0, 0.0])) == (0.0, 0.0, 0.0)
    assert how_often(seen([0.0, 0.0])) == (0, 1.0)
