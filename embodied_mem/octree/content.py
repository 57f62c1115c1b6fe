"""What an octree knows in canonical form: the same content gives the same arrays, whatever its history in memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.arrays import DEAD, FIRST, HIT, KEY, LAST, ROWS, SEEN, START, Arrays
from embodied_mem.octree.bits import popcount


class Content(NamedTuple):
    """Blocks (n, 8) uint64 by ascending Morton code, and their packed voxels (m, 3) uint32 in that order without gaps
    (embodied_mem/octree/arrays.py says what the words mean); stamps and records (s,) int64 of the scans that are named
    there, ascending, none twice; scan 0 stands for none."""

    rows: NDArray[np.uint64]
    links: NDArray[np.uint32]
    stamps: NDArray[np.int64]
    records: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _pack(a: Arrays, order: NDArray[np.int64], rows: NDArray[np.uint64], links: NDArray[np.uint32]) -> None:
    at = 0
    for i in range(len(order)):
        source = a.rows[order[i]]
        rows[i] = source
        rows[i, START] = np.uint64(at)
        start, count = np.int64(source[START]), popcount(source[HIT])
        for j in range(count):
            for word in range(3):
                links[at + j, word] = a.links[start + j, word]
        at += count


@njit(cache=True, nogil=True)
def _count_voxels(a: Arrays, order: NDArray[np.int64]) -> int:
    count = 0
    for i in range(len(order)):
        count += popcount(a.rows[order[i], HIT])
    return count


def content_of(a: Arrays, stamps: NDArray[np.int64], records: NDArray[np.int64]) -> Content:
    """Copy an octree's content; `stamps` and `records` (s,) of its scans."""
    used = len(a.rows) if len(a.firsts) else int(a.counts[ROWS])
    live = np.flatnonzero(a.rows[:used, KEY] != DEAD)
    order = live[np.argsort(a.rows[live, KEY])]
    rows = np.empty((len(order), 8), np.uint64)
    links = np.empty((_count_voxels(a, order), 3), np.uint32)
    _pack(a, order, rows, links)
    named = np.zeros(len(stamps), np.bool_)
    named[rows[:, SEEN].astype(np.int64)] = True
    named[links[:, FIRST]] = named[links[:, LAST]] = True
    named[0] = False
    pairs, places = np.unique(np.stack([stamps[named], records[named]], axis=1), axis=0, return_inverse=True)
    numbers = np.zeros(len(stamps), np.uint32)
    numbers[named] = places.ravel() + 1
    rows[:, SEEN] = numbers[rows[:, SEEN].astype(np.int64)]
    for word in (FIRST, LAST):
        links[:, word] = numbers[links[:, word]]
    none = np.zeros(1, np.int64)
    return Content(rows, links, np.concatenate([none, pairs[:, 0]]), np.concatenate([none, pairs[:, 1]]))


def same_content(one: Content, other: Content) -> bool:
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(one, other, strict=True))
    return all(np.array_equal(a, b) for a, b in pairs)
