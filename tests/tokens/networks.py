"""A token network of random weights, so that every part of it says something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.tokens.coupling import Reader
from embodied_mem.tokens.weights import TokenWeights, untrained


def random_weights(
    dimension: int = 24, latent: int = 16, token: int = 8, depth: int = 6, seed: int = 0, model: str = "test"
) -> TokenWeights:
    """Valid weights with nothing at zero."""
    rng = np.random.default_rng(seed)
    bare = untrained(model, dimension, latent=latent, token=token, depth=depth, seed=seed)

    def noisy(values: NDArray[np.int16], spread: float) -> NDArray[np.int16]:
        return (values + rng.normal(0, spread * 4096, values.shape)).astype(np.int16)

    def side(reader: Reader) -> Reader:
        return Reader(*(noisy(part, 0.2) for part in reader))

    net = bare.network
    network = net._replace(predict=side(net.predict), update=side(net.update), memory=noisy(net.memory, 0.3))
    return replace(bare, network=network)


def unit_rows(n: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """(n, dimension) random unit vectors that share a direction."""
    rows = np.random.default_rng(seed).normal(0.3, 1, (n, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
