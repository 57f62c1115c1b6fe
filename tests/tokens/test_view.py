"""The view of the log: whatever happens, the live tokens are those that a rebuild makes, byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, ModelMismatchError, NotFoundError, StorageError
from embodied_mem.recall.places import recall_places
from embodied_mem.records import cache
from embodied_mem.records.memory import RecordMemory
from embodied_mem.tokens.view import PLACE, VOXEL, TokenSettings, TokenView
from embodied_mem.topology.view import TopologyView
from tests.records.builders import LetterEmbedder, memory, observation
from tests.tokens.networks import random_weights
from tests.topology.log_lives import SETTINGS, begin

WEIGHTS = random_weights(dimension=26, latent=20, token=8, depth=2, model="letters")


def viewed(memory_: RecordMemory, budget: int = 0) -> TokenView:
    places = TopologyView(memory_.index, SETTINGS, clock=lambda: 0)
    places.apply(memory_.entries(1, 10**6))
    view = TokenView(
        memory_.index, TokenSettings(voxel=3.0, point=6, budget=budget),
        places=lambda: places.graph.evidence.data, weights=WEIGHTS,
    )  # fmt: skip
    view.apply(memory_.entries(1, 10**6))
    memory_.subscribe(places.apply)
    memory_.subscribe(view.apply)
    return view


def saved(view: TokenView, folder: Path) -> bytes:
    view.save(folder / "tokens")
    return (folder / "tokens").read_bytes()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), every=st.sampled_from([1, 5, 30]), budget=st.sampled_from([0, 1500, 4000]))
def test_live_tokens_are_rebuilt_ones_whatever_happened(
    tmp_path_factory: pytest.TempPathFactory, seed: int, every: int, budget: int
) -> None:
    folder = tmp_path_factory.mktemp("life")
    life = begin(None, seed)
    view = viewed(life.memory, budget)
    for number in range(60):
        life.step()
        if number % every == 0:
            assert view.store.version >= 0  # so that it goes through every state, not only the last
    assert view.watermark == life.memory.watermark
    assert saved(view, folder) == saved(viewed(life.memory, budget), folder)
    if budget and len(view.store.owners) and view.store.sizes.data.sum() > budget:
        assert view.store.folded.any()


def walked(count: int = 40) -> tuple[RecordMemory, list[int]]:
    """A robot that goes to and fro between two rooms, and says each time something else."""
    memory_ = memory()
    said = ("a red mug", "a zebra", "my yellow jazz kiosk", "boxes", "the quiet queue")
    return memory_, [
        memory_.remember(
            observation(5.0 * i, (8.0 * (i % 2), 0.1 * (i % 5), 0), f"{said[i % 5]} {'abcdefgh'[i % 8]}")
        ).seq
        for i in range(count)
    ]


def test_voxels_and_places_give_back_what_was_seen_there() -> None:
    memory_, seqs = walked()
    view = viewed(memory_)
    for position, mine in (((0, 0, 0), seqs[::2]), ((8, 0, 0), seqs[1::2])):
        found = view.recent(VOXEL, "default", view.voxel_of(position), 50)
        assert found.records.tolist() == mine[::-1]
        said = [memory_.index.vector_of(seq) for seq in mine[::-1]]
        cosines = (found.vectors * np.array(said)).sum(axis=1)
        assert cosines.min() > 0.7  # 20 random directions of 26 are kept
        assert view.recent(PLACE, "default", mine[0], 50).records.tolist() == mine[::-1]
    with pytest.raises(NotFoundError):
        view.recent(VOXEL, "default", view.voxel_of((100, 0, 0)), 1)
    with pytest.raises(NotFoundError):
        view.recent(VOXEL, "attic", view.voxel_of((0, 0, 0)), 1)


def test_what_is_forgotten_is_in_no_byte_and_undo_brings_it_back(tmp_path: Path) -> None:
    memory_, seqs = walked()
    view = viewed(memory_)
    before, columns = saved(view, tmp_path), cache.load(tmp_path / "tokens")[0]
    right = view.voxel_of((8, 0, 0))
    element = int(np.flatnonzero((view.store.keys.data == right) & (view.store.groups.data % 2 == VOXEL))[0])
    half = view.store.halves_of(element)[5]
    assert len(half) > 12 and half in before and half in view.store.arena.data.tobytes()
    command = memory_.forget([seqs[11]])
    after = saved(view, tmp_path)
    assert half not in after and half not in view.store.arena._buffer.tobytes()
    assert view.recent(VOXEL, "default", right, 50).records.tolist() == [s for s in seqs[1::2] if s != seqs[11]][::-1]
    memory_.undo(command)
    saved(view, tmp_path)
    for name, column in cache.load(tmp_path / "tokens")[0].items():
        np.testing.assert_array_equal(column.data, columns[name].data, err_msg=name)


def test_corrections_move_writes_to_where_they_belong() -> None:
    memory_, seqs = walked(10)
    view = viewed(memory_)
    assert view.recent(VOXEL, "default", view.voxel_of((0, 0, 0)), 50).records.tolist() == seqs[::2][::-1]
    memory_.correct(seqs[0], position=(20.0, 0.0, 0.0))
    assert view.recent(VOXEL, "default", view.voxel_of((20, 0, 0)), 50).records.tolist() == [seqs[0]]
    assert seqs[0] not in view.recent(VOXEL, "default", view.voxel_of((0, 0, 0)), 50).records


def test_a_question_finds_what_was_said_within_a_radius() -> None:
    memory_, seqs = walked()
    view = viewed(memory_)
    asked = LetterEmbedder().embed(["a zebra b"])[0]
    best = view.find(asked, "default", k=3)
    exact = np.array([memory_.index.vector_of(seq) for seq in seqs]) @ asked
    assert best.records[0] in {seqs[i] for i in np.flatnonzero(exact > exact.max() - 0.02)}
    assert best.exact and best.scores[0] >= best.scores[-1]
    near = view.find(asked, "default", k=40, near=(8.0, 0.0, 0.0), radius=1.0)
    assert set(near.records.tolist()) == set(seqs[1::2])
    keys, scores = view.best_places(asked, "default", 2)
    assert set(keys.tolist()) == {seqs[0], seqs[1]} and scores[0] >= scores[1]
    assert not len(view.find(asked, "attic"))
    with pytest.raises(BadInputError):
        view.find(asked, "default", k=0)


def test_recall_place_answers_from_tokens_where_they_are_given() -> None:
    memory_, seqs = walked()
    view = viewed(memory_)
    places = TopologyView(memory_.index, SETTINGS, clock=lambda: 0)
    places.apply(memory_.entries(1, 10**6))
    text = "my yellow jazz kiosk c"
    plain = recall_places(memory_, places.graph, "default", k=2, text=text)
    found = recall_places(memory_, places.graph, "default", k=2, text=text, tokens=view)
    assert set(found.places) == set(plain.places) == {0, 1} and "token" in found.reason
    here = np.array([8.0, 0.0, 0.0])
    only = recall_places(memory_, places.graph, "default", k=2, text=text, tokens=view, position=here, radius=2.0)
    assert only.places == (places.graph.place_of_record(seqs[1]),)
    assert abs(only.scores[0] - plain.scores[plain.places.index(only.places[0])]) < 0.2


def test_a_file_is_taken_up_and_brought_to_date(tmp_path: Path) -> None:
    memory_, seqs = walked(20)
    saved(viewed(memory_), tmp_path)
    memory_.forget([seqs[3]])
    memory_.remember(observation(500.0, (8, 0, 0), "later"))
    opened = viewed(memory_)
    opened.load(tmp_path / "tokens")
    assert saved(opened, tmp_path) == saved(viewed(memory_), tmp_path)
    (tmp_path / "tokens").write_bytes(b"EMEMview rubbish")
    with pytest.raises(StorageError):
        viewed(memory_).load(tmp_path / "tokens")


def test_weights_of_another_model_are_refused() -> None:
    memory_, _ = walked(2)
    other = random_weights(dimension=26, latent=20, model="another")
    with pytest.raises(ModelMismatchError):
        TokenView(memory_.index, weights=other).store  # noqa: B018 - the property raises
    assert len(TokenView(memory_.index).store) > 0  # nobody trained for letters: without training


def test_an_empty_log_has_no_tokens(tmp_path: Path) -> None:
    view = TokenView(memory().index)
    assert len(view.store) == 0 and not len(view.find(np.ones(384) / 384**0.5, "default"))
    assert saved(view, tmp_path)
    with pytest.raises(BadInputError, match="voxel >= 0"):
        TokenSettings(voxel=-1)
