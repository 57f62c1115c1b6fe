"""Whole numbers to bytes: range asymmetric numeral systems over tables of discrete Gaussians.

A number h is coded as its high part h >> m by a table, and its m low bits as they are; which table, and m, both sides
know. What lies outside of a table's symbols follows an escape. The tables are made with decimal arithmetic, which is
exact to the last digit everywhere, so that the same numbers give the same bytes on every machine.

J. Duda, "Asymmetric numeral systems", 2013 (arXiv 1311.2540).
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

SCALES = 32
SMALLEST, RATIO = Decimal("0.16"), Decimal("1.2")  # standard deviation of the first table, and from one to the next
BITS = 12  # of a table's frequencies
_TOTAL = 1 << BITS
_REACH = 31  # greatest high part that has a symbol
_SYMBOLS = 2 * _REACH + 2
_ESCAPE = _SYMBOLS - 1
_LOW = 1 << 15  # the coder's state is in [_LOW, _LOW << 8)
WIDEST = 1 << 23  # numbers are within +- WIDEST: an escape has 24 bits
MOST_BYTES = 8  # that one number can take: an escape, its 24 bits, and 12 low bits


class Tables(NamedTuple):
    """starts (scales, symbols + 1) uint16: cumulative frequencies; symbols (scales, 4096) uint8: what a slot is."""

    starts: NDArray[np.uint16]
    symbols: NDArray[np.uint8]


@cache
def tables() -> Tables:
    """The tables of every scale."""
    context = Context(prec=40)
    starts = np.zeros((SCALES, _SYMBOLS + 1), np.uint16)
    symbols = np.zeros((SCALES, _TOTAL), np.uint8)
    for scale in range(SCALES):
        sigma = context.multiply(SMALLEST, context.power(RATIO, scale))
        exponent = context.divide(Decimal(-1), context.multiply(Decimal(2), context.multiply(sigma, sigma)))
        mass = [context.exp(context.multiply(exponent, Decimal(k * k))) for k in range(-_REACH, _REACH + 1)]
        whole = sum(mass)
        spread = _TOTAL - _SYMBOLS  # every symbol has one slot at least
        counts = [1 + int(context.divide(context.multiply(each, Decimal(spread)), whole)) for each in mass] + [1]
        counts[_REACH] += _TOTAL - sum(counts)
        starts[scale, 1:] = np.cumsum(counts)
        symbols[scale] = np.repeat(np.arange(_SYMBOLS), counts)
    return Tables(starts, symbols)


@cache
def costs() -> NDArray[np.float64]:
    """(scales, 2 * 31 + 2) bits of each symbol; the last is the escape with what follows it."""
    bits = BITS - np.log2(np.diff(tables().starts.astype(np.float64), axis=1))
    bits[:, _ESCAPE] += 24
    return bits


def best_scales(numbers: NDArray[np.int64], low_bits: int) -> NDArray[np.uint8]:
    """(r,) for each column of numbers (n, r) the table that needs fewest bits for its high parts."""
    return np.asarray(_bits(numbers, low_bits).argmin(axis=0), dtype=np.uint8)


def code_length(numbers: NDArray[np.int64], low_bits: int) -> float:
    """Bits of numbers (n, r) with the best table for each column."""
    return float(_bits(numbers, low_bits).min(axis=0).sum()) + low_bits * numbers.size


def _bits(numbers: NDArray[np.int64], low_bits: int) -> NDArray[np.float64]:
    """(scales, r) bits of the high parts of each column by each table."""
    high = numbers >> low_bits
    at = np.where(np.abs(high) <= _REACH, high + _REACH, _ESCAPE)
    counts = np.stack([np.bincount(column, minlength=_SYMBOLS) for column in at.T])
    return np.asarray(costs() @ counts.T)


@njit(cache=True, nogil=True, inline="always")
def _push(state: Any, start: Any, count: Any, out: Any, at: Any) -> Any:
    while state >= count << (23 - BITS):
        at -= 1
        out[at] = state & 255
        state >>= 8
    return (state // count << BITS) + state % count + start, at


@njit(cache=True, nogil=True)
def encode(numbers: Any, scales: Any, low_bits: int, starts: Any, out: Any) -> int:
    """Write numbers (r,) int64 to the end of out (bytes); returns where they begin. Room: MOST_BYTES each and 3."""
    at = len(out)
    state = np.int64(_LOW)
    # Backwards, since what was coded last is decoded first.
    for i in range(len(numbers) - 1, -1, -1):
        value = numbers[i]
        if low_bits:
            unit = np.int64(1) << (BITS - low_bits)
            state, at = _push(state, (value & ((1 << low_bits) - 1)) * unit, unit, out, at)
        high = value >> low_bits
        symbol = high + _REACH
        if symbol < 0 or symbol >= _ESCAPE:
            symbol = np.int64(_ESCAPE)
            raw = high + WIDEST
            state, at = _push(state, raw & (_TOTAL - 1), np.int64(1), out, at)
            state, at = _push(state, (raw >> BITS) & (_TOTAL - 1), np.int64(1), out, at)
        start = np.int64(starts[scales[i], symbol])
        state, at = _push(state, start, np.int64(starts[scales[i], symbol + 1]) - start, out, at)
    for shift in (0, 8, 16):
        at -= 1
        out[at] = (state >> shift) & 255
    return at


@njit(cache=True, nogil=True, inline="always")
def _refill(state: Any, data: Any, at: Any) -> Any:
    while state < _LOW and at < len(data):
        state = state << 8 | data[at]
        at += 1
    return state, at


@njit(cache=True, nogil=True)
def decode(data: Any, at: int, scales: Any, low_bits: int, starts: Any, symbols: Any, numbers: Any) -> int:
    """Read numbers (r,) int64 from bytes data at a place; returns where they end."""
    state = np.int64(data[at]) << 16 | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2])
    at += 3
    for i in range(len(numbers)):
        slot = state & (_TOTAL - 1)
        symbol = np.int64(symbols[scales[i], slot])
        start = np.int64(starts[scales[i], symbol])
        state = (np.int64(starts[scales[i], symbol + 1]) - start) * (state >> BITS) + slot - start
        state, at = _refill(state, data, at)
        high = symbol - _REACH
        if symbol == _ESCAPE:
            upper = state & (_TOTAL - 1)
            state, at = _refill(state >> BITS, data, at)
            lower = state & (_TOTAL - 1)
            state, at = _refill(state >> BITS, data, at)
            high = (upper << BITS | lower) - WIDEST
        value = high << low_bits
        if low_bits:
            slot = state & (_TOTAL - 1)
            state, at = _refill(
                (state >> BITS << (BITS - low_bits)) + (slot & ((1 << (BITS - low_bits)) - 1)), data, at
            )
            value |= slot >> (BITS - low_bits)
        numbers[i] = value
    return at


@njit(cache=True, nogil=True)
def put_varint(value: int, out: Any, at: int) -> int:
    """Write a signed number, 7 bits a byte, small ones short; returns where it ends."""
    rest = np.uint64(value << 1 ^ value >> 63)
    while rest >= np.uint64(128):
        out[at] = np.uint8(rest & np.uint64(127)) | np.uint8(128)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@njit(cache=True, nogil=True)
def get_varint(data: Any, at: int) -> Any:
    """(number, where it ends)."""
    rest, shift = np.uint64(0), np.uint64(0)
    while data[at] >= 128 and shift < np.uint64(63):
        rest |= np.uint64(data[at] & 127) << shift
        shift += np.uint64(7)
        at += 1
    rest |= np.uint64(data[at]) << shift
    return np.int64(rest >> np.uint64(1)) ^ -np.int64(rest & np.uint64(1)), at + 1
