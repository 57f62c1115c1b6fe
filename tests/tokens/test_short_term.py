"""Short-term memory against its rule written plainly: uses in lists, scores summed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.tokens.short_term import Cue, Found, ShortTermMemory

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
WIDTH = 4


def units(rng: np.random.Generator, n: int) -> np.ndarray:
    rows = rng.normal(0, 1, (n, WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Plain:
    """The same rule: every use of an entry is kept, every score is summed anew, entries are looked at one by one."""

    def __init__(self, capacity: int, half_life_s: float, radius: float, threshold: float) -> None:
        self.capacity, self.half_life = capacity, half_life_s * SECOND
        self.radius, self.threshold = radius, threshold
        self.entries: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.uses: dict[int, list[int]] = {}

    def score(self, record: int, now: int) -> float:
        return sum(2.0 ** (-(now - use) / self.half_life) for use in self.uses[record])

    def remember(self, records: list[int], positions: np.ndarray, vectors: np.ndarray, stamp: int) -> None:
        for record, position, vector in zip(records, positions, vectors, strict=True):
            self.entries[record] = (position, vector)
            self.uses.setdefault(record, []).append(stamp)
        while len(self.entries) > self.capacity:
            worst = min(self.entries, key=lambda each: (self.score(each, stamp), each))
            del self.entries[worst], self.uses[worst]

    def recall(self, vector: np.ndarray, position: np.ndarray, k: int, stamp: int) -> list[int]:
        scored = [
            (float(np.dot(own.astype(float), vector.astype(float))), record)
            for record, (where, own) in self.entries.items()
            if np.linalg.norm(where - position) <= self.radius
        ]
        found = [record for cosine, record in sorted(scored, reverse=True) if cosine >= self.threshold][:k]
        for record in found:
            self.uses[record].append(stamp)
        return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), half_life=st.sampled_from([3.0, 30.0, 3000.0]))
def test_a_life_is_that_of_the_plain_rule(seed, half_life):
    rng = np.random.default_rng(seed)
    memory = ShortTermMemory(6, WIDTH, half_life_s=half_life, radius=8.0, threshold=0.3)
    plain = Plain(6, half_life, 8.0, 0.3)
    memory.enter(0, rng.uniform(-5, 5, 3))
    now = START
    for step in range(60):
        now += int(rng.integers(SECOND // 10, 5 * SECOND))
        deed = rng.random()
        if deed < 0.15:
            memory.enter(step, rng.uniform(-5, 5, 3))
        elif deed < 0.4:
            cue, where, k = units(rng, 1)[0], rng.uniform(-5, 5, 3), int(rng.integers(1, 4))
            found = memory.recall(cue, position=where, k=k, stamp_ns=now)
            assert found.records.tolist() == plain.recall(cue, where, k, now)
            assert found.source == ("short" if len(found) else "none")
        else:
            n = int(rng.integers(1, 4))
            records = rng.choice(12, n, replace=False)
            where, rows = rng.uniform(-5, 5, (n, 3)), units(rng, n)
            before = set(memory.records.tolist()) | set(records.tolist())
            left = memory.remember(records, where, rows, now)
            plain.remember(records.tolist(), where, rows, now)
            assert set(left.tolist()) == before - set(memory.records.tolist())
        assert memory.records.tolist() == sorted(plain.entries)
        expected = [plain.score(record, now) for record in memory.records.tolist()]
        np.testing.assert_allclose(memory.scores(now), expected, rtol=1e-6)
        positions = [plain.entries[record][0] for record in memory.records.tolist()]
        np.testing.assert_allclose(memory.positions, np.reshape(positions, (-1, 3)), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_kept_depends_neither_on_batches_nor_on_order(seed):
    rng = np.random.default_rng(seed)
    records = np.arange(30)
    where, rows = rng.uniform(-5, 5, (30, 3)), units(rng, 30)
    stamps = START + rng.permutation(30) * SECOND
    one, batch, late = (ShortTermMemory(7, WIDTH) for _ in range(3))
    for memory in (one, batch, late):
        memory.enter(0, [0, 0, 0])
    batch.remember(records, where, rows, stamps)
    for i in records.tolist():
        one.remember([i], where[i], rows[i], stamps[i])
    late.remember(records[::-1], where[::-1], rows[::-1], stamps[::-1])
    for memory in (one, late):
        np.testing.assert_array_equal(memory.records, batch.records)
        np.testing.assert_allclose(memory.scores(START), batch.scores(START))
        np.testing.assert_allclose(memory.positions, batch.positions)


def filled(half_life_s: float) -> ShortTermMemory:
    """Records 0, 1, 2 at one second each; 0 was then recalled thrice, long ago."""
    memory = ShortTermMemory(3, WIDTH, half_life_s=half_life_s, threshold=0.9)
    memory.enter(0, [0, 0, 0])
    memory.remember([0, 1, 2], np.zeros((3, 3)), np.eye(WIDTH)[:3], START + np.arange(3) * SECOND)
    for second in (3, 4, 5):
        assert memory.recall(np.eye(WIDTH)[0], stamp_ns=START + second * SECOND).records.tolist() == [0]
    memory.recall(np.eye(WIDTH)[1], stamp_ns=START + 60 * SECOND)
    memory.recall(np.eye(WIDTH)[2], stamp_ns=START + 61 * SECOND)
    return memory


def test_a_short_half_life_keeps_what_was_used_last_and_a_long_one_what_is_used_often():
    new = [9], [[0, 0, 0]], np.eye(WIDTH)[3:]
    assert filled(1.0).remember(*new, START + 62 * SECOND).tolist() == [0]
    assert filled(1e6).remember(*new, START + 62 * SECOND).tolist() == [9]
    assert filled(1e6).scores(START + 62 * SECOND) == pytest.approx([4, 2, 2], rel=1e-3)


def test_positions_are_relative_and_a_new_place_moves_nothing():
    memory = ShortTermMemory(5, WIDTH)
    memory.enter(1, [10, 20, 0])
    memory.remember([1, 2], [[11, 20, 0], [10, 23, 1]], np.eye(WIDTH)[:2], START)
    assert memory.relative.tolist() == [[1, 0, 0], [0, 3, 1]]
    rng = np.random.default_rng(0)
    for place, origin in enumerate(rng.uniform(-1e4, 1e4, (1000, 3))):
        memory.enter(place, origin)
    np.testing.assert_allclose(memory.positions, [[11, 20, 0], [10, 23, 1]], atol=1e-7)
    memory.enter(3, [11, 20, 0])
    found = memory.recall(np.eye(WIDTH)[1], stamp_ns=START)
    np.testing.assert_allclose(found.relative, [[-1, 3, 1]], atol=1e-7)
    memory.enter(0, [0, 0, 0], "attic")
    assert not len(memory) and memory.map_id == "attic"


def test_what_is_not_known_is_asked_of_the_long_term_store_and_taken_in():
    asked: list[Cue] = []

    def store(cue: Cue) -> Found:
        asked.append(cue)
        return Found([7, 8, 6], [[1, 0, 0], [90, 0, 0], [0, 1, 0]], np.eye(WIDTH)[[1, 1, 2]])

    memory = ShortTermMemory(5, WIDTH, radius=10, threshold=0.6, long_term=store)
    memory.enter(4, [0, 0, 0], "site")
    memory.remember([1], [[0, 0, 0]], np.eye(WIDTH)[:1], START)
    assert memory.recall(np.eye(WIDTH)[0], stamp_ns=START).source == "short" and not asked
    found = memory.recall(np.eye(WIDTH)[1], k=3, stamp_ns=START + SECOND)
    assert found.source == "long" and found.records.tolist() == [7] and found.best == 0.0  # 8 is too far, 6 unlike
    assert (asked[0].map_id, asked[0].radius, asked[0].k) == ("site", 10, 3)
    assert memory.records.tolist() == [1, 7]
    assert memory.recall(np.eye(WIDTH)[1], stamp_ns=START + 2 * SECOND).source == "short" and len(asked) == 1
    nothing = memory.recall(np.eye(WIDTH)[3], stamp_ns=START + 3 * SECOND)
    assert nothing.source == "none" and not len(nothing) and len(asked) == 2
    assert (memory.hits.short, memory.hits.long, memory.hits.none) == (2, 1, 1)
    assert memory.hits.rate == 0.5 and memory.hits.share("long") == 0.25
    assert memory.scores(START + 2 * SECOND)[1] == pytest.approx(1 + 2 ** (-1 / 120))


def test_forgotten_records_are_gone():
    memory = filled(10.0)
    assert memory.forget([0, 2, 99]) == 2 and memory.records.tolist() == [1]
    assert memory.recall(np.eye(WIDTH)[0], stamp_ns=START).source == "none"
    memory.clear()
    assert not len(memory) and memory.nbytes == 0


def test_bad_input_is_refused_and_loses_nothing():
    fresh = ShortTermMemory(3, WIDTH)
    for act in (
        lambda: fresh.remember([1], [[0, 0, 0]], np.eye(WIDTH)[:1], START),
        lambda: fresh.recall(np.eye(WIDTH)[0], stamp_ns=START),
    ):
        with pytest.raises(BadInputError, match="enter"):
            act()
    memory = filled(10.0)
    before = memory.scores(START).tolist()
    good = np.eye(WIDTH)[:1]
    for records, positions, vectors, stamps, why in (
        ([5], [[np.nan, 0, 0]], good, START, "finite"),
        ([5], [[0, 0]], good, START, "rows of 3"),
        ([5], [[0, 0, 0]], 2 * good, START, "length 1"),
        ([5], [[0, 0, 0]], good[:, :2], START, "rows of 4"),
        ([5, 6], [[0, 0, 0]], good, START, "records"),
        ([5.5], [[0, 0, 0]], good, START, "whole"),
        ([5], [[0, 0, 0]] * 2, good, START, "records"),
        ([5], [[0, 0, 0]], good, [START, START], "stamps"),
    ):
        with pytest.raises(BadInputError, match=why):
            memory.remember(records, positions, vectors, stamps)
    for wrong in ({"k": 0}, {"radius": 0.0}, {"radius": np.nan}, {"position": [1, 2]}):
        with pytest.raises(BadInputError):
            memory.recall(good[0], stamp_ns=START, **wrong)
    with pytest.raises(BadInputError, match="length 1"):
        memory.recall(np.zeros(WIDTH), stamp_ns=START)
    with pytest.raises(BadInputError, match="position"):
        memory.enter(1, [np.inf, 0, 0])
    assert memory.scores(START).tolist() == before and memory.records.tolist() == [0, 1, 2] and memory.place == 0
    refused: list[dict[str, Any]] = [{"half_life_s": 0.0}, {"radius": -1.0}, {"threshold": 2.0}]
    for options in refused:
        with pytest.raises(BadInputError):
            ShortTermMemory(3, WIDTH, **options)
    with pytest.raises(BadInputError):
        ShortTermMemory(0, WIDTH)
    assert not len(memory.remember([], [], [], []))
