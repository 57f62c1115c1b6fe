"""Every direct way from here: its links, their geometry, and what is seen from them.

A way is direct when no shorter one (in hops) leads to its end. Only links that leave *explored* nodes are followed; a
link to a node that is not explored ends in a frontier.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

_CHAIN = 3  # links over which a bearing is taken


@njit(cache=True, nogil=True)
def hops_from(first: IntArray, ends: IntArray, explored: NDArray[np.bool_], start: int, limit: int) -> IntArray:
    """(n,) hops from `start` over links that leave explored nodes, up to `limit`; -1 where it is farther."""
    hops = np.full(len(explored), -1, dtype=np.int32)
    queue = np.empty(len(explored), dtype=np.int32)
    hops[start] = 0
    queue[0] = start
    at, count = 0, 1
    while at < count:
        node = queue[at]
        at += 1
        if hops[node] >= limit or not explored[node]:
            continue
        for k in range(first[node], first[node + 1]):
            other = ends[k]
            if hops[other] < 0:
                hops[other] = hops[node] + 1
                queue[count] = other
                count += 1
    return hops


@njit(cache=True, nogil=True)
def _put(links: IntArray, row: int, start: int, end: int, depth: int, before: int) -> None:
    links[row, 0] = start
    links[row, 1] = end
    links[row, 2] = depth
    links[row, 3] = before


@njit(cache=True, nogil=True)
def ways(first: IntArray, ends: IntArray, explored: NDArray[np.bool_], driven: IntArray, limit: int) -> IntArray:
    """The links of every direct way that begins with the nodes `driven` (k >= 2), at most `limit` links long.

    (e, 4): from, to, depth of the end, and the place of one link before it (-1 for the first). The first k - 1 are the
    driven ones, the others come in order of depth. Where the robot itself came by a detour, ways may be as much longer.
    """
    hops = hops_from(first, ends, explored, driven[0], limit)
    depths = np.full(len(explored), -1, dtype=np.int32)
    opened = np.zeros(len(explored), dtype=np.bool_)
    links = np.empty((len(ends) + len(driven), 4), dtype=np.int32)  # each node is opened once
    slack = 0
    depths[driven[0]] = 0
    for i in range(1, len(driven)):
        if hops[driven[i]] >= 0:
            slack = max(slack, i - hops[driven[i]])
        depths[driven[i]] = i
        _put(links, i - 1, driven[i - 1], driven[i], i, i - 2)
    n = len(driven) - 1
    at = n - 1
    while at < n:
        node, depth = links[at, 1], links[at, 2]
        if depth < limit and explored[node] and not opened[node]:
            opened[node] = True
            for k in range(first[node], first[node + 1]):
                other = ends[k]
                direct = hops[other] >= 0 and depth + 1 <= hops[other] + slack
                if direct and (depths[other] < 0 or depths[other] == depth + 1):
                    depths[other] = depth + 1
                    _put(links, n, node, other, depth + 1, at)
                    n += 1
        at += 1
    return links[:n].copy()


@njit(cache=True, nogil=True)
def shapes(
    first: IntArray, ends: IntArray, xy: FloatArray, explored: NDArray[np.bool_], links: IntArray
) -> tuple[FloatArray, IntArray]:
    """The geometry of each link of `ways`.

    (e, 2) bearings: arriving at its end, seen from up to three links back along the way; and departing from its
    start, towards what follows straight on. (e, 2): links since the last junction on the way, and until the next one.
    """
    count = len(links)
    bearings = np.empty((count, 2))
    spans = np.empty((count, 2), dtype=np.int32)
    for e in range(count):
        a, b = links[e, 0], links[e, 1]
        back, k = e, 1
        while k < _CHAIN and links[back, 3] >= 0 and first[links[back, 0] + 1] - first[links[back, 0]] == 2:
            back = links[back, 3]
            k += 1
        origin = links[back, 0]
        bearings[e, 0] = np.arctan2(xy[b, 1] - xy[origin, 1], xy[b, 0] - xy[origin, 0])
        behind, ahead, far = a, b, b
        steps, until = 1, 0
        while explored[ahead] and first[ahead + 1] - first[ahead] == 2 and until < 8:
            k = first[ahead]
            other = ends[k] if ends[k] != behind else ends[k + 1]
            behind, ahead = ahead, other
            until += 1
            if steps < _CHAIN:
                far = ahead
                steps += 1
        spans[e, 1] = until
        bearings[e, 1] = np.arctan2(xy[far, 1] - xy[a, 1], xy[far, 0] - xy[a, 0])
        if first[a + 1] - first[a] > 2:
            spans[e, 0] = 1
        else:
            spans[e, 0] = 1 + (spans[links[e, 3], 0] if links[e, 3] >= 0 else 20)
    return bearings, spans


@njit(cache=True, nogil=True)
def sights(
    xy: FloatArray,
    links: IntArray,
    bearings: FloatArray,
    at: FloatArray,
    similarity: FloatArray,
    owner: IntArray,
    sides: IntArray,
    rarity: FloatArray,
    near: float,
    far: float,
) -> FloatArray:
    """(p, e, 3) match, match x rarity and side agreement of each phrase at the end of each link.

    at (k, 2), similarity (k,), owner (k,): the remembered landmarks that match a phrase. A match fades from `near` to
    `far` metres. sides (p,) +1 left, -1 right, 0 unsaid; rarity (p,) 0..1.
    """
    out = np.zeros((len(sides), len(links), 3))
    for k in range(len(at)):
        p = owner[k]
        for e in range(len(links)):
            node = links[e, 1]
            dx, dy = at[k, 0] - xy[node, 0], at[k, 1] - xy[node, 1]
            d2 = dx * dx + dy * dy
            if d2 >= far * far:
                continue
            fade = min(1.0, (far - np.sqrt(d2)) / (far - near))
            match = similarity[k] * fade
            if match <= out[p, e, 0]:
                continue
            left = np.cos(bearings[e, 0]) * dy - np.sin(bearings[e, 0]) * dx
            out[p, e, 0] = match
            out[p, e, 1] = match * rarity[p]
            out[p, e, 2] = match * sides[p] * np.tanh(left / 8.0)
    return out
