"""Two stays that turn out to be one thing: views of a large thing show different parts of it first."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.objects.fold_state import PARTED, FoldState, Trail, places
from embodied_mem.objects.frames import Frame
from embodied_mem.objects.stays import HERE, NAMES, NONE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SHARED = 0.3  # share of the smaller one's footprint from which two are parts of one thing
_BESIDE = 0.08  # metres beyond the sides of one within which another one's centre is part of it
TWICE, OFTEN = 2, 0.15  # frames, and share of its detections, that show one beside the other: then they are two


def join_duplicates(
    state: FoldState, trail: Trail, target: IntArray, frame: Frame, canon: IntArray, active: IntArray
) -> None:
    """Merge what this frame was assigned to with stays of the same kind that share its ground.

    target (m,): the stays of the detections; active: those that the frame may concern
    """
    stays = state.stays
    rows = np.unique(target[target != NONE])
    rows = rows[~stays.closed[rows]]
    if not len(rows):
        return
    boxes: dict[int, int] = {}
    for d, row in enumerate(target.tolist()):
        boxes.setdefault(row, d)
    every = np.union1d(active, rows)
    centers, extents = places(stays, every)
    own = np.searchsorted(every, rows)
    for i, j in _neighbours(own, centers, extents, canon[stays.main[every]]).tolist():
        row, twin = int(every[i]), int(every[j])
        if stays.closed[row] or stays.closed[twin]:
            continue
        one, two = min(row, twin), max(row, twin)
        if row in boxes and twin in boxes and not _overlap(frame, boxes[row], boxes[twin]):
            state.apart[one, two] = min(state.apart.get((one, two), 0) + (row == one), PARTED)
            continue
        few = max(TWICE, OFTEN * min(stays.hits[one], stays.hits[two]))
        if state.apart.get((one, two), 0) < few and _parts_of_one(centers[i], extents[i], centers[j], extents[j]):
            merge(state, trail, keep=one, lose=two)


@njit(cache=True, nogil=True)
def _neighbours(own: IntArray, centers: FloatArray, extents: FloatArray, kinds: IntArray) -> IntArray:
    """(n, 2) pairs of one of `own` and another of the same kind whose boxes touch, nearly."""
    out = np.empty((16, 2), np.int64)
    count = 0
    for i in own:
        for j in range(len(centers)):
            if i == j or kinds[i] != kinds[j]:
                continue
            touch = True
            for axis in range(3):
                room = (extents[i, axis] + extents[j, axis]) / 2 + _BESIDE
                touch &= abs(centers[i, axis] - centers[j, axis]) <= room
            if touch:
                if count == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[count, 0], out[count, 1] = i, j
                count += 1
    return out[:count]


def merge(state: FoldState, trail: Trail, *, keep: int, lose: int) -> None:
    """The stay `lose` was `keep` all along: its evidence counts for that one."""
    stays = state.stays
    total = float(stays.weight[keep] + stays.weight[lose])
    inverse = np.linalg.inv(stays.cov[keep]), np.linalg.inv(stays.cov[lose])
    cov = np.linalg.inv(inverse[0] + inverse[1])
    stays.mean[keep] = cov @ (inverse[0] @ stays.mean[keep] + inverse[1] @ stays.mean[lose])
    stays.cov[keep] = cov
    share = stays.weight[lose] / max(total, 1e-9)  # the corners as if the other's were one more view, see fold_step
    for corner, outward in ((stays.low, -1), (stays.high, 1)):
        step = corner[lose] - corner[keep]
        corner[keep] += np.minimum(2 * share * np.where(step * outward > 0, 0.85, 0.15), 1.0) * step
    stays.weight[keep] = total
    if stays.belief[lose, HERE] > stays.belief[keep, HERE]:
        stays.belief[keep] = stays.belief[lose]
    told = zip(*(getattr(stays, name)[lose].tolist() for name in ("names", "votes", "called")), strict=True)
    for label, vote, called in told:
        if label == NONE:
            continue
        names = stays.names[keep].tolist()
        slot = names.index(label) if label in names else names.index(NONE) if NONE in names else NAMES - 1
        known = names[slot] == label
        stays.votes[keep, slot] = vote + (stays.votes[keep, slot] if known else 0.0)
        stays.called[keep, slot] = min(called, stays.called[keep, slot]) if known else called
        stays.names[keep, slot] = label
    stays.settle(np.array([keep]))
    stays.first[keep] = min(stays.first[keep], stays.first[lose])
    newest = lose if stays.last[lose] > stays.last[keep] else keep
    for name in ("missed", "hidden", "stood", "faced", "credit"):
        column = getattr(stays, name)
        column[keep] = column[newest]
    for name in ("last", "looked", "best"):
        column = getattr(stays, name)
        column[keep] = max(column[keep], column[lose])
    for name in ("hits", "looks", "through", "score", "beside"):
        column = getattr(stays, name)
        column[keep] += column[lose]
    if lose in stays.vectors:
        own = stays.vectors.pop(lose)
        stays.vectors[keep] = stays.vectors[keep] + own if keep in stays.vectors else own
    _join_trails(state, trail, keep, lose)
    stays.into[lose], stays.closed[lose] = keep, True
    for (one, two), count in list(state.apart.items()):
        if lose in (one, two):
            other = two if one == lose else one
            if other != keep:
                pair = (min(keep, other), max(keep, other))
                state.apart[pair] = max(state.apart.get(pair, 0), count)
            del state.apart[one, two]


def _join_trails(state: FoldState, trail: Trail, keep: int, lose: int) -> None:
    stays = state.stays
    both = np.concatenate([trail.of(int(stays.trail[keep])), trail.of(int(stays.trail[lose]))])
    both = both[np.lexsort((both[:, 1], both[:, 0], both[:, 2]))]
    start = len(trail)
    before = np.concatenate([[NONE], np.arange(start, start + len(both) - 1)])
    stays.trail[keep] = trail.add(both, before)[-1]


def _overlap(frame: Frame, one: int, two: int) -> bool:
    """Whether two detections of one frame share ground."""
    apart = np.abs(frame.centers[one] - frame.centers[two]) - (frame.sizes[one] + frame.sizes[two]) / 2
    return bool((apart < 0).all())


def _parts_of_one(
    center: NDArray[np.float64], extent: NDArray[np.float64], other: NDArray[np.float64], size: NDArray[np.float64]
) -> bool:
    low, high = np.maximum(center - extent / 2, other - size / 2), np.minimum(center + extent / 2, other + size / 2)
    shared = high - low
    if shared[2] <= 0:
        return False
    apart = np.abs(center - other)[:2]
    inside = (apart <= extent[:2] / 2 + _BESIDE).all() or (apart <= size[:2] / 2 + _BESIDE).all()
    ground = float(np.clip(shared[:2], 0, None).prod())
    return bool(inside or ground >= _SHARED * min(extent[:2].prod(), size[:2].prod()))
