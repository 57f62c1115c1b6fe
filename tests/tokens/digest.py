"""64 writes at depth 6, and back: prints a digest of every token and half. Run by test_coupling with other settings."""

from __future__ import annotations

import hashlib

import numpy as np

from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.coupling import SEGMENT, invert, remember_half, scratch, write
from embodied_mem.tokens.weights import TokenWeights
from tests.tokens.networks import random_weights, unit_rows


def digest(weights: TokenWeights, writes: int = 64, point: int = 6) -> str:
    """Raises AssertionError when what comes back is not what was written, bit by bit."""
    net, room = weights.network, scratch(weights.network)
    observed = TokenCodec(weights, point).latents(unit_rows(writes, weights.dimension))
    token = np.zeros(weights.token, np.int16)
    memories = np.zeros((SEGMENT, net.memory.shape[0]), np.int16)
    halves, tokens = observed.copy(), []
    for age, half in enumerate(halves):
        tokens.append(token.copy())
        write(net, token, half, memories, age % SEGMENT, age, point, room)
        remember_half(net, half, point, room, memories[age % SEGMENT])
    told = hashlib.sha256(halves.tobytes() + np.array(tokens).tobytes() + token.tobytes()).hexdigest()
    for age in range(writes - 1, -1, -1):
        known = age % SEGMENT
        for j in range(known):
            remember_half(net, halves[age - known + j], point, room, memories[j])
        back = halves[age].copy()
        invert(net, token, back, memories, known, age, point, room)
        assert np.array_equal(back, observed[age]), f"write {age} came back changed"
        assert np.array_equal(token, tokens[age]), f"the token before write {age} came back changed"
    return told


if __name__ == "__main__":
    print(digest(random_weights()))
