"""The reversible network in whole numbers: it writes an observation into a token, and can be run backwards exactly.

A token a (w,) and an observation b (r,) go through L additive coupling blocks (NICE: Dinh et al., 2014; RevNet: Gomez
et al., 2017), here as prediction and update (the lifting scheme: Sweldens, 1996):

    b <- b - G_l(a)        what the token predicts of the observation is taken away
    a <- a + F_l(b)        the token learns from what was not predicted

What is left of b is the *other half* of the write: it is stored, and with the token it gives back the token before and
the observation, whatever F and G are. Both also read, by attention, the stored halves of earlier writes of the element
(those of its segment), which are known when inverting, since they are stored:

    read(x) = gate[age] * (O relu(A [x; c] + bias)) + skip[age] * x,      c = sum_j p_j m_j,   p = softmax(Q x . m_j)

with m_j = M h_j made of an earlier half, and age the number of earlier writes.

All of it is fixed point: weights and activations are 16-bit with 12 bits behind the point, sums of products are whole
numbers, the exponential of the softmax is a table. Sums of whole numbers do not depend on their order, so results do
not depend on threads, vector units, BLAS or machine. The weights are such that no sum leaves 32 bits (`weights.py`).
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

POINT = 12  # bits behind the point of weights and activations
TOKEN_POINT = 10  # of a token: 16 bits that wrap around, which an exact inverse may
SEGMENT = 8  # writes of an element that attention can look back over
AGES = 8  # from this many earlier writes on, an element counts as old
_UP = 1 << POINT
_EXP_SHIFT = 4  # of a score with POINT bits: the table has a step of 2^-8
_EXP_ENTRIES = 2560  # up to e^-10

Array16 = NDArray[np.int16]


class Reader(NamedTuple):
    """One side of every block: G, which reads tokens (x = w, y = r), or F, which reads observations (x = r, y = w).

    query (L, m, x)   hidden (L, hid, x + m)   bias (L, hid)   out (L, y, hid)   gate, skip (L, AGES)
    """

    query: Array16
    hidden: Array16
    bias: Array16
    out: Array16
    gate: Array16
    skip: Array16


class Network(NamedTuple):
    """predict: G; update: F; memory (m, r): what attention keeps of a half; table: exp(-i / 256) with 15 bits."""

    predict: Reader
    update: Reader
    memory: Array16
    table: Array16


class Scratch(NamedTuple):
    """Room for one write at a time: of each thread its own."""

    x: Array16
    joined: Array16
    hidden: Array16
    query: Array16
    read: NDArray[np.int32]
    half: Array16


@cache
def exponentials() -> Array16:
    """exp(-i / 256), 15 bits behind the point, rounded; by decimal arithmetic, the same everywhere."""
    context = Context(prec=30)
    values = [context.exp(context.divide(Decimal(-i), Decimal(256))) * 32767 for i in range(_EXP_ENTRIES)]
    return np.array([int(value.to_integral_value()) for value in values], dtype=np.int16)


def scratch(network: Network) -> Scratch:
    """Room for a network."""
    attended, token = network.predict.query.shape[1:]
    halves = network.update.query.shape[2]
    widest = max(token, halves)
    return Scratch(
        np.zeros(widest, np.int16),
        np.zeros(widest + attended, np.int16),
        np.zeros(max(network.predict.hidden.shape[1], network.update.hidden.shape[1]), np.int16),
        np.zeros(attended, np.int16),
        np.zeros(widest, np.int32),
        np.zeros(halves, np.int16),
    )


@njit(cache=True, nogil=True, inline="always")
def _clamp16(value: Any) -> Any:
    return np.int16(min(max(value, -32768), 32767))


@njit(cache=True, nogil=True)
def dot(row: Array16, x: Array16) -> Any:
    """The product of two rows of 16-bit numbers, exact in 32 bits (see the module docstring)."""
    total = np.int32(0)
    for i in range(len(row)):
        # Numba widens each of these to 64 bits; cut back, the compiler multiplies and adds 16 pairs at a time.
        total = np.int32(total + np.int32(np.int32(row[i]) * np.int32(x[i])))
    return np.int64(total)


@njit(cache=True, nogil=True)
def _rounded(value: int, shift: int) -> int:
    """value / 2^shift, to the nearest, halves up."""
    return (value + ((1 << shift) >> 1)) >> shift


@njit(cache=True, nogil=True)
def _read(
    reader: Reader, block: int, age: int, x: Array16, memories: Array16, known: int, table: Array16, room: Scratch
) -> NDArray[np.int32]:
    """read(x) of the module docstring, (y,) with POINT bits behind the point. `known` rows of memories are there."""
    width, attended, outs = len(x), memories.shape[1], reader.out.shape[1]
    joined, hidden, result = room.joined[: width + attended], room.hidden[: reader.hidden.shape[1]], room.read[:outs]
    joined[:width] = x
    joined[width:] = 0
    if known:
        for i in range(attended):
            room.query[i] = _clamp16(_rounded(dot(reader.query[block, i], x), POINT))
        scores = np.empty(known, np.int64)
        for j in range(known):
            # The product of two activations; a saturated one must not leave 32 bits.
            score = np.int64(0)
            for i in range(attended):
                score += np.int64(room.query[i]) * np.int64(memories[j, i])
            scores[j] = score >> POINT
        best, total = scores.max(), np.int64(0)
        for j in range(known):
            far = (best - scores[j]) >> _EXP_SHIFT
            scores[j] = table[far] if far < len(table) else 0
            total += scores[j]
        for i in range(attended):
            mixed = np.int64(0)
            for j in range(known):
                mixed += scores[j] * np.int64(memories[j, i])
            joined[width + i] = _clamp16((mixed + (total >> 1)) // total)
    for i in range(len(hidden)):
        value = np.int64(reader.bias[block, i]) + _rounded(dot(reader.hidden[block, i], joined), POINT)
        hidden[i] = _clamp16(max(value, 0))
    gate, skip = np.int64(reader.gate[block, age]), np.int64(reader.skip[block, age])
    for i in range(outs):
        value = gate * _rounded(dot(reader.out[block, i], hidden), POINT)
        if i < width:
            value += skip * np.int64(x[i])
        result[i] = min(max(_rounded(value, POINT), -(1 << 18)), 1 << 18)
    return result


@njit(cache=True, nogil=True)
def _predicted(
    net: Network, block: int, age: int, token: Array16, memories: Array16, known: int, point: int, room: Scratch
) -> NDArray[np.int32]:
    """G_l(a), on the observation's grid."""
    x = room.x[: len(token)]
    for i in range(len(token)):
        x[i] = _clamp16(np.int64(token[i]) << (POINT - TOKEN_POINT))
    read = _read(net.predict, block, age, x, memories, known, net.table, room)
    for i in range(len(read)):
        read[i] = _rounded(np.int64(read[i]), POINT - point)
    return read


