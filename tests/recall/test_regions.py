"""Questions about parts of the world are answered from what records say, with evidence, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.recall.answer import Answer
from embodied_mem.recall.forests import Forests
from embodied_mem.recall.grammar import Place, Question, area, parse
from embodied_mem.recall.recall import Recall
from embodied_mem.recall.regions import Regions
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query

START = 1_700_000_000_000_000_000
S = 1_000_000_000
ROOMS = {
    "kitchen": (0.0, ("a kitchen with an oven and a sink", "the oven of the kitchen", "plates in the kitchen sink")),
    "garage": (40.0, ("a car in the garage", "tools on the wall of a garage", "a red car and a bicycle")),
}


@pytest.fixture(scope="module")
def memory() -> RecordMemory:
    """Thirty captions of a kitchen around (0, 0), then thirty of a garage around (40, 0)."""
    made = RecordMemory.in_memory(HashingEmbedder(), clock=lambda: START + 3600 * S)
    rng = np.random.default_rng(0)
    for number, (x, captions) in enumerate(ROOMS.values()):
        for i in range(30):
            where = np.array([x + rng.normal(), rng.normal(), 1.0])
            stamp = START + (number * 1000 + 10 * i) * S
            made.remember(Observation(stamp, where, np.array([0, 0, 0, 1.0]), "map", caption=f"{captions[i % 3]} {i}"))
    return made


@pytest.fixture(scope="module")
def recall(memory: RecordMemory) -> Recall:
    return Recall(memory)


def here(x: float) -> np.ndarray:
    return np.array([x, 0.0, 1.0])


def speaks(answer: Answer, word: str) -> bool:
    """Whether the answer counts a word; quotes are left out."""
    return word in answer.sentence.split("Typical")[0]


@pytest.mark.parametrize(
    "question",
    [
        "what kind of place is this?",
        "what is it like here?",
        "what is around here?",
        "what is this part of the city like",
    ],
)
def test_what_a_place_is_like_is_told_from_what_was_said_there(recall: Recall, question: str) -> None:
    kitchen, garage = (recall.ask(question, robot_position=here(x)) for x in (0.0, 40.0))
    assert kitchen.found and speaks(kitchen, "oven") and not speaks(kitchen, "car")
    assert garage.found and speaks(garage, "car") and not speaks(garage, "oven")
    assert garage.position is not None and abs(garage.position[0] - 40) < 2
    assert kitchen.evidence and all(abs(item.sensor_position[0]) < 10 for item in kitchen.evidence)


def test_a_room_is_known_by_what_its_captions_call_it(recall: Recall) -> None:
    for question in ("what is in the kitchen?", "what is the kitchen like?", "describe the kitchen"):
        answer = recall.ask(question)
        assert answer.found and speaks(answer, "oven") and not speaks(answer, "car"), question
    unknown = recall.ask("what is the ballroom like?")
    assert not unknown.found and "ballroom" in unknown.sentence and unknown.reason.startswith("Not found")


def test_two_places_differ_in_what_is_counted_in_each(recall: Recall) -> None:
    answer = recall.ask("how do the kitchen and the garage differ?")
    first, second = answer.sentence.split("The second")
    assert "oven" in first and "car" in second and answer.count == 60
    with pytest.raises(BadInputError, match="where the robot is"):
        recall.ask("how does the kitchen differ from here?")


def test_where_there_is_more_of_something_is_a_place(recall: Recall) -> None:
    answer = recall.ask("where are there more cars?")
    assert answer.found and answer.position is not None and abs(answer.position[0] - 40) < 3
    assert not recall.ask("where is it the muddiest?").found


def test_a_time_is_part_of_the_question(recall: Recall) -> None:
    answer = recall.ask("what kind of place was it in the last 50 minutes?")
    assert answer.found and speaks(answer, "car") and not speaks(answer, "oven")


def test_without_the_robots_place_this_is_the_whole_map_and_here_an_error(recall: Recall) -> None:
    answer = recall.ask("what kind of place is this?")
    assert answer.found and "whole map" in answer.reason and answer.count == 60
    with pytest.raises(BadInputError, match="where the robot is"):
        recall.ask("what kind of place is it right here?")


def test_the_past_is_refused_and_not_answered_with_the_present(recall: Recall) -> None:
    with pytest.raises(BadInputError, match="as_of"):
        recall.ask("what kind of place is this?", as_of=5)


def test_a_forest_is_followed_and_another_memory_has_another(memory: RecordMemory) -> None:
    forests = Forests()
    forest = forests.of(memory)
    assert forests.of(memory) is forest and len(forest) == 60
    other = RecordMemory.in_memory(HashingEmbedder())
    assert len(forests.of(other)) == 0 and forests.held(other).memory is other


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("what is this part of the city like?", Question("region", "part of the city")),
        ("what kind of place is this?", Question("region", "here")),
        ("what is the area around the fountain like?", Question("region", "area around the fountain")),
        ("how do the kitchen and the hall differ?", Question("compare", "kitchen", other="hall")),
        ("what is the difference between the hall and (3, 4)?", Question("compare", "hall", other="(3, 4)")),
        ("where is it greener?", Question("where_more", "greener")),
        ("where is there the most traffic?", Question("where_more", "traffic")),
        ("where are there fewer cars?", Question("where_more", "cars", tense="less")),
        ("which part of the city has the most trees?", Question("where_more", "trees")),
    ],
)
def test_a_question_about_a_region_becomes_its_query(text: str, question: Question) -> None:
    assert parse(text) == question


@pytest.mark.parametrize(
    ("phrase", "place"),
    [
        ("this part of the city", Place("part")),
        ("this area", Place("here")),
        ("the whole house", None),
        ("the area around the fountain", Place("near", "fountain")),
        ("(3, 4)", Place("near", point=(3.0, 4.0, 0.0))),
        ("the kitchen", Place("in", "kitchen")),
    ],
)
def test_a_phrase_names_a_part_of_the_world(phrase: str, place: Place | None) -> None:
    assert area(phrase) == place


def test_a_region_is_described_by_filters_by_words_or_by_both(memory: RecordMemory) -> None:
    regions = Regions(memory, Forests())
    near = {name: Query(center=here(x), radius=10.0) for name, (x, _) in ROOMS.items()}
    assert "oven" in regions.describe(query=near["kitchen"]).text
    assert regions.describe().areas[0].summary.records == 60
    assert "The second area has more" in regions.describe(query=near["kitchen"], other=near["garage"]).text
    assert regions.describe("what kind of place is this?", near["garage"]).areas[0].summary.records == 30
    assert regions.describe("what is in the garage?").areas[0].summary.records == 30
    assert regions.describe("what is it like here?", robot=here(40.0)).areas[0].summary.records == 30
    assert not regions.describe("where are there more cars?", near["kitchen"]).found
    assert regions.describe("what is the ballroom like?").reason.startswith("Not found")
    with pytest.raises(BadInputError, match="does not ask about a region"):
        regions.describe("where is the mug?")
    with pytest.raises(BadInputError, match="as_of"):
        regions.describe(query=Query(as_of=3))
