"""The nodes of OctoMap's files: bytes to leaves, leaves to blocks, blocks to bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import HIT, KEY, MISS_0, ODDS, SOLID, START, misses
from embodied_mem.octree.bits import ALL, ONE, has, lowest_bit, popcount, rank
from embodied_mem.octree.morton import HALF, encode
from embodied_mem.octree.occupancy import Rules

DEPTH = 16
_OFFSET = HALF - (1 << (DEPTH - 1))


# --- bytes to leaves -------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def leaves_of(
    data: NDArray[np.uint8], count: int, binary: bool, lowest: float, highest: float
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32], int]:
    """Corners (n, 3; axis keys of the lowest voxel), levels (n,) and log-odds (n,) of the leaves, and how many nodes
    there were; -1 when the bytes end before the nodes do, or do not end with them."""
    room = max(count, 1)
    corners, levels, odds = np.empty((room, 3), np.int64), np.empty(room, np.uint8), np.empty(room, np.float32)
    # Nodes whose children are still to be read: corner, level, children, and which of them is next.
    stack = np.zeros((DEPTH + 1, 6), np.int64)
    leaves = nodes = at = depth = 0
    if count == 0:
        return corners[:0], levels[:0], odds[:0], 0 if len(data) == 0 else -1
    size = 2 if binary else 5
    if len(data) < size:
        return corners[:0], levels[:0], odds[:0], -1
    nodes = 1
    root = np.int64(data[0]) | np.int64(data[1]) << 8 if binary else np.int64(data[4])
    root_odds = data[0:4].copy().view(np.float32)[0] if not binary else np.float32(0)
    at = size
    if root == 0:  # a tree of one leaf
        if binary:
            return corners[:0], levels[:0], odds[:0], 1 if at == len(data) else -1
        corners[0], levels[0], odds[0] = _OFFSET, DEPTH, root_odds
        return corners[:1], levels[:1], odds[:1], 1 if at == len(data) else -1
    stack[0, 0:3], stack[0, 3], stack[0, 4], stack[0, 5] = _OFFSET, DEPTH, root, 0
    # In .bt a node's children are told by the node; in .ot by themselves.
    while depth >= 0:
        child = stack[depth, 5]
        if child == 8:
            depth -= 1
            continue
        stack[depth, 5] += 1
        level = stack[depth, 3] - 1
        kind = (stack[depth, 4] >> (2 * child)) & 3 if binary else (stack[depth, 4] >> child) & 1
        if kind == 0:
            continue
        edge = 1 << level
        x = stack[depth, 0] + (child & 1) * edge
        y = stack[depth, 1] + ((child >> 1) & 1) * edge
        z = stack[depth, 2] + (child >> 2) * edge
        nodes += 1
        inner, value = kind == 3, np.float32(lowest if kind == 1 else highest)
        children = np.int64(0)
        if inner or not binary:
            if at + size > len(data) or nodes > count:
                return corners[:0], levels[:0], odds[:0], -1
            if binary:
                children = np.int64(data[at]) | np.int64(data[at + 1]) << 8
            else:
                children, value = np.int64(data[at + 4]), data[at : at + 4].copy().view(np.float32)[0]
                inner = children != 0
            at += size
        if nodes > count or (inner and level == 0):
            return corners[:0], levels[:0], odds[:0], -1
        if inner:
            depth += 1
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = x, y, z
            stack[depth, 3], stack[depth, 4], stack[depth, 5] = level, children, 0
        else:
            corners[leaves, 0], corners[leaves, 1], corners[leaves, 2] = x, y, z
            levels[leaves], odds[leaves] = level, value
            leaves += 1
    return corners[:leaves], levels[:leaves], odds[:leaves], nodes if at == len(data) else -1


# --- leaves to blocks ------------------------------------------------------------------------------------------------


def spread_leaves(
    corners: NDArray[np.int64], levels: NDArray[np.uint8], odds: NDArray[np.float32]
) -> tuple[NDArray[np.uint64], NDArray[np.float32], NDArray[np.uint64]]:
    """Leaves as parts of blocks, by the blocks' Morton codes: codes (m,), log-odds (m,) and which voxels (m,).

    A leaf above the level of blocks is taken apart into them: its blocks follow one another in Morton order.
    """
    codes = encode(corners >> 2)
    repeats = np.where(levels > 2, 8 ** np.maximum(levels.astype(np.int64) - 2, 0), 1)
    starts = np.cumsum(repeats) - repeats
    steps = (np.arange(int(repeats.sum())) - np.repeat(starts, repeats)).astype(np.uint64)
    masks = _masks(corners, levels)
    keys, values, marks = np.repeat(codes, repeats) + steps, np.repeat(odds, repeats), np.repeat(masks, repeats)
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order], marks[order]


@njit(cache=True, nogil=True)
def _masks(corners: NDArray[np.int64], levels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    out = np.empty(len(levels), np.uint64)
    for i in range(len(levels)):
        edge = 1 << levels[i]
        if edge >= 4:
            out[i] = ALL
            continue
        mask = np.uint64(0)
        for z in range(edge):
            for y in range(edge):
                for x in range(edge):
                    bit = (
                        ((corners[i, 0] + x) & 3) | (((corners[i, 1] + y) & 3) << 2) | (((corners[i, 2] + z) & 3) << 4)
                    )
                    mask |= ONE << np.uint64(bit)
        out[i] = mask
    return out


@njit(cache=True, nogil=True)
def block_odds(
    keys: NDArray[np.uint64], values: NDArray[np.float32], marks: NDArray[np.uint64], rules: Rules
) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Rows of blocks and packed voxels, as a canonical content has them, of parts of blocks in Morton order.

    Log-odds that misses alone lead to need no packed voxel.
    """
    blocks = packed = 0
    counts = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        counts[i] = -1
        for count in range(1, rules.full + 1):
            if rules.misses[count] == values[i]:
                counts[i] = count
        blocks += 1 if i == 0 or keys[i] != keys[i - 1] else 0
        packed += popcount(marks[i]) if counts[i] < 0 else 0
    rows, links = np.zeros((blocks, 8), np.uint64), np.zeros((packed, 3), np.uint32)
    odds = links.view(np.float32)
    within = np.zeros(64, np.float32)
    row, at = -1, 0
    for i in range(len(keys) + 1):
        if i == len(keys) or i == 0 or keys[i] != keys[i - 1]:
            if i:
                left = rows[row, HIT]
                rows[row, START] = np.uint64(at)
                while left:
                    odds[at, ODDS] = within[lowest_bit(left)]
                    at += 1
                    left &= left - ONE
            if i == len(keys):
                break
            row += 1
            rows[row, KEY] = keys[i]
        mark = marks[i]
        if counts[i] < 0:
            rows[row, HIT] |= mark
            rows[row, SOLID] |= mark if values[i] >= rules.occupied else np.uint64(0)
            while mark:
                within[lowest_bit(mark)] = values[i]
                mark &= mark - ONE
        else:
            for plane in range(3):
                if (counts[i] >> plane) & 1:
                    rows[row, MISS_0 + plane] |= mark
    return rows, links


