"""Clouds in storage: within half a grid step, the same again when stored again, small, and never silently wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.records.clouds import decode_cloud, encode_cloud


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 300), spread=st.floats(0.01, 100))
def test_points_stay_within_half_a_step(seed: int, count: int, spread: float) -> None:
    points = np.random.default_rng(seed).uniform(-spread, spread, (count, 3)).astype(np.float32)
    back = decode_cloud(encode_cloud(points, 0.01))
    assert len(back) <= count
    gaps = np.abs(points[:, None].astype(np.float64) - back[None]).max(axis=2).min(axis=1) if count else np.zeros(1)
    assert gaps.max() <= 0.005 + 1e-5 * spread
    assert np.array_equal(decode_cloud(encode_cloud(back, 0.01)), back)


def test_a_wall_takes_a_few_bytes_a_point() -> None:
    y, z = np.meshgrid(np.arange(0, 3, 0.05), np.arange(0, 2, 0.05))
    wall = np.column_stack([np.full(y.size, 2.0), y.ravel(), z.ravel()]).astype(np.float32)
    assert len(encode_cloud(wall)) < 3 * len(wall)


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((2, 2)), np.full((1, 3), np.nan), np.full((1, 3), 1e6)])
def test_malformed_clouds_are_refused(points: np.ndarray) -> None:
    with pytest.raises(BadInputError):
        encode_cloud(points.astype(np.float32))


def test_damaged_bytes_are_refused() -> None:
    whole = encode_cloud(np.random.default_rng(0).random((50, 3)).astype(np.float32))
    for broken in (b"", b"x" * 40, whole[:-3], whole[:10]):
        with pytest.raises(StorageError):
            decode_cloud(broken)


@pytest.mark.parametrize("extent", [0.02, 3.0, 9_000.0])
def test_points_are_stored_once_and_in_order_whatever_the_extent(extent: float) -> None:
    points = np.random.default_rng(3).uniform(-extent, extent, (500, 3)).astype(np.float32)
    points = np.concatenate([points, points[:100]])
    cells = np.unique(np.round(points.astype(np.float64) / 0.01).astype(np.int32), axis=0)
    assert np.allclose(decode_cloud(encode_cloud(points)), cells * 0.01, atol=extent * 1e-6)
