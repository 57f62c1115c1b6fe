"""What a frame says for and against things: confusions are no things, neighbours are no confusions, moves are moves."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.objects.histories import history
from embodied_mem.objects.identity import Kin, link
from embodied_mem.objects.naming import detection
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections
from tests.records.builders import memory, observation, seeing

SECOND = 1_000_000_000
KNOWN = ("mug", "vase", "book")
MUG, VASE = (2.0, 0.0, 0.0), (2.0, 0.1, 0.0)


def look(mem: RecordMemory, number: int, found: dict[str, tuple[float, float, float]]) -> None:
    """A look from a pose of its own; something fills the places of all that is 2 m away."""
    n = len(found)
    seen = Detections(
        tuple(found), np.full(n, 0.8), np.array(list(found.values())).reshape(n, 3), np.full((n, 3), 0.12), np.zeros(n)
    )
    place = (0.0, 0.3 * (number % 5) - 0.6, 0.0)
    mem.remember(observation(5.0 * number, place, f"look {number}", detections=seen, view=seeing(KNOWN, 2000)))


def test_what_a_thing_was_taken_for_at_first_is_no_thing() -> None:
    mem = memory()
    for number in range(12):
        look(mem, number, {"mug" if number == 0 else "vase": VASE})
    view = ObjectView(mem.index)
    assert [thing.label for kind in view.locate_all() for thing in kind.here] == ["vase"]


def test_a_false_detection_at_the_place_of_a_thing_is_taken_back_by_looks_that_show_that_thing_alone() -> None:
    mem = memory()
    for number in range(4):
        look(mem, number, {"vase": VASE})
    look(mem, 4, {"vase": VASE, "mug": MUG})
    before = ObjectView(mem.index).locate("mug").things[0].present
    for number in range(5, 10):
        look(mem, number, {"vase": VASE})
    after = ObjectView(mem.index).locate("mug").things
    assert before > 0.05 and all(thing.present < 0.1 * before for thing in after)


def test_two_small_things_side_by_side_are_both_there() -> None:
    mem = memory()
    for number in range(20):
        look(mem, number, {"vase": VASE, "mug": MUG} if number % 2 == 0 else {"vase": VASE})
    mug = next(iter(ObjectView(mem.index).locate("mug").things))
    assert mug.was_there > 0.9, "far fewer detections than the vase has, but in the same frames"


def kin(**changed: object) -> Kin:
    """A stay that was seen until 10 s, and one that was first seen at 100 s, where it had been empty before."""
    fields: dict[str, object] = {
        "first": np.array([1, 100]) * SECOND, "last": np.array([10, 120]) * SECOND,
        "looked": np.array([10, 120]) * SECOND, "empty": np.array([0, 50]) * SECOND,
        "left": np.array([0.1, 0.0]), "came": np.array([-1, -1]), "leaving": 1e-5, "vectors": [],
    }  # fmt: skip
    return Kin(**{**fields, **changed})  # type: ignore[arg-type]


def test_a_look_in_vain_that_settles_nothing_does_not_hinder_a_move() -> None:
    for looked in (10, 110):  # nobody has looked at the old place since; somebody has, and could not tell
        found = link(kin(looked=np.array([looked, 120]) * SECOND))
        assert found.before.tolist() == [-1, 0] and found.elsewhere[0] > 0.5


def test_a_thing_that_was_seen_at_its_place_later_did_not_move() -> None:
    assert link(kin(last=np.array([110, 120]) * SECOND)).before.tolist() == [-1, -1]


def test_what_somebody_parted_is_not_one_thing_that_moved() -> None:
    assert link(kin(parted=[(0, 1)])).before.tolist() == [-1, -1]


def test_things_are_found_by_id_and_detections_are_named_in_words() -> None:
    mem = memory()
    for number in range(4):
        look(mem, number, {"vase": VASE})
    view = ObjectView(mem.index)
    ((known,),) = history(view)
    id_ = known.thing.id
    assert mem.get(detection(id_)[0]).observation.caption == "look 0"
    assert history(view, id_=id_)[0][0].thing.id == id_
    with pytest.raises(NotFoundError, match="list the things anew"):
        history(view, id_="99.0")
    for word in ("mug", "1", "1.x", "-1.0", "0.0", ".3", "1.2.3"):
        with pytest.raises(BadInputError, match="names no detection"):
            detection(word)
