"""Polylines bent around what stands there: never through it, tight, and honest about what is not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from embodied_mem.errors import BadInputError
from embodied_mem.topology.free_paths import through_free_space
from embodied_mem.topology.walking import sees

CELL = 0.1


@dataclass
class Grid:
    cells: np.ndarray
    origin: np.ndarray
    resolution: float = CELL


class Floor:
    """A map seen from above: cells (rows, cols) -1 unknown, 0 free, 100 occupied, its corner at the origin."""

    def __init__(self, cells: np.ndarray) -> None:
        self.cells = cells

    def project(self, z_min, z_max, low, high):
        first, last = np.floor(np.asarray(low) / CELL).astype(int), np.floor(np.asarray(high) / CELL).astype(int)
        out = np.full(last[::-1] - first[::-1] + 1, -1, np.int8)
        rows, cols = np.indices(out.shape)
        r, c = rows + first[1], cols + first[0]
        there = (r >= 0) & (c >= 0) & (r < self.cells.shape[0]) & (c < self.cells.shape[1])
        out[there] = self.cells[r[there], c[there]]
        return Grid(out, first * CELL)

    def at(self, points):
        cells = np.floor(points[:, :2] / CELL).astype(int)
        return self.cells[cells[:, 1], cells[:, 0]]


def two_rooms() -> Floor:
    """5 m x 3 m, a wall at x = 2.5 m with a door from y = 2.0 to 2.8."""
    cells = np.zeros((30, 50), np.int8)
    cells[:, 24:26] = 100
    cells[20:28, 24:26] = 0
    cells[[0, -1], :] = cells[:, [0, -1]] = 100
    return Floor(cells)


def bend(floor, line, **more):
    return through_free_space(floor, line, z_min=0.1, z_max=1.5, **{"radius": 0.2, **more})


def sampled(path, step=0.01):
    parts = [
        a + (b - a) * np.linspace(0, 1, 2 + int(np.linalg.norm(b - a) / step))[:, None]
        for a, b in zip(path.points[:-1], path.points[1:], strict=True)
    ]
    return np.concatenate(parts)


def test_a_line_through_a_wall_goes_by_the_door():
    floor = two_rooms()
    found = bend(floor, [[0.5, 0.5, 1.0], [4.5, 0.5, 2.0]])
    assert found.points[0].tolist() == [0.5, 0.5, 1.0] and found.points[-1].tolist() == [4.5, 0.5, 2.0]
    assert found.free.all() and 4 <= len(found.points) <= 6  # tight: the door's two sides bend it
    walked = sampled(found)
    assert (floor.at(walked) == 0).all()
    walls = (np.argwhere(floor.cells > 0)[:, ::-1] + 0.5) * CELL
    assert np.linalg.norm(walked[:, None, :2] - walls[None], axis=2).min() > 0.2  # the robot's radius
    assert (np.diff(found.points[:, 2]) > 0).all()
    assert 4.9 < found.length < 5.6


def test_what_is_free_stays_a_straight_line():
    found = bend(two_rooms(), [[0.5, 0.5, 1.0], [1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.9, 2.5, 1.0]])
    assert found.points[[0, -1]].tolist() == [[0.5, 0.5, 1.0], [1.9, 2.5, 1.0]] and len(found.points) == 2


def test_a_place_inside_of_a_wall_is_passed_where_one_can_stand():
    floor = two_rooms()
    found = bend(floor, [[0.5, 0.5, 1.0], [2.5, 1.5, 1.0], [4.5, 0.5, 1.0]])
    assert found.free.all() and (floor.at(sampled(found)) == 0).all()


def test_a_narrow_door_is_better_than_none():
    floor = two_rooms()
    floor.cells[20:26, 24:26] = 100  # 0.2 m are left
    found = bend(floor, [[0.5, 0.5, 1.0], [4.5, 0.5, 1.0]])
    assert found.free.all() and (floor.at(sampled(found)) == 0).all()


def test_where_no_way_is_known_the_line_stays_and_says_so():
    floor = two_rooms()
    floor.cells[:, 24:26] = -1
    line = [[0.5, 0.5, 1.0], [1.0, 0.5, 1.0], [4.5, 0.5, 1.0]]
    found = bend(floor, line)
    assert found.points.tolist() == line and found.free.tolist() == [True, False]
    far = bend(floor, [[0.5, 0.5, 1.0], [500.0, 0.5, 1.0]])
    assert far.free.tolist() == [False] and far.length == pytest.approx(499.5)


def test_one_point_is_a_path_and_nonsense_is_refused():
    assert len(bend(two_rooms(), [[1, 1, 1]]).points) == 1
    for line, more in (([], {}), ([[np.nan, 0, 0]], {}), ([[0, 0, 0]], {"radius": -1})):
        with pytest.raises(BadInputError):
            bend(two_rooms(), line, **more)
    with pytest.raises(BadInputError):
        through_free_space(two_rooms(), [[0, 0, 0]], z_min=1.0, z_max=1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_it_never_goes_through_anything_and_finds_a_way_where_there_is_one(seed):
    rng = np.random.default_rng(seed)
    cells = np.where(rng.random((24, 24)) < 0.3, np.int8(100), np.int8(0))
    floor = Floor(cells)
    free = np.argwhere(cells == 0)
    a, b = ((free[i][::-1] + 0.5) * CELL for i in rng.choice(len(free), 2, replace=False))
    found = bend(floor, [[*a, 1.0], [*b, 1.0]], radius=0.0)
    rooms, _ = label(cells == 0)  # over four neighbours: what the corner rule of steps leaves
    (col_a, row_a), (col_b, row_b) = np.floor(a / CELL).astype(int), np.floor(b / CELL).astype(int)
    assert found.free.all() == (rooms[row_a, col_a] == rooms[row_b, col_b])
    if found.free.all():
        assert (floor.at(sampled(found, 0.003)) == 0).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_lines_of_sight_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    open_cells = rng.random((12, 12)) > 0.15
    (r0, c0), (r1, c1) = rng.integers(0, 12, (2, 2))
    steps = (np.arange(4001) / 4000)[:, None]
    line = np.array([r0, c0]) + 0.5 + (np.array([r1, c1]) - [r0, c0]) * steps
    exact = np.abs(line - np.round(line)) > 1e-9  # on a border both sides are touched: see the corner rule
    inner = np.floor(line[exact.all(axis=1)]).astype(int)
    blocked = not open_cells[inner[:, 0], inner[:, 1]].all()
    if blocked:
        assert not sees(open_cells, r0, c0, r1, c1)
    assert sees(open_cells, r0, c0, r1, c1) == sees(open_cells, r1, c1, r0, c0)
    assert sees(np.ones((12, 12), bool), r0, c0, r1, c1)
