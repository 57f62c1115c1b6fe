"""What commands do: correct, forget, undo, maps and re-anchoring; and that a rebuilt memory is the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, ModelMismatchError, NotFoundError, RefusedError, UnknownMapError
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.memory import Admitted, RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, detections, memory, observation, seeing

TURN_LEFT = [0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)]


def columns(index: RecordIndex) -> dict[str, list[object]]:
    names = (
        "seqs",
        "valid_from",
        "valid_to",
        "hidden",
        "first_seen",
        "last_seen",
        "positions",
        "codes",
        "centers",
        "yaws",
    )
    return {name: getattr(index.table, name).data.tolist() for name in names}


def test_an_observation_can_be_found_at_once() -> None:
    mem = memory()
    seq = mem.remember(observation(1, (1, 2, 3), "zebra", detections=detections(["mug"], [[4, 5, 6]]))).seq
    hit = mem.query(Query(text="zebra")).hits[0]
    assert hit.record.seq == seq and hit.score == pytest.approx(1, abs=1e-6)
    assert hit.age_s == pytest.approx(86_399)
    assert mem.query(Query(labels=("mug",))).hits[0].position.tolist() == [4, 5, 6]


def test_nothing_above_the_threshold_is_not_found_with_the_reason() -> None:
    mem = memory()
    assert "empty" in mem.query(Query(text="aaa")).reason
    mem.remember(observation(1, caption="zzz"))
    result = mem.query(Query(text="aaa", min_score=0.9))
    assert not result.found and "below 0.90" in result.reason
    assert "no record passes" in mem.query(Query(labels=("dragon",))).reason


def test_correct_changes_what_is_said_and_as_of_still_knows() -> None:
    mem = memory()
    seq = mem.remember(observation(1, (1, 0, 0), "aaa", detections=detections(["mug"], [[2, 0, 0]]))).seq
    command = mem.correct(seq, caption="bbb", position=[0, 0, 0], orientation=TURN_LEFT, labels=["bowl"])
    now = mem.get(seq).observation
    assert now.caption == "bbb" and now.detections.labels == ("bowl",)
    assert np.allclose(now.detections.centers, [[0, 1, 0]]), "a detection moves rigidly with its sensor"
    assert now.detections.yaws[0] == pytest.approx(np.pi / 2)
    assert mem.query(Query(text="bbb", min_score=0.99)).found and not mem.query(Query(text="aaa", min_score=0.99)).found
    before = mem.query(Query(text="aaa", as_of=command - 1)).hits[0]
    assert before.record.observation.caption == "aaa" and before.score == pytest.approx(1, abs=1e-6)
    assert mem.query(Query(labels=("mug",), as_of=command - 1)).found and not mem.query(Query(labels=("mug",))).found


def test_undo_of_an_early_command_keeps_the_later_one() -> None:
    mem = memory()
    seq = mem.remember(observation(1, (1, 0, 0), "aaa", detections=detections(["mug"]))).seq
    first = mem.correct(seq, caption="bbb")
    mem.correct(seq, labels=["bowl"])
    mem.undo(first)
    assert mem.get(seq).observation.caption == "aaa" and mem.get(seq).observation.detections.labels == ("bowl",)


def test_forget_reaches_as_of_and_undo_brings_back() -> None:
    mem = memory()
    seqs = [mem.remember(observation(i, (i, 0, 0), f"{chr(97 + i) * 3}")).seq for i in range(4)]
    command = mem.forget(seqs[:2])
    assert len(mem.index) == 2
    assert seqs[0] not in [hit.record.seq for hit in mem.query(Query(as_of=command - 1)).hits]
    with pytest.raises(NotFoundError, match="forgotten"):
        mem.get(seqs[0])
    target, undo = mem.undo()
    assert target == command and len(mem.index) == 4
    mem.undo(undo)
    assert len(mem.index) == 2, "an undone undo forgets again"
    with pytest.raises(BadInputError, match="undone already"):
        mem.undo(undo)


def test_forgetting_what_does_not_exist_forgets_nothing() -> None:
    mem = memory()
    seq = mem.remember(observation(1)).seq
    with pytest.raises(NotFoundError):
        mem.forget([seq, 999])
    assert len(mem.index) == 1


def test_undo_with_nothing_to_undo_says_so() -> None:
    with pytest.raises(NotFoundError, match="no command left"):
        memory().undo()
    mem = memory()
    seq = mem.remember(observation(1)).seq
    with pytest.raises(NotFoundError, match="not a command"):
        mem.undo(seq)


def test_maps_are_never_mixed() -> None:
    mem = memory()
    mem.set_map("attic")
    mem.remember(observation(1, (1, 0, 0), "aaa"))
    mem.set_map("cellar")
    mem.remember(observation(2, (1, 0, 0), "aab"))
    here = mem.query(Query(center=np.zeros(3), radius=5.0))
    assert [hit.map_id for hit in here.hits] == ["cellar"]
    with pytest.raises(UnknownMapError, match="not the current map"):
        mem.query(Query(map_id="attic"))
    with pytest.raises(UnknownMapError, match="not known"):
        mem.query(Query(map_id="moon"))
    assert {hit.map_id for hit in mem.query(Query(map_id="*")).hits} == {"attic", "cellar"}
    with pytest.raises(BadInputError, match="several maps"):
        Query(map_id="*", center=np.zeros(3), radius=1.0)


def test_a_known_transform_carries_answers_over() -> None:
    mem = memory()
    mem.set_map("attic")
    mem.remember(observation(1, (1, 0, 0), "aaa", detections=detections(["mug"], [[2, 0, 0]]), view=seeing()))
    into_attic = np.array([[0, -1, 0, 10], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    mem.set_map("cellar", parent="attic", transform=into_attic)
    hit = mem.query(Query(labels=("mug",))).hits[0]
    assert hit.map_id == "cellar" and np.allclose(hit.position, [0, 8, 0])
    assert mem.query(Query(center=np.array([0, 9.0, 0]), radius=0.1)).found
    assert mem.query(Query(map_id="attic", center=np.array([1.0, 0, 0]), radius=0.1)).found
    assert np.allclose(mem.index.detections(("mug",)).center, [[0, 8, 0]])
    view = mem.index.views()
    assert np.allclose(view.position, [[0, 9, 0]]) and view.depth_at(np.array([0]), np.array([1]), np.array([2])) == [
        2000
    ]
    assert not mem.query(Query(seqs=(99,))).found


def test_reanchoring_moves_records_by_the_corrected_trajectory_and_back() -> None:
    mem = memory()
    seqs = [
        mem.remember(observation(i, (i, 0, 0), f"x{i}", detections=detections(["mug"], [[i, 1, 0]]))).seq
        for i in range(5)
    ]
    stamps = [START, START + 4 * SECOND]
    straight = [[0, 0, 0, 0, 0, 0, 1], [4, 0, 0, 0, 0, 0, 1]]
    turned = [[0, 0, 0, *TURN_LEFT], [0, 4, 0, *TURN_LEFT]]
    command = mem.reanchor(mem.map_id, stamps, straight, turned)
    moved = mem.get(seqs[2]).observation
    assert np.allclose(moved.position, [0, 2, 0]) and np.allclose(moved.detections.centers, [[-1, 2, 0]])
    later = mem.remember(observation(9, (9, 0, 0), "later")).seq
    assert np.allclose(mem.get(later).observation.position, [9, 0, 0]), (
        "what comes after is in the corrected map already"
    )
    mem.undo(command)
    assert np.allclose(mem.get(seqs[2]).observation.position, [2, 0, 0])


@pytest.mark.parametrize(
    ("stamps", "before", "after", "words"),
    [
        ([], [], [], "at least one"),
        ([1], [[0] * 6 + [1]], [], "as many"),
        ([2, 1], [[0] * 6 + [1]] * 2, [[0] * 6 + [1]] * 2, "increase"),
        ([1], [[np.nan] * 7], [[0] * 6 + [1]], "finite"),
        ([1], [[0] * 7], [[0] * 6 + [1]], "unit quaternion"),
        ([1], [1, 2, 3, 4, 5, 6, 7], [[0] * 6 + [1]], "rows of 7 numbers"),
        ([[1, 2]], [[0] * 6 + [1]], [[0] * 6 + [1]], "rows of nanoseconds"),
        (["noon"], [[0] * 6 + [1]], [[0] * 6 + [1]], "not numbers"),
        ([1], [[0, 0, 0, 1]], [[0] * 6 + [1]], "rows of 7 numbers"),
    ],
)
def test_malformed_trajectories_are_refused(
    stamps: list[int], before: list[object], after: list[object], words: str
) -> None:
    mem = memory()
    mem.remember(observation(1))
    with pytest.raises(BadInputError, match=words):
        mem.reanchor(mem.map_id, stamps, before, after)  # type: ignore[arg-type]


def test_standing_still_is_counted_not_stored() -> None:
    mem = memory()
    outcomes = [mem.remember(observation(i, caption="aaa", detections=detections(["mug"]))) for i in range(5)]
    assert outcomes[1:] == [Admitted(outcomes[0].seq, folded=True)] * 4
    record = mem.get(outcomes[0].seq)
    assert record.seen_count == 5 and record.last_seen_ns == START + 4 * SECOND
    assert mem.remember(observation(5, caption="aaa", detections=detections(["mug", "hat"]))).folded is False


def test_things_that_change_places_are_news() -> None:
    mem = memory()
    left, right = [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]
    mem.remember(observation(0, caption="", detections=detections(["mug", "vase"], [left, right])))
    assert mem.remember(observation(1, caption="", detections=detections(["vase", "mug"], [right, left]))).folded
    assert not mem.remember(observation(2, caption="", detections=detections(["mug", "vase"], [right, left]))).folded


def test_a_bag_played_twice_adds_nothing() -> None:
    mem = memory()
    run = [observation(i, (i, 0, 0), f"a{i}", session_id="one") for i in range(30)]
    first = [outcome.seq for outcome in mem.remember_many(run) if isinstance(outcome, Admitted)]
    mem.start_session()
    again = mem.remember_many(run)
    assert [outcome for outcome in again if isinstance(outcome, Admitted)] == [
        Admitted(seq, folded=True) for seq in first
    ]
    assert len(mem.index) == 30 and mem.counters["duplicate"] == 30


def test_what_two_sensors_say_at_one_time_and_place_is_kept() -> None:
    mem = memory()
    said = [
        observation(1, caption="a mug", sensor_id="front"),
        observation(1, caption="a mug", sensor_id="rear"),
        observation(1, caption="a door", sensor_id="front"),
        observation(1, caption="a mug", sensor_id="front", robot_id="another"),
        observation(1, caption="a mug", sensor_id="front", detections=detections(["mug"])),
    ]
    assert not any(outcome.folded for outcome in mem.remember_many(said) if isinstance(outcome, Admitted))
    assert len(mem.index) == 5
    mem.start_session()
    again = mem.remember_many(said)
    assert all(outcome.folded for outcome in again if isinstance(outcome, Admitted)) and len(mem.index) == 5


def test_time_ranges_cover_all_the_time_a_record_was_seen() -> None:
    mem = memory()
    for i in range(6):
        mem.remember(observation(i, caption="aaa"))
    from embodied_mem.records.query import TimeRange

    late = Query(time=TimeRange(START + 3 * SECOND, START + 4 * SECOND))
    assert mem.query(late).found
    assert not mem.query(Query(time=late.time, as_of=mem.watermark - 3)).found, "the log did not know that yet"


def test_as_of_tells_how_often_and_when_last_as_it_was_known() -> None:
    mem = memory()
    seq = mem.remember(observation(0, caption="aaa")).seq
    first = mem.watermark
    for i in range(1, 4):
        mem.remember(observation(i, caption="aaa"))
    now, then = mem.query(Query()).hits[0], mem.query(Query(as_of=first)).hits[0]
    assert (now.record.seen_count, now.record.last_seen_ns) == (4, START + 3 * SECOND)
    assert (then.record.seen_count, then.record.last_seen_ns) == (1, START)
    assert now.age_s == pytest.approx(86_397) and then.age_s == pytest.approx(86_400)
    assert mem.query(Query(as_of=first + 1)).hits[0].record.seen_count == 2
    mem.correct(seq, caption="bbb")
    assert mem.query(Query(as_of=first)).hits[0].record.observation.caption == "aaa"


def test_as_of_knows_the_maps_of_its_time() -> None:
    mem = memory()
    mem.set_map("attic")
    mem.remember(observation(1, (1, 0, 0), "aaa"))
    then = mem.watermark
    mem.set_map("cellar")
    mem.remember(observation(2, (2, 0, 0), "bbb"))
    assert [hit.map_id for hit in mem.query(Query(as_of=then)).hits] == ["attic"]
    assert mem.query(Query(as_of=then, near_record=2, radius=1.0)).found
    with pytest.raises(UnknownMapError, match="not the current map"):
        mem.query(Query(as_of=then, map_id="cellar"))
    with pytest.raises(UnknownMapError, match="another map"):
        mem.query(Query(near_record=2))
    with pytest.raises(NotFoundError, match="not there yet"):
        mem.query(Query(as_of=1, near_record=2))


def test_vectors_of_two_models_are_never_compared() -> None:
    mem = memory()
    mem.remember(observation(1, caption="aaa"))
    other = np.full(26, 26**-0.5, dtype=np.float32)
    with pytest.raises(RefusedError, match="cannot be mixed"):
        mem.remember(observation(2, vector=other, vector_model="another"))
    with pytest.raises(ModelMismatchError):
        mem.query(Query(vector=other, vector_model="another"))
    with pytest.raises(ModelMismatchError, match="7 numbers"):
        mem.query(Query(vector=np.ones(7, np.float32), vector_model="letters"))
    assert mem.counters["model_mismatch"] == 1


def test_a_model_that_fails_is_counted_and_the_text_kept() -> None:
    class Broken(LetterEmbedder):
        working = False

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if not self.working:
                raise RuntimeError("out of memory")
            return super().embed(texts)

    model = Broken()
    mem = memory(embedder=model)
    seq = mem.remember(observation(1, caption="aaa")).seq
    assert mem.counters["embedding_failed"] == 1
    assert mem.query(Query()).hits[0].record.observation.caption == "aaa"
    model.working = True
    assert "has a vector yet" in mem.query(Query(text="aaa")).reason
    assert list(mem.embed_missing()) == [0]
    assert mem.query(Query(text="aaa")).hits[0].record.seq == seq


def test_a_second_start_continues_and_equals_the_first(tmp_path: Path) -> None:
    clock = Clock(START + 100 * SECOND)
    mem = RecordMemory.open(tmp_path / "m", LetterEmbedder(), clock=clock)
    cloud = np.random.default_rng(0).uniform(-3, 3, (50, 3)).astype(np.float32)
    seqs = [mem.remember(observation(i, (i, 0, 0), f"c{i}", cloud=cloud, view=seeing())).seq for i in range(10)]
    mem.correct(seqs[2], caption="zebra", position=[7, 7, 7])
    mem.forget([seqs[4]])
    mem.reanchor(mem.map_id, [START], [[0, 0, 0, 0, 0, 0, 1]], [[0, 1, 0, 0, 0, 0, 1]])
    mem.undo(mem.forget([seqs[5]]))
    live, answers = columns(mem.index), [(hit.record.seq, hit.score) for hit in mem.query(Query(text="zebra")).hits]
    seen = mem.entries(1, 100, blobs=True)[1].observation
    mem.close()
    again = RecordMemory.open(tmp_path / "m", LetterEmbedder(), clock=clock)
    assert columns(again.index) == live
    assert [(hit.record.seq, hit.score) for hit in again.query(Query(text="zebra")).hits] == answers
    stored = again.entries(1, 100, blobs=True)[1].observation
    assert seen is not None and stored is not None and stored.cloud is not None and seen.cloud is not None
    assert np.array_equal(stored.cloud, seen.cloud), "live and rebuilt views see the same points"
    assert again.session_id == "session-2"
    again.close()


def test_a_follower_is_the_same_view() -> None:
    mem = memory()
    follower = RecordView(LetterEmbedder(), clock=mem.clock)
    mem.subscribe(follower.apply)
    seqs = [mem.remember(observation(i, (i, 0, 0), f"c{i}")).seq for i in range(8)]
    mem.correct(seqs[1], caption="zebra")
    mem.forget([seqs[3]])
    late = RecordView(LetterEmbedder(), clock=mem.clock)
    late.apply(mem.entries(1, 5))
    with pytest.raises(ValueError, match="gap"):
        late.apply(mem.entries(8, 5))
    late.apply(mem.entries(4, 100))
    wanted = [(hit.record.seq, round(hit.score, 6)) for hit in mem.query(Query(text="zebra", min_score=0.2)).hits]
    for view in (follower, late):
        assert columns(view.index) == columns(mem.index)
        assert [
            (hit.record.seq, round(hit.score, 6)) for hit in view.query(Query(text="zebra", min_score=0.2)).hits
        ] == wanted


def test_entries_are_given_out_only_with_their_vectors() -> None:
    mem = memory()
    mem.remember(observation(0, caption="first"))
    seen: list[list[bool]] = []

    class Watched(LetterEmbedder):
        def embed(self, texts: Any) -> Any:
            seen.append([e.observation.vector is not None for e in mem.entries(1, 99) if e.observation])
            return super().embed(texts)

    mem.embedder = Watched()
    mem.remember(observation(30, (5, 0, 0), caption="second"))
    assert seen == [[True]]
    assert [e.observation.vector is not None for e in mem.entries(1, 99) if e.observation] == [True, True]
