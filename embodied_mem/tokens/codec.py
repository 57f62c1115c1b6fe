"""From vectors to whole numbers and back: the grid on which the reversible network works, at a chosen precision.

A unit vector x (d,) has latents z = W x (r,), with orthogonal rows W, on a grid of step 2^-point. They are all that is
lost, and they bound the loss: |x - W'z| <= |x - W'W x| + 2^-point sqrt(r) / 2, however many writes come after. Sums are
of whole numbers, so the same vectors give the same latents, and the same latents the same vectors, on every machine.
"""

from __future__ import annotations

import zlib

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.tokens.chains import Coder
from embodied_mem.tokens.coupling import POINT, TOKEN_POINT, Array16, dot
from embodied_mem.tokens.entropy import tables
from embodied_mem.tokens.weights import POINTS, UNIT, TokenWeights, low_bits

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
_SLACK = 1e-3  # by which a vector's length may differ from 1


class TokenCodec:
    """The weights of one embedder at one precision. Stateless: any number of threads.

    point  bits behind the point of the grid: each more halves the error and costs about one bit a latent
    """

    def __init__(self, weights: TokenWeights, point: int = 5) -> None:
        """Raises BadInputError for a precision that is not offered."""
        if point not in POINTS:
            raise BadInputError(f"Tokens keep {POINTS.start} to {POINTS.stop - 1} bits behind the point, not {point}.")
        self.weights, self.point = weights, point
        found = tables()
        scales = weights.scales[POINTS.index(point)]
        self.coder = Coder(found.starts, found.symbols, np.ascontiguousarray(scales), point, low_bits(point))
        self._up = np.ascontiguousarray(weights.down.T)
        self.fingerprint = _crc(weights)

    def latents(self, vectors: ArrayLike) -> IntArray:
        """(n, r) of unit vectors (n, d), on the grid. Raises BadInputError."""
        rows = np.asarray(vectors, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.weights.dimension or not np.isfinite(rows).all():
            raise BadInputError(
                f"Tokens of {self.weights.model!r} need rows of {self.weights.dimension} finite numbers."
            )
        if np.any(np.abs(np.einsum("ij,ij->i", rows, rows) - 1) > 2 * _SLACK):
            raise BadInputError("The vectors must have length 1: divide each by its norm.")
        return _down(self.weights.down, np.rint(rows * (1 << UNIT)).astype(np.int16), self.point)

    def vectors(self, latents: IntArray) -> Float32Array:
        """(n, d) unit vectors of latents (n, r) on the grid."""
        rows = _up(self._up, latents, self.point)
        squares = np.maximum((rows * rows).sum(axis=1), 1)
        return (rows / np.sqrt(squares.astype(np.float64))[:, None]).astype(np.float32)

    def descriptors(self, latents: IntArray) -> Float32Array:
        """(n, r) latents of length 1, to be compared with `question`."""
        return _unit(latents.astype(np.float32))

    def token_descriptors(self, tokens: Array16) -> Float32Array:
        """(n, r) what tokens (n, w) say, of length 1."""
        return _unit(tokens.astype(np.float32) @ self.weights.readout.T / np.float32(1 << TOKEN_POINT))

    def question(self, vector: ArrayLike) -> Float32Array:
        """(r,) of length 1: a question's vector (d,) among descriptors. Raises BadInputError."""
        asked = np.asarray(vector, dtype=np.float32)
        if asked.shape != (self.weights.dimension,) or not np.isfinite(asked).all() or not asked.any():
            raise BadInputError(f"A question is one vector of {self.weights.dimension} finite numbers.")
        return np.asarray(_unit((self.weights.question @ asked)[None])[0])


def _crc(weights: TokenWeights) -> int:
    """Tells weights that write different bytes apart."""
    net = weights.network
    parts = [weights.down, net.memory, weights.scales, *net.predict, *net.update]
    return zlib.crc32(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))


def _unit(rows: Float32Array) -> Float32Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)


@njit(cache=True, nogil=True)
def _down(down: Array16, rows: Array16, point: int) -> IntArray:
    """(n, r) latents of vectors (n, d) with UNIT bits. By Cauchy and Schwarz no sum leaves 31 bits (weights.check)."""
    out = np.empty((len(rows), len(down)), np.int64)
    shift = 2 * UNIT - point
    for n in range(len(rows)):
        for i in range(len(down)):
            out[n, i] = (dot(down[i], rows[n]) + (1 << (shift - 1))) >> shift
    return out


@njit(cache=True, nogil=True)
def _up(up: Array16, latents: IntArray, point: int) -> IntArray:
    """(n, d) sums for latents (n, r), which of a unit vector are within 1: those beyond are cut."""
    out = np.empty((len(latents), len(up)), np.int64)
    row = np.empty(latents.shape[1], np.int16)
    for n in range(len(latents)):
        for i in range(len(row)):
            row[i] = min(max(latents[n, i] << (POINT - point), -(1 << POINT)), 1 << POINT)
        for i in range(len(up)):
            out[n, i] = dot(up[i], row)
    return out
