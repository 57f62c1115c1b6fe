"""Codes of any width as bytes without gaps: eight codes of b bits make b bytes, lowest bits first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` codes take: the last eight are filled up with zeros."""
    return -(-count // 8) * bits


def pack(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """(packed_size(n, bits),) from codes of any shape, row by row. Raises BadInputError for a code that needs more."""
    _check_width(bits)
    flat = codes.reshape(-1)
    if flat.size and int(flat.max()) >> bits:
        raise BadInputError(f"Code {int(flat.max())} does not fit into {bits} bits.")
    eights = np.zeros((-(-flat.size // 8), 8), dtype=np.uint8)
    eights.reshape(-1)[: flat.size] = flat
    words = np.zeros(len(eights), dtype="<u8")
    for place in range(8):
        words |= eights[:, place].astype("<u8") << np.uint64(place * bits)
    return words.view(np.uint8).reshape(-1, 8)[:, :bits].reshape(-1)


def unpack(data: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """(count,) the codes. Raises BadInputError when the bytes are not those of so many codes."""
    _check_width(bits)
    if data.size != packed_size(count, bits):
        raise BadInputError(
            f"{count} codes of {bits} bits take {packed_size(count, bits)} bytes, not {data.size}: the file is broken."
        )
    bytes_ = np.zeros((data.size // bits, 8), dtype=np.uint8)
    bytes_[:, :bits] = data.reshape(-1, bits)
    words = bytes_.reshape(-1).view("<u8")
    codes = np.empty((len(words), 8), dtype=np.uint8)
    for place in range(8):
        codes[:, place] = (words >> np.uint64(place * bits)) & np.uint64(2**bits - 1)
    return codes.reshape(-1)[:count]


def _check_width(bits: int) -> None:
    if not 1 <= bits <= 8:
        raise BadInputError(f"Codes have 1 to 8 bits, not {bits}.")
