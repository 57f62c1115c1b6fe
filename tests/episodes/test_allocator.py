"""Rules of forgetting against plain lists, and the gradients of chance against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.episodes.allocator import FEATURES, STRATEGIES, Allocator
from embodied_mem.errors import BadInputError


def life(seed: int, n: int, rooms: int = 4):
    rng = np.random.default_rng(seed)
    places = rng.integers(rooms, size=n)
    stays = np.cumsum(np.diff(places, prepend=places[0]) != 0)
    visits, counts, last = np.zeros(n, dtype=np.int64), np.zeros(rooms, dtype=np.int64), -1
    for i, place in enumerate(places):
        counts[place] += place != last
        visits[i], last = counts[place], place
    return places, stays, visits, rng.random(n)


def by_hand(name: str, places, capacity: int) -> list[int]:
    memory: list[int] = []
    ever = np.zeros(places.max() + 1)
    for step, place in enumerate(places):
        memory.append(step)
        ever[place] += 1
        if len(memory) > capacity:
            spent = [ever[places[step]] for step in memory]
            out = {
                "fifo": 0, "lifo": len(memory) - 1,
                "most visited first": spent.index(max(spent)), "least visited first": spent.index(min(spent)),
            }[name]  # fmt: skip
            memory.pop(out)
    return memory


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 12), st.sampled_from(list(STRATEGIES)[:4]))
def test_the_usual_rules_do_what_their_names_say(seed, n, capacity, name):
    places, stays, visits, surprise = life(seed, n)
    memory = Allocator(capacity, STRATEGIES[name])
    memory.push(places, stays, visits, surprise)
    assert memory.kept.tolist() == by_hand(name, places, capacity)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 80), st.integers(1, 20), st.lists(st.integers(1, 30), max_size=5))
def test_living_in_pieces_is_living_at_once(seed, n, capacity, cuts):
    rng = np.random.default_rng(seed)
    parts, weights = life(seed, n), rng.normal(size=len(FEATURES))
    whole, pieces = Allocator(capacity, weights), Allocator(capacity, weights)
    whole.push(*parts)
    gone: list[int] = []
    for part in np.split(np.arange(n), sorted({cut for cut in cuts if cut < n})):
        pieces.push(*(column[part] for column in parts))
        gone += pieces.evicted.tolist()
    assert pieces.kept.tolist() == whole.kept.tolist()
    assert sorted([*gone, *pieces.kept.tolist()]) == list(range(n))


def test_features_are_what_they_say():
    """Three moments of place 0 in one stay, one of place 1, one of place 0 again: which goes first, by each feature."""
    places, stays, visits = np.array([0, 0, 0, 1, 0]), np.array([0, 0, 0, 1, 2]), np.array([1, 1, 1, 1, 2])
    surprise = np.array([0.1, 0.9, 0.2, 0.3, 0.0])
    first = {
        "age": {0},
        "spent": {0, 1, 2, 4},
        "share": {0, 1, 2, 4},
        "depth": {0, 1, 2},
        "crowd": {0, 1, 2},
        "surprise": {1},
    }
    last = {"age": {4}, "spent": {3}, "share": {3}, "depth": {3, 4}, "crowd": {3, 4}, "surprise": {4}}
    for number, name in enumerate(FEATURES):
        for sign, wanted in ((1.0, first), (-1.0, last)):
            weights = np.zeros(len(FEATURES))
            weights[number] = sign
            memory = Allocator(4, weights)
            memory.push(places, stays, visits, surprise)
            assert memory.evicted[0] in wanted[name], (name, sign)


def test_gradients_are_those_of_the_chance_of_what_went():
    """Against a difference quotient of the log probability of the same choices, in a memory that is full once."""
    places, stays, visits, surprise = life(3, 6)
    noise = np.random.default_rng(0).gumbel(size=(1, 6))
    weights = np.array([0.5, -0.3, 0.8, 1.0, -0.5, 0.4])

    def push(rule, chance):
        memory = Allocator(5, rule)
        return memory, memory.push(places, stays, visits, surprise, chance)

    memory, gradient = push(weights, noise)
    out = int(memory.evicted[0])

    def log_chance(rule):
        scores = features(places, stays, visits, surprise) @ rule
        return scores[out] - np.log(np.exp(scores).sum())

    for number in range(len(FEATURES)):
        step = np.zeros(len(FEATURES))
        step[number] = 1e-5
        slope = (log_chance(weights + step) - log_chance(weights - step)) / 2e-5
        assert gradient[number] == pytest.approx(slope, abs=1e-5), FEATURES[number]


def features(places, stays, visits, surprise):
    n = len(places)
    counts = np.bincount(places)
    newest = {place: visits[places == place].max() for place in set(places.tolist())}
    crowd = np.bincount(stays)
    return np.stack(
        [
            1 - np.arange(n) / (n - 1), counts[places] / counts.max(), counts[places] / counts.max(),
            [np.log1p(newest[p] - v) / 4 for p, v in zip(places.tolist(), visits, strict=True)],
            np.log(crowd[stays]) / 4, surprise,
        ],
        axis=1,
    )  # fmt: skip


@pytest.mark.parametrize("capacity, weights", [(0, np.zeros(6)), (3, np.zeros(5)), (3, np.array([np.nan] * 6))])
def test_what_cannot_be_a_rule_is_refused(capacity, weights):
    with pytest.raises(BadInputError):
        Allocator(capacity, weights)
