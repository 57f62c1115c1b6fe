"""From 2-D boxes to things in space: what stands out in the middle of the box, by its depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import pose_matrix, transform_points
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import to_body
from embodied_mem.perception.surfaces import surfaces
from embodied_mem.records.observation import Detections

_SHRINK = 0.7  # share of a box's sides in which its object is looked for: corners are background
_FEWEST = 8  # pixels with depth, below which a box has no position
_STEP = (0.02, 0.012)  # metres, and metres a metre of range: a larger step between two pixels separates surfaces
_DEEP = (0.1, 1.3)  # metres, and share of its breadth: no object reaches farther back from its front
_AROUND = 0.8  # share of a box's sides that is looked at beyond it, to see what reaches out of it
_LOYAL = 4  # how strongly that speaks against a surface
_HELD = 0.85  # share of a surface inside the box from which it is a part of the box's object
_MAX_SIDE = 40  # pixels looked at along a side; more say nothing new
_FOOT = 0.12  # share of a box's height, at its lower edge, that shows what its object stands on
_SLAB = (0.012, 0.006)  # metres, and metres a metre of range: what lies so near that height is not the object
_SHOWN = 0.2  # share of a box's middle that its object fills at least
_REMAINS = 0.2  # share of a box that smaller ones must leave to it, else they are taken for false
_LEFT = 0.3  # share of the middle that must be left without it; else the object is as flat as what it lies on


def lift(
    boxes: Boxes2D,
    depth: NDArray[np.float32],
    camera: Intrinsics,
    position: NDArray[np.float64],
    orientation: NDArray[np.float64],
    *,
    min_score: float = 0.0,
) -> tuple[Detections, int]:
    """3-D detections in the map frame, and how many boxes were left out for want of depth.

    depth (h, w) metres, 0 = nothing; the pose is that of the camera's body-convention frame. The level surface on which
    an object stands is taken off first: it runs through to the background without a step in depth. Of the surfaces that
    are left in the middle of a box the object is the one that holds most of the central pixels; a centre is that of its
    points' extent. Boxes are aligned with the map's axes, z up. Small boxes come first; what they take is no part of
    a larger one that they lie in: the vase in front of the microwave, the mug on the table.
    """
    pose = pose_matrix(position, orientation)
    candidates = np.flatnonzero(boxes.scores >= min_score)
    sides = boxes.boxes[:, 2:] - boxes.boxes[:, :2]
    free = depth > 0
    lifted: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for i in candidates[np.argsort(sides[candidates].prod(axis=1), kind="stable")]:
        points = _object_points(boxes.boxes[i], depth, free, camera, pose)
        if points is not None:
            low, high = np.percentile(points, (4, 96), axis=0)
            lifted[int(i)] = (low + high) / 2, high - low
    kept = sorted(lifted)
    n = len(kept)
    found = Detections(
        tuple(boxes.labels[i].strip().lower() for i in kept),
        np.clip(boxes.scores[kept], 0, 1).astype(np.float64),
        np.array([lifted[i][0] for i in kept]).reshape(n, 3),
        np.array([lifted[i][1] for i in kept]).reshape(n, 3),
        np.zeros(n),
    )
    return found, len(candidates) - n


def _object_points(
    box: NDArray[np.float64],
    depth: NDArray[np.float32],
    free: NDArray[np.bool_],
    camera: Intrinsics,
    pose: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """(n, 3) points of the box's object in the map, or None when too few pixels have depth.

    `free` (h, w): pixels that no other object has taken; the object's own are taken from it.
    """
    window = _Window.around(box, depth.shape)
    if window is None:
        return None
    reach = np.ascontiguousarray(window.of(depth))
    measured = reach > 0
    left = measured & window.of(free)
    if (left & window.inside).sum() >= max(_FEWEST, _REMAINS * (measured & window.inside).sum()):
        measured = left
    if (measured & window.inside).sum() < _FEWEST:
        return None
    central = window.inside & (window.across <= _SHRINK / 2)
    middle = measured & central
    if middle.sum() < _FEWEST:
        middle = measured & window.inside
    points = _to_map(window.u, window.v, reach, camera, pose)
    own, ground = _above(points[..., 2], reach, measured & window.foot, middle, measured)
    found = surfaces(reach, own, *_STEP)
    broad = (box[2] - box[0]) / camera.fx
    for loyal in (_LOYAL, 0):
        chosen = _object(found, reach, window, middle, loyal, broad)
        if (chosen & central).sum() >= _SHOWN * central.sum():
            break
    else:
        return None  # what the box is about is beyond the sensor's reach; only the door frame before it has depth
    front = float(np.percentile(reach[chosen], 10))
    chosen &= reach <= front + _DEEP[0] + _DEEP[1] * broad * front
    window.take(free, chosen)
    return points[chosen] if ground is None else _down_to(points[chosen], ground)


def _object(
    found: NDArray[np.int32],
    reach: NDArray[np.float32],
    window: _Window,
    middle: NDArray[np.bool_],
    loyal: int,
    broad: float,
) -> NDArray[np.bool_]:
    """Which pixels (h, w) are the object: the surface that holds most of the middle, and others that are its parts.

    An object stands before its background, so of two surfaces of like weight the nearer one is meant. Walls, and what
    stands before the object, reach beyond its box, and it does not: `loyal` says how strongly that counts. broad: the
    box's breadth in metres a metre of range.
    """
    sizes = np.bincount(found.ravel())
    held = np.bincount(found[window.inside], minlength=len(sizes)) / np.maximum(sizes, 1)
    weights = np.bincount(found[middle], (0.6 - window.across[middle]) / reach[middle], len(sizes)) * held**loyal
    weights[0] = 0
    best = int(np.argmax(weights))
    parts = held >= _HELD
    parts[0], parts[best] = False, True
    depth = float(np.median(reach[found == best]))
    return parts[found] & window.inside & (np.abs(reach - depth) <= _DEEP[0] + _DEEP[1] * broad * depth / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Pixels (h, w) of a box and around it, every step-th: their columns u and rows v, whether they are inside of the
    box, how far across from its middle they are (0 .. 0.5 inside), and whether they are at its foot."""

    step: int
    u: NDArray[np.intp]
    v: NDArray[np.intp]
    inside: NDArray[np.bool_]
    across: NDArray[np.float64]
    foot: NDArray[np.bool_]

    @classmethod
    def around(cls, box: NDArray[np.float64], shape: tuple[int, ...]) -> _Window | None:
        """None for a box that shows nothing of the image (height, width)."""
        height, width = shape
        u0, v0 = np.clip(np.floor(box[:2]).astype(int), 0, (width - 1, height - 1))
        u1, v1 = np.clip(np.ceil(box[2:]).astype(int), 1, (width, height))
        wide, high = u1 - u0, v1 - v0
        if wide < 2 or high < 2:
            return None
        step = max(1, wide // _MAX_SIDE, high // _MAX_SIDE)
        around = [int(np.ceil(_AROUND * side / step)) * step for side in (wide, high)]
        rows = np.arange(v0 - around[1], v1 + around[1], step)
        columns = np.arange(u0 - around[0], u1 + around[0], step)
        v, u = np.meshgrid(
            rows[(rows >= 0) & (rows < height)], columns[(columns >= 0) & (columns < width)], indexing="ij"
        )
        inside = (u >= u0) & (u < u1) & (v >= v0) & (v < v1)
        sideways = np.abs(u - (u0 + u1 - 1) / 2) / wide
        across = np.maximum(sideways, np.abs(v - (v0 + v1 - 1) / 2) / high)
        foot = inside & (v >= v1 - max(2 * step, _FOOT * high)) & (sideways <= _SHRINK / 2)
        return cls(step, u, v, inside, across, foot)

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """The window's pixels of an image."""
        return image[self.v[0, 0] : self.v[-1, 0] + 1 : self.step, self.u[0, 0] : self.u[0, -1] + 1 : self.step]

    def take(self, free: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> None:
        """Chosen pixels (h, w) of the window, with those between them, are free no more."""
        taken = np.kron(chosen, np.ones((self.step, self.step), dtype=bool))
        part = free[self.v[0, 0] : self.v[0, 0] + taken.shape[0], self.u[0, 0] : self.u[0, 0] + taken.shape[1]]
        part &= ~taken[: part.shape[0], : part.shape[1]]


def _to_map(
    u: NDArray[np.intp], v: NDArray[np.intp], reach: NDArray[np.float32], camera: Intrinsics, pose: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(h, w, 3) points of pixels (h, w)."""
    forward = reach.astype(np.float64)
    optical = [(u - camera.cx) / camera.fx * forward, (v - camera.cy) / camera.fy * forward, forward]
    points = transform_points(pose, to_body(np.stack(optical, axis=-1).reshape(-1, 3)))
    return points.reshape(*reach.shape, 3)


def _above(
    z: NDArray[np.float64],
    reach: NDArray[np.float32],
    foot: NDArray[np.bool_],
    middle: NDArray[np.bool_],
    measured: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], float | None]:
    """Which of the measured pixels are not of the level surface that shows at the foot of the box, and its height.

    All of them, and None, where there is no such surface or nothing would be left.
    """
    if foot.sum() < 4:
        return measured, None
    ground = float(np.median(z[foot]))
    own = measured & (np.abs(z - ground) > _SLAB[0] + _SLAB[1] * reach)
    if (middle & own).sum() < max(_FEWEST, _LEFT * middle.sum()):
        return measured, None
    return own, ground


def _down_to(points: NDArray[np.float64], ground: float) -> NDArray[np.float64]:
    """The points (n, 3) with those that were taken off with the ground: a thing reaches down to what it stands on."""
    low = np.percentile(points[:, 2], 4)
    if not 0 < low - ground < 3 * _SLAB[0] + _SLAB[1] * 3:
        return points
    feet = points[points[:, 2] <= low + 0.01].copy()
    feet[:, 2] = ground
    count = max(len(points) // 12, 1)  # more than the percentile that is cut off
    return np.concatenate([points, np.resize(feet, (count, 3))]) if len(feet) else points
