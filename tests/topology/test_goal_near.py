"""GoalNear on a small map: poses that serve, and the reason where none does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, UnreachableError
from embodied_mem.topology.goal_near import Entrance, GoalNear, NearSettings, Target, entrances

CELL = 0.1
HERE = [Entrance(np.array([1.0, 1.0, 0.0]))]


@dataclass
class Picture:
    cells: np.ndarray
    origin: np.ndarray
    resolution: float


class Room:
    """6 m x 6 m from the origin, walls all round, columns occupied up to a height, 0 = free, NaN unknown."""

    def __init__(self) -> None:
        self.heights = np.zeros((60, 60))  # row = y, column = x
        self.heights[[0, -1], :] = self.heights[:, [0, -1]] = 2.5

    def fill(self, low, high, height: float) -> None:
        (x0, y0), (x1, y1) = (np.round(np.array(corner) / CELL).astype(int) for corner in (low, high))
        self.heights[y0:y1, x0:x1] = height

    def project(self, z_min, z_max, low, high) -> Picture:
        first = np.floor(np.asarray(low) / CELL).astype(int)
        width, depth = np.floor(np.asarray(high) / CELL).astype(int) - first + 1
        cells = np.full((depth, width), -1, np.int8)
        for row in range(depth):
            for col in range(width):
                cells[row, col] = self._state(first[0] + col, first[1] + row, z_min)
        return Picture(cells, first * CELL, CELL)

    def visible(self, a, b):
        out = np.ones(len(a), np.int8)
        for i, (begin, end) in enumerate(zip(np.asarray(a), np.asarray(b), strict=True)):
            for share in np.linspace(0, 1, 120)[1:-1]:
                x, y, z = begin + share * (end - begin)
                state = self._state(int(np.floor(x / CELL)), int(np.floor(y / CELL)), z)
                if state:
                    out[i] = 0 if state > 0 else -1
                    break
        return out

    def _state(self, col, row, z) -> int:
        if not (0 <= row < 60 and 0 <= col < 60) or np.isnan(self.heights[row, col]):
            return -1
        return 100 if self.heights[row, col] > z else 0


def test_the_pose_fits_is_in_the_band_sees_the_target_and_looks_at_it():
    room = Room()
    room.fill((4.0, 4.0), (5.0, 5.0), 0.7)  # a table, with the thing on it
    target = Target.at((4.5, 4.5, 0.8), (0.1, 0.1, 0.2))
    pose = GoalNear(room).find(target, HERE)
    assert 0.4 <= pose.distance <= 2.5 and pose.clearance >= 0.25 and pose.seen == 1.0 and np.isfinite(pose.way)
    toward = target.center[:2] - pose.position[:2]
    assert pose.heading == pytest.approx(np.arctan2(toward[1], toward[0]))
    off = np.abs(pose.position[:2] - 4.5)
    assert off.max() >= 0.5 + 0.25 - CELL  # not on the table


def test_a_screen_makes_the_robot_go_round_it():
    room = Room()
    target = Target.at((4.5, 3.0, 0.5), (0.2, 0.2, 0.4))
    room.fill((2.9, 1.0), (3.1, 5.0), 2.0)
    pose = GoalNear(room).find(target, [Entrance(np.array([2.3, 3.0, 0.0]))])
    assert pose.position[0] > 3.1 and pose.way > 2.0
    low = Room()
    low.fill((2.9, 1.0), (3.1, 5.0), 0.4)  # one can look over this one
    assert GoalNear(low).find(target, [Entrance(np.array([2.3, 3.0, 0.0]))]).position[0] < 3.0


def test_reasons_for_refusing():
    def reason(room: Room, target: Target, here=HERE, settings=None) -> str:
        with pytest.raises(UnreachableError) as refusal:
            GoalNear(room, settings).find(target, here)
        return refusal.value.reason

    thing = Target.at((4.5, 4.5, 0.5))
    unknown = Room()
    unknown.fill((1.5, 1.5), (5.9, 5.9), np.nan)
    assert reason(unknown, thing) == "unknown"
    closed = Room()
    closed.fill((3.0, 0.1), (3.2, 5.9), 2.0)
    assert reason(closed, thing) == "not_visible"  # one can get within 2.5 m, on the wrong side
    assert reason(closed, thing, settings=NearSettings(farthest=1.2)) == "not_reachable"
    boxed = Room()
    boxed.fill((4.0, 4.0), (5.0, 5.0), 2.4)
    assert reason(boxed, thing) == "not_visible"
    assert reason(Room(), thing, settings=NearSettings(radius=2.9, farthest=3.5)) == "no_room"
    assert reason(Room(), thing, here=[Entrance(np.array([90.0, 90.0, 0.0]))]) == "not_reachable"
    for wrong in ((np.nan, 0, 0), (1, 2, 3, 4)):
        with pytest.raises(BadInputError):
            Target.at(wrong)
    for bad in ((3.0, 2.0, 0.25), (0.4, 2.5, 2.6)):
        with pytest.raises(BadInputError):
            NearSettings(nearest=bad[0], farthest=bad[1], radius=bad[2])


def test_entrances_are_the_near_places_that_routes_lead_to():
    places = np.array([(1.0, 1.0, 0.0), (3.0, 1.0, 0.0), (90.0, 0.0, 0.0), (4.0, 4.0, 0.0)])
    found = entrances(places, np.array([7.0, 9.0, 1.0, np.inf]), Target.at((3.0, 2.0, 0.5)))
    assert [entrance.way for entrance in found] == [9.0, 7.0]
    pose = GoalNear(Room()).find(Target.at((3.0, 2.0, 0.5)), found)
    assert pose.way >= 7.0
