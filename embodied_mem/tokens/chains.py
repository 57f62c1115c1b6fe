"""The bytes of a chain: the other halves of an element's writes, in segments, written and read back by numba kernels.

A half is   its length - 64 (varint)   what is told exactly (5 varints)   its numbers (entropy.py)

Told exactly are a record's number, its time in ms and its position in cm; each half has how much they grew since the
write before, and the element their last values: the simplest of coupling blocks, whose F and G are the identity.
A segment is SEGMENT halves, or fewer when it is the newest. Attention looks back within a segment only, so that a chain
can lose its oldest segments and still be read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.tokens.coupling import SEGMENT, Array16, Network, Scratch, invert, remember_half, write
from embodied_mem.tokens.entropy import MOST_BYTES, decode, encode, get_varint, put_varint

EXACT = 5  # record, time, x, y, z
HEAD_BYTES = 10 * EXACT + 10  # that lengths and varints may take


class Coder(NamedTuple):
    """What writing and reading need beside the network: entropy tables (see entropy.py) and the grid."""

    starts: NDArray[np.uint16]
    symbols: NDArray[np.uint8]
    scales: NDArray[np.uint8]  # (AGE_GROUPS, r)
    point: int
    low_bits: int


def room_for(writes: int, latent: int) -> int:
    """Bytes that so many writes can take at most."""
    return writes * (MOST_BYTES * latent + 3 + HEAD_BYTES)


@njit(cache=True, nogil=True)
def _age_group(age: int) -> int:
    """0, 1, 2-3, 4-7, 8 and more."""
    group = 0
    while age and group < 4:
        age >>= 1
        group += 1
    return group


@njit(cache=True, nogil=True)
def _get_half(coder: Coder, data: Any, at: int, age: int, exact: Any, half: Any) -> int:
    """Read one half at a place; returns where it ends."""
    length, at = get_varint(data, at)
    end = at + length + 64
    for i in range(EXACT):
        exact[i], at = get_varint(data, at)
    decode(data[:end], at, coder.scales[_age_group(age)], coder.low_bits, coder.starts, coder.symbols, half)
    return end


@njit(cache=True, nogil=True)
def _put_half(coder: Coder, exact: Any, half: Any, age: int, packed: Any, out: Any, at: int) -> int:
    """Write one half at a place of out; returns where it ends. packed: room for its bytes."""
    begin = encode(half, coder.scales[_age_group(age)], coder.low_bits, coder.starts, packed)
    head = 0
    for i in range(EXACT):
        head = put_varint(exact[i], packed, head)
    length = head + len(packed) - begin
    at = put_varint(length - 64, out, at)
    out[at : at + head] = packed[:head]
    out[at + head : at + length] = packed[begin:]
    return at + length


@njit(cache=True, nogil=True)
def write_batch(
    net: Network, coder: Coder, room: Scratch, tokens: Array16, heads: Any, ages: Any, elements: Any, firsts: Any,
    latents: Any, exacts: Any, open_bytes: Any, open_firsts: Any, out: Any, segments: Any,
) -> int:  # fmt: skip
    """Write observations into elements; returns how many segments there are to store.

    tokens (e, w), heads (e, EXACT), ages (e,): of all elements, changed in place
    elements (g,): those written to, group i with observations firsts[i]:firsts[i + 1] of latents (n, r) int64, which
    become halves, and of exacts (n, EXACT)
    open_bytes, open_firsts (g + 1,): the halves of each one's newest segment when that is not full
    out: their bytes; segments (s, 4): group, writes before it, halves, end in out
    """
    count, at = 0, 0
    memories = np.zeros((SEGMENT, net.memory.shape[0]), np.int16)
    packed = np.zeros(latents.shape[1] * MOST_BYTES + HEAD_BYTES + 3, np.uint8)
    old, old_exact = np.zeros(latents.shape[1], np.int64), np.zeros(EXACT, np.int64)
    for group in range(len(elements)):
        element = elements[group]
        known = ages[element] % SEGMENT
        if firsts[group] < firsts[group + 1]:
            given = open_bytes[open_firsts[group] : open_firsts[group + 1]]
            place = 0
            for j in range(known):
                place = _get_half(coder, given, place, ages[element] - known + j, old_exact, old)
                remember_half(net, old, coder.point, room, memories[j])
            out[at : at + len(given)] = given
            at += len(given)
        for i in range(firsts[group], firsts[group + 1]):
            age, half = ages[element], latents[i]
            write(net, tokens[element], half, memories, known, age, coder.point, room)
            for j in range(EXACT):
                old_exact[j] = exacts[i, j] - heads[element, j]
                heads[element, j] = exacts[i, j]
            at = _put_half(coder, old_exact, half, age, packed, out, at)
            remember_half(net, half, coder.point, room, memories[known])
            ages[element] += 1
            known += 1
            if known == SEGMENT or i == firsts[group + 1] - 1:
                segments[count, 0], segments[count, 1] = group, ages[element] - known
                segments[count, 2], segments[count, 3] = known, at
                count += 1
                known %= SEGMENT
    return count


@njit(cache=True, nogil=True)
def read_back(
    net: Network, coder: Coder, room: Scratch, token: Array16, head: Any, age: int, data: Any, firsts: Any,
    latents: Any, exacts: Any,
) -> int:  # fmt: skip
    """Undo the latest writes of an element, newest first, as many as there is room for; returns how many.

    token (w,), head (EXACT,): become what they were before these writes; age: writes so far
    data, firsts (s + 1,): the kept segments, oldest first; latents (k, r), exacts (k, EXACT): what was written
    """
    done = 0
    memories = np.zeros((SEGMENT, net.memory.shape[0]), np.int16)
    halves = np.zeros((SEGMENT, latents.shape[1]), np.int64)
    grown = np.zeros((SEGMENT, EXACT), np.int64)
    for segment in range(len(firsts) - 2, -1, -1):
        given = data[firsts[segment] : firsts[segment + 1]]
        count = (age - 1) % SEGMENT + 1
        place = 0
        for j in range(count):
            place = _get_half(coder, given, place, age - count + j, grown[j], halves[j])
            remember_half(net, halves[j], coder.point, room, memories[j])
        for j in range(count - 1, -1, -1):
            if done == len(latents):
                return done
            age -= 1
            invert(net, token, halves[j], memories, j, age, coder.point, room)
            latents[done] = halves[j]
            for i in range(EXACT):
                exacts[done, i] = head[i]
                head[i] -= grown[j, i]
            done += 1
    return done
