"""The search: every direct way from here, aligned with the clauses of a description, in one compiled pass.

All direct ways from a start form an acyclic graph (ways.py), so that one dynamic programme over (link, number of
clauses done) scores all of them at once: the best alignment of the clauses with the junctions, bends and landmarks
along the way. Scores are linear in the weights (weights.py), and the alignment can be traced back into counts of
features, which is what tuning needs.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

TURN, PASS, LANDMARK = 0, 1, 2
# Features, by number. A block of n features starts at each of these.
TURN_AT = 0  # 5: by angle: straight, slightly or fully as said, slightly or fully the other way
TURN_BEND = 5  # a turn at a node without a junction
PASS_AT = 6  # 6: straight, slight, full turn; + 3 where another junction is near
NONE_AT = 12  # 7: as PASS_AT for a junction that no clause speaks of; the last: straight past a side street
SKIP = 19  # 3: a clause of each kind that is left out
SEEN = 22  # 3: a landmark on the way: match, match x rarity, side
CORNER = 25  # 3: a landmark at a junction
STOPPED = 28  # 42: kind of stop (7) x position on the block (6)
STOP_SEEN = 70  # 3: landmarks where the way ends
FRONTIER = 73  # 6: going on into the unknown: 1, turns left, passes left, landmarks left, too near, too far
FEATURES = 80  # the last one is unused

AT, JUST_AFTER, AFTER, JUST_BEFORE, BEFORE, MID = range(6)
_SLIGHT, _FULL = np.radians(25.0), np.radians(60.0)
_NEGATIVE = -1e18


@njit(cache=True, nogil=True)
def _event(
    first: IntArray, links: IntArray, bearings: FloatArray, spans: IntArray, e: int, f: int
) -> tuple[float, int, bool]:
    """Between two links: (turn, positive to the left; exits of the node, or 2 at a bend, or 0 for nothing; crowded)."""
    node = links[e, 1]
    exits = first[node + 1] - first[node]
    turn = bearings[f, 1] - bearings[e, 0]
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    if exits <= 2:
        return turn, (2 if abs(turn) > _FULL else 0), False
    return turn, exits, spans[e, 0] <= 2 or spans[f, 1] <= 1


@njit(cache=True, nogil=True)
def _bin(turn: float) -> int:
    size = abs(turn)
    return 0 if size < _SLIGHT else (1 if size < _FULL else 2)


@njit(cache=True, nogil=True)
def _turn_feature(turn: float, side: int, exits: int) -> int:
    if exits == 2:
        return TURN_BEND if turn * side > 0 else -1
    b = _bin(turn)
    return TURN_AT + (b if b == 0 or turn * side > 0 else b + 2)


@njit(cache=True, nogil=True)
def _junction_feature(base: int, turn: float, exits: int, crowded: bool) -> int:
    b = _bin(turn)
    if base == NONE_AT and b == 0 and exits == 3 and not crowded:
        return NONE_AT + 6
    return base + b + (3 if crowded else 0)


@njit(cache=True, nogil=True)
def align(
    first: IntArray,
    links: IntArray,
    bearings: FloatArray,
    spans: IntArray,
    kinds: IntArray,
    sides: IntArray,
    phrase_of: IntArray,
    seen: FloatArray,
    weights: FloatArray,
) -> tuple[FloatArray, IntArray, IntArray]:
    """The best score (e, c + 1) of arriving by each link with so many clauses done, and how.

    kinds, sides (c,); phrase_of (c + 1,): clause j has the phrases phrase_of[j]:phrase_of[j + 1] of `seen` (p, e, 3).
    Also (e, c + 1): the link and the number of clauses before, coded as link * (c + 1) + clauses (-1 at the start), and
    the feature of the step (-1: none; SKIP + kind and SEEN for a clause done while standing).
    """
    count, c = len(links), len(kinds)
    best = np.full((count, c + 1), _NEGATIVE)
    before = np.full((count, c + 1), -1, dtype=np.int32)
    how = np.full((count, c + 1), -1, dtype=np.int32)
    corner = np.zeros((count, c))
    for j in range(c):
        base = SEEN if kinds[j] == LANDMARK else CORNER
        for p in range(phrase_of[j], phrase_of[j + 1]):
            for e in range(count):
                corner[e, j] += (
                    weights[base] * seen[p, e, 0]
                    + weights[base + 1] * seen[p, e, 1]
                    + weights[base + 2] * seen[p, e, 2]
                )
    newest = np.full(first.shape[0], -1, dtype=np.int32)  # the last link into a node, and before each the one before
    older = np.full(count, -1, dtype=np.int32)
    best[0, 0] = 0.0
    for f in range(count):
        e = newest[links[f, 0]]
        while e >= 0:
            if links[e, 2] == links[f, 2] - 1:
                turn, exits, crowded = _event(first, links, bearings, spans, e, f)
                none = -1 if exits <= 2 else _junction_feature(NONE_AT, turn, exits, crowded)
                gain = 0.0 if none < 0 else weights[none]
                for j in range(c + 1):
                    value = best[e, j]
                    if value <= _NEGATIVE:
                        continue
                    if value + gain > best[f, j]:
                        best[f, j] = value + gain
                        before[f, j] = e * (c + 1) + j
                        how[f, j] = none
                    if j == c or exits == 0 or kinds[j] == LANDMARK:
                        continue
                    if kinds[j] == TURN:
                        feature = _turn_feature(turn, sides[j], exits)
                    else:
                        feature = -1 if exits == 2 else _junction_feature(PASS_AT, turn, exits, crowded)
                    if feature < 0:
                        continue
                    value += weights[feature] + corner[e, j]
                    if value > best[f, j + 1]:
                        best[f, j + 1] = value
                        before[f, j + 1] = e * (c + 1) + j
                        how[f, j + 1] = feature
            e = older[e]
        for j in range(c):
            value = best[f, j]
            if value <= _NEGATIVE:
                continue
            skipped = value + weights[SKIP + kinds[j]]
            if skipped > best[f, j + 1]:
                best[f, j + 1] = skipped
                before[f, j + 1] = f * (c + 1) + j
                how[f, j + 1] = SKIP + kinds[j]
            if kinds[j] == LANDMARK and seen[phrase_of[j], f, 0] > 0:
                value += corner[f, j]
                if value > best[f, j + 1]:
                    best[f, j + 1] = value
                    before[f, j + 1] = f * (c + 1) + j
                    how[f, j + 1] = SEEN
        older[f] = newest[links[f, 1]]
        newest[links[f, 1]] = f
    return best, before, how


@njit(cache=True, nogil=True)
def position_on_block(exits: int, since: int, until: int) -> int:
    """Where on a block a node lies: exits of the node, links since the last junction and until the next."""
    if exits > 2:
        return AT
    if since <= 2:
        return JUST_AFTER
    if until <= 2:
        return JUST_BEFORE
    if since <= 5:
        return AFTER
    return BEFORE if until <= 5 else MID


@njit(cache=True, nogil=True)
def candidates(
    first: IntArray,
    explored: NDArray[np.bool_],
    links: IntArray,
    spans: IntArray,
    driven: int,
    best: FloatArray,
    kinds: IntArray,
    stop: int,
    stop_seen: FloatArray,
    shortest: int,
    longest: int,
    hops_a_clause: float,
    weights: FloatArray,
) -> tuple[FloatArray, IntArray]:
    """Scores of everything that the robot can aim at: (e, 2) of stopping at the end of a link, and of going on from a
    frontier there (-inf where it cannot); and (e,) the clauses done at the best frontier alignment.

    driven: how many of the links are behind the robot (a goal that it has passed still has its belief);
    stop_seen (e, 3) of the landmarks at the end of the way.
    """
    count, c = len(links), len(kinds)
    scores = np.full((count, 2), -np.inf)
    done = np.full(count, -1, dtype=np.int32)
    left = np.zeros((c + 1, 3))
    for j in range(c - 1, -1, -1):
        left[j] = left[j + 1]
        left[j, kinds[j]] += 1
    for e in range(count):
        node, depth = links[e, 1], links[e, 2]
        if shortest <= depth <= longest and best[e, c] > _NEGATIVE:
            where = position_on_block(
                first[node + 1] - first[node] if explored[node] else 2,
                spans[e, 0],
                spans[e, 1] if explored[node] else 8,
            )
            scores[e, 0] = best[e, c] + weights[STOPPED + 6 * stop + where]
            for k in range(3):
                scores[e, 0] += weights[STOP_SEEN + k] * stop_seen[e, k]
        if not explored[node] and depth < longest and e >= driven - 1:
            for j in range(c + 1):
                if best[e, j] <= _NEGATIVE:
                    continue
                value = best[e, j] + weights[FRONTIER]
                for k in range(3):
                    value += weights[FRONTIER + 1 + k] * left[j, k]
                need = depth + 4 + hops_a_clause * (left[j, 0] + left[j, 1])
                middle = 0.5 * (shortest + longest)
                value += (
                    weights[FRONTIER + 4] * max(0.0, middle - need) / 10
                    + weights[FRONTIER + 5] * max(0.0, need - middle) / 10
                )
                if value > scores[e, 1]:
                    scores[e, 1] = value
                    done[e] = j
    return scores, done


@njit(cache=True, nogil=True)
def expected_features(
    first: IntArray,
    explored: NDArray[np.bool_],
    links: IntArray,
    spans: IntArray,
    before: IntArray,
    how: IntArray,
    kinds: IntArray,
    phrase_of: IntArray,
    seen: FloatArray,
    stop: int,
    stop_seen: FloatArray,
    middle: float,
    hops_a_clause: float,
    done: IntArray,
    shares: FloatArray,
) -> FloatArray:
    """(FEATURES,) the features of the candidates' best alignments, each weighted with its share (e, 2)."""
    c = len(kinds)
    out = np.zeros(FEATURES)
    for e in range(len(links)):
        for way in range(2):
            share = shares[e, way]
            if share == 0.0:
                continue
            node, depth = links[e, 1], links[e, 2]
            j = c
            if way == 0:
                known = explored[node]
                where = position_on_block(
                    first[node + 1] - first[node] if known else 2, spans[e, 0], spans[e, 1] if known else 8
                )
                out[STOPPED + 6 * stop + where] += share
                for k in range(3):
                    out[STOP_SEEN + k] += share * stop_seen[e, k]
            else:
                j = done[e]
                out[FRONTIER] += share
                need = depth + 4.0
                for i in range(j, c):
                    out[FRONTIER + 1 + kinds[i]] += share
                    need += hops_a_clause if kinds[i] != LANDMARK else 0.0
                out[FRONTIER + 4] += share * max(0.0, middle - need) / 10
                out[FRONTIER + 5] += share * max(0.0, need - middle) / 10
            _trace(before, how, phrase_of, seen, c, e, j, share, out)
    return out


@njit(cache=True, nogil=True)
def _trace(
    before: IntArray,
    how: IntArray,
    phrase_of: IntArray,
    seen: FloatArray,
    c: int,
    e: int,
    j: int,
    share: float,
    out: FloatArray,
) -> None:
    """Walk an alignment back to its start and add up its features."""
    while before[e, j] >= 0:
        code, feature = before[e, j], how[e, j]
        was_e, was_j = code // (c + 1), code % (c + 1)
        standing = feature == SEEN
        if feature >= 0 and not standing:
            out[feature] += share
        if was_j != j and (standing or was_e != e):
            base = SEEN if standing else CORNER
            for p in range(phrase_of[was_j], phrase_of[was_j + 1]):
                for k in range(3):
                    out[base + k] += share * seen[p, was_e, k]
        e, j = was_e, was_j
