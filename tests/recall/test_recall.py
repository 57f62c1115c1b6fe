"""Questions asked of a small memory whose truth is known: one sentence, its evidence, and an honest "not found"."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.recall.answer import Answer
from embodied_mem.recall.recall import Recall
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query, TimeRange
from tests.objects.scene import Scene
from tests.records.builders import SECOND, START, Clock, observation

ON_TABLE, ON_STOOL = (0.3, 0.1, 0.83), (3.5, 3.5, 0.6)


class Room:
    """A mug on a table, then (half a minute after START + 60 s) on a stool; chairs; and captions of two persons."""

    def __init__(self) -> None:
        scene = Scene()
        scene.put("mug", ON_TABLE)
        scene.put("chair", (-4.0, 3.0, 0.45), (0.5, 0.5, 0.9))
        scene.put("chair 2", (-4.0, -3.0, 0.45), (0.5, 0.5, 0.9))
        scene.walk()
        for chair in ((-4.0, 3.0), (-4.0, -3.0)):
            scene.walk(4, at=chair, radius=1.7)
        self.before_move = scene.memory.watermark
        scene.put("mug", ON_STOOL)
        scene.wait(60 - (scene.clock.now_ns - START) / SECOND)
        scene.walk()
        scene.walk(4, at=ON_STOOL[:2])
        self.last_look = scene.clock.now_ns
        scene.wait(600)
        self.scene, self.memory = scene, scene.memory
        self.recall = Recall(scene.memory)

    def ask(self, question: str, **how: object) -> Answer:
        answer = self.recall.ask(question, **how)  # type: ignore[arg-type]
        check(answer, self.memory)
        return answer


def check(answer: Answer, memory: RecordMemory) -> None:
    """What holds of every answer."""
    assert 0 <= answer.probability <= 1
    assert answer.sentence[0].isupper() and answer.sentence.endswith(".")
    assert answer.interpretation and answer.map_id
    assert answer.found or answer.reason, "what is not found has a reason"
    assert len({piece.seq for piece in answer.evidence}) == len(answer.evidence)
    for piece in answer.evidence:
        record = memory.get(piece.seq)
        assert piece.stamp_ns == record.observation.stamp_ns and piece.caption == record.observation.caption
        assert set(piece.labels) == set(record.observation.detections.labels)
        assert np.allclose(piece.sensor_position, record.observation.position)


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


def seen_in(room: Room, answer: Answer, label: str) -> bool:
    return bool(answer.evidence) and all(
        label in room.memory.get(piece.seq).observation.detections.labels for piece in answer.evidence
    )


@pytest.mark.parametrize("question", ["where is the mug?", "find the cup", "where are the mugs?", "take me to a mug"])
def test_where_it_is_now(room: Room, question: str) -> None:
    answer = room.ask(question)
    assert answer.found and answer.position is not None and answer.extent is not None
    assert np.allclose(answer.position, ON_STOOL, atol=0.1)
    assert answer.age_s == pytest.approx(600) and "10 minutes ago" in answer.sentence
    assert seen_in(room, answer, "mug") and answer.probability > 0.8
    assert min(piece.stamp_ns for piece in answer.evidence) > START + 60 * SECOND, "the new place's records only"
    assert "moved" in answer.reason


@pytest.mark.parametrize("question", ["where was the mug before?", "where was the mug before it was moved?"])
def test_where_it_was_before(room: Room, question: str) -> None:
    answer = room.ask(question)
    assert answer.found and answer.position is not None
    assert np.allclose(answer.position, ON_TABLE, atol=0.1)
    assert "on the table" in answer.sentence
    assert max(piece.stamp_ns for piece in answer.evidence) < START + 60 * SECOND


def test_where_it_was_at_a_time(room: Room) -> None:
    answer = room.ask(f"where was the mug before record {room.before_move}?")
    assert answer.found and answer.position is not None and np.allclose(answer.position, ON_TABLE, atol=0.1)
    never = room.ask("where was the mug in the last minute?")
    assert not never.found and never.position is None and "not seen then" in never.reason


def test_as_of_an_earlier_number(room: Room) -> None:
    answer = room.ask("where is the mug?", as_of=room.before_move)
    assert answer.found and answer.position is not None and np.allclose(answer.position, ON_TABLE, atol=0.1)
    assert all(piece.seq <= room.before_move for piece in answer.evidence)
    assert not room.ask("where is the mug?", as_of=1).found


def test_where_a_thing_was_before_that_never_moved(room: Room) -> None:
    answer = room.ask("where was the table before?")
    assert answer.probability < 0.8, "nothing is known of a move"
    assert "one place only" in answer.reason


def test_when(room: Room) -> None:
    last, first = room.ask("when did you last see the mug?"), room.ask("when did you first see the mug?")
    assert last.found and "10 minutes ago" in last.sentence and last.age_s == pytest.approx(600)
    assert first.found and first.age_s > 640
    assert not room.ask("when did you last see the unicorn?").found


def test_how_many(room: Room) -> None:
    chairs = room.ask("how many chairs are there?")
    assert chairs.found and chairs.count == 2 and "two chairs" in chairs.sentence
    assert chairs.position is None, "two chairs have no one position"
    mugs = room.ask("how many mugs are there?")
    assert mugs.count == 1 and mugs.position is not None, "the place that it left does not count"
    none = room.ask("how many vases are there?")
    assert none.count in (0, -1) and not none.found
    assert room.ask("how many chairs are near (-4, 3)?").count == 1


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("is there a mug?", True),
        ("is there a chair?", True),
        ("is there a chair near (-4, 3)?", True),
        ("is there a chair near (4, 3)?", False),
        ("is there a mug on the table?", False),
        ("is the mug still on the table?", False),
        ("is there a unicorn?", False),
        ("is there a table here?", True),
    ],
)
def test_is_there(room: Room, question: str, found: bool) -> None:
    answer = room.ask(question, robot_position=np.zeros(3))
    assert answer.found is found
    assert answer.probability > 0.5
    assert (answer.position is not None) is found


def test_on_the_table_while_it_was(room: Room) -> None:
    answer = room.ask("is there a mug on the table?", as_of=room.before_move)
    assert answer.found and answer.sentence.startswith("Yes") and seen_in(room, answer, "mug")


def test_describe(room: Room) -> None:
    everything = room.ask("describe the house")
    assert everything.found and everything.count == 4
    for words in ("a mug", "two chairs", "a table"):
        assert words in everything.sentence
    here = room.ask("what is here?", robot_position=np.array([3.0, 3.0, 0.0]))
    assert "mug" in here.sentence and "chair" not in here.sentence
    table = room.ask("what is on the table?", as_of=room.before_move)
    assert "a mug" in table.sentence and "chair" not in table.sentence
    empty = room.ask("what is on the table?")
    assert not empty.found and "nothing" in empty.sentence
    point = room.ask("what is near (-4, -3)?")
    assert "a chair" in point.sentence and point.count == 1


def test_here_needs_a_place(room: Room) -> None:
    for question in ("is there a mug here?", "what is around you?", "how many chairs are near me?"):
        with pytest.raises(BadInputError, match="where the robot is was not given"):
            room.recall.ask(question)
    for position in ([np.nan, 0, 0], [0, 0], [0, 0, np.inf]):
        with pytest.raises(BadInputError, match="3 finite numbers"):
            room.recall.ask("is there a mug here?", robot_position=np.array(position))


@pytest.mark.parametrize("question", ["", "  ", "???"])
def test_an_empty_question_is_refused(room: Room, question: str) -> None:
    with pytest.raises(BadInputError, match="empty"):
        room.recall.ask(question)


def test_what_does_not_exist_is_named(room: Room) -> None:
    with pytest.raises(UnknownMapError, match="atlantis"):
        room.recall.ask("where is the mug?", map_id="atlantis")
    with pytest.raises(NotFoundError, match="999"):
        room.recall.ask("where was the mug before record 999?")
    with pytest.raises(BadInputError, match="label is empty"):
        room.recall.locate("  ")


@pytest.mark.parametrize("question", ["where is the unicorn?", "find a fire extinguisher", "have you seen a dragon?"])
def test_what_was_never_seen_is_not_found(room: Room, question: str) -> None:
    answer = room.ask(question)
    assert not answer.found and answer.position is None and not answer.evidence
    assert answer.reason.startswith("Not found") and np.isnan(answer.age_s)
    assert "have not seen" in answer.sentence


def test_locate_with_a_filter(room: Room) -> None:
    answer = room.recall.locate("mug", Query(time=TimeRange(None, START + 60 * SECOND)))
    check(answer, room.memory)
    assert answer.position is not None and np.allclose(answer.position, ON_TABLE, atol=0.1)
    assert not room.recall.locate("dragon").found


def test_what_is_gone_is_said_to_be_gone() -> None:
    room = Room()
    room.scene.remove("mug")
    room.scene.walk(6, at=ON_STOOL[:2], radius=1.9)
    answer = room.ask("where is the mug?")
    assert not answer.found and answer.position is None
    assert "not there since" in answer.sentence and "last known place was seen without it" in answer.reason
    assert seen_in(room, answer, "mug")


def test_forgetting_and_correcting_reach_the_answers() -> None:
    room = Room()
    seqs = [piece.seq for piece in room.ask("where is the mug?").evidence]
    room.memory.forget(seqs)
    answer = room.ask("where is the mug?")
    assert not {piece.seq for piece in answer.evidence} & set(seqs)
    assert not answer.found or answer.position is None or not np.allclose(answer.position, ON_STOOL, atol=0.1)
    room.memory.undo()
    assert [piece.seq for piece in room.ask("where is the mug?").evidence] == seqs


def test_maps_are_not_mixed() -> None:
    room = Room()
    old = room.memory.map_id
    into_old = np.eye(4)
    into_old[:3, 3] = [10, 0, 0]
    room.memory.set_map("joined", parent=old, transform=into_old)
    moved = room.ask("where is the mug?")
    assert moved.map_id == "joined" and moved.position is not None
    assert np.allclose(moved.position, np.subtract(ON_STOOL, (10, 0, 0)), atol=0.1)
    room.memory.set_map("apart")
    apart = room.ask("where is the mug?")
    assert not apart.found and apart.map_id == "apart" and apart.position is None
    then = room.ask("where is the mug?", as_of=room.before_move)
    assert then.found and then.map_id == old, "at that time the old map was the current one"


# --- captions without a detector -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street() -> Recall:
    """Captions only, of things that no detector names."""
    from embodied_mem.inference.hashing import HashingEmbedder

    memory = RecordMemory.in_memory(HashingEmbedder(), clock=Clock(START + 100 * SECOND))
    for i, caption in enumerate(
        ["a red fire hydrant on the corner", "a bakery with a striped awning", "a bus stop with a bench", "trees"]
    ):
        memory.remember(observation(i, (10.0 * i, 0, 0), caption))
    return Recall(memory)


@pytest.mark.parametrize(
    "question", ["a red fire hydrant on the corner", "where is the red fire hydrant on the corner?"]
)
def test_captions_are_searched_by_meaning(street: Recall, question: str) -> None:
    answer = street.ask(question)
    assert answer.found and answer.position is not None and answer.position.tolist() == [0, 0, 0]
    assert "fire hydrant" in answer.evidence[0].caption and answer.evidence[0].seq == 2
    assert answer.age_s == pytest.approx(100)
    assert "meaning" in answer.reason


def test_what_fits_no_pattern_says_so(street: Recall) -> None:
    answer = street.ask("bakery with a striped awning")
    assert answer.kind == "search" and "fits no pattern" in answer.reason and answer.found
    nothing = street.ask("quantum chromodynamics lecture")
    assert not nothing.found and "fits no pattern" in nothing.reason and "not found" in nothing.reason.lower()


def test_an_empty_memory_knows_nothing_and_says_so() -> None:
    from embodied_mem.inference.hashing import HashingEmbedder

    for embedder in (HashingEmbedder(), None):
        recall = Recall(RecordMemory.in_memory(embedder))
        for question in (
            "where is the mug?", "when did you see a cat?", "how many cups are there?", "is there a cat?",
            "describe the house", "what is on the table?", "something to drink",
        ):  # fmt: skip
            answer = recall.ask(question)
            assert not answer.found and answer.reason and not answer.evidence, question
            assert 0.5 <= answer.probability <= 1
