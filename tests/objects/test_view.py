"""The things of a log: whatever happens to its records, they are those of a rebuild; and what they say is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError, RefusedError
from embodied_mem.objects.locate import Located
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.commands import PartThings, UniteThings
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections
from embodied_mem.records.view import RecordView
from tests.objects.scene import Scene
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, memory, observation, seeing

ON_TABLE, ON_FLOOR = (0.3, 0.1, 0.83), (3.5, 3.5, 0.13)
LABELS = ("mug", "cup", "chair", "vase")


def said(view: ObjectView, map_id: str) -> list[Any]:
    """Everything that a view says of a map, as plain values."""
    return [
        (
            located.labels, thing.id, thing.label, thing.position.tolist(), thing.extent.tolist(), thing.first_seen,
            thing.last_seen, thing.missed_ns, thing.was_there, thing.still_there, thing.hits, thing.looks,
            thing.evidence, located.state(thing), thing.before and thing.before.id,
        )
        for located in sorted(view.locate_all(map_id), key=lambda each: each.word)
        for thing in located.things
    ]  # fmt: skip


def rebuilt(mem: RecordMemory) -> ObjectView:
    records = RecordView()
    entries = mem.entries(1, 100_000)
    records.apply(entries)
    fresh = ObjectView(records.index)
    fresh.apply(entries)
    return fresh


def see(mem: RecordMemory, number: int, rng: np.random.Generator, stamp: float | None = None) -> int:
    """A look at some of a few things that stand in a row, with noise; each look from a pose of its own."""
    chosen = rng.choice(5, size=int(rng.integers(0, 4)), replace=False)
    centers = np.column_stack([2.0 + 0 * chosen, chosen - 2.0, 0 * chosen]) + rng.normal(0, 0.05, (len(chosen), 3))
    labels = tuple(LABELS[int(each) % 4] for each in chosen)
    n = len(labels)
    vectors = np.eye(5, 8, dtype=np.float32)[chosen] if number % 2 and n else None
    found = Detections(labels, np.full(n, 0.8), centers.reshape(n, 3), np.full((n, 3), 0.2), np.zeros(n), vectors)
    place = tuple(rng.uniform(-0.5, 0.5, 3))
    fields = {"detections": found, "view": seeing(LABELS, 4000)}
    return mem.remember(observation(20.0 * number if stamp is None else stamp, place, f"look {number}", **fields)).seq


def live_through(mem: RecordMemory, view: ObjectView, seen: list[int], rng: np.random.Generator, steps: int) -> None:
    """Things happen to a memory at random, late records among them."""
    events = ["see"] * 6 + ["late", "again", "forget", "correct", "relabel", "undo", "anchor", "map", "compact", "tie"]
    for _ in range(steps):
        event = str(rng.choice([*events, "ask"]))
        try:
            if event == "see" or not seen:
                seen.append(see(mem, len(seen), rng))
            elif event == "late":
                seen.append(see(mem, len(seen), rng, 20.0 * len(seen) - float(rng.uniform(1, 15))))
            elif event == "again":
                mem.remember(observation(20.0 * len(seen) + 1, (9, 9, 9), "nothing", view=seeing(LABELS)))
                mem.remember(observation(20.0 * len(seen) + 2, (9, 9, 9), "nothing", view=seeing(LABELS)))
            elif event == "map":
                mem.set_map(str(rng.choice(["default", "upstairs"])))
            elif event == "anchor":
                here, there = [[0, 0, 0, 0, 0, 0, 1]], [[*rng.uniform(-1, 1, 3), 0, 0, 0, 1]]
                mem.reanchor(mem.map_id, [START], here, there)
            elif event == "compact":
                Compaction(mem).run()
            elif event == "forget":
                mem.forget([int(rng.choice(seen))])
            elif event == "undo":
                mem.undo()
            elif event == "ask":
                view.catch_up()
            else:
                seq = int(rng.choice(seen))
                count = len(mem.get(seq).observation.detections)
                if event == "correct":
                    mem.correct(seq, position=rng.uniform(-1, 1, 3))
                elif event == "relabel":
                    mem.correct(seq, labels=[str(rng.choice(LABELS)) for _ in range(count)])
                else:
                    kind = UniteThings if rng.random() < 0.5 else PartThings
                    mem.change_things(kind(((seq, 0), (int(rng.choice(seen)), 0))))
        except (NotFoundError, BadInputError, RefusedError):
            continue  # forgotten, nothing to undo, or too late


@pytest.mark.parametrize("seed", range(8))
def test_after_any_life_the_things_are_those_of_a_rebuild(seed: int, tmp_path: Path) -> None:
    mem = RecordMemory.open(tmp_path, LetterEmbedder(), clock=Clock(START + 10**6 * SECOND))
    view = ObjectView(mem.index, every=3)
    view.apply(mem.entries(1, 100_000))
    mem.subscribe(view.apply)
    rng = np.random.default_rng(seed)
    seen: list[int] = []
    for _ in range(4):
        live_through(mem, view, seen, rng, 15)
        fresh = rebuilt(mem)
        for map_id in mem.maps:
            try:
                mem.index.maps.resolve(map_id)
            except LookupError:
                continue  # not joined to the current map
            assert said(view, map_id) == said(fresh, map_id)
    assert view.counters["refolded"], "this life must have gone back at least once"
    mem.close()


def test_the_order_of_arrival_does_not_matter() -> None:
    told = []
    for order in (range(12), [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10]):
        mem = memory()
        view = ObjectView(mem.index, every=2)
        for number in order:
            see(mem, number, np.random.default_rng(number), 5.0 * number)
            view.catch_up()
        told.append(
            [(t.label, t.position.tolist(), t.present, t.first_seen) for k in view.locate_all() for t in k.things]
        )
    assert told[0] == told[1] and len(told[0]) > 3


def test_only_what_came_after_a_change_is_folded_again() -> None:
    mem = memory()
    view = ObjectView(mem.index, every=4)
    seqs = [see(mem, number, np.random.default_rng(number)) for number in range(20)]
    view.catch_up()
    fold = view._folds["default"]
    mem.forget([seqs[17]])
    view.catch_up()
    assert fold.refolded == 1 and len(fold.made_of) == 19
    assert min(state.folded for state in fold._checkpoints) <= 16, "older checkpoints are still good"


# --- what the things say -----------------------------------------------------------------------------------------


@pytest.fixture
def scene() -> Scene:
    """A mug on the table, seen from six sides."""
    made = Scene()
    made.put("mug", ON_TABLE)
    made.walk()
    return made


def where(scene: Scene, word: str = "mug") -> Located:
    return ObjectView(scene.memory.index).locate(word)


def test_a_moved_thing_is_the_same_thing_elsewhere(scene: Scene) -> None:
    first = where(scene).here[0]
    scene.put("mug", ON_FLOOR)
    scene.wait(60)
    scene.walk()
    scene.walk(4, at=ON_FLOOR[:2])
    found = where(scene)
    assert len(found.here) == 1
    mug = found.here[0]
    assert np.allclose(mug.position, ON_FLOOR, atol=0.05) and found.state(mug) == "moved"
    assert mug.id == first.id, "it kept its identity"
    before = found.before(mug)
    assert before is not None and np.allclose(before.position, ON_TABLE, atol=0.05) and found.state(before) == "gone"


def test_a_thing_that_appears_where_nothing_stood_was_elsewhere_before_anyone_looks_there(scene: Scene) -> None:
    scene.walk(4, at=ON_FLOOR[:2])  # the floor is empty
    scene.put("mug", ON_FLOOR)
    scene.wait(60)
    scene.walk(4, at=ON_FLOOR[:2])
    found = where(scene)
    assert np.allclose(found.things[0].position, ON_FLOOR, atol=0.05)
    old = next(thing for thing in found.things if np.allclose(thing.position, ON_TABLE, atol=0.1))
    assert old.present < 0.5 and found.before(found.things[0]) is not None


def test_what_is_carried_in_view_is_one_thing() -> None:
    scene = Scene()
    scene.put("mug", (0.3, -1.5, 0.83))
    eye = (-2.5, -1.5)
    for _ in range(6):
        scene.look(eye, (0.3, -1.5))
    for step in range(1, 9):
        scene.put("mug", (0.3, -1.5 + 0.3 * step, 0.83))
        scene.look(eye, (0.3, -1.5 + 0.3 * step))
    for turn in range(4):
        scene.look((-2.5, -1.2 + 0.3 * turn), (0.3, 0.9))
    found = where(scene)
    assert len(found.here) == 1 and np.allclose(found.here[0].position, (0.3, 0.9, 0.83), atol=0.15)
    before = found.before(found.here[0])
    assert before is not None and before.id == found.here[0].id


def test_without_absence_nothing_is_ever_gone(scene: Scene) -> None:
    scene.remove("mug")
    scene.wait(60)
    scene.walk()
    assert not where(scene).here
    assert ObjectView(scene.memory.index, absence=False).locate("mug").here


def test_belief_fades_with_time_and_a_sofa_outlives_a_mug() -> None:
    scene = Scene()
    scene.put("mug", ON_TABLE)
    scene.walk()
    view = ObjectView(scene.memory.index)
    later = scene.clock.now_ns + 5 * 86_400 * SECOND
    mug, table = (view.locate(word, now_ns=later) for word in ("mug", "table"))
    assert mug.things[0].present < 0.2 and mug.state(mug.things[0]) == "stale"
    assert table.things[0].present > 0.8


def test_one_that_was_two_is_parted(scene: Scene) -> None:
    scene.put("mug 2", (-0.45, 0.1, 0.83))
    seqs = scene.walk()
    view = ObjectView(scene.memory.index)
    scene.memory.subscribe(view.apply)
    view.catch_up()
    assert len({thing.id for thing in view.locate("mug").here}) == 2

    def place(seq: int, y: float) -> int:
        found = scene.memory.get(seq).observation.detections
        return next(i for i, c in enumerate(found.centers) if found.labels[i] == "mug" and abs(c[0] - y) < 0.1)

    one = (seqs[0], place(seqs[0], 0.3))
    same = (seqs[3], place(seqs[3], 0.3))
    number = scene.memory.change_things(PartThings((one, same)))
    things = view.locate("mug").things
    at_one = [thing for thing in things if abs(thing.position[0] - 0.3) < 0.1]
    assert len(at_one) == 2
    assert all(len({one[0], same[0]} & set(thing.evidence)) == 1 for thing in at_one)
    scene.memory.undo(number)
    assert len(view.locate("mug").things) == 2


def test_two_that_were_one_are_united(scene: Scene) -> None:
    old = where(scene).here[0].evidence[0]
    scene.put("mug 2", (5.0, 5.0, 0.3))
    new, *_ = [scene.look((3.0 + 0.3 * i, 3.4), (5.0, 5.0)) for i in range(4)]
    view = ObjectView(scene.memory.index)
    assert len({thing.id for thing in view.locate("mug").here}) == 2
    told = []
    for seq in (old, new):
        labels = scene.memory.get(seq).observation.detections.labels
        told.append((seq, labels.index("mug")))
    number = scene.memory.change_things(UniteThings(tuple(told)))
    found = view.locate("mug")
    assert len({thing.id for thing in found.things}) == 1
    assert np.allclose(found.here[0].position, (5.0, 5.0, 0.3), atol=0.05)
    assert found.state(found.here[0]) == "moved"
    scene.memory.undo(number)
    assert len({thing.id for thing in view.locate("mug").here}) == 2


def test_vectors_tell_two_alike_apart() -> None:
    mem = memory()
    view = ObjectView(mem.index)
    mem.subscribe(view.apply)
    rng = np.random.default_rng(1)
    for number in range(8):
        centers = np.array([[2, 0.0, 0], [2, 0.3, 0]]) + rng.normal(0, 0.08, (2, 3))
        vectors = np.eye(2, 4, dtype=np.float32)
        found = Detections(("mug", "mug"), np.full(2, 0.8), centers, np.full((2, 3), 0.1), np.zeros(2), vectors)
        mem.remember(observation(20 * number, (0.3 * number, 0, 0), f"{number}", detections=found, view=seeing()))
    here = sorted(view.locate("mug").here, key=lambda thing: thing.position[1])
    assert [thing.hits for thing in here] == [8, 8]
    assert np.allclose([thing.position[1] for thing in here], [0, 0.3], atol=0.08)