# --- blocks to bytes -------------------------------------------------------------------------------------------------


class Nodes(NamedTuple):
    """Nodes of one level by ascending Morton code: codes (n,) uint64, log-odds (n,), and which have children (n,)."""

    codes: NDArray[np.uint64]
    odds: NDArray[np.float32]
    inner: NDArray[np.bool_]


def nodes_of(
    rows: NDArray[np.uint64], links: NDArray[np.uint32], blocks: NDArray[np.int64], binary: bool, rules: Rules
) -> tuple[int, bytes]:
    """How many nodes, and their bytes, of blocks (n, 8) with keys (n, 3) counted from the lowest that OctoMap has."""
    if not len(rows):
        return 0, b""
    codes = encode(blocks)
    odds = np.empty((len(rows), 64), np.float32)
    _read_odds(rows, links.view(np.float32), rules.misses, odds)
    if binary:
        known_odds = ~np.isnan(odds)
        odds[known_odds] = np.where(odds[known_odds] >= rules.occupied, rules.highest, rules.lowest)
    whole = (odds == odds[:, :1]).all(axis=1)
    leaves = Nodes(codes[whole], odds[whole, 0], np.zeros(int(whole.sum()), np.bool_))
    levels = [_voxels(codes[~whole], odds[~whole])]
    for level in range(1, DEPTH + 1):
        below, above = _parents(levels[-1])
        levels[-1] = below
        levels.append(_merged(above, leaves) if level == 2 else above)
    return _written(levels, binary, rules)


