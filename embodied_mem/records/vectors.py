"""The vectors of the index and their exact ranking: eight bits propose, double precision decides.

Scanning is bound by memory, so each vector is also kept as 8-bit codes with the exact length of what they leave out.
By the Cauchy-Schwarz inequality that length bounds the error of a score made from codes: whatever may belong to the
best k is scored again from the full vectors, so the answer is that of a double-precision scan.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.records.growable import Columnar, Growable

_FEW = 512  # candidates that are scored directly
_CODE_LEVELS = 127
_QUERY_LEVELS = 2047  # 12 bits: products with 8-bit codes still add up in 32
_ROUNDING = 2e-6  # of single-precision sums


class VectorStore(Columnar):
    """Unit vectors (n, d) float32 that rows are appended to. Not locked: its owner is."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._levels = min(_QUERY_LEVELS, (2**31 - 1) // (_CODE_LEVELS * width))
        self._longest = 1.0
        self._rows = Growable(np.float32, width)
        self._codes = Growable(np.int8, width)
        self._scales = Growable(np.float32)
        self._errors = Growable(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, slot: int) -> NDArray[np.float32]:
        """(d,) a copy of one vector."""
        return self._rows.data[slot].copy()

    def at(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """(n, d) copies of vectors."""
        return self._rows.data[slots]

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + self._codes.nbytes + self._scales.nbytes + self._errors.nbytes

    def extend(self, vectors: NDArray[np.float32]) -> int:
        """Append (n, d) unit vectors; returns the place of the first."""
        self._longest = max(self._longest, float(np.linalg.norm(vectors, axis=1).max(initial=0)))
        scales = np.maximum(np.abs(vectors).max(axis=1), 1e-30) / _CODE_LEVELS
        codes = np.round(vectors / scales[:, None]).astype(np.int8)
        self._codes.extend(codes)
        self._scales.extend(scales)
        self._errors.extend(np.linalg.norm(vectors - codes * scales[:, None], axis=1))
        return self._rows.extend(vectors)

    def rank(
        self, slots: NDArray[np.int32], query: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The k best of the vectors `slots` for the unit query (d,): indices into slots, and cosines, best first.

        Ties go to the later index.
        """
        chosen = self._propose(slots, query, k) if len(slots) > max(_FEW, 2 * k) else np.arange(len(slots))
        scores = _cosines(self._rows.data, slots[chosen], query.astype(np.float64))
        order = np.lexsort((-chosen, -scores))[:k]
        return chosen[order], scores[order]

    def _propose(self, slots: NDArray[np.int32], query: NDArray[np.float32], k: int) -> NDArray[np.intp]:
        """Indices into `slots` that are certain to include the best k."""
        scale = max(float(np.abs(query).max()), 1e-30) / self._levels
        coded = np.round(query / scale).astype(np.int16)
        unseen = float(np.linalg.norm(query - coded * scale))
        length = max(1.0, float(np.linalg.norm(query)))
        lower, upper = _bounds(
            self._codes.data, self._scales.data, self._errors.data, slots, coded, np.float32(scale),
            np.float32(length + unseen), np.float32((unseen + _ROUNDING * length) * self._longest),
        )  # fmt: skip
        surely = np.partition(lower, len(slots) - k)[len(slots) - k]
        return np.flatnonzero(upper >= surely)


@njit(cache=True, nogil=True, fastmath=True)
def _cosines(rows: NDArray[np.float32], slots: NDArray[np.int32], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) products of the rows `slots` with the query in double precision, alike for rows that are alike."""
    out = np.empty(len(slots), dtype=np.float64)
    for i in range(len(slots)):
        row = rows[slots[i]]
        total = 0.0
        for j in range(len(query)):
            total += np.float64(row[j]) * query[j]
        out[i] = total
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _bounds(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    errors: NDArray[np.float32],
    slots: NDArray[np.int32],
    query: NDArray[np.int16],
    query_scale: np.float32,
    slope: np.float32,
    offset: np.float32,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Between which values the cosine of each of the rows `slots` (m,) lies: (m,) and (m,)."""
    lower = np.empty(len(slots), dtype=np.float32)
    upper = np.empty(len(slots), dtype=np.float32)
    for i in range(len(slots)):
        slot = slots[i]
        row = codes[slot]
        total = np.int32(0)
        for j in range(len(query)):
            # Numba widens each of these to 64 bits; cut back, the compiler multiplies and adds 16 pairs at a time.
            total = np.int32(total + np.int32(np.int32(row[j]) * np.int32(query[j])))
        score = np.float32(total) * scales[slot] * query_scale
        margin = errors[slot] * slope + offset
        lower[i] = score - margin
        upper[i] = score + margin
    return lower, upper
