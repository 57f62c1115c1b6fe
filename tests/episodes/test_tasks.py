"""The made-up worlds: what is asked has the answer that the life before it says."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from embodied_mem.episodes.allocator import STRATEGIES, retain
from embodied_mem.episodes.tasks import AGO, EVENTS, HAPPENED, MIXED, NEXT, WHERE, mixed_batch, rooms_batch


def stays_of(batch, i):
    """(place, event, visit) of each stay of an episode; the event is the code that its observations are most like."""
    found = []
    events = batch.memories.codes[i] @ batch.codes.T
    for stay in range(batch.stays[i].max() + 1):
        steps = np.flatnonzero(batch.stays[i] == stay)
        assert len(set(batch.places[i, steps].tolist())) == 1
        event = int(events[steps].sum(axis=0).argmax())
        found.append((int(batch.places[i, steps[0]]), event, int(batch.memories.visits[i, steps[0]])))
    return found


def room_of(batch, cell):
    return int(np.flatnonzero((batch.rooms == cell).all(axis=1))[0])


@pytest.mark.parametrize("seed", [0, 1])
def test_answers_are_what_happened(seed):
    batch = rooms_batch(np.random.default_rng(seed), 24, questions=12, kinds=(HAPPENED, AGO, WHERE, NEXT))
    asked, seen = batch.questions, set()
    for i in range(24):
        lived = stays_of(batch, i)
        for j in range(12):
            kind, answer = int(batch.kinds[i, j]), int(batch.answers[i, j])
            seen.add(kind)
            if kind == WHERE:
                event = int((asked.codes[i, j] @ batch.codes.T).argmax())
                assert answer == [place for place, what, _ in lived if what == event][-1]
            elif kind == NEXT:
                room = room_of(batch, asked.origins[i, j])
                assert answer == [after for (place, *_), (after, *_) in pairwise(lived) if place == room][-1]
            else:
                room = room_of(batch, asked.cells[i, j])
                there = [(what, visit) for place, what, visit in lived if place == room]
                wanted = there[-1][0] if kind == HAPPENED else dict((v, w) for w, v in there)[int(asked.visits[i, j])]
                assert answer == wanted
            assert lived[batch.wanted[i, j]][1 if kind in (HAPPENED, AGO) else 0] == answer
    assert seen == {HAPPENED, AGO, WHERE, NEXT}


def test_a_seed_makes_the_same_world_and_another_seed_another_one():
    one, same, other = (rooms_batch(np.random.default_rng(seed), 4, park=5) for seed in (3, 3, 4))
    for part in fields(one.memories):
        np.testing.assert_array_equal(getattr(one.memories, part.name), getattr(same.memories, part.name))
    assert not np.array_equal(one.places, other.places)


def test_a_long_stay_is_one_stay():
    batch = rooms_batch(np.random.default_rng(0), 8, steps=10, park=30)
    assert batch.places.shape == (8, 40)
    assert (batch.stays[:, 10:] == batch.stays[:, 9:10]).all()


def test_each_mixed_kind_is_held_by_its_own_rule_and_lost_by_the_opposite_one():
    batch = mixed_batch(np.random.default_rng(0), 800)
    right = {"recent": "fifo", "early": "lifo", "rare": "most visited first", "home": "least visited first"}
    wrong = {"recent": "lifo", "early": "fifo", "rare": "least visited first", "home": "most visited first"}
    for kind, name in enumerate(MIXED):
        some = np.flatnonzero(batch.context == kind)
        assert len(some) > 100

        def held(rule, some=some):
            weights = np.tile(STRATEGIES[rule], (len(some), 1))
            kept, _ = retain(batch.places[some], batch.stays[some], batch.memories.visits[some], 9, weights)
            return float((kept == batch.wanted[some, 0][:, None]).any(axis=1).mean())

        assert held(right[name]) > 0.99
        assert held(wrong[name]) < 0.2


def test_answers_of_mixed_tasks_are_the_events_of_the_wanted_step():
    batch = mixed_batch(np.random.default_rng(5), 50, questions=3)
    rows = np.arange(50)[:, None]
    likeness = batch.memories.codes[rows, batch.wanted] @ batch.codes.T
    assert (likeness.argmax(axis=-1) == batch.answers).mean() > 0.97  # but for the noise
    np.testing.assert_array_equal(batch.memories.cells[rows, batch.wanted], batch.questions.cells)
    assert batch.codes.shape[0] == EVENTS