@njit(cache=True, nogil=True)
def _read_odds(
    rows: NDArray[np.uint64], odds: NDArray[np.float32], by_misses: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Log-odds of each block's voxels in Morton order: (n, 64), NaN where unknown."""
    for i in range(len(rows)):
        for place in range(64):
            x = (place & 1) | ((place >> 2) & 2)
            y = ((place >> 1) & 1) | ((place >> 3) & 2)
            z = ((place >> 2) & 1) | ((place >> 4) & 2)
            bit = x | (y << 2) | (z << 4)
            if has(rows[i, HIT], bit):
                out[i, place] = odds[np.int64(rows[i, START]) + rank(rows[i, HIT], bit), ODDS]
            else:
                count = misses(rows, i, bit)
                out[i, place] = by_misses[count] if count else np.float32(np.nan)


def _voxels(codes: NDArray[np.uint64], odds: NDArray[np.float32]) -> Nodes:
    """The known voxels of blocks (n,) with log-odds (n, 64)."""
    all_codes: NDArray[np.uint64] = np.add.outer(codes << np.uint64(6), np.arange(64, dtype=np.uint64))
    is_known = ~np.isnan(odds)
    return Nodes(all_codes[is_known], odds[is_known], np.zeros(int(is_known.sum()), np.bool_))


def _parents(nodes: Nodes) -> tuple[Nodes, Nodes]:
    """Those nodes that stay when eight equal leaves become one, and the level above."""
    if not len(nodes.codes):
        return nodes, nodes
    above = nodes.codes >> np.uint64(3)
    starts = np.flatnonzero(np.append(True, above[1:] != above[:-1]))
    sizes = np.diff(np.append(starts, len(above)))
    largest, least = np.maximum.reduceat(nodes.odds, starts), np.minimum.reduceat(nodes.odds, starts)
    one = (sizes == 8) & (largest == least) & ~np.logical_or.reduceat(nodes.inner, starts)
    stay = ~np.repeat(one, sizes)
    return Nodes(*(part[stay] for part in nodes)), Nodes(above[starts], largest, ~one)


def _merged(one: Nodes, other: Nodes) -> Nodes:
    order = np.argsort(np.concatenate([one.codes, other.codes]))
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(one, other, strict=True))
    return Nodes(*(np.concatenate(pair)[order] for pair in pairs))


def _written(levels: list[Nodes], binary: bool, rules: Rules) -> tuple[int, bytes]:
    """How many nodes, and their bytes, depth first: a node before its children, these in the order of their codes."""
    children = [np.zeros(len(levels[0].codes), np.uint16)]
    for below, above in pairwise(levels):
        places = np.searchsorted(above.codes, below.codes >> np.uint64(3))
        kinds = np.where(below.inner, 3, np.where(below.odds >= rules.occupied, 2, 1)) if binary else 1
        shifts = (below.codes & np.uint64(7)).astype(np.int64) * (2 if binary else 1)
        marks = np.zeros(len(above.codes), np.int64)
        np.add.at(marks, places, kinds << shifts)
        children.append(marks.astype(np.uint16))
    corners = np.concatenate([nodes.codes << np.uint64(3 * level) for level, nodes in enumerate(levels)])
    depths = np.concatenate([np.full(len(nodes.codes), -level) for level, nodes in enumerate(levels)])
    order = np.lexsort((depths, corners))
    masks, inner = np.concatenate(children)[order], np.concatenate([nodes.inner for nodes in levels])[order]
    if binary:
        return len(order), masks[inner].astype("<u2").tobytes()
    written = np.empty(len(order), np.dtype([("odds", "<f4"), ("children", "u1")]))
    written["odds"] = np.concatenate([nodes.odds for nodes in levels])[order]
    written["children"] = masks
    return len(order), written.tobytes()
