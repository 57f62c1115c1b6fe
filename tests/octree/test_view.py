"""The maps of a log: whatever happens to its records, they are those of a rebuild."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.octree.tree import Octree, equal
from embodied_mem.octree.view import OccupancyView
from embodied_mem.records.compaction import VIEWS, Compaction
from embodied_mem.records.entry import Entry
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.view import RecordView
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, memory, observation

POINT = np.array([2.0, 0.1, 0.1])


class Live:
    """A memory with a view that follows it; every cloud is heard once, and may be read again."""

    def __init__(self, mem: RecordMemory, folder: Path | None, *, every: int = 3) -> None:
        self.mem, self.folder = mem, folder
        self.view = OccupancyView(mem.index, resolution=0.25, folder=folder, every=every)
        self.view.apply(mem.entries(1, 100_000))
        mem.subscribe(self.view.apply)
        self.seen: list[int] = []

    def settle(self) -> OccupancyView:
        self.view.catch_up(lambda first, limit: self.mem.entries(first, limit, blobs=True))
        return self.view

    def rebuilt(self) -> OccupancyView:
        records = RecordView()
        records.apply(self.mem.entries(1, 100_000))
        fresh = OccupancyView(records.index, resolution=0.25)
        fresh.apply(self.mem.entries(1, 100_000))
        fresh.catch_up(lambda first, limit: self.mem.entries(first, limit, blobs=True))
        return fresh

    def agrees(self) -> bool:
        live, fresh = self.settle(), self.rebuilt()
        assert live.behind == fresh.behind == 0
        return all(_same(live, fresh, map_id) for map_id in self.mem.maps)


def _same(one: OccupancyView, other: OccupancyView, map_id: str) -> bool:
    return equal(_map(one, map_id), _map(other, map_id))


def _map(view: OccupancyView, map_id: str) -> Octree:
    try:
        return view.map(map_id)
    except NotFoundError:
        return Octree(0.25)


def _see(mem: RecordMemory, number: int, position: tuple[float, float, float] = (0, 0, 0), n: int = 30) -> int:
    cloud = np.random.default_rng(number).uniform(-3, 3, (n, 3)).astype(np.float32)
    return mem.remember(observation(20.0 * number, position, f"look {number}", cloud=cloud)).seq


def _live_through(live: Live, rng: np.random.Generator, steps: int) -> None:
    """Things happen to a memory at random."""
    mem = live.mem
    seen = live.seen
    for _ in range(steps):
        event = rng.choice(["see", "see", "see", "forget", "correct", "undo", "anchor", "map", "compact", "settle"])
        if event == "see" or not seen:
            seen.append(_see(mem, len(seen), tuple(rng.uniform(-2, 2, 3))))
        elif event == "map":
            mem.set_map(str(rng.choice(["default", "upstairs"])))
        elif event == "settle":
            live.settle()
        elif event == "anchor":
            stamps = [START, START + 20 * len(seen) * SECOND]
            before = [[0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 1]]
            after = [[0.5, 0, 0, 0, 0, 0, 1], [1, rng.uniform(-1, 1), 0, 0, 0, 0, 1]]
            mem.reanchor(mem.map_id, stamps, before, after)
        elif event == "compact":
            Compaction(mem).run()
        else:
            try:
                if event == "forget":
                    mem.forget([int(rng.choice(seen))])
                elif event == "correct":
                    mem.correct(int(rng.choice(seen)), position=rng.uniform(-2, 2, 3))
                else:
                    mem.undo()
            except (NotFoundError, BadInputError):
                continue  # forgotten, or nothing to undo


@pytest.mark.parametrize("seed", range(8))
def test_after_any_life_the_maps_are_those_of_a_rebuild(seed: int, tmp_path: Path) -> None:
    mem = RecordMemory.open(tmp_path / "memory", LetterEmbedder(), clock=Clock(START + 10**6 * SECOND))
    live = Live(mem, tmp_path / "views" if seed % 2 else None)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        _live_through(live, rng, 15)
        assert live.agrees()
    mem.close()


def test_a_restart_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    mem = memory()
    live = Live(mem, tmp_path, every=4)
    for number in range(10):
        _see(mem, number)
    live.settle()
    again = Live(mem, tmp_path)
    asked: list[int] = []

    def read(first: int, limit: int) -> Sequence[Entry]:
        asked.append(first)
        return mem.entries(first, limit, blobs=True)

    again.view.catch_up(read)
    assert asked == [10]  # entry 1 is the map: the first eight records stand in the checkpoint
    assert again.agrees()


def test_only_what_came_after_a_change_is_folded_again(tmp_path: Path) -> None:
    mem = memory()
    live = Live(mem, tmp_path, every=4)
    seqs = [_see(mem, number) for number in range(20)]
    live.settle()
    mem.forget([seqs[17]])
    due = live.view.work()
    assert due is not None and due[0] == seqs[16]
    before = live.view.map("default")
    assert not equal(before, live.rebuilt().map("default")), "meanwhile the map as it was answers"
    assert live.agrees()
    assert live.view.counters["folded_again"] == 1


def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    mem = memory()
    live = Live(mem, tmp_path, every=4)
    for number in range(9):
        _see(mem, number)
    live.settle()
    for file in tmp_path.rglob("*.octree"):
        data = bytearray(file.read_bytes())
        data[100::50] = bytes(byte ^ 4 for byte in data[100::50])
        file.write_bytes(data)
    again = Live(mem, tmp_path)
    assert again.agrees()
    assert again.view.counters["checkpoints_unreadable"] >= 1


def test_a_checkpoint_of_another_log_is_not_used(tmp_path: Path) -> None:
    one = memory()
    first = Live(one, tmp_path, every=2)
    for number in range(6):
        _see(one, number)
    first.settle()
    other = memory()
    for number in range(6):
        _see(other, number + 50)
    assert Live(other, tmp_path).agrees()


def test_few_checkpoints_are_kept_and_the_newest_are_dense(tmp_path: Path) -> None:
    mem = memory()
    live = Live(mem, tmp_path, every=1)
    for number in range(64):
        _see(mem, number, n=3)
        live.settle()
    counts = sorted(int(file.stem) for file in tmp_path.rglob("*.octree"))
    assert len(counts) <= 8 and counts[-1] == 64 and counts[-2] >= 60 and counts[0] <= 32


def test_a_cloud_that_retention_dropped_stays_in_the_map_and_is_counted_when_it_is_needed_again(tmp_path: Path) -> None:
    mem = memory()
    live = Live(mem, tmp_path, every=4)
    seqs = [_see(mem, number) for number in range(8)]
    live.settle()
    whole = live.view.map("default")

    def without_first_clouds(first: int, limit: int) -> Sequence[Entry]:
        entries = mem.entries(first, limit, blobs=True)
        return [_dropped(entry) if entry.seq in seqs[:4] else entry for entry in entries]

    again = OccupancyView(mem.index, resolution=0.25, folder=tmp_path)
    again.apply([_dropped(entry) if entry.seq in seqs[:4] else entry for entry in mem.entries(1, 1000)])
    again.catch_up(without_first_clouds)
    assert equal(again.map("default"), whole) and again.counters["sweeps_lost"] == 0

    mem.correct(seqs[0], position=(1, 1, 1))
    again.apply(mem.entries(1, 1000))
    again.catch_up(without_first_clouds)
    assert again.counters["sweeps_lost"] == 4
    assert set(np.unique(again.map("default").to_arrays().records)) <= {0, *seqs[4:]}


def test_compaction_removes_checkpoints_in_which_forgotten_clouds_may_lie(tmp_path: Path) -> None:
    mem = RecordMemory.open(tmp_path, LetterEmbedder(), clock=Clock(START + 10**6 * SECOND))
    live = Live(mem, tmp_path / VIEWS, every=2)
    seqs = [_see(mem, number) for number in range(6)]
    live.settle()
    assert list((tmp_path / VIEWS).rglob("*.octree"))
    mem.forget([seqs[2]])
    Compaction(mem).run()
    assert not list((tmp_path / VIEWS).rglob("*.octree"))
    assert live.agrees()
    mem.close()


def test_where_nothing_was_seen_is_no_map() -> None:
    mem = memory(Clock())
    live = Live(mem, None)
    mem.remember(observation())
    with pytest.raises(NotFoundError, match="no record of it has a cloud"):
        live.settle().map("default")
    with pytest.raises(UnknownMapError, match="known are default"):
        live.view.map("attic")


def test_a_ray_ends_at_what_was_seen_and_the_way_there_is_free() -> None:
    mem = memory()
    live = Live(mem, None)
    mem.remember(observation(0, (1, 0, 0), cloud=np.array([[2.0, 0, 0]], np.float32)))
    tree = live.settle().map("default")
    assert tree.state([[3.1, 0.1, 0.1], [2.0, 0.1, 0.1], [3.6, 0.1, 0.1]]).tolist() == [1, 0, -1]


def _dropped(entry: Entry) -> Entry:
    if entry.observation is None:
        return entry
    return replace(entry, observation=replace(entry.observation, cloud=None), cloud="")
