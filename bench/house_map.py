"""The map of a house against the house: which voxels that were seen are called free or occupied, and rightly so?

A simulated robot explores houses with noisy depth and a noisy pose; its clouds come through the log into an octree, as
in the node. Truth is the house's own mesh as it stands at the end. A voxel of 0.1 m is rightly occupied when a surface
goes through it or through a neighbour (depth noise), rightly free when the robot can see it or a surface cuts it.
Also on the occupancy grid, where a column is right by the same rule over the heights that it covers.

Things move while the robot explores; what it has not seen again since stands where it was, and counts as wrong.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.harness import Options, Report, parse
from bench.house import remember
from embodied_mem.octree.tree import Octree
from embodied_mem.octree.view import OccupancyView
from embodied_mem.records.memory import RecordMemory
from sim.house.scene import Scene
from sim.house.simulator import HouseSimulator

SEEDS = (11, 12, 13)
RESOLUTION = 0.1
_EYES = 80  # poses of the robot from which a voxel may be seen to be free
LOW_Z, HIGH_Z = 0.1, 1.8  # metres: the heights of the occupancy grid


def explored(seed: int, folder: Path) -> tuple[Octree, Truth]:
    """The map of a robot's memory, and what is true of the house as it then is."""
    simulator = HouseSimulator(seed=seed)
    with_clouds = RecordMemory.open(folder)
    remember(simulator, with_clouds)
    view = OccupancyView(with_clouds.index, resolution=RESOLUTION)
    view.apply(with_clouds.entries(1, 10**6))
    view.catch_up(lambda first, limit: with_clouds.entries(first, limit, blobs=True))
    tree = view.map(with_clouds.map_id)
    places = with_clouds.index.table.positions.data
    eyes = places[np.linspace(0, len(places) - 1, _EYES).astype(int)].copy()
    with_clouds.close()
    return tree, Truth(simulator.house.scene(), eyes)


class Truth:
    """Where something stands and where nothing does, of points in the house as it is at the end."""

    def __init__(self, scene: Scene, eyes: NDArray[np.float64]) -> None:
        self._scene, self._eyes = scene, eyes

    def surface(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether a surface goes through the voxel around each point (n, 3), or through a neighbour."""
        return self._scene.distance(points) <= RESOLUTION * (np.sqrt(3) / 2 + 1)

    def free(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether the voxel around each point is not wholly inside something: it is seen, or a surface cuts it."""
        free = self._scene.distance(points) <= RESOLUTION * np.sqrt(3) / 2
        for start in range(0, len(points), 20_000):
            part = slice(start, start + 20_000)
            free[part] |= self._scene.sees(self._eyes, points[part]).any(axis=0)
        return np.asarray(free)


def right(truth: Truth, centers: NDArray[np.float64], occupied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) which of the voxels with these centres (n, 3) are rightly occupied or free."""
    found = np.empty(len(centers), dtype=bool)
    found[occupied] = truth.surface(centers[occupied])
    found[~occupied] = truth.free(centers[~occupied])
    return found


def columns_right(truth: Truth, tree: Octree) -> NDArray[np.bool_]:
    """(n,) which known cells of the occupancy grid are right: one is free when nothing stands at any of its heights."""
    bounds = tree.bounds()
    assert bounds is not None
    grid = tree.project(LOW_Z, HIGH_Z, *bounds)
    rows, cols = np.nonzero(grid.cells >= 0)
    heights = np.arange(LOW_Z + RESOLUTION / 2, HIGH_Z, RESOLUTION)
    xy = grid.origin + (np.column_stack([cols, rows]) + 0.5) * grid.resolution
    points = np.column_stack([np.repeat(xy, len(heights), axis=0), np.tile(heights, len(xy))])
    surface = truth.surface(points).reshape(len(xy), -1).any(axis=1)
    free = truth.free(points).reshape(len(xy), -1).all(axis=1)
    return np.asarray(np.where(grid.cells[rows, cols] == 100, surface, free))


def run(options: Options) -> int:
    report = Report("house_map", options, seeds={"houses": SEEDS[0]})
    seeds = SEEDS[:1] if options.quick else SEEDS
    rows = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            tree, truth = explored(seed, Path(folder) / "memory")
        everything = (-np.inf,) * 3, (np.inf,) * 3
        known = tree.box(*everything, occupied_only=False)
        occupied = known.log_odds >= 0
        good = right(truth, known.centers, occupied)
        cells = columns_right(truth, tree)
        rows.append([
            seed, int(occupied.sum()), int((~occupied).sum()), 100 * float(good[occupied].mean()),
            100 * float(good[~occupied].mean()), 100 * float(good.mean()), 100 * float(cells.mean()),
        ])  # fmt: skip
    report.table(
        "houses",
        ["seed", "occupied", "free", "occupied right %", "free right %", "voxels right %", "grid cells right %"],
        rows,
    )
    report.bar("observed voxels that are right (%)", min(row[5] for row in rows), at_least=98)
    report.bar("observed cells of the occupancy grid that are right (%)", min(row[6] for row in rows), at_least=98)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
