"""System 2 in the house of chores: it looks where it expects things, goes on where the world is, learns, gives up."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("py_trees", reason="py_trees is not installed: run `make setup`")

from embodied_mem.planner.beliefs import mixed, prior_of, updated
from embodied_mem.planner.experience import StepRecord
from embodied_mem.planner.facts import fact
from embodied_mem.planner.knowledge import Uses
from embodied_mem.planner.monitor import Verdict
from embodied_mem.planner.system2 import Progress
from sim.house.chores.robot import Robot
from sim.house.chores.tasks import LABELS, TYPICAL, make_task, world_of
from sim.house.chores.world import Event
from tests.planner.rooms import book


def robot(uses: Uses | None = None, seed: int = 101) -> Robot:
    return Robot(world_of(make_task("Ideal", seed, 0)), uses or Uses(), things=LABELS, typical=TYPICAL)


def lying(made: Robot) -> tuple[str, str, str]:
    """A thing that lies open, where, and another surface."""
    item = next(item for item in made.world.items.values() if item.relation == "on")
    target = next(p.name for p in made.world.book.places if p.surface and p.name != item.place)
    return item.label, item.place, target


def done(made: Robot) -> list[str]:
    assert made.planner.run is not None
    return [str(step.action) for step in made.planner.run.done_steps if step.outcome == "done"]


def test_it_brings_what_it_was_told_of_and_every_verdict_is_true() -> None:
    made = robot()
    thing, place, target = lying(made)
    assert made.carry_out(f"put the {thing} from the {place} on the {target}") is Progress.DONE
    assert made.world.items[thing].place == target
    assert made.planner.run is not None and all(found is Verdict.DONE for _, found, _ in made.planner.run.verdicts)


def test_a_thing_that_is_not_where_it_should_be_is_looked_for_elsewhere() -> None:
    made = robot()
    thing, place, target = lying(made)
    other = next(p.name for p in made.world.book.places if p.surface and p.name not in (place, target))
    made.world.lay(thing, "on", other)
    assert made.carry_out(f"put the {thing} from the {place} on the {target}") is Progress.DONE
    assert made.planner.run is not None and made.planner.run.replans > 0
    empty = [s for s in made.planner.run.done_steps if s.outcome == "failed" and s.action == fact("look", thing, place)]
    assert empty, "the look in vain was not written down"


def test_what_people_did_already_is_not_done_again() -> None:
    made = robot()
    name = next(p.name for p in made.world.book.places if p.container)
    made.world.shut[name] = False
    assert made.carry_out(f"open the {name}") is Progress.DONE
    assert not any(step.startswith("open(") for step in done(made)) and not made.world.shut[name]


def test_what_is_undone_meanwhile_is_done_again() -> None:
    made = robot()
    thing, place, target = lying(made)
    name = next(p.name for p in made.world.book.places if p.container and p.name not in (place, target))
    made.world.events = [Event(1.0, "shut", name, seen=True)]
    made.world.shut[name] = False
    assert made.carry_out(f"put the {thing} from the {place} in the {name}") is Progress.DONE
    assert made.world.items[thing].place == name and f"open({name})" in done(made)


def test_it_gives_up_with_the_reason_when_there_is_no_such_thing() -> None:
    made = robot()
    missing = next(label for label in LABELS if label not in made.world.items and TYPICAL[label])
    assert made.carry_out(f"find out where the {missing} is") is Progress.GIVEN_UP
    assert made.planner.run is not None and f"The {missing} is at none of the places" in made.planner.run.reason


def test_a_grip_that_fails_is_given_up_for_another_and_remembered() -> None:
    made = robot()
    thing, place, target = lying(made)
    made.world.items[thing].grips = {"top": 0.0, "side": 1.0}
    assert made.carry_out(f"put the {thing} from the {place} on the {target}") is Progress.DONE
    assert made.carry_out(f"put the {thing} on the {place}") is Progress.DONE
    assert made.planner.run is not None
    assert all(step.outcome == "done" for step in made.planner.run.done_steps if step.action.name == "pick")
    assert f"pick({thing}, {target}, side)" in done(made)


def test_a_task_of_which_memory_knows_goes_on_with_what_is_left() -> None:
    made = robot()
    thing, place, target = lying(made)
    made.world.see()
    made.planner.begin(f"put the {thing} from the {place} on the {target}", task="errand")
    while made.world.held != thing:
        assert made.planner.tick() is Progress.GOING
    made.planner.suspend()
    run = made.planner.begin(task="errand")  # as after a restart: only the name is known
    while (progress := made.planner.tick()) is Progress.GOING:
        pass
    assert progress is Progress.DONE and made.world.items[thing].place == target
    assert not any(step.action.name == "pick" for step in run.done_steps)
    assert [task.task for task in made.known.experience.unfinished()] == []


def test_without_a_list_of_steps_it_does_not_know_where_it_put_something() -> None:
    """What is remembered is what `Uses` says: after a while only who keeps a list knows."""
    for uses, knows in ((Uses(True, False, False, False), True), (Uses(False, False, False, False), False)):
        made = robot(uses)
        thing, place, target = lying(made)
        assert made.carry_out(f"put the {thing} from the {place} on the {target}") is Progress.DONE
        away = max(made.world.book.places, key=lambda p: made.world.building.length(target, p.name)).name
        made.world.do("go", (made.world.spot, away))
        made.world.seconds += 60.0
        made.world.see()
        assert (made.known.belief(thing).sure >= made.known.sure) is knows


def test_steps_are_read_back_as_they_were_written() -> None:
    step = StepRecord("t1", 4, 2, fact("pick", "toy car", "bookshelf in the office", "top"), "failed", "slipped", 6.2)
    assert StepRecord.parse(step.caption) == step
    assert StepRecord.parse("a mug on a desk") is None and StepRecord.parse("task t, step x, try 1: go done") is None


def test_beliefs_follow_bayes() -> None:
    flat = book()
    n = len(flat.regions)
    prior = prior_of("mug", flat, {"mug": ("desk",)}, {})
    assert prior.sum() == pytest.approx(1) and flat.regions[int(prior.argmax())] == fact("on", "", "desk")
    nothing = np.zeros(n)
    looked = np.ones(n)
    looked[int(prior.argmax())] = 0.01
    before, _ = mixed(nothing, prior, np.ones(n))
    after, _ = mixed(nothing, prior, looked)
    assert after[prior.argmax()] < before[prior.argmax()] and after.sum() < 1
    hits = np.zeros(n, dtype=np.int64)
    hits[-1] = 2
    seen = updated(before, hits, np.zeros(n, dtype=np.int64))
    assert seen.argmax() == n - 1 and seen[-1] > 0.9 and seen.sum() <= 1
