"""Tokens: like with like in blocks of their own, and nothing that is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.episodes.coding import BLOCKS, CODE, WIDTH, Moments, layer_norm, place_code, time_code, visit_code
from embodied_mem.errors import BadInputError


def moments(n: int = 3) -> Moments:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(n, 2))
    origins = np.full((n, 2), np.nan)
    return Moments(layer_norm(rng.normal(size=(n, CODE))), np.arange(n), cells, origins, np.arange(n), np.arange(n))


def test_blocks_fill_the_width_and_do_not_overlap():
    covered = np.zeros(WIDTH, dtype=int)
    for block in BLOCKS.values():
        covered[block] += 1
    assert (covered == 1).all()


def test_what_a_variant_does_not_know_stays_zero():
    tokens = moments().tokens(("code", "time"))
    assert np.abs(tokens[:, BLOCKS["code"]]).min(axis=1).max() > 0
    assert not tokens[:, BLOCKS["place"]].any() and not tokens[:, BLOCKS["visit"]].any()


def test_what_is_not_named_is_zero_and_named_blocks_have_unit_length():
    tokens = moments().tokens()
    assert not tokens[:, BLOCKS["origin"]].any()  # there was no place before
    assert not tokens[0, BLOCKS["visit"]].any()  # visit 0: none is named
    for name in ("code", "time", "place"):
        np.testing.assert_allclose(np.linalg.norm(tokens[:, BLOCKS[name]], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("code", [time_code, visit_code])
def test_likeness_depends_on_the_difference_alone(code):
    near = code(np.array([5.0])) @ code(np.array([8.0])).T
    far = code(np.array([1005.0])) @ code(np.array([1008.0])).T
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_no_other_place_is_as_like_as_the_same_one():
    cells = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), axis=-1).reshape(-1, 2)
    codes = place_code(cells)
    likeness = codes @ codes.T
    np.fill_diagonal(likeness, 0)
    assert likeness.max() < 0.9


def test_nan_is_refused_with_a_sentence():
    codes = np.ones((2, CODE))
    codes[1, 3] = np.nan
    with pytest.raises(BadInputError, match="NaN"):
        layer_norm(codes)
    assert not layer_norm(np.ones(CODE)).any()  # nothing to tell apart, but no division by zero either
