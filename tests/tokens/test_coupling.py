"""The whole-number network: exact backwards, the same everywhere, and what it may read."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.coupling import SEGMENT, Reader, remember_half, scratch, write
from embodied_mem.tokens.weights import TokenWeights, fixed
from tests.tokens.digest import digest
from tests.tokens.networks import random_weights, unit_rows

FloatArray = NDArray[np.float64]
WEIGHTS = random_weights()


def test_64_writes_at_depth_6_come_back_bit_by_bit_on_any_thread() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(digest, [WEIGHTS] * 8))) == 1


def test_the_same_bits_without_the_vector_units_of_this_processor() -> None:
    """Numba compiles for a plain x86-64 there: other instructions, other orders of the sums."""
    settings = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.tokens.digest"], env=os.environ | settings, capture_output=True, text=True,
        cwd=Path(__file__).parents[2], check=False, timeout=300,
    )  # fmt: skip
    assert done.stdout.strip() == digest(WEIGHTS), done.stderr


def test_saturated_activations_come_back_too() -> None:
    """Gains far above 1 drive tokens around the end of their 16 bits, and reads to their limits."""
    net = WEIGHTS.network
    wild = net.predict._replace(skip=np.full_like(net.predict.skip, 30_000), out=net.predict.out * 8)
    digest(replace(WEIGHTS, network=net._replace(predict=wild)))


def test_a_write_reads_earlier_halves_and_its_age() -> None:
    def half(age: int, known: int, memory: float) -> list[int]:
        net, room = WEIGHTS.network, scratch(WEIGHTS.network)
        memories = np.full((SEGMENT, net.memory.shape[0]), fixed(np.array(memory)), np.int16)
        memories[1] *= -2
        row = TokenCodec(WEIGHTS, 8).latents(unit_rows(1, WEIGHTS.dimension))[0]
        write(net, np.full(WEIGHTS.token, 300, np.int16), row, memories, known, age, 8, room)
        return list(row)

    assert half(1, 2, 0.3) != half(1, 2, 0.5)
    assert half(1, 0, 0.3) == half(1, 0, 0.5)  # nothing is known: nothing is read
    assert half(1, 1, 0.3) != half(2, 1, 0.3)
    assert half(7, 1, 0.3) == half(1000, 1, 0.3)


def test_attention_is_a_softmax() -> None:
    """Against floating point, to a few units of the last place."""
    net, room = WEIGHTS.network, scratch(WEIGHTS.network)
    rng = np.random.default_rng(1)
    memories = fixed(rng.normal(0, 0.7, (SEGMENT, net.memory.shape[0])))
    token = (rng.normal(0, 0.2, WEIGHTS.token) * 1024).astype(np.int16)
    half = np.zeros(WEIGHTS.latent, np.int64)
    predicted = _float_read(WEIGHTS, token / 1024, memories[:5] / 4096, age=3)
    first, learns = (Reader(*(part[:1] for part in side)) for side in (net.predict, net.update))
    write(net._replace(predict=first, update=learns), token, half, memories, 5, 3, 12, room)
    assert np.abs(-half / 4096 - predicted).max() < 0.01


def _float_read(weights: TokenWeights, x: FloatArray, memories: FloatArray, age: int) -> FloatArray:
    side = [part[0].astype(np.float64) / 4096 for part in weights.network.predict]
    query, hidden, bias, out, gate, skip = side
    scores = memories @ (query @ x)
    weight = np.exp(scores - scores.max())
    attended = (weight / weight.sum()) @ memories
    said = gate[age] * (out @ np.maximum(hidden @ np.concatenate([x, attended]) + bias, 0))
    said[: len(x)] += skip[age] * x
    return said


def test_what_attention_keeps_is_of_the_half_alone() -> None:
    net, room = WEIGHTS.network, scratch(WEIGHTS.network)
    memory = np.zeros(net.memory.shape[0], np.int16)
    remember_half(net, np.arange(WEIGHTS.latent), 6, room, memory)
    exact = net.memory.astype(np.float64) / 4096 @ (np.arange(WEIGHTS.latent) / 64) * 4096
    assert np.abs(memory - exact).max() <= 0.5


def test_weights_whose_sums_could_leave_32_bits_are_refused() -> None:
    net = WEIGHTS.network
    large = net.update._replace(hidden=np.full_like(net.update.hidden, 32_000))
    with pytest.raises(BadInputError, match="32 bits"):
        replace(WEIGHTS, network=net._replace(update=large)).check()
    with pytest.raises(BadInputError, match="length of at most 1"):
        replace(WEIGHTS, down=WEIGHTS.down * 2).check()
    with pytest.raises(BadInputError, match="do not fit together"):
        replace(WEIGHTS, readout=WEIGHTS.readout[1:]).check()
