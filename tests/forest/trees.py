"""Small worlds to grow trees in, and what must hold of every tree."""

from __future__ import annotations

import math

import numpy as np

from embodied_mem.forest.tree import NOTHING, Tree


def world(n: int, *, dim: int = 16, topics: int = 5, seed: int = 0):
    """n records: vectors (n, dim) around topics, places (n, 3) of a walk through a room for each topic."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(topics, size=n)
    middles = rng.normal(size=(topics, dim))
    vectors = middles[topic] + 0.5 * rng.normal(size=(n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = np.column_stack([20.0 * topic, np.zeros(n), np.zeros(n)]) + rng.normal(size=(n, 3)) * [3, 3, 0]
    return np.asarray(vectors, np.float32), places, topic


def check(tree: Tree, least: int = 3) -> None:
    """Everything that holds of a tree: bounds on children, one depth, and true sums, boxes, times and angles."""
    arrays, nodes = tree.arrays, tree.nodes()
    leaves = tree.leaves()
    if not len(tree):
        assert tree.root == NOTHING and not len(leaves)
        return
    assert len(leaves) == len(tree)
    assert sorted(tree.leaves_under(tree.root).tolist()) == sorted(leaves.tolist())
    for node in nodes.tolist():
        size = int(arrays.sizes[node])
        alone = node == tree.root and len(tree) == 1
        assert size <= tree.fan_out and (size >= (2 if node == tree.root else least) or alone), (node, size)
        children = tree.children_of(node)
        if arrays.levels[node] > 1:
            assert (arrays.parents[children] == node).all()
            assert (arrays.levels[children] == arrays.levels[node] - 1).all()
        else:
            assert (arrays.above[children] == node).all()
        below = tree.leaves_under(node)
        vectors = arrays.vectors[below].astype(np.float64)
        worded = arrays.worded[below] != 0
        assert arrays.counts[node] == len(below) and arrays.worded_counts[node] == worded.sum()
        np.testing.assert_allclose(arrays.sums[node], vectors.sum(axis=0), atol=1e-9)
        np.testing.assert_allclose(arrays.norms[node], np.linalg.norm(arrays.sums[node]), atol=1e-9)
        middle = arrays.sums[node] / max(arrays.norms[node], 1e-9)
        np.testing.assert_allclose(arrays.middles[node], middle, atol=1e-6)
        np.testing.assert_allclose(arrays.spots[node], arrays.places[below].mean(axis=0), atol=1e-6)
        assert (arrays.codes[below] == np.packbits(vectors > 0, axis=1)).all()
        np.testing.assert_allclose(arrays.place_sums[node], arrays.places[below].sum(axis=0), atol=1e-6)
        assert (arrays.lows[node] == arrays.positions[below].min(axis=0)).all()
        assert (arrays.highs[node] == arrays.positions[below].max(axis=0)).all()
        assert tuple(arrays.times[node]) == (arrays.spans[below, 0].min(), arrays.spans[below, 1].max())
        if worded.any() and arrays.axes[node].any():
            angles = np.arccos(np.clip(vectors[worded] @ arrays.axes[node].astype(np.float64), -1, 1))
            assert angles.max() <= arrays.angles[node, 1] + 1e-6 and angles.min() >= arrays.angles[node, 0] - 1e-6
    if len(tree) > 1:
        assert tree.depth <= max(1, math.log(len(tree) / 2) / math.log(least) + 1)
