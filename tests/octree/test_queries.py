"""Questions: every answer is that of going through all voxels one by one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import pose_matrix, quaternion_from_yaw, quaternion_multiply, spherical, transform_points
from embodied_mem.octree.tree import Octree
from tests.octree.reference import Key, Reference, center_of, key_of, walk

RESOLUTION = 0.1
MIDDLE = np.array([0.21, -0.37, 0.13])


def _scene(seed: int) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    rng = np.random.default_rng(seed)
    origins = rng.uniform(-0.6, 0.6, (5, 3))
    scans = []
    for _ in range(5):
        cloud = rng.uniform(-2.5, 2.5, (150, 3))
        cloud[np.arange(150), rng.integers(0, 3, 150)] = rng.choice([-2.45, 2.45], 150)
        scans.append(np.concatenate([cloud, rng.uniform(-1.2, 1.2, (6, 3))]))
    return origins, scans


@pytest.fixture(scope="module", params=["memory", "file"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Octree, Reference]:
    """A map of a cube with things in it, in memory or mapped from a file, and its reference."""
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    for number, (origin, cloud) in enumerate(zip(*_scene(1), strict=True)):
        tree.insert(cloud, origin=origin, stamp_ns=number + 1, record=number + 1)
        reference.insert(cloud, origin)
    if request.param == "file":
        path: Path = tmp_path_factory.mktemp("octree") / "tree"
        tree.save(path)
        tree = Octree.open(path)
    return tree, reference


def _keys(centers: NDArray[np.float64], size: float = RESOLUTION) -> set[Key]:
    keys = {key_of(center, size) for center in centers}
    assert len(keys) == len(centers)
    return keys


def test_box(scene: tuple[Octree, Reference]) -> None:
    tree, reference = scene
    rng = np.random.default_rng(0)
    for low in rng.uniform(-3, 2, (30, 3)):
        high = low + rng.uniform(0, 2, 3)
        first, last = np.array(key_of(low, RESOLUTION)), np.array(key_of(high, RESOLUTION))
        inside = {key for key in reference.odds if ((np.array(key) >= first) & (np.array(key) <= last)).all()}
        assert _keys(tree.box(low, high, occupied_only=False).centers) == inside
        assert _keys(tree.box(low, high).centers) == {key for key in inside if reference.state(key) == 1}
    everything = tree.box([-np.inf] * 3, [np.inf] * 3)
    assert _keys(everything.centers) == set(reference.occupied)
    assert (everything.last_seen > 0).all() and (everything.records[:, 0] <= everything.records[:, 1]).all()
    assert len(tree.box([5, 5, 5], [1e9, 1e9, 1e9])) == 0


def test_parents_hold_the_most_occupied_of_what_is_in_them(scene: tuple[Octree, Reference]) -> None:
    tree, reference = scene
    for level in (1, 2, 3, 5):
        found = tree.box([-np.inf] * 3, [np.inf] * 3, level=level, occupied_only=False)
        expected: dict[Key, float] = {}
        for (x, y, z), odds in reference.odds.items():
            above = (x >> level, y >> level, z >> level)
            expected[above] = max(expected.get(above, -np.inf), float(odds))
        size = RESOLUTION * 2**level
        keys = [key_of(center, size) for center in found.centers]
        assert dict(zip(keys, found.log_odds.tolist(), strict=True)) == expected
        assert np.allclose(found.centers, [center_of(key, size) for key in keys]) and (found.sizes == size).all()


def test_radius_and_frustum(scene: tuple[Octree, Reference]) -> None:
    tree, reference = scene
    centers = np.array([center_of(key, RESOLUTION) for key in reference.occupied])
    for radius in (0.0, 0.4, 1.5, 4.0):
        near = centers[np.linalg.norm(centers - MIDDLE, axis=1) <= radius]
        assert _keys(tree.radius(MIDDLE, radius).centers) == _keys(near)
    tilt = np.array([0.0, np.sin(0.2), 0.0, np.cos(0.2)])
    for yaw, fov_h, fov_v in ((0.3, 1.0, 0.7), (2.5, 3.6, 1.2), (-1.0, 2 * np.pi, np.pi), (4.0, 0.6, 0.6)):
        pose = pose_matrix(MIDDLE, quaternion_multiply(quaternion_from_yaw(yaw), tilt))
        azimuth, elevation, distance = spherical(transform_points(np.linalg.inv(pose), centers))
        seen = (abs(azimuth) <= fov_h / 2) & (abs(elevation) <= fov_v / 2) & (distance >= 0.5) & (distance <= 2.8)
        assert seen.any()
        assert _keys(tree.frustum(pose, fov_h, fov_v, 0.5, 2.8).centers) == _keys(centers[seen])


@pytest.mark.parametrize("k", [1, 4])
def test_nearest(scene: tuple[Octree, Reference], k: int) -> None:
    tree, reference = scene
    centers = np.array([center_of(key, RESOLUTION) for key in reference.occupied])
    rng = np.random.default_rng(k)
    points = np.concatenate([rng.uniform(-3, 3, (60, 3)), rng.uniform(-90, 90, (10, 3)), [[1e5, 0, 0]], centers[:5]])
    found = tree.nearest(points, k=k)
    distances = np.sort(np.linalg.norm(points[:, None] - centers, axis=2), axis=1)[:, :k]
    assert np.allclose(found.distance, distances, rtol=1e-12, atol=1e-12)
    assert np.allclose(np.linalg.norm(found.center - points[:, None], axis=2), distances)
    assert (tree.state(found.center.reshape(-1, 3)) == 1).all()
    few = tree.nearest(points, k=k, max_distance=0.5)
    assert np.array_equal(np.isinf(few.distance), distances > 0.5)
    assert np.isnan(few.center[np.isinf(few.distance)]).all()
    assert np.isinf(Octree(RESOLUTION).nearest(points).distance).all()


def _expected(
    reference: Reference, origin: NDArray[np.float64], way: NDArray[np.float64], reach: float, stop: bool
) -> tuple[int, float, NDArray[np.float64]]:
    unknown = False
    for key, at in walk(origin, way, reach, RESOLUTION):
        state = reference.state(key)
        if state == 1 or (state == -1 and stop):
            return state, at, center_of(key, RESOLUTION)
        unknown |= state == -1
    return (-1 if unknown else 0), reach, origin + way / np.linalg.norm(way) * reach


@pytest.mark.parametrize("stop", [False, True])
def test_rays_leap_over_blocks_and_miss_nothing(scene: tuple[Octree, Reference], stop: bool) -> None:
    tree, reference = scene
    rng = np.random.default_rng(2)
    seen_from, cloud = (part[-1] for part in _scene(1))
    origins = np.concatenate([rng.uniform(-1, 1, (100, 3)), rng.uniform(-4, 4, (80, 3)), np.zeros((76, 3))])
    ways = rng.normal(size=(256, 3))
    origins[:50], ways[:50] = seen_from, cloud[:50] - seen_from  # these met nothing unknown
    # Along axes and diagonals, from corners of voxels: every border is crossed together with others.
    ways[-26:] = [[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z]
    met: set[int] = set()
    for reach in (0.7, 6.0):
        hits = tree.cast(origins, ways, reach, unknown_blocks=stop)
        for i in range(len(origins)):
            state, at, position = _expected(reference, origins[i], ways[i], reach, stop)
            assert (hits.state[i], hits.distance[i]) == (state, pytest.approx(at)), (origins[i], ways[i])
            assert np.allclose(hits.position[i], position)
        met |= set(hits.state.tolist())
    assert met == {-1, 0, 1}


def test_line_of_sight(scene: tuple[Octree, Reference]) -> None:
    tree, reference = scene
    rng = np.random.default_rng(4)
    a, b = rng.uniform(-2.6, 2.6, (300, 3)), rng.uniform(-2.6, 2.6, (300, 3))
    b[:5] = a[:5] + 1e-3
    a[5], b[5] = 1.05, 1.05
    seen = tree.visible(a, b)
    for i in range(len(a)):
        if (a[i] == b[i]).all():
            assert seen[i] == 1
            continue
        way = b[i] - a[i]
        ends = {key_of(a[i], RESOLUTION), key_of(a[i] + way, RESOLUTION)}
        between = []
        for key, _ in walk(a[i], way, float(np.sqrt(way @ way)), RESOLUTION):
            if key == key_of(b[i], RESOLUTION):
                break
            between.append(key)
        states = [reference.state(key) for key in between if key not in ends]
        assert seen[i] == (0 if 1 in states else -1 if -1 in states else 1), (a[i], b[i])
    assert {0, 1} <= set(seen.tolist())


def test_rays_that_are_none() -> None:
    tree = Octree(RESOLUTION)
    tree.insert(np.array([[1.05, 0.05, 0.05]]))
    origins = np.array([[0.05, 0.05, 0.05], [np.nan, 0, 0], [1e9, 0, 0], [0.05, 0.05, 0.05], [0.05, 0.05, 0.05]])
    ways = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [np.inf, 0, 0], [3, 0, 0.0]])
    hits = tree.cast(origins, ways)
    assert hits.state.tolist() == [-2, -2, -2, -2, 1] and hits.distance[4] == pytest.approx(0.95)
    away = tree.cast([[5.0, 5, 5]], [[1.0, 0, 0]])
    assert away.state.tolist() == [-1] and np.isinf(away.distance[0])
    with pytest.raises(BadInputError):
        tree.cast(np.zeros((2, 3)), np.ones((3, 3)))
    with pytest.raises(BadInputError):
        tree.cast(np.zeros((1, 3)), np.ones((1, 3)), max_range=np.nan)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-9, 9)] * 3), min_size=1, max_size=30),
    st.tuples(*[st.sampled_from([-0.4, -0.05, 0.0, 0.1, 0.25, 0.4])] * 3),
    st.tuples(*[st.sampled_from([-1.0, -0.5, 0.0, 1e-9, 0.3, 1.0])] * 3),
)
def test_rays_from_corners_along_borders(voxels: list[Key], origin: tuple, way: tuple) -> None:
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    cloud = np.array([center_of(key, RESOLUTION) for key in voxels])
    tree.insert(cloud)
    reference.insert(cloud)
    hits = tree.cast([origin], [way], 3.0)
    if not any(way):
        assert hits.state[0] == -2
        return
    state, at, position = _expected(reference, np.array(origin), np.array(way), 3.0, False)
    assert hits.state[0] == state and hits.distance[0] == pytest.approx(at) and np.allclose(hits.position[0], position)


def test_projection(scene: tuple[Octree, Reference]) -> None:
    tree, reference = scene
    grid = tree.project(-0.55, 0.95, (-2.0, -1.5), (3.0, 2.0))
    assert grid.cells.shape == (36, 51) and grid.cells.dtype == np.int8
    assert np.allclose(grid.origin, (-2.0, -1.5)) and grid.resolution == RESOLUTION
    expected = np.full(grid.cells.shape, -1)
    for x, y, z in reference.odds:
        if -6 <= z <= 9 and 0 <= y + 15 < 36 and 0 <= x + 20 < 51:
            state = 100 * reference.state((x, y, z))
            expected[y + 15, x + 20] = max(expected[y + 15, x + 20], state)
    assert np.array_equal(grid.cells, expected) and set(np.unique(expected)) == {-1, 0, 100}
    with pytest.raises(BadInputError):
        tree.project(0, 1, (0, 0), (np.inf, 1))
    with pytest.raises(BadInputError, match="too large"):
        tree.project(0, 1, (-1e4, -1e4), (1e4, 1e4))


def test_bad_questions_are_refused(scene: tuple[Octree, Reference]) -> None:
    tree, _ = scene
    for low, high in pairwise([(0, 0, 0), (-1, 1, 1), (np.nan, 2, 2)]):
        with pytest.raises(BadInputError, match="box"):
            tree.box(low, high)
    for ask in (
        lambda: tree.box((0, 0, 0), (1, 1, 1), level=17),
        lambda: tree.radius((0, 0, 0), -1),
        lambda: tree.radius((0, 0, np.nan), 1),
        lambda: tree.nearest(np.zeros((1, 3)), k=0),
        lambda: tree.frustum(np.eye(3), 1, 1, 0, 1),
        lambda: tree.frustum(np.eye(4), 1, 1, 2, 1),
        lambda: tree.state(np.zeros(4)),
    ):
        with pytest.raises(BadInputError):
            ask()
    assert tree.state(np.zeros((0, 3))).shape == (0,)
