"""Evidence: every voxel's log-odds are OctoMap's, to the bit, whatever the coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.octree.morton import HALF, centers_of, decode, encode, keys_of
from embodied_mem.octree.occupancy import OccupancyModel
from embodied_mem.octree.tree import Octree
from tests.octree.reference import Key, Reference, center_of

EVERYWHERE = ([-np.inf] * 3, [np.inf] * 3)
RESOLUTION = 0.1


def odds_of(tree: Octree) -> dict[Key, np.float32]:
    """Every known voxel of a tree, as the reference keeps them."""
    found = tree.box(*EVERYWHERE, occupied_only=False)
    keys = np.floor(found.centers / tree.resolution).astype(int)
    assert len({tuple(key) for key in keys.tolist()}) == len(keys)
    return {(x, y, z): odds for (x, y, z), odds in zip(keys.tolist(), found.log_odds, strict=True)}


def check(tree: Octree, reference: Reference) -> None:
    """Every voxel, seen from both sides, and by look-up."""
    odds = odds_of(tree)
    assert odds == reference.odds
    keys = list(reference.odds)
    if keys:
        centers = np.array([center_of(key, tree.resolution) for key in keys])
        assert tree.state(centers).tolist() == [reference.state(key) for key in keys]
        assert tree.log_odds(centers).tolist() == [reference.odds[key] for key in keys]


# Around 0, around borders of blocks (0.4 m) and of tiles (3.2 m), and anywhere.
_border = st.sampled_from([-6.4, -3.2, -0.4, -0.1, 0.0, 0.1, 0.4, 0.8, 3.2, 6.4])
_near = st.builds(lambda border, off: border + off, _border, st.sampled_from([-0.05, -1e-5, 1e-5, 0.03, 0.05]))
_coordinate = st.one_of(_near, st.floats(-8, 8, allow_subnormal=False))
_points = st.lists(st.tuples(_coordinate, _coordinate, _coordinate), min_size=0, max_size=12)
_range = st.sampled_from([np.inf, 2.0, 5.03])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_points, st.tuples(_near, _near, _near), _range, st.booleans()), min_size=1, max_size=4))
def test_scans_add_up_as_octomaps_do(scans: list) -> None:
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    for points, origin, reach, misses in scans:
        cloud = np.array(points, np.float64).reshape(-1, 3)
        if misses:
            tree.insert_misses(origin, cloud, max_range=reach)
        else:
            tree.insert(cloud, origin=origin, max_range=reach)
        reference.insert(cloud, origin, reach, misses)
    check(tree, reference)


@settings(max_examples=60, deadline=None)
@given(st.lists(_points, min_size=1, max_size=6))
def test_hits_without_an_origin_carve_nothing(scans: list) -> None:
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    for points in scans:
        cloud = np.array(points, np.float64).reshape(-1, 3)
        report = tree.insert(cloud.astype(np.float32))
        reference.insert(cloud.astype(np.float32).astype(np.float64))
        assert report.hit == len({tuple(key) for key in keys_of(cloud.astype(np.float32), RESOLUTION)[0].tolist()})
    check(tree, reference)
    assert len(tree) == len(reference.odds)


@pytest.mark.parametrize("resolution", [0.05, 0.1, 0.08, 0.25])
def test_large_scans_seen_again_and_again(resolution: float) -> None:
    rng = np.random.default_rng(3)
    tree, reference = Octree(resolution), Reference(resolution)
    walls = rng.uniform(-3, 3, (250, 3))
    walls[np.arange(250), rng.integers(0, 3, 250)] = rng.choice([-3.02, 3.02], 250)
    for _ in range(12):
        origin = rng.uniform(-2, 2, 3)
        cloud = (walls + rng.normal(0, 0.05, walls.shape)).astype(np.float32)
        report = tree.insert(cloud, origin=origin)
        reference.insert(cloud.astype(np.float64), origin)
        assert report.used == report.points == 250
    check(tree, reference)


def test_voxels_swing_between_hit_and_missed_with_octomaps_rounding() -> None:
    """Also for models whose misses take longer to the clamp than a block can count."""
    rng = np.random.default_rng(5)
    for model in (OccupancyModel(), OccupancyModel(0.9, 0.45, 0.01, 0.99), OccupancyModel(0.55, 0.3, 0.2, 0.9, 0.52)):
        tree, reference = Octree(RESOLUTION, model), Reference(RESOLUTION, model)
        for _ in range(60):
            hit = np.array([[1.0 + rng.integers(0, 3) * 0.1 + 0.05, 0.05, 0.05]])
            tree.insert(hit, origin=(0.05, 0.05, 0.05))
            reference.insert(hit, (0.05, 0.05, 0.05))
            assert odds_of(tree) == reference.odds


def test_far_from_the_origin_and_at_the_edge_of_the_keys() -> None:
    edge = HALF * RESOLUTION
    points = np.array([[edge - 0.05, 0, 0], [-edge, 0, 0], [edge, 0, 0], [-edge - 0.01, 0, 0], [0, 1e300, 0]])
    bad = np.array([[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf]])
    tree = Octree(RESOLUTION)
    report = tree.insert(np.concatenate([points, bad, [[0.05, 0.05, 0.05]]]))
    assert report.refused == {"not_finite": 3, "out_of_range": 3}
    assert (report.points, report.used, report.hit, len(tree)) == (9, 3, 3, 3)
    assert tree.state(np.concatenate([points, bad])).tolist() == [1, 1, -1, -1, -1, -1, -1, -1]
    far = np.array([1000.05, -2000.05, 50.05])
    reference = Reference(RESOLUTION)
    tree = Octree(RESOLUTION)
    cloud = far + np.random.default_rng(0).uniform(-3, 3, (50, 3))
    tree.insert(cloud, origin=far)
    reference.insert(cloud, far)
    check(tree, reference)


def test_a_long_ray_through_many_tiles_and_a_window_that_must_grow() -> None:
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    ends = np.random.default_rng(1).normal(size=(40, 3))
    ends *= 120 / np.linalg.norm(ends, axis=1)[:, None]
    tree.insert(ends, origin=(0.01, 0.02, 0.03))
    reference.insert(ends, (0.01, 0.02, 0.03))
    assert odds_of(tree) == reference.odds
    lone = np.random.default_rng(2).uniform(-500, 500, (3000, 3))  # each in a tile of its own
    report = tree.insert(lone)
    assert report.hit == 3000


def test_stamps_and_records() -> None:
    tree = Octree(RESOLUTION)
    point, other = np.array([[1.05, 0.05, 0.05]]), np.array([[5.05, 5.05, 5.05]])
    tree.insert(point, origin=(0.05, 0.05, 0.05), stamp_ns=100, record=7)
    tree.insert(point, stamp_ns=300, record=9)
    tree.insert(other, stamp_ns=200, record=8)
    between = np.array([[0.55, 0.05, 0.05]])
    assert tree.records_at(np.concatenate([point, other, between, -point])).tolist() == [[7, 9], [8, 8], [0, 0], [0, 0]]
    assert tree.last_seen(np.concatenate([point, other, between, -point])).tolist() == [300, 200, 100, -1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2 * HALF - 1)] * 3), min_size=1, max_size=20))
def test_morton_codes(keys: list[Key]) -> None:
    array = np.array(keys)
    codes = encode(array)
    assert decode(codes).tolist() == array.tolist()
    slow = [sum(((key[axis] >> bit) & 1) << (3 * bit + axis) for bit in range(21) for axis in range(3)) for key in keys]
    assert codes.tolist() == slow
    back, inside = keys_of(centers_of(array, RESOLUTION), RESOLUTION)
    assert inside.all() and back.tolist() == array.tolist()


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2)), np.zeros(3), "no", np.zeros((1, 3, 3)), [["a", "b", "c"]], [[1, 2], [3]]]
)
def test_clouds_of_odd_shapes_are_refused_and_change_nothing(bad: NDArray[np.float64]) -> None:
    tree = Octree(RESOLUTION)
    with pytest.raises(BadInputError, match="Points"):
        tree.insert(bad)
    assert len(tree) == 0


def test_bad_input_is_refused() -> None:
    tree, point = Octree(RESOLUTION), np.zeros((1, 3))
    for resolution in (0, -1, np.nan, np.inf):
        with pytest.raises(BadInputError, match="resolution"):
            Octree(resolution)
    for origin in ([np.nan, 0, 0], [0, 0], [1e9, 0, 0]):
        with pytest.raises(BadInputError, match="origin"):
            tree.insert(point, origin=origin)
    with pytest.raises(BadInputError, match="range"):
        tree.insert(point, origin=(0, 0, 0), max_range=0)
    with pytest.raises(BadInputError, match="record"):
        tree.insert(point, record=-1)
    with pytest.raises(BadInputError, match="occupancy"):
        OccupancyModel(hit=0.4)
    assert len(tree) == 0 and tree.insert(np.zeros((0, 3))).points == 0
    read_only = point.copy()
    read_only.flags.writeable = False
    assert tree.insert(read_only, origin=(0.5, 0.5, 0.5)).hit == 1
