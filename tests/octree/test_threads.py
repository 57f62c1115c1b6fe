"""One writer and several readers: every answer is of one state of the map, between two scans."""

from __future__ import annotations

import threading
import time

import numpy as np

from embodied_mem.octree.lock import ReadersWriterLock
from embodied_mem.octree.tree import Octree

SHELL = 0.1


def _shell(size: int) -> np.ndarray:
    """The voxels of a cube's surface, as points."""
    axis = np.arange(size) * 0.1 + 0.05
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    edge = (np.isclose(grid, axis[0]) | np.isclose(grid, axis[-1])).any(axis=1)
    return grid[edge]


def test_readers_see_whole_scans_only() -> None:
    """A scan hits all voxels of a shell, or all are cleared; a reader that sees some and not others saw a torn map."""
    tree, points = Octree(0.1), _shell(24)
    fill = np.random.default_rng(0).uniform(10, 60, (40, 400, 3))
    stop, counts = threading.Event(), [0, 0, 0]
    torn: list[tuple[str, object]] = []

    def look(number: int) -> None:
        while not stop.is_set():
            states = tree.state(points)
            if len(set(states.tolist())) != 1:
                torn.append(("state", np.unique(states, return_counts=True)))
            found = tree.box((-1, -1, -1), (4, 4, 4))
            if len(found) not in (0, len(points)) or len(set(found.last_seen.tolist())) > 1:
                torn.append(("box", len(found)))
            odds = tree.log_odds(points)
            if len(set(np.nan_to_num(odds, nan=-9).tolist())) != 1:
                torn.append(("odds", odds))
            counts[number] += 1

    readers = [threading.Thread(target=look, args=(number,)) for number in range(3)]
    for reader in readers:
        reader.start()
    for number, cloud in enumerate(fill):
        tree.insert(points, stamp_ns=number)
        tree.insert(cloud, stamp_ns=number)  # so that tables and rows grow
        if number % 5 == 4:
            tree.clear((-1, -1, -1), (4, 4, 4))
    stop.set()
    for reader in readers:
        reader.join()
    assert not torn, torn[:3]
    assert min(counts) > 0


def test_a_writer_is_alone_and_is_not_starved() -> None:
    lock, inside, overlaps = ReadersWriterLock(), [0], []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with lock.reading():
                if inside[0]:
                    overlaps.append("a reader beside a writer")
                time.sleep(0.0002)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(50):
        with lock.writing():
            inside[0] += 1
            time.sleep(0.0002)
            inside[0] -= 1
    stop.set()
    for reader in readers:
        reader.join()
    assert not overlaps


def test_readers_share_and_an_error_lets_go() -> None:
    lock = ReadersWriterLock()
    both = threading.Barrier(2, timeout=10)

    def read() -> None:
        with lock.reading():
            both.wait()

    other = threading.Thread(target=read)
    other.start()
    read()
    other.join()
    for side in (lock.reading, lock.writing):
        try:
            with side():
                raise KeyError
        except KeyError:
            pass
    with lock.writing():
        pass
