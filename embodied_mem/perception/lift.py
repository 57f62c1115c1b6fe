"""From 2-D boxes to things in space: what stands out in the middle of the box, by its depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import pose_matrix, transform_points
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.frames import to_body
from embodied_mem.records.observation import Detections

_SHRINK = 0.7  # share of a box's sides in which its object is looked for: corners are background
_FEWEST = 8  # pixels with depth, below which a box has no position
_GAP = 0.04  # metres (plus 3 % of the range): a larger step in depth separates surfaces
_MAX_SIDE = 48  # pixels looked at along a side; more say nothing new


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

    depth (h, w) metres, 0 = nothing; the pose is that of the camera's body-convention frame. Of the surfaces in the
    middle of a box the object is the one that holds most of the central pixels; a centre is that of its points' extent.
    Boxes are aligned with the map's axes.
    """
    labels, scores, centers, sizes = [], [], [], []
    pose = pose_matrix(position, orientation)
    candidates = np.flatnonzero(boxes.scores >= min_score)
    for i in candidates:
        points = _object_points(boxes.boxes[i], depth, camera)
        if points is None:
            continue
        low, high = np.percentile(transform_points(pose, points), (4, 96), axis=0)
        labels.append(boxes.labels[i].strip().lower())
        scores.append(float(np.clip(boxes.scores[i], 0, 1)))
        centers.append((low + high) / 2)
        sizes.append(high - low)
    n = len(labels)
    found = Detections(
        tuple(labels),
        np.array(scores, dtype=np.float64),
        np.array(centers, dtype=np.float64).reshape(n, 3),
        np.array(sizes, dtype=np.float64).reshape(n, 3),
        np.zeros(n),
    )
    return found, len(candidates) - n


def _object_points(
    box: NDArray[np.float64], depth: NDArray[np.float32], camera: Intrinsics
) -> NDArray[np.float64] | None:
    """(n, 3) points of the box's object in the camera's body frame, or None when too few pixels have depth."""
    height, width = depth.shape
    u0, v0 = np.clip(np.floor(box[:2]).astype(int), 0, (width - 1, height - 1))
    u1, v1 = np.clip(np.ceil(box[2:]).astype(int), 1, (width, height))
    if u1 - u0 < 2 or v1 - v0 < 2:
        return None
    step = max(1, (u1 - u0) // _MAX_SIDE, (v1 - v0) // _MAX_SIDE)
    v, u = np.mgrid[v0:v1:step, u0:u1:step]
    reach = depth[v, u]
    across = np.maximum(
        np.abs(u - (u0 + u1 - 1) / 2) / max(u1 - u0, 1), np.abs(v - (v0 + v1 - 1) / 2) / max(v1 - v0, 1)
    )
    middle = (reach > 0) & (across <= _SHRINK / 2)
    if middle.sum() < _FEWEST:
        middle = reach > 0
        if middle.sum() < _FEWEST:
            return None
    near, far = _surface(reach[middle], across[middle])
    chosen = (reach >= near) & (reach <= far) & (reach > 0)
    forward = reach[chosen].astype(np.float64)
    optical = np.column_stack(
        [(u[chosen] - camera.cx) / camera.fx * forward, (v[chosen] - camera.cy) / camera.fy * forward, forward]
    )
    return to_body(optical)


def _surface(reach: NDArray[np.float32], across: NDArray[np.float64]) -> tuple[float, float]:
    """The range of depth of the surface that holds most of the middle: central pixels weigh more, near ones too."""
    order = np.argsort(reach)
    ordered = reach[order].astype(np.float64)
    breaks = np.flatnonzero(np.diff(ordered) > _GAP + 0.03 * ordered[:-1])
    group = np.searchsorted(breaks, np.arange(len(ordered)), side="left")
    # An object stands before its background, so of two surfaces of like weight the nearer one is meant.
    weights = np.bincount(group, weights=(0.6 - across[order]) / ordered)
    best = group == np.argmax(weights)
    return float(ordered[best][0]), float(ordered[best][-1])
