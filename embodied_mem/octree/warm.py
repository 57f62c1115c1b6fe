"""Compiles every kernel once, so that the first scan is not late: python -m embodied_mem.octree.warm"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from embodied_mem.octree.octomap import read_octomap, write_octomap
from embodied_mem.octree.tree import Octree


def warm() -> None:
    """Use everything that a tree can do, on a few points, in memory and from a file."""
    points = np.random.default_rng(0).uniform(-2, 2, (64, 3))
    tree = Octree(0.1, budget_bytes=1 << 16)
    for kind in (np.float32, np.float64):
        tree.insert(points.astype(kind), origin=(0.0, 0.0, 0.0), record=1, max_range=2.0)
    tree.insert(np.full((1, 3), np.nan))
    tree.insert_misses((0, 0, 0), points)
    tree.insert(points * 40)  # more than the budget holds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree"
        tree.save(path)
        for other in (tree, Octree.open(path)):
            other.state(points)
            other.log_odds(points)
            other.box((-1, -1, -1), (1, 1, 1), level=1)
            other.nearest(points, k=2)
            other.cast(points, points[::-1], 1.0)
            other.project(-1, 1, (-1, -1), (1, 1))
        write_octomap(path.with_suffix(".ot"), tree)
        read_octomap(path.with_suffix(".ot"))
    tree.forget_records([1])
    tree.clear((-1, -1, -1), (1, 1, 1))


if __name__ == "__main__":
    warm()
