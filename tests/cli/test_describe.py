"""What places are like, from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_mem.cli.exits import Exit
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from tests.cli.conftest import Run
from tests.ros.samples import seen


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve captions of a kitchen around (0, 0), then twelve of a garage around (40, 0)."""
    path = tmp_path_factory.mktemp("rooms")
    memory = RecordMemory.open(path, HashingEmbedder())
    for x, caption in ((0.0, "a kitchen with an oven"), (40.0, "a red car in the garage")):
        for i in range(12):
            memory.remember(seen(f"{caption} {i}", np.array([x + i % 3, i % 4, 1.0]), sensor_id=str(x)))
    memory.close()
    return path


def test_a_region_the_whole_and_a_question(run: Run, rooms: Path) -> None:
    whole = run("describe", "--memory", rooms, "--json")
    assert whole.code == Exit.OK and whole.data["areas"][0]["records"] == 24
    kitchen = run("describe", "--memory", rooms, "--near", 0, 0, 1, "--radius", 9, "--json")
    assert kitchen.data["areas"][0]["records"] == 12 and "oven" in kitchen.data["sentences"][0]["text"]
    named = {seq for sentence in kitchen.data["sentences"] for seq in sentence["records"]}
    assert named == {item["seq"] for item in kitchen.data["evidence"]}
    garage = run("describe", "what is the garage like?", "--memory", rooms)
    assert garage.code == Exit.OK and "car" in garage.out and "oven" not in garage.out
    more = run("describe", "where are there more cars?", "--memory", rooms, "--json")
    assert more.data["areas"][0]["center"][0] > 35


def test_two_regions_are_compared(run: Run, rooms: Path) -> None:
    told = run("describe", "--memory", rooms, "--near", 0, 0, 1, "--radius", 9, "--against", 40, 0, 1)
    assert told.code == Exit.OK and "The second area has more" in told.out
    alone = run("describe", "--memory", rooms, "--against", 40, 0, 1)
    assert alone.code == Exit.USAGE and "--near" in alone.err


def test_what_is_not_there_is_not_found_and_other_questions_are_refused(run: Run, rooms: Path) -> None:
    nothing = run("describe", "--memory", rooms, "--near", 900, 0, 0, "--radius", 2)
    assert nothing.code == Exit.NOT_FOUND and nothing.out.startswith("Not found")
    other = run("describe", "where is the mug?", "--memory", rooms)
    assert other.code == Exit.USAGE and "region" in other.err
