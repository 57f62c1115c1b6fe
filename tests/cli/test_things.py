"""Things on the command line: the list, its history, and what people say of detections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embodied_mem.cli.exits import Exit
from embodied_mem.records.memory import RecordMemory
from tests.cli.conftest import Run
from tests.objects.scene import Scene

ON_TABLE, ON_FLOOR = (0.3, 0.1, 0.83), (3.5, 3.5, 0.13)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A memory of a mug that was on a table and then on the floor."""
    scene = Scene()
    scene.put("mug", ON_TABLE)
    scene.walk()
    scene.put("mug", ON_FLOOR)
    scene.wait(60)
    scene.walk()
    scene.walk(4, at=ON_FLOOR[:2])
    path = tmp_path / "memory"
    memory = RecordMemory.open(path, clock=scene.clock)
    for entry in scene.memory.entries(1, 1000):
        if entry.observation is not None:
            memory.remember(replace(entry.observation, session_id=""))
    memory.close()
    return path


def test_things_and_where_they_were_before(run: Run, home: Path) -> None:
    now = run("things", "--memory", home, "--now", "last", "--json").data["objects"]
    assert {(item["label"], item["state"]) for item in now} == {("mug", "moved"), ("table", "observed")}
    told = run("things", "mugs", "--history", "--memory", home, "--now", "last", "--json").data["objects"]
    assert [item["state"] for item in told] == ["moved", "gone"] and told[0]["id"] == told[1]["id"]
    assert told[1]["position"] == pytest.approx(ON_TABLE, abs=0.1)
    text = run("things", "--id", told[0]["id"], "--history", "--memory", home, "--now", "last").out.splitlines()
    assert len(text) == 2 and text[1].startswith("  before: ") and "gone" in text[1]
    assert run("things", "unicorn", "--memory", home).code == Exit.NOT_FOUND


def test_belief_fades_until_the_time_that_is_asked_for(run: Run, home: Path) -> None:
    later = "2033-01-01T00:00"
    (mug,) = run("things", "mug", "--memory", home, "--now", later, "--json").data["objects"]
    assert mug["state"] == "stale" and mug["probability"] < 0.01


def test_part_and_undo(run: Run, home: Path) -> None:
    newest, before = run("things", "mug", "--history", "--memory", home, "--now", "last", "--json").data["objects"]
    ends = [mug_in(home, seq) for seq in (before["records"][-1], newest["records"][0])]
    told = run("part", *ends, "--memory", home, "--json")
    assert told.code == Exit.OK
    parted = run("things", "mug", "--history", "--memory", home, "--now", "last", "--json").data["objects"]
    assert len({item["id"] for item in parted}) == 2
    assert run("undo", told.data["command_seq"], "--memory", home).code == Exit.OK
    again = run("things", "mug", "--history", "--memory", home, "--now", "last", "--json").data["objects"]
    assert [item["id"] for item in again] == [newest["id"]] * 2
    assert run("unite", *ends, "--memory", home).code == Exit.OK
    assert run("unite", "the mug", "1.0", "--memory", home).code == Exit.USAGE


def mug_in(home: Path, seq: int) -> str:
    memory = RecordMemory.open(home, read_only=True)
    place = memory.get(seq).observation.detections.labels.index("mug")
    memory.close()
    return f"{seq}.{place}"
