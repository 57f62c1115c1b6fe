"""The network in floating point: its inverse, and that the whole-number one is the same network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: only training needs it")

from embodied_mem.tokens.coupling import SEGMENT, remember_half, scratch, write  # noqa: E402
from embodied_mem.tokens.model import ReversibleTokens  # noqa: E402


def _model(depth: int = 6) -> ReversibleTokens:
    model = ReversibleTokens(16, 8, depth, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for values in model.parameters():
            values += 0.1 * torch.randn(values.shape, generator=generator)
    return model


def test_the_inverse_brings_back_every_write() -> None:
    model = _model().double()
    sequences = torch.randn(4, 20, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 0.2
    with torch.no_grad():
        tokens, halves = model.write_all(sequences)
        first, back = model.invert_all(tokens[:, -1], halves)
    assert float((back - sequences).abs().max()) < 1e-9
    assert float(first.abs().max()) < 1e-9
    assert float((halves - sequences).abs().max()) > 0.01  # it does something


def test_the_whole_number_network_is_this_one() -> None:
    model = _model()
    network = model.to_fixed()
    room = scratch(network)
    rng = np.random.default_rng(4)
    rows = np.rint(rng.normal(0, 0.2, (10, 16)) * 2**10).astype(np.int64)
    with torch.no_grad():
        tokens, halves = model.write_all(torch.tensor(rows[None] / 2**10, dtype=torch.float32))
    token, memories = np.zeros(8, np.int16), np.zeros((SEGMENT, network.memory.shape[0]), np.int16)
    for age, row in enumerate(rows):
        half = row.copy()
        write(network, token, half, memories, age % SEGMENT, age, 10, room)
        remember_half(network, half, 10, room, memories[age % SEGMENT])
        np.testing.assert_allclose(half / 2**10, halves[0, age], rtol=0.05, atol=0.05)
        np.testing.assert_allclose(token / 2**10, tokens[0, age], rtol=0.05, atol=0.05)
