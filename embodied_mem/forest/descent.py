"""Where a new record belongs: a best-first descent by place and meaning, in scales that the tree has observed.

S = a exp(-distance / tau) + (1 - a) (cosine - low) / (high - low). For each level, tau is the median of the distances
between new records and nodes of that level that were looked at, low and high are quantiles of their cosines: so the two
terms weigh alike whatever the encoder, the unit of a place, or the density of records.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.forest.compiled import dot, inner
from embodied_mem.forest.tree import CUT, HIGH, LOW, RING, ROOT, TAU, Arrays

_BEAM = 2  # nodes kept at a low level, one at the others
_LOW = 3  # levels: above, each holds hundreds of records, and the second best would cost more than it is worth
_ENOUGH = 32  # observations from which scales are drawn
_FAR = 1e-9  # so that of two nodes that are both too far for exp, the nearer is better
_EVERY = 64  # observations from one drawing to the next
_CUT_SHARE = 0.15  # the share of records that belong least
_USUAL = (0.1, 0.9)  # quantiles of cosines that count as 0 and 1


@inner
def cosine_to(t: Arrays, node: int, vector: NDArray[np.float32]) -> float:
    """Between a vector and the centroid of a node; 0 where the node has none."""
    return dot(t.middles[node], vector)


@inner
def distance_to(t: Arrays, node: int, place: NDArray[np.float64]) -> float:
    """Metres between a place and the centroid of a node."""
    total = 0.0
    for j in range(len(place)):
        total += (place[j] - t.spots[node, j]) ** 2
    return math.sqrt(total)


@inner
def belonging(t: Arrays, level: int, distance: float, cosine: float, weight: float) -> float:
    """S of the module docstring."""
    scale = t.scales[level]
    alike = (cosine - scale[LOW]) / (scale[HIGH] - scale[LOW])
    away = distance / scale[TAU]
    return weight * (math.exp(-away) - _FAR * away) + (1 - weight) * alike


@inner
def descend(t: Arrays, vector: NDArray[np.float32], place: NDArray[np.float64], weight: float) -> Any:
    """The node of level 1 to which a record belongs best, and S. The nodes looked at are observed."""
    fan = t.children.shape[1]
    beam, kept = np.empty(_BEAM, dtype=np.int64), 1
    beam[0] = t.head[ROOT]
    best = 0.0
    level = t.levels[beam[0]]
    if level == 1:
        distance, cosine = distance_to(t, beam[0], place), cosine_to(t, beam[0], vector)
        best = belonging(t, 1, distance, cosine, weight)
        observe(t, 1, distance, cosine)
    nodes, scores = np.empty(_BEAM * fan, dtype=np.int64), np.empty(_BEAM * fan)
    while level > 1:
        level -= 1
        found = 0
        for b in range(kept):
            for i in range(t.sizes[beam[b]]):
                node = t.children[beam[b], i]
                distance, cosine = distance_to(t, node, place), cosine_to(t, node, vector)
                nodes[found], scores[found] = node, belonging(t, level, distance, cosine, weight)
                found += 1
                if i % 4 == t.seen[1, 1] % 4:  # a quarter of them is enough, and never the same ones
                    observe(t, level, distance, cosine)
        kept = min(_BEAM if 1 < level <= _LOW else 1, found)
        for b in range(kept):
            top = 0
            for i in range(found):
                if scores[i] > scores[top]:
                    top = i
            beam[b], best = nodes[top], scores[top] if b == 0 else best
            scores[top] = -np.inf
    t.seen_scores[1, t.seen[1, 1] % RING] = best
    t.seen[1, 1] += 1
    return beam[0], best


@inner
def observe(t: Arrays, level: int, distance: float, cosine: float) -> None:
    """Note how far and how alike a record was to a node of this level; now and then draw the scales from the notes."""
    place = t.seen[level, 0] % RING
    t.seen_distances[level, place], t.seen_cosines[level, place] = distance, cosine
    t.seen[level, 0] += 1
    if t.seen[level, 0] % _EVERY and t.seen[level, 0] != _ENOUGH:
        return
    n = min(t.seen[level, 0], RING)
    t.scales[level, TAU] = max(_quantile(t.seen_distances[level, :n], 0.5), 1e-3)
    t.scales[level, LOW] = _quantile(t.seen_cosines[level, :n], _USUAL[0])
    t.scales[level, HIGH] = max(_quantile(t.seen_cosines[level, :n], _USUAL[1]), t.scales[level, LOW] + 0.05)
    n = min(t.seen[level, 1], RING)
    if level == 1 and n >= _ENOUGH:
        t.scales[level, CUT] = _quantile(t.seen_scores[level, :n], _CUT_SHARE)


@inner
def _quantile(values: NDArray[np.float64], share: float) -> float:
    return np.sort(values)[int(share * (len(values) - 1))]
