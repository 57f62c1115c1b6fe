"""Where to go to see a thing: a folder that holds clouds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_mem.cli.exits import Exit
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from tests.cli.conftest import Run
from tests.rooms import MUG, sweep
from tests.ros.samples import seen, things


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The memory of a robot that drove through a room and saw a mug at its third stop."""
    path = tmp_path_factory.mktemp("room")
    memory = RecordMemory.open(path, HashingEmbedder())
    for x in range(6):
        position = np.array([x, -0.5, 1.2])
        found = things(("mug",), [MUG]) if x == 3 else things((), np.zeros((0, 3)))
        memory.remember(seen(f"stop {x}", position, cloud=sweep(position), detections=found, sensor_id="lidar"))
    memory.close()
    return path


def test_goto_gives_a_pose_that_faces_the_thing(run: Run, room: Path):
    ran = run("goto", "mug", "--memory", room, "--json")
    assert ran.code == Exit.OK
    toward = MUG[:2] - ran.data["position"][:2]
    assert ran.data["heading"] == pytest.approx(np.arctan2(toward[1], toward[0]))
    assert 0.4 <= np.hypot(*toward) <= 2.6 and ran.data["evidence"]
    text = run("goto", "the mug", "--memory", room, "--from", 0, -0.5, 1.2)
    assert text.out.startswith("Go to (") and "Way: " in text.out


def test_goto_says_why_it_cannot(run: Run, room: Path):
    unknown = run("goto", "unicorn", "--memory", room)
    assert unknown.code == Exit.NOT_FOUND and "ever detected" in unknown.err
    wide = run("goto", "mug", "--memory", room, "--robot-radius", 2.4)
    assert wide.code == Exit.NOT_FOUND and wide.out.startswith("No way: ")
    far = run("goto", "mug", "--memory", room, "--from", 1e6, 0, 0)
    assert far.code == Exit.NOT_FOUND and "from the nearest place" in far.out
    huge = run("goto", "mug", "--memory", room, "--robot-radius", 20)
    assert huge.code not in (Exit.OK, Exit.NOT_FOUND) and "below 2.5 m" in huge.err
    bad = run("goto", "mug", "--memory", room, "--robot-radius", -1)
    assert bad.code not in (Exit.OK, Exit.NOT_FOUND) and "above 0" in bad.err


def test_goto_in_a_memory_without_clouds_says_so(run: Run, folder: Path):
    ran = run("goto", "lamp", "--memory", folder)
    assert ran.code == Exit.NOT_FOUND
