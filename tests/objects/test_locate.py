"""Where things are believed to be: in a room where everything that happens is known."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.objects.locate import Located, locate, locate_all
from embodied_mem.objects.things import Thing
from embodied_mem.records.query import Query, TimeRange
from tests.objects.scene import Scene
from tests.records.builders import SECOND, START

ON_TABLE, ON_FLOOR = (0.3, 0.1, 0.83), (3.5, 3.5, 0.13)


def where(scene: Scene, word: str = "mug", query: Query | None = None) -> Located:
    return locate(scene.memory.index, word, query)


def only(things: list[Thing]) -> Thing:
    assert len(things) == 1
    return things[0]


@pytest.fixture
def scene() -> Scene:
    """A mug on the table, seen from six sides."""
    made = Scene()
    made.put("mug", ON_TABLE)
    made.walk()
    return made


@pytest.fixture
def moved(scene: Scene) -> Scene:
    """A minute later the mug stands on the floor; the robot has been at both places since."""
    scene.put("mug", ON_FLOOR)
    scene.wait(60)
    scene.walk()
    scene.walk(4, at=ON_FLOOR[:2])
    return scene


def test_many_detections_are_one_thing_where_it_stands(scene: Scene) -> None:
    mug = only(where(scene).things)
    assert np.allclose(mug.position, ON_TABLE, atol=0.05)
    assert mug.present > 0.8 and where(scene).state(mug) == "observed"
    assert mug.hits == 6
    assert mug.evidence == tuple(sorted(mug.evidence, reverse=True)), "the newest record comes first"
    for seq in mug.evidence:
        assert "mug" in scene.memory.get(seq).observation.detections.labels


def test_noise_in_the_detections_makes_no_second_thing() -> None:
    noisy = Scene()
    rng = np.random.default_rng(3)
    for _ in range(3):
        for turn in np.linspace(0, 6, 7):
            noisy.put("mug", np.array(ON_TABLE) + rng.normal(0, 0.04, 3))
            noisy.look((2.2 * np.cos(turn), 2.2 * np.sin(turn)))
    mug = only(where(noisy).here)
    assert np.linalg.norm(mug.position - ON_TABLE) < 0.06, "the middle of many is better than each"


def test_two_of_a_kind_are_two_things(scene: Scene) -> None:
    scene.put("mug 2", (-0.45, 0.1, 0.83))
    scene.walk()
    assert len(where(scene).here) == 2


def test_a_moved_thing_leaves_its_old_place(moved: Scene) -> None:
    found = where(moved)
    mug = only(found.here)
    assert np.allclose(mug.position, ON_FLOOR, atol=0.05)
    assert found.state(mug) == "moved"
    old = only(found.gone)
    assert np.allclose(old.position, ON_TABLE, atol=0.05) and found.state(old) == "gone"
    assert found.before(mug) is old
    assert old.missed_ns is not None and old.last_seen < old.missed_ns <= mug.first_seen


def test_a_removed_thing_is_gone(scene: Scene) -> None:
    scene.remove("mug")
    scene.wait(60)
    scene.walk()
    found = where(scene)
    assert not found.here and only(found.gone).present < 0.1
    assert only(found.gone).was_there > 0.8


def test_one_missed_view_changes_little(scene: Scene) -> None:
    before = only(where(scene).things).present
    scene.wait(60)
    scene.look((2.0, 0.5), blind_to=["mug"])
    after = only(where(scene).here).present
    assert 0.7 * before < after < before


def test_what_is_hidden_is_not_missed(scene: Scene) -> None:
    before = only(where(scene).things).still_there
    scene.put("screen wall", (0.0, 0.0, 1.2), (3.0, 3.0, 2.4))
    scene.wait(60)
    scene.walk(radius=3.0)
    assert only(where(scene).things).still_there == pytest.approx(before)


def test_what_is_out_of_view_or_out_of_reach_is_not_missed(scene: Scene) -> None:
    before = only(where(scene).things).still_there
    scene.remove("mug")
    scene.wait(60)
    scene.walk(radius=1.5, at=(-4.0, -4.0), count=4)  # looks elsewhere
    scene.look((5.8, 5.8))  # towards the table, from eight metres
    assert only(where(scene).things).still_there == pytest.approx(before)


def test_a_detector_that_does_not_know_a_kind_cannot_miss_it(scene: Scene) -> None:
    before = only(where(scene).things).still_there
    scene.remove("mug")
    scene.wait(60)
    scene.walk(classes=("table", "vase"))
    assert only(where(scene).things).still_there == pytest.approx(before)
    scene.walk()
    assert not where(scene).here


def test_a_single_false_detection_among_many_looks_is_not_believed() -> None:
    scene = Scene()
    scene.walk()
    scene.look((2.0, 1.0), false={"mug": (-0.4, 0.2, 0.83)})
    scene.walk()
    assert not where(scene).here
    assert only(where(scene).things).was_there < 0.5


def test_a_confusion_of_labels_is_not_a_second_thing(scene: Scene) -> None:
    for turn in range(2):
        scene.look((2.4, 0.4 * turn), blind_to=["mug"], false={"vase": ON_TABLE})
        scene.walk()
    assert len(where(scene).here) == 1
    assert not where(scene, "vase").here


@pytest.mark.parametrize("word", ["mug", "mugs", "cup", "Coffee Cup", "cups", " mug "])
def test_other_words_for_it(scene: Scene, word: str) -> None:
    assert where(scene, word).labels == ("mug",)
    assert len(where(scene, word).here) == 1


@pytest.mark.parametrize("word", ["bowl", "dragon", "tablecloth", ""])
def test_what_was_never_seen(scene: Scene, word: str) -> None:
    found = where(scene, word)
    assert found.labels == () and found.things == []


def test_as_of_an_earlier_number_it_stands_where_it_stood(moved: Scene) -> None:
    before = where(moved, query=Query(as_of=7))
    assert np.allclose(only(before.here).position, ON_TABLE, atol=0.05)


def test_a_time_range_shows_what_was_seen_then(moved: Scene) -> None:
    then = TimeRange(START, START + 30 * SECOND)
    assert np.allclose(only(where(moved, query=Query(time=then)).things).position, ON_TABLE, atol=0.05)
    now = TimeRange(START + 60 * SECOND, None)
    assert np.allclose(only(where(moved, query=Query(time=now)).here).position, ON_FLOOR, atol=0.05)


def test_what_is_forgotten_is_no_evidence(moved: Scene) -> None:
    seqs = only(where(moved).here).evidence
    moved.memory.forget(seqs)
    found = where(moved)
    assert not found.here and not {seq for thing in found.things for seq in thing.evidence} & set(seqs)
    moved.memory.undo()
    assert only(where(moved).here).evidence == seqs


def test_a_corrected_label_makes_it_another_thing(scene: Scene) -> None:
    for seq in only(where(scene).things).evidence:
        labels = ["vase" if each == "mug" else each for each in scene.memory.get(seq).observation.detections.labels]
        scene.memory.correct(seq, labels=labels)
    assert not where(scene).things
    assert np.allclose(only(where(scene, "vase").here).position, ON_TABLE, atol=0.05)


def test_a_corrected_trajectory_moves_it(scene: Scene) -> None:
    here, there = [0.0] * 6 + [1.0], [1.0, -2.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    scene.memory.reanchor(scene.memory.map_id, [START], [here], [there])
    mug = only(where(scene).here)
    assert np.allclose(mug.position, np.add(ON_TABLE, (1, -2, 0)), atol=0.05)
    scene.memory.undo()
    assert np.allclose(only(where(scene).here).position, ON_TABLE, atol=0.05)


def test_things_of_another_map_are_told_in_this_ones_coordinates(scene: Scene) -> None:
    into_old = np.eye(4)
    into_old[:3, 3] = [10, 0, 0]
    scene.memory.set_map("new", parent=scene.memory.map_id, transform=into_old)
    assert np.allclose(only(where(scene).here).position, np.subtract(ON_TABLE, (10, 0, 0)), atol=0.05)
    scene.memory.set_map("elsewhere")
    assert not where(scene).things, "coordinates of maps that are not joined are never mixed"


def test_every_kind_at_once_equals_each_kind_alone(moved: Scene) -> None:
    every = {located.word: located for located in locate_all(moved.memory.index)}
    assert set(every) == {"mug", "table"}
    for word, located in every.items():
        alone = where(moved, word)
        assert [thing.evidence for thing in located.things] == [thing.evidence for thing in alone.things]
    close = locate_all(moved.memory.index, around=np.array(ON_FLOOR), radius=1.0)
    assert [located.word for located in close] == ["mug"]


def test_nothing_was_detected() -> None:
    assert where(Scene()).things == [] and locate_all(Scene().memory.index) == []
