"""What lives on: clouds that retention drops, in checkpoints; maps, when the process that folds them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import UnavailableError
from embodied_mem.octree.tree import equal
from embodied_mem.octree.view import OccupancyView
from embodied_mem.octree.view_durable import DurableMaps
from embodied_mem.records.compaction import VIEWS
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.retention import dropped
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, observation

EVERY = 4


def _open(path: Path) -> RecordMemory:
    mem = RecordMemory.open(path, LetterEmbedder(), clock=Clock(START + 10**6 * SECOND))
    mem.retention.before_dropping = DurableMaps(mem, path / VIEWS).require
    return mem


def _see(mem: RecordMemory, count: int, points: int = 400) -> list[int]:
    begin = mem.watermark
    clouds = np.random.default_rng(begin).uniform(-3, 3, (count, points, 3)).astype(np.float32)
    return [
        mem.remember(observation(20.0 * (begin + i), (0.1 * i, 0, 0), f"look {begin + i}", cloud=cloud)).seq
        for i, cloud in enumerate(clouds)
    ]


def _view(mem: RecordMemory, folder: Path | None) -> OccupancyView:
    """A view as a node makes it when it is started: whole."""
    view = OccupancyView(mem.index, resolution=0.25, folder=folder, every=EVERY)
    _catch_up(view, mem)
    return view


def _catch_up(view: OccupancyView, mem: RecordMemory) -> None:
    view.apply(mem.entries(1, 100_000))
    view.catch_up(lambda first, limit: mem.entries(first, limit, blobs=True))


def _squeeze(mem: RecordMemory) -> int:
    """Let retention drop every cloud that may go; returns how many are gone. Raises UnavailableError."""
    mem.retention.budget = 1  # byte
    try:
        mem.retention.enforce(now=True)
    finally:
        mem.retention.budget = 0
    return dropped(mem)["dropped_clouds"]


def test_clouds_wait_for_a_map_on_disk_and_live_on_in_it(tmp_path: Path) -> None:
    mem = _open(tmp_path)
    _see(mem, 2 * EVERY)
    view = _view(mem, tmp_path / VIEWS)
    _see(mem, 2)  # folded in, but in no checkpoint yet
    _catch_up(view, mem)
    with pytest.raises(UnavailableError, match=r"clouds of 2 records, .* no map on disk"):
        _squeeze(mem)
    assert dropped(mem)["dropped_clouds"] == 0

    view.save()
    before = view.map("default")
    assert _squeeze(mem) == 2 * EVERY + 2
    mem.close()
    again = _open(tmp_path)
    assert all(
        entry.observation is None or entry.observation.cloud is None for entry in again.entries(1, 99, blobs=True)
    )
    restarted = _view(again, tmp_path / VIEWS)
    assert equal(restarted.map("default"), before) and restarted.counters["sweeps_lost"] == 0
    again.close()


def test_a_checkpoint_that_a_correction_made_void_is_nobodys_truth(tmp_path: Path) -> None:
    mem = _open(tmp_path)
    seqs = _see(mem, EVERY)
    view = _view(mem, tmp_path / VIEWS)
    mem.correct(seqs[1], position=(1.0, 1.0, 0.0))
    with pytest.raises(UnavailableError, match="no map on disk"):
        _squeeze(mem)
    _catch_up(view, mem)
    view.save()
    assert _squeeze(mem) == EVERY
    assert equal(_view(mem, tmp_path / VIEWS).map("default"), view.map("default"))
    mem.close()


def test_clouds_of_forgotten_records_and_of_a_memory_without_maps_wait_for_nobody(tmp_path: Path) -> None:
    mem = _open(tmp_path / "maps")
    seqs = _see(mem, EVERY + 1)
    view = _view(mem, tmp_path / "maps" / VIEWS)
    mem.forget([seqs[-1]])
    _catch_up(view, mem)
    assert _squeeze(mem) == EVERY + 1
    mem.close()
    mem = _open(tmp_path / "none")
    _see(mem, EVERY)
    assert _squeeze(mem) == EVERY
    mem.close()


_FOLD = """
import sys
from pathlib import Path
from tests.octree.test_durable import EVERY, OccupancyView
from embodied_mem.records.memory import RecordMemory
mem = RecordMemory.open(sys.argv[1], read_only=True)
view = OccupancyView(mem.index, resolution=0.25, folder=Path(sys.argv[1]) / "views", every=EVERY)
view.apply(mem.entries(1, 100_000))
print("begin", flush=True)
view.catch_up(lambda first, limit: mem.entries(first, limit, blobs=True))
print("end", flush=True)
"""


@pytest.mark.parametrize("checkpoints", [0, 1, 4])
def test_killed_in_mid_scan_the_map_has_the_same_bytes_after_catch_up(tmp_path: Path, checkpoints: int) -> None:
    mem = _open(tmp_path)
    _see(mem, 40, points=5000)
    mem.flush()
    process = subprocess.Popen(
        [sys.executable, "-c", _FOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None and process.stdout.readline() == "begin\n"
    while process.poll() is None and len(list((tmp_path / VIEWS).rglob("*.octree"))) < checkpoints:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed before it was through"
    process.stdout.close()
    for name, folder in (("after", tmp_path / VIEWS), ("rebuilt", None)):
        _view(mem, folder).map("default").save(tmp_path / name, mem.watermark, {})
    assert (tmp_path / "after").read_bytes() == (tmp_path / "rebuilt").read_bytes()
    mem.close()
