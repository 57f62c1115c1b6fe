"""Forgetting, the memory budget, and a map that goes through many lives: always that of a plain dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.octree.tree import Octree, equal
from tests.octree.reference import Reference, center_of, key_of
from tests.octree.test_insert import check

RESOLUTION = 0.1
HERE = (0.05, 0.05, 0.05)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**16)), min_size=2, max_size=12))
def test_any_life_of_inserts_and_clears(steps: list[tuple[bool, int]]) -> None:
    """Blocks and runs of voxels that were given back are used again."""
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    for insert, seed in steps:
        rng = np.random.default_rng(seed)
        if insert:
            cloud, origin = rng.uniform(-1.2, 1.2, (60, 3)), rng.uniform(-0.5, 0.5, 3)
            tree.insert(cloud, origin=origin)
            reference.insert(cloud, origin)
            continue
        low = rng.uniform(-1.5, 1, 3)
        high = low + rng.uniform(0, 2, 3)
        first, last = np.array(key_of(low, RESOLUTION)), np.array(key_of(high, RESOLUTION))
        gone = [key for key in reference.odds if ((np.array(key) >= first) & (np.array(key) <= last)).all()]
        assert tree.clear(low, high) == len(gone)
        for key in gone:
            del reference.odds[key]
    check(tree, reference)
    assert tree.blocks == len({(x >> 2, y >> 2, z >> 2) for x, y, z in reference.odds})


def test_forgetting_records_leaves_what_others_saw() -> None:
    tree = Octree(RESOLUTION)
    only, both, other = (np.array([[x, 0.05, 0.05]]) for x in (1.05, 2.05, 3.05))
    tree.insert(np.concatenate([only, both]), record=1, stamp_ns=10)
    tree.insert(np.concatenate([both, other]), record=2, stamp_ns=20)
    assert tree.forget_records([1]) == 1
    points = np.concatenate([only, both, other])
    assert tree.state(points).tolist() == [-1, 1, 1]
    assert tree.records_at(points).tolist() == [[0, 0], [2, 2], [2, 2]]
    assert tree.forget_records(2) == 2 and len(tree) == 0 and tree.blocks == 0
    assert tree.forget_records([1, 2, 99]) == 0
    nameless = Octree(RESOLUTION)
    nameless.insert(only)
    assert nameless.forget_records([0]) == 0 and len(nameless) == 1


def test_the_budget_costs_what_was_seen_longest_ago() -> None:
    budget = 1 << 16
    tree, unbounded = Octree(RESOLUTION, budget_bytes=budget), Octree(RESOLUTION)
    rng = np.random.default_rng(0)
    first = None
    for number in range(40):
        cloud = rng.uniform(-1, 1, (50, 3)) + np.array([3.0 * number, 0, 0])
        first = cloud if first is None else first
        report = tree.insert(cloud, origin=cloud.mean(axis=0), stamp_ns=number + 1)
        unbounded.insert(cloud, origin=cloud.mean(axis=0), stamp_ns=number + 1)
        assert tree.blocks * 80 + len(tree) * 16 <= budget
        assert (tree.state(cloud) == 1).all()
    assert tree.evicted > 0 and report.evicted >= 0 and first is not None
    assert (tree.state(first) == -1).all()
    kept = tree.box([-np.inf] * 3, [np.inf] * 3, occupied_only=False)
    everything = unbounded.box([-np.inf] * 3, [np.inf] * 3, occupied_only=False)
    order = np.lexsort(everything.centers.T)[
        np.isin(everything.centers[np.lexsort(everything.centers.T), 0], kept.centers)
    ]
    assert kept.last_seen.min() > 1 and len(order) >= len(kept)


def test_a_budget_spares_the_same_blocks_after_a_restart(tmp_path) -> None:
    budget = 1 << 16
    rng = np.random.default_rng(1)
    clouds = [rng.uniform(-1, 1, (60, 3)) + np.array([2.0 * i, 0, 0]) for i in range(30)]
    one = Octree(RESOLUTION, budget_bytes=budget)
    for number, cloud in enumerate(clouds):
        one.insert(cloud, origin=cloud[0], stamp_ns=number)
        if number == 17:
            one.save(tmp_path / "tree")
    other = Octree.open(tmp_path / "tree", budget_bytes=budget)
    for number, cloud in enumerate(clouds[18:], start=18):
        other.insert(cloud, origin=cloud[0], stamp_ns=number)
    assert one.evicted > 0 and equal(one, other)


def test_the_table_grows_step_by_step_and_loses_nothing() -> None:
    """While entries are being moved, blocks are found, made and dropped in both tables."""
    tree, reference = Octree(RESOLUTION), Reference(RESOLUTION)
    rng = np.random.default_rng(2)
    sizes = []
    for _ in range(60):
        cloud = rng.uniform(-8, 8, (150, 3))
        tree.insert(cloud)
        reference.insert(cloud)
        assert tree._store is not None
        sizes.append(len(tree._store.arrays.old))
        low = rng.uniform(-8, 7, 3)
        tree.clear(low, low + 1)
        for key in [key for key in reference.odds if tree.state([center_of(key, RESOLUTION)])[0] == -1]:
            assert (np.array(key) >= key_of(low, RESOLUTION)).all() and (
                np.array(key) <= key_of(low + 1, RESOLUTION)
            ).all()
            del reference.odds[key]
    assert max(sizes) > 1 and min(sizes[-5:]) >= 1
    check(tree, reference)


def test_misses_alone_make_no_hits() -> None:
    tree = Octree(RESOLUTION)
    report = tree.insert_misses(HERE, [[1.05, 0.05, 0.05]])
    assert (report.hit, report.passed, len(tree)) == (0, 10, 0)
    assert tree.state([HERE, (0.95, 0.05, 0.05), (1.05, 0.05, 0.05)]).tolist() == [0, 0, -1]
