"""The upper part of a tree, with its summaries, as messages and pages show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.forest.summarise import Summary
from embodied_mem.forest.view import ForestView


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The highest nodes of a tree: numbers, parents (-1: none), levels, summaries; and of how many nodes and records.

    centers (n, 3) metres in the coordinates of map_id
    """

    nodes: list[int]
    parents: list[int]
    levels: list[int]
    summaries: list[Summary]
    centers: NDArray[np.float64]
    map_id: str
    total: int
    records: int
    watermark: int


def highest(forest: ForestView, most: int, map_id: str = "") -> Shown:
    """At most `most` nodes of a map's tree (default: the current one), from the root down, each after its parent.

    Raises NotFoundError where the tree is empty, UnknownMapError.
    """
    with forest.lock:
        map_id = forest.memory.index.maps.resolve(map_id)
        frame = forest.frame_of(map_id)
        tree = forest.trees[frame]
        every = tree.nodes()
        nodes = every[:most].tolist()
        summaries = [forest.summary(frame, node) for node in nodes]
        arrays = tree.arrays
        centers = forest.in_map(np.array([summary.center for summary in summaries]), map_id)
        return Shown(
            nodes, arrays.parents[nodes].tolist(), arrays.levels[nodes].tolist(), summaries, centers, map_id,
            len(every), len(tree), forest.watermark,
        )  # fmt: skip
