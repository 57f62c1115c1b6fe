from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.inference.cache import CachedEmbedder
from embodied_mem.inference.hashing import HashingEmbedder


class Counting(HashingEmbedder):
    """Notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]):
        self.asked.append(list(texts))
        return super().embed(texts)


def test_each_text_is_embedded_once_and_the_order_is_kept():
    inner = Counting()
    cached = CachedEmbedder(inner)
    texts = ["mug", "chair", "mug", " chair ", "lamp"]
    np.testing.assert_array_equal(cached.embed(texts), HashingEmbedder().embed(texts))
    cached.embed(["lamp", "door"])
    assert inner.asked == [["mug", "chair", "lamp"], ["door"]]
    assert (cached.name, cached.dim) == (inner.name, inner.dim)


def test_the_text_used_longest_ago_makes_room():
    inner = Counting()
    cached = CachedEmbedder(inner, capacity=2)
    for text in ("a1", "b1", "a1", "c1", "a1", "b1"):
        cached.embed([text])
    assert [asked[0] for asked in inner.asked] == ["a1", "b1", "c1", "b1"]
    assert len(cached) == 2


def test_a_batch_larger_than_the_cache_is_answered_whole():
    texts = [f"thing {number}" for number in range(20)]
    cached = CachedEmbedder(HashingEmbedder(), capacity=3)
    np.testing.assert_array_equal(cached.embed(texts), HashingEmbedder().embed(texts))
    assert len(cached) == 3


def test_callers_cannot_change_what_is_remembered():
    cached = CachedEmbedder(HashingEmbedder())
    first = cached.embed(["mug"])
    expected = first.copy()
    first[:] = 7
    np.testing.assert_array_equal(cached.embed(["mug"]), expected)


def test_a_slow_batch_does_not_delay_a_remembered_text():
    started, release = threading.Event(), threading.Event()

    class Slow(HashingEmbedder):
        def embed(self, texts: Sequence[str]):
            if "slow" in texts:
                started.set()
                assert release.wait(30)
            return super().embed(texts)

    cached = CachedEmbedder(Slow())
    cached.embed(["mug"])
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cached.embed, ["slow"])
        assert started.wait(30)
        cached.embed(["mug"])
        assert not slow.done()
        release.set()
        assert slow.result(30).shape == (1, 384)


def test_clearing_forgets_and_bad_texts_are_not_remembered():
    inner = Counting()
    cached = CachedEmbedder(inner)
    cached.embed(["mug"])
    cached.clear()
    cached.embed(["mug"])
    assert len(inner.asked) == 2
    with pytest.raises(BadInputError):
        cached.embed(["lamp", ""])
    assert len(cached) == 1
