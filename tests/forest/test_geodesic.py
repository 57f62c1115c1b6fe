"""Distances along the ways: what is behind a wall is far, and a view that is settled is what a rebuild makes."""

from __future__ import annotations

import numpy as np

from embodied_mem.forest.geodesic import along_ways
from embodied_mem.forest.view import ForestView
from tests.records.builders import memory, observation


def corridor(apart: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A U: forty places up, then forty down, `apart` metres from them, joined only at the top; 2 m between two."""
    y = np.concatenate([np.arange(40), np.arange(39, -1, -1)]) * 2.0
    x = np.repeat([0.0, apart], 40)
    places = np.column_stack([x, y, np.zeros(80)])
    tails, heads = np.arange(79), np.arange(1, 80)
    return places, tails, heads, np.linalg.norm(np.diff(places, axis=0), axis=1)


def test_straight_distance_is_that_along_the_ways():
    places, tails, heads, lengths = corridor()
    ways = along_ways(places, tails, heads, lengths)
    assert ways is not None
    at = ways(places)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    for one, two in ((0, 79), (0, 40), (10, 60), (39, 40)):
        straight = float(np.linalg.norm(at[one] - at[two]))
        assert abs(straight - abs(along[two] - along[one])) < 0.5, (one, two, straight)
    np.testing.assert_allclose(ways(places[[5]] + [0.3, 0.2, 0.0]), at[[5]])
    again = along_ways(places, tails, heads, lengths)
    assert again is not None and ways.same(again) and not ways.same(None)


def test_places_without_a_way_between_them_are_far_and_few_places_are_left_as_they_are():
    places, tails, heads, lengths = corridor()
    cut = np.arange(79) != 75
    ways = along_ways(places, tails[cut], heads[cut], lengths[cut])
    assert ways is not None
    at = ways(places)
    assert np.linalg.norm(at[0] - at[79]) > 140
    halves = np.arange(79) != 39
    assert along_ways(places, tails[halves], heads[halves], lengths[halves]) is None
    assert along_ways(places[:3], tails[:2], heads[:2], lengths[:2]) is None


def test_a_forest_along_ways_is_settled_into_what_a_rebuild_makes():
    made = memory()
    up, down = np.split(corridor(20.0)[0], 2)
    across = np.column_stack([np.arange(2, 20, 2), np.full(9, 78.0), np.zeros(9)])
    places = np.concatenate([up, across, down])
    for i, place in enumerate(places):
        made.remember(observation(10.0 * i, place, f"a door {i} of the corridor"))
    forest = ForestView(made, geodesic=True)
    forest.update()
    assert not forest.settled
    forest.settle()
    assert forest.settled
    made.forget([5, 6])
    made.remember(observation(900.0, [0.0, 3.0, 0.0], "a bench"))
    forest.update()
    forest.settle()
    again = ForestView(made, geodesic=True)
    again.update()
    again.settle()
    assert forest.settled and again.settled and forest.fingerprint() == again.fingerprint()
    tree = forest.trees[forest.frame_of()]
    ends = [tree.arrays.places[forest.leaf_of(seq)[1]] for seq in (3, 89)]  # the two ends of the U, 20 m apart
    assert np.linalg.norm(ends[0] - ends[1]) > 60
