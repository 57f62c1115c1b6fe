"""What comes with the package: small enough, right on fresh lives, and a rule that keeps what is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.episodes import weights
from embodied_mem.episodes.allocator import STRATEGIES, retain
from embodied_mem.episodes.memory import EpisodicMemory
from embodied_mem.episodes.reading import load_reading
from embodied_mem.episodes.tasks import AGO, HAPPENED, rooms_batch
from embodied_mem.episodes.view import rule_of


def test_checkpoints_are_small():
    files = list(weights.FOLDER.glob("*.safetensors"))
    assert {file.stem for file in files} == {"reader", "rule"}
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_the_reader_says_what_happened_in_rooms_it_never_saw():
    reader, rng, right = load_reading(), np.random.default_rng(123), []
    batch = rooms_batch(rng, 16, questions=8, kinds=(HAPPENED,), ticks=2)
    tokens, asked = batch.memories.tokens(("code", "time", "place", "origin", "visit")), batch.questions.tokens()
    for i in range(16):
        memory = EpisodicMemory(48, STRATEGIES["fifo"])
        memory.extend(tokens[i], batch.places[i], batch.stays[i], batch.memories.visits[i], np.zeros(48))
        for question, answer in zip(asked[i], batch.answers[i].tolist(), strict=True):
            chances = reader.choose(reader.read(question, HAPPENED, memory), codes=batch.codes)
            assert chances.sum() == pytest.approx(1, abs=1e-5)
            right.append(chances.argmax() == answer)
    assert np.mean(right) > 0.9


def test_the_rule_keeps_more_of_a_patrol_than_the_usual_ones():
    batch = rooms_batch(np.random.default_rng(124), 60, steps=96, questions=8, kinds=(HAPPENED, AGO))

    def held(rule):
        kept, _ = retain(batch.places, batch.stays, batch.memories.visits, 24, np.tile(rule, (60, 1)))
        stays = np.take_along_axis(batch.stays, kept, axis=1)
        return float((stays[:, None, :] == batch.wanted[:, :, None]).any(axis=2).mean())

    best = max(held(STRATEGIES[name]) for name in ("fifo", "lifo", "most visited first", "least visited first"))
    assert held(rule_of("learned")) > best + 0.1
