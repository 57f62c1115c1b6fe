"""The view of the log: the same as a rebuild whatever happened, and what it says of places, times and records."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.episodes.memory import BYTES
from embodied_mem.episodes.view import EpisodeView
from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.records.index import RecordIndex
from tests.records.builders import SECOND, START, memory, observation
from tests.topology.log_lives import begin

MOMENTS = 12 * BYTES / 1e6  # megabytes for a dozen moments


def state(view: EpisodeView) -> dict[str, np.ndarray]:
    view.refresh()
    kept = view.memory.steps
    tokens = view.memory.tokens
    rows = np.argsort(view.memory.steps_of(np.arange(len(tokens))))
    numbers, means = view.memory.chunks
    seqs = view.retained()
    return {
        "seqs": seqs, "steps": kept, "tokens": tokens[rows], "places": numbers, "means": np.round(means, 5),
        "surprise": view.surprise_of(seqs),
    }  # fmt: skip


def same(one: EpisodeView, other: EpisodeView) -> None:
    left, right = state(one), state(other)
    for name, value in left.items():
        np.testing.assert_allclose(value, right[name], atol=1e-5 if name == "means" else 0, err_msg=name)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), every=st.sampled_from([1, 5, 30]), rule=st.sampled_from(["fifo", "learned"]))
def test_a_live_view_is_a_rebuilt_one_whatever_happened(seed, every, rule):
    life = begin(None, seed)
    view = EpisodeView(life.memory.index, budget_mb=MOMENTS, rule=rule)
    for number in range(60):
        life.step()
        if number % every == 0:
            view.refresh()
    index = RecordIndex()
    index.apply(life.memory.entries(1, 10**6))
    numbers = np.flatnonzero(life.memory.index.table.slot_of_text.data >= 0)
    vectors = [vector for seq in numbers if (vector := life.memory.index.vector_of(int(seq))) is not None]
    index.set_vectors(numbers, np.array(vectors), life.memory.index.model)
    same(view, EpisodeView(index, budget_mb=MOMENTS, rule=rule))


def rounds(times: int = 3, memory_=None):
    """Rounds through three rooms 10 m apart, two records in each; what is seen changes each round."""
    memory_ = memory_ or memory()
    seqs, words = {}, "abcdefghijklmnopqrstuvwxyz"
    for turn in range(times):
        for room in range(3):
            for step in range(2):
                seconds = float((turn * 3 + room) * 2 + step)
                caption = words[(turn * 3 + room) % 26] * 8
                seqs[turn, room, step] = memory_.remember(
                    observation(seconds, (10.0 * room, 0.2 * step, 0), caption)
                ).seq
    return memory_, seqs


def test_what_happened_some_visits_ago():
    memory_, seqs = rounds(4)
    view = EpisodeView(memory_.index)
    for room in range(3):
        place = view.place_at(np.array([10.0 * room + 0.5, 0, 0]))
        assert view.visits_of(place) == 4
        for ago in range(4):
            found = view.happened(place, ago)
            assert set(found.seqs.tolist()) == {seqs[3 - ago, room, step] for step in range(2)}, (room, ago)
            assert 0.5 < found.probability <= 1.0001 and found.weights.sum() == pytest.approx(found.probability)
            assert (found.places == place).all()
        assert "4 times only" in view.happened(place, 4).reason


def test_a_visit_that_was_forgotten_for_want_of_room_is_said_to_be():
    memory_, seqs = rounds(4)
    view = EpisodeView(memory_.index, budget_mb=6 * BYTES / 1e6, rule="fifo")
    place = view.place_at(np.zeros(3))
    assert view.happened(place, 0).found
    gone = view.happened(place, 3)
    assert not gone.found and gone.probability == 0 and "for want of room" in gone.reason
    assert view.retained().tolist() == [seqs[3, room, step] for room in range(3) for step in range(2)]


def test_a_place_of_which_nothing_is_left_is_still_known():
    memory_, _ = rounds(2)
    view = EpisodeView(memory_.index, budget_mb=2 * BYTES / 1e6, rule="fifo")  # the last room's two records
    gone = view.happened(view.place_at(np.array([10.0, 0, 0])))
    assert not gone.found and "for want of room" in gone.reason


def test_forgetting_a_record_takes_it_out_of_every_answer_and_undo_brings_it_back():
    memory_, seqs = rounds(2)
    view = EpisodeView(memory_.index)
    before = state(view)
    place = view.place_at(np.zeros(3))
    memory_.forget([seqs[0, 0, 0], seqs[0, 0, 1]])
    assert view.happened(place, 0).found
    place = view.place_at(np.zeros(3))  # places are numbered anew: that of the first record is now another one
    assert view.visits_of(place) == 1 and seqs[0, 0, 0] not in view.retained()
    with pytest.raises(NotFoundError, match="not in memory"):
        view.around(seqs[0, 0, 0])
    memory_.undo()
    for name, value in state(view).items():
        np.testing.assert_allclose(value, before[name], atol=1e-5)


def test_times_and_neighbours_in_time():
    memory_, seqs = rounds(2)
    view = EpisodeView(memory_.index)
    found = view.during(START + 4 * SECOND, START + 8 * SECOND, k=9)
    assert set(found.seqs.tolist()) == {seqs[0, 2, 0], seqs[0, 2, 1], seqs[1, 0, 0], seqs[1, 0, 1]}
    assert found.probability == 1 and (np.diff(found.surprise) <= 0).all()
    assert view.around(seqs[0, 1, 0], 1).seqs.tolist() == [seqs[0, 0, 1], seqs[0, 1, 0], seqs[0, 1, 1]]
    assert "nothing" in view.during(0, 1).reason
    with pytest.raises(BadInputError, match="ends before it starts"):
        view.during(5, 5)


def test_surprise_is_for_what_is_new_at_a_place():
    memory_ = memory()
    seen = [
        memory_.remember(observation(float(i), (0, 0, 0), ("aaaa" if i < 5 else "zzzz") + "." * i)).seq
        for i in range(6)
    ]
    other = memory_.remember(observation(9.0, (50, 0, 0), "aaaa")).seq
    surprise = EpisodeView(memory_.index)
    surprise.refresh()
    values = surprise.surprise_of(np.array([*seen, other, 999]))
    assert values[0] == 1 and values[6] == 1  # places that are new
    assert (values[1:5] < 0.05).all() and values[5] > 0.5 and np.isnan(values[7])


def test_maps_share_nothing_but_the_budget():
    memory_, _ = rounds(2)
    memory_.set_map("upstairs")
    seq = memory_.remember(observation(100.0, (0, 0, 0), "qqqq", map_id="upstairs")).seq
    view = EpisodeView(memory_.index)
    place = view.place_at(np.zeros(3), "upstairs")
    assert view.happened(place).seqs.tolist() == [seq]
    assert view.during(START, START + 200 * SECOND, "upstairs", k=50).seqs.tolist() == [seq]


def test_what_cannot_be_is_refused_with_a_sentence():
    memory_, _ = rounds(1)
    view = EpisodeView(memory_.index)
    with pytest.raises(NotFoundError, match="no place 77: memory knows 3"):
        view.happened(77)
    with pytest.raises(NotFoundError, match="m away"):
        view.place_at(np.array([500.0, 0, 0]))
    with pytest.raises(BadInputError, match="visits_ago"):
        view.happened(0, -1)
    with pytest.raises(UnknownMapError):
        view.place_at(np.zeros(3), "the moon")
    with pytest.raises(BadInputError, match="no rule"):
        EpisodeView(memory_.index, rule="whatever")
    with pytest.raises(NotFoundError, match="no place"):
        EpisodeView(memory().index).happened(0)
