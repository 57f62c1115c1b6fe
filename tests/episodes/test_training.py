"""Training, where torch is installed: losses fall, seeds repeat, policies find the right rule."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'embodied_mem[torch]'")

import torch

from embodied_mem.episodes import recipes
from embodied_mem.episodes.allocator_training import EpisodeChoice, StepWeights, retention, train_policy
from embodied_mem.episodes.coding import BLOCKS
from embodied_mem.episodes.model import Reader, weights_of
from embodied_mem.episodes.shape import FLAT, ReaderShape
from embodied_mem.episodes.shipping import shipped_reader
from embodied_mem.episodes.tasks import MIXED, mixed_batch, rooms_batch
from embodied_mem.episodes.training import Plan, train


def small(rng):
    return rooms_batch(rng, 8, steps=24, questions=8)


def test_a_loss_falls_and_a_seed_repeats():
    _, curve = train(ReaderShape(), small, 3, Plan(steps=100, lr=8e-3))
    assert curve.loss[-1] < 0.9 * curve.loss[0]
    first, _ = train(ReaderShape(), small, 3, Plan(steps=5))
    again, _ = train(ReaderShape(), small, 3, Plan(steps=5))
    for name, value in weights_of(first).items():
        np.testing.assert_array_equal(value, weights_of(again)[name])


def test_the_shipped_reader_compares_like_with_like_alone():
    reader, _ = shipped_reader(0, 3)
    inside = np.zeros((108, 108), dtype=bool)
    for block in BLOCKS.values():
        inside[block, block] = True
    found = weights_of(reader)
    for name in ("query", "key", "chunk", "value", "out"):
        assert not found[f"layers.0.{name}"][~inside].any(), name


@pytest.mark.parametrize("make", [EpisodeChoice, StepWeights])
def test_policies_learn_what_to_keep(make):
    torch.manual_seed(0)
    policy, reader = make(len(MIXED), 9), Reader(ReaderShape(reads=FLAT, sharpness=20.0))
    batch = mixed_batch(np.random.default_rng(9), 400)
    before = retention(batch, policy.keep(batch, None)).mean()
    train_policy(policy, reader, recipes.mixed, 0, 60)
    after = retention(batch, policy.keep(batch, None)).mean()
    assert before < 0.65 and after > 0.8
