"""The compiled loop that gives each observation its place. See places.py for the rule."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def bucket_of(x: int, y: int, map_code: int, mask: int) -> int:
    """The bucket of a column of space. Two columns may share one: distances are always tested."""
    mixed = (x * 73856093) ^ (y * 19349663) ^ (map_code * 83492791)
    mixed ^= mixed >> 15
    return mixed & mask


@njit(cache=True, nogil=True)
def fill_buckets(buckets: Ints, following: Ints, anchors: Floats, maps: Ints, count: int, cell: float) -> None:
    """Put the first `count` places into empty buckets."""
    buckets[:] = -1
    for place in range(count):
        _link(buckets, following, anchors, maps, place, cell)


@njit(cache=True, nogil=True)
def _link(buckets: Ints, following: Ints, anchors: Floats, maps: Ints, place: int, cell: float) -> None:
    x, y = int(np.floor(anchors[place, 0] / cell)), int(np.floor(anchors[place, 1] / cell))
    bucket = bucket_of(x, y, maps[place], len(buckets) - 1)
    following[place] = buckets[bucket]
    buckets[bucket] = place


@njit(cache=True, nogil=True)
def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """-1 where one of them is zero: nothing is known of how alike they are."""
    dot, aa, bb = 0.0, 0.0, 0.0
    for i in range(len(a)):
        dot += a[i] * b[i]
        aa += a[i] * a[i]
        bb += b[i] * b[i]
    return dot / np.sqrt(aa * bb) if aa > 0.0 and bb > 0.0 else -1.0


@njit(cache=True, nogil=True)
def assign_places(
    positions: Floats, map_codes: Ints, streams: Ints, described: NDArray[np.bool_], descriptors: NDArray[np.float32],
    near: float, reach: float, height: float, alike: float,
    anchors: Floats, maps: Ints, sums: NDArray[np.float32], buckets: Ints, following: Ints, current: Ints, count: int,
) -> tuple[Ints, int]:  # fmt: skip
    """(n,) the place of each observation, and how many places there are then; the state of the builder is changed.

    positions (n, 3); map_codes, streams (n,); descriptors (n, d), counted where described (n,)
    anchors (p, 3), maps (p,), sums (p, d), following (p,): room for every place that may be made; current (streams,)
    """
    places = np.empty(len(positions), dtype=np.int32)
    for i in range(len(positions)):
        here, in_map = current[streams[i]], map_codes[i]
        if here < 0 or maps[here] != in_map or not _within(positions[i], anchors[here], near, height):
            here = _find(
                positions[i], in_map, described[i], descriptors[i], near, reach, height, alike, anchors, maps, sums,
                buckets, following,
            )  # fmt: skip
        if here < 0:
            here = count
            anchors[here] = positions[i]
            maps[here] = in_map
            _link(buckets, following, anchors, maps, here, reach)
            count += 1
        if described[i]:
            sums[here] += descriptors[i]
        current[streams[i]] = here
        places[i] = here
    return places, count


@njit(cache=True, nogil=True)
def _within(point: Floats, anchor: Floats, radius: float, height: float) -> bool:
    dx, dy, dz = point[0] - anchor[0], point[1] - anchor[1], point[2] - anchor[2]
    return abs(dz) <= height and dx * dx + dy * dy <= radius * radius


@njit(cache=True, nogil=True)
def _find(
    point: Floats, in_map: int, described: bool, descriptor: NDArray[np.float32], near: float, reach: float,
    height: float, alike: float, anchors: Floats, maps: Ints, sums: NDArray[np.float32], buckets: Ints,
    following: Ints,
) -> int:  # fmt: skip
    """The nearest place within `near`, else the most alike one within `reach`, else -1; the older one of equals."""
    nearest, nearest2, most_alike, likeness = -1, np.inf, -1, alike
    cell_x, cell_y = int(np.floor(point[0] / reach)), int(np.floor(point[1] / reach))
    for x in range(cell_x - 1, cell_x + 2):
        for y in range(cell_y - 1, cell_y + 2):
            place = buckets[bucket_of(x, y, in_map, len(buckets) - 1)]
            while place >= 0:
                if maps[place] == in_map and _within(point, anchors[place], reach, height):
                    dx, dy = point[0] - anchors[place, 0], point[1] - anchors[place, 1]
                    far2 = dx * dx + dy * dy
                    if far2 <= near * near:
                        if far2 < nearest2 or (far2 == nearest2 and place < nearest):
                            nearest, nearest2 = place, far2
                    elif described and nearest < 0:
                        same = cosine(descriptor, sums[place])
                        if same > likeness or (same == likeness and (most_alike < 0 or place < most_alike)):
                            most_alike, likeness = place, same
                place = following[place]
    return nearest if nearest >= 0 else most_alike
