"""Regions are told from their records, with evidence, and an honest "not found"."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.forest.describe import answer, compare, describe
from embodied_mem.forest.summarise import verify
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.where import named_area, where_more
from embodied_mem.forest.words import asserted, terms
from embodied_mem.records.query import Query
from tests.records.builders import memory, observation

_PARK = ("green grass and tall trees by a pond", "a bench under green trees", "trees along a path, no cars are visible")
_STREET = ("parked cars on a busy street", "a bus and cars at a crossing", "a brick building without windows, two cars")


@pytest.fixture(scope="module")
def forest() -> ForestView:
    """A park around (0, 0) and a street around (200, 0)."""
    mem = memory()
    rng = np.random.default_rng(1)
    for i in range(60):
        for x, captions in ((0.0, _PARK), (200.0, _STREET)):
            place = [x + rng.normal() * 10, rng.normal() * 10, 0]
            mem.remember(observation(60.0 * i + x, place, f"{captions[i % 3]} {i}", sensor_id=str(x), robot_id=str(x)))
    view = ForestView(mem)
    view.update()
    return view


def around(x: float) -> Query:
    return Query(center=np.array([x, 0, 0]), radius=60.0)


def test_a_region_is_told_by_what_its_records_speak_of(forest):
    told = describe(forest, around(0))
    assert told.found and "tree" in told.text and "bus" not in told.text and "car" not in told.text.split("Typical")[0]
    made = told.areas[0].summary
    assert made.records == 60 and made.counts["tree"] == 60
    said = {
        seq: forest.lexicon.said_by(seq)
        for seq in forest._known
        if forest.memory.get(seq).observation.position[0] < 100
    }
    assert not verify(made, said, {seq: forest.caption_of(seq) for seq in said})


def test_two_regions_differ_in_what_is_counted_in_each(forest):
    told = compare(forest, around(0), around(200))
    first, second = told.sentences
    assert "tree (60 of 60, against 0 of 60)" in first.text and "car" in {claim.term for claim in second.claims}
    for sentence in told.sentences:
        for claim in sentence.claims:
            assert all(claim.term in forest.lexicon.said_by(seq) for seq in claim.evidence)
            assert set(claim.evidence) <= set(sentence.evidence)


def test_two_regions_that_are_alike_are_not_said_to_differ(forest):
    told = compare(
        forest, Query(center=np.array([0, 5, 0]), radius=8.0), Query(center=np.array([0, -5, 0]), radius=8.0)
    )
    assert not told.found and told.reason.startswith("Not found") and not told.sentences


def test_where_it_is_greener_is_the_park(forest):
    told = answer(forest, "where is it greener?")
    assert told.found and abs(told.areas[0].summary.center[0]) < 50 and told.areas[0].share > 0.5
    for seq in told.evidence:
        assert "green" in forest.lexicon.said_by(seq)
    cars = where_more(forest, "cars")
    assert cars.areas[0].summary.center[0] > 150 and cars.areas[0].share > 0.6


def test_what_nobody_speaks_of_is_not_found(forest):
    for told in (
        where_more(forest, "volcanoes"),
        describe(forest, around(5000)),
        compare(forest, around(0), around(5000)),
    ):
        assert not told.found and told.reason.startswith("Not found") and not told.sentences
    with pytest.raises(BadInputError, match="two areas"):
        answer(forest, "how do these two areas differ?", around(0))
    with pytest.raises(BadInputError, match="as it stands now"):
        describe(forest, Query(as_of=2))
    with pytest.raises(BadInputError, match="empty"):
        answer(forest, " ")


def test_an_empty_forest_knows_nothing():
    forest = ForestView(memory())
    forest.update()
    assert not describe(forest).found and not where_more(forest, "tree").found


def test_a_caption_does_not_speak_of_what_it_denies():
    said = terms('Two red cars. There are no pedestrians or signs visible, but a bus stop. A sign reads "Elm Street".')
    assert "car" in said and "bus stop" in said and '"elm street"' in said
    assert not {"pedestrian", "sign"} & set(said)
    assert "window" not in terms("a wall without windows. a door") and "door" in terms("a wall without windows. a door")
    assert asserted("trees and a pond") == "trees and a pond"


def test_the_rarer_of_two_words_says_more_of_what_is_meant(forest):
    told = where_more(forest, "busy cars")
    assert told.found and all(area.summary.center[0] > 150 for area in told.areas)
    brick = where_more(forest, "brick buildings")
    assert brick.found and brick.areas[0].summary.center[0] > 150


def test_where_there_is_less_is_elsewhere(forest):
    told = answer(forest, "where are there fewer cars?")
    assert told.found and told.areas[0].summary.center[0] < 50 and told.areas[0].count == 0
    with pytest.raises(BadInputError, match="radius"):
        where_more(forest, "cars", reach=0.0)
    with pytest.raises(BadInputError, match="areas"):
        where_more(forest, "cars", areas=0)


def test_an_area_is_found_by_what_its_records_call_it(forest):
    pond = named_area(forest, "pond")
    assert pond is not None and pond.center is not None and pond.radius is not None
    assert np.linalg.norm(pond.center[:2]) < 30 and pond.radius > 5
    assert named_area(forest, "brick pond") is None, "no record has both words"
    assert named_area(forest, "volcano") is None
