"""Trees stay balanced and true through insertion, removal and moving, and are the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.forest.batch import build
from embodied_mem.forest.grow import Growth
from embodied_mem.forest.tree import NOTHING, Tree
from tests.forest.trees import check, world


def grown(n: int, fan_out: int = 16, seed: int = 0) -> Growth:
    vectors, places, _ = world(n, seed=seed)
    growth = Growth(Tree(16, fan_out=fan_out))
    growth.add(np.arange(1, n + 1), vectors, places, spans=np.column_stack([np.arange(n), np.arange(n) + 5]))
    return growth


@pytest.mark.parametrize("n", [0, 1, 2, 3, 16, 17, 40, 300])
def test_a_grown_tree_is_balanced_and_true(n):
    check(grown(n).tree)


def test_records_go_one_by_one_as_in_one_batch():
    vectors, places, _ = world(200)
    growth = Growth(Tree(16))
    for i in range(200):
        growth.add([i + 1], vectors[i : i + 1], places[i : i + 1], spans=[[i, i + 5]])
    assert growth.tree.fingerprint() == grown(200).tree.fingerprint()
    assert growth.tree.fingerprint() != grown(199).tree.fingerprint()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), n=st.integers(1, 120), fan_out=st.sampled_from((6, 8, 16)))
def test_removing_and_moving_leave_a_true_tree(data, n, fan_out):
    growth = grown(n, fan_out, seed=n)
    tree = growth.tree
    for _ in range(data.draw(st.integers(1, 2 * n))):
        leaves = tree.leaves().tolist()
        if not leaves:
            break
        leaf = data.draw(st.sampled_from(leaves))
        if data.draw(st.booleans()):
            growth.remove(leaf)
            assert not tree.arrays.vectors[leaf].any() and tree.arrays.above[leaf] == NOTHING
        else:
            growth.move(leaf, data.draw(st.tuples(*[st.floats(-50, 50)] * 3)))
    check(tree)


def test_removing_everything_leaves_an_empty_tree_that_grows_again():
    growth = grown(100)
    for leaf in growth.tree.leaves().tolist():
        growth.remove(leaf)
    check(growth.tree)
    vectors, places, _ = world(50)
    growth.add(np.arange(50), vectors, places)
    check(growth.tree)
    assert len(growth.tree) == 50


def test_a_moved_record_lies_among_its_new_neighbours():
    vectors, places, _ = world(300)
    growth = Growth(Tree(16), weight=0.9)
    growth.add(np.arange(300), vectors, places)
    tree, arrays = growth.tree, growth.tree.arrays
    far = int(np.argmax(arrays.places[:300, 0]))
    growth.move(far, arrays.places[int(np.argmin(arrays.places[:300, 0]))])
    beside = arrays.places[tree.leaves_under(int(arrays.above[far])), 0]
    assert np.median(beside) < 10


def test_topics_in_different_rooms_are_not_mixed_at_the_bottom():
    vectors, places, topic = world(400)
    growth = Growth(Tree(16))
    growth.add(np.arange(400), vectors, places)
    bottoms = growth.tree.arrays.above[:400]
    mixed = sum(len(np.unique(topic[bottoms == node])) > 1 for node in np.unique(bottoms))
    assert mixed <= 0.1 * len(np.unique(bottoms))


def test_the_scales_follow_the_data_so_that_units_do_not_matter():
    """The same world in kilometres grows the same tree as in metres, once scales are drawn from what was seen."""
    vectors, places, _ = world(400)
    trees = []
    for unit in (1.0, 50.0):
        growth = Growth(Tree(16))
        growth.add(np.arange(400), vectors, places * unit)
        trees.append(growth.tree)
    together = [np.unique(tree.arrays.above[:400], return_inverse=True)[1] for tree in trees]
    same = [labels[:, None] == labels for labels in together]
    agreement = (same[0] & same[1]).sum() / (same[0] | same[1]).sum()
    assert agreement > 0.5
    assert trees[1].arrays.scales[1, 0] > 20 * trees[0].arrays.scales[1, 0]


def test_records_without_a_vector_are_grouped_by_place():
    places = np.column_stack([np.repeat([0.0, 100.0], 30), np.zeros(60), np.zeros(60)])
    growth = Growth(Tree(16))
    growth.add(np.arange(60), np.zeros((60, 16)), places)
    check(growth.tree)
    bottoms = growth.tree.arrays.above[:60]
    assert len(set(bottoms[:30]) & set(bottoms[30:])) <= 2  # the first strangers came where nobody else was


@pytest.mark.parametrize("n", [0, 1, 5, 16, 17, 50, 500])
def test_a_tree_built_at_once_is_balanced_and_true(n):
    vectors, places, _ = world(n, seed=3)
    tree = build(np.arange(n), vectors, places)
    check(tree)
    assert tree.fingerprint() == build(np.arange(n), vectors, places).fingerprint()


def test_a_built_tree_goes_on_growing():
    vectors, places, _ = world(300, seed=4)
    tree = build(np.arange(200), vectors[:200], places[:200])
    growth = Growth(tree)
    growth.add(np.arange(200, 300), vectors[200:], places[200:])
    growth.remove(7)
    check(tree)


def test_identical_records_can_be_told_apart_by_nothing_and_still_grow():
    vectors, places = np.tile(np.eye(16, dtype=np.float32)[0], (100, 1)), np.zeros((100, 3))
    growth = Growth(Tree(16))
    growth.add(np.arange(100), vectors, places)
    check(growth.tree)
    check(build(np.arange(100), vectors, places))


def test_a_copy_is_independent():
    growth = grown(80)
    twin = growth.tree.copy()
    before = twin.fingerprint()
    assert before == growth.tree.fingerprint()
    growth.remove(4)
    assert twin.fingerprint() == before != growth.tree.fingerprint()
    Growth(twin).remove(4)
    assert twin.fingerprint() == growth.tree.fingerprint()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vectors": np.full((2, 16), np.nan)}, "NaN"),
        ({"vectors": np.ones((2, 16))}, "normalise"),
        ({"vectors": np.zeros((2, 3))}, "shape"),
        ({"places": np.full((2, 3), np.inf)}, "infinity"),
        ({"places": np.zeros((3, 3))}, "shape"),
        ({"spans": np.array([[5, 1], [0, 0]])}, "last seen before"),
    ],
)
def test_malformed_records_are_refused_and_nothing_is_inserted(change, words):
    growth = grown(20)
    before = growth.tree.fingerprint()
    columns = {"seqs": [1, 2], "vectors": np.zeros((2, 16)), "places": np.zeros((2, 3)), **change}
    with pytest.raises(BadInputError, match=words):
        growth.add(**columns)
    assert growth.tree.fingerprint() == before
    with pytest.raises(BadInputError, match="no leaf 99"):
        growth.remove(99)
    with pytest.raises(BadInputError, match="finite"):
        growth.move(3, (0.0, np.nan, 0.0))