@njit(cache=True, nogil=True)
def _learned(
    net: Network, block: int, age: int, b: Any, memories: Array16, known: int, point: int, room: Scratch
) -> NDArray[np.int32]:
    """F_l(b), on the token's grid."""
    x = room.x[: len(b)]
    for i in range(len(b)):
        x[i] = _clamp16(b[i] << (POINT - point))
    read = _read(net.update, block, age, x, memories, known, net.table, room)
    for i in range(len(read)):
        read[i] = _rounded(np.int64(read[i]), POINT - TOKEN_POINT)
    return read


@njit(cache=True, nogil=True)
def write(
    net: Network, token: Array16, b: Any, memories: Array16, known: int, age: int, point: int, room: Scratch
) -> None:
    """One write, in place: token (w,) and observation b (r,) int64 become the token after it and the other half.

    memories (SEGMENT, m): of the earlier halves of the segment, `known` of them; point: bits behind b's point
    """
    age = min(age, AGES - 1)
    for block in range(len(net.predict.bias)):
        read = _predicted(net, block, age, token, memories, known, point, room)
        for i in range(len(b)):
            b[i] -= read[i]
        read = _learned(net, block, age, b, memories, known, point, room)
        for i in range(len(token)):
            token[i] = np.int16(np.int64(token[i]) + read[i])


@njit(cache=True, nogil=True)
def invert(
    net: Network, token: Array16, b: Any, memories: Array16, known: int, age: int, point: int, room: Scratch
) -> None:
    """The exact inverse of `write`, in place: token and other half become the token before and the observation."""
    age = min(age, AGES - 1)
    for block in range(len(net.predict.bias) - 1, -1, -1):
        read = _learned(net, block, age, b, memories, known, point, room)
        for i in range(len(token)):
            token[i] = np.int16(np.int64(token[i]) - read[i])
        read = _predicted(net, block, age, token, memories, known, point, room)
        for i in range(len(b)):
            b[i] += read[i]


@njit(cache=True, nogil=True)
def remember_half(net: Network, half: Any, point: int, room: Scratch, memory: Array16) -> None:
    """What attention keeps of a stored half (r,): m = M h, into memory (m,)."""
    for i in range(len(half)):
        room.half[i] = _clamp16(half[i] << (POINT - point))
    for i in range(len(memory)):
        memory[i] = _clamp16(_rounded(dot(net.memory[i], room.half), POINT))
