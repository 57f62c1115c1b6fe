"""Pictures of maps of recorded data, to look at: a LiDAR on a street, a depth camera in a kitchen, a scanned room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import transform_points
from embodied_mem.octree.tree import Octree
from embodied_mem.perception.depth import Intrinsics


def draw_real_maps(data: Path, folder: Path) -> Iterator[str]:
    """Write a picture of each map, and say what is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("kitti", kitti), ("kitchen", kitchen), ("fragment", fragment)):
        try:
            tree, heights = make(data)
        except (OSError, ImportError) as error:
            yield f"{name}: skipped, {error}"
            continue
        _draw(tree, heights, folder / f"{name}.png", name)
        size = f"{len(tree):,} voxels hit, {tree.blocks:,} blocks, {tree.nbytes / 1e6:.1f} MB"
        yield f"{name}: {size}: {folder.name}/{name}.png"


def kitti(data: Path) -> tuple[Octree, tuple[float, float]]:
    """Two sweeps of a Velodyne 1.73 m above the road, each in its own frame (they are 0.1 s apart)."""
    tree = Octree(0.2)
    for number in range(2):
        path = data / "lidar_kitti" / f"velodyne_kitti00_{number:06d}.bin"
        points = np.fromfile(path, np.float32).reshape(-1, 3)
        tree.insert(points, origin=(0.0, 0.0, 0.0), stamp_ns=number, record=number + 1, max_range=60)
    return tree, (-1.4, 1.0)


def kitchen(data: Path) -> tuple[Octree, tuple[float, float]]:
    """125 depth images of a hand-held camera."""
    tree = Octree(0.03)
    folder = data / "rgbd_7scenes"
    matrix = np.loadtxt(folder / "camera-intrinsics.txt")
    camera = Intrinsics(matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], 640, 480)
    frames = sorted(folder.glob("frame-*.depth.png"))
    if not frames:
        raise FileNotFoundError(f"no frames in {folder}")
    import matplotlib.image

    upright = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # its world has y down
    v, u = np.mgrid[0:480:3, 0:640:3]
    for number, path in enumerate(frames):
        depth = np.rint(matplotlib.image.imread(path)[::3, ::3] * 65535) / 1000.0
        good = (depth > 0.3) & (depth < 4.5)
        x, y = (u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth
        pose = upright @ np.loadtxt(str(path).replace(".depth.png", ".pose.txt"))
        points = transform_points(pose, np.stack([x, y, depth], axis=-1)[good])
        tree.insert(points.astype(np.float32), origin=pose[:3, 3], stamp_ns=number, record=number + 1)
    return tree, (-0.6, 0.6)


def fragment(data: Path) -> tuple[Octree, tuple[float, float]]:
    """A scanned room: points without a viewpoint, so nothing is carved."""
    raw = (data / "rgbd_redwood" / "fragment.pcd").read_bytes()
    head, body = raw.split(b"DATA binary\n", 1)
    count = int(head.split(b"POINTS ")[1].split()[0])
    points = np.frombuffer(body, np.float32, count * 8).reshape(-1, 8)[:, :3]
    tree = Octree(0.02)
    tree.insert(points)
    return tree, (-np.inf, np.inf)


def _draw(tree: Octree, heights: tuple[float, float], path: Path, title: str) -> None:
    """The occupied voxels from above and from the side, and the projection that a robot drives by."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = tree.box([-np.inf] * 3, [np.inf] * 3)
    low, high = found.centers.min(axis=0), found.centers.max(axis=0)
    order = np.argsort(found.centers[:, 2])
    figure, axes = plt.subplots(1, 3, figsize=(21, 7))
    for axis, (across, up, depth) in zip(axes[:2], ((0, 1, 2), (0, 2, 1)), strict=True):
        order = np.argsort(-found.centers[:, depth] if depth == 1 else found.centers[:, depth])
        image = axis.scatter(
            found.centers[order, across], found.centers[order, up], c=found.centers[order, depth], s=1, cmap="viridis"
        )
        axis.set_aspect("equal")
        axis.set_xlabel(f"{'xyz'[across]} (m)")
        axis.set_ylabel(f"{'xyz'[up]} (m)")
        figure.colorbar(image, ax=axis, label=f"{'xyz'[depth]} (m)")
    bottom, top = max(heights[0], low[2]), min(heights[1], high[2])
    grid = tree.project(bottom, top, low[:2], high[:2])
    colors: NDArray[np.int64] = np.select([grid.cells == -1, grid.cells == 0], [128, 255], 0)
    extent = (low[0], high[0], low[1], high[1])
    axes[2].imshow(colors, cmap="gray", origin="lower", vmin=0, vmax=255, extent=extent)
    axes[2].set_title(f"columns from {bottom:.1f} to {top:.1f} m: black occupied, white free, grey unknown")
    figure.suptitle(f"{title}: {len(found):,} occupied voxels of {tree.resolution} m")
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    plt.close(figure)
