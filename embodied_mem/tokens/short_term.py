"""Short-term memory: the few things around the robot that are in use, found without asking the long-term store.

An entry is worth how often it was used, each use counted less the longer ago it was:

    score(t) = sum over uses i of 2^(-(t - t_i) / half_life)

in uses: one just made counts 1, one of a half-life ago 1/2 (the combined recency and frequency of LRFU: Lee et al.,
IEEE Transactions on Computers, 2001). A long half-life keeps what is used often, a short one what was used last.
Between two uses every score shrinks alike, so their order stands still, and what is kept is one number an entry that
time leaves alone:

    w = log2(score(t)) + t / half_life,   and after a use at t_i:   w <- log2(2^w + 2^(t_i / half_life))

The `capacity` entries of the greatest w stay. A newcomer has made one use, like anything else: it must be worth more
than the least that is there. So what is kept depends neither on how uses were batched nor on their order, as long as
no entry comes back that had left (its earlier uses left with it).

Positions are relative to the current place. A new place moves the origin, not the things; a new map takes them away,
because coordinates of two maps are never mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Source = Literal["short", "long", "none"]

_UNIT = 1e-3  # by which a vector's length may differ from 1


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """A question to the long-term store: the k most like vector (d,) within radius of position (3,), metres."""

    vector: NDArray[np.float32]
    position: FloatArray
    map_id: str
    radius: float
    k: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a long-term store answers: records (n,), positions (n, 3) metres in the cue's map, unit vectors (n, d)."""

    records: ArrayLike
    positions: ArrayLike
    vectors: ArrayLike


LongTerm = Callable[[Cue], Found]


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """records (k,), best first, and their cosines (k,); positions in the map, and from the current place (k, 3) metres.

    source   which memory they are from; "none": nothing within the radius reached the threshold
    best     the greatest cosine in short-term memory within the radius, NaN when nothing is there
    """

    records: IntArray
    cosines: FloatArray
    positions: FloatArray
    relative: FloatArray
    source: Source
    best: float

    def __len__(self) -> int:
        return len(self.records)


@dataclass(slots=True)
class HitRates:
    """How often short-term memory knew (`short`), the long-term store did (`long`), or neither (`none`)."""

    short: int = 0
    long: int = 0
    none: int = 0

    @property
    def asked(self) -> int:
        return self.short + self.long + self.none

    @property
    def rate(self) -> float:
        """Share of the questions that short-term memory answered; NaN before the first."""
        return self.short / self.asked if self.asked else float("nan")

    def count(self, source: Source) -> None:
        """One more question was answered from there."""
        setattr(self, source, int(getattr(self, source)) + 1)

    def share(self, source: Source) -> float:
        """Share of the questions that were answered from there; NaN before the first."""
        return int(getattr(self, source)) / self.asked if self.asked else float("nan")


class ShortTermMemory:
    """See the module docstring. One thread at a time. All vectors must be of one model: `clear` when it changes.

    capacity      entries
    dimension     of the vectors
    half_life_s   see the score
    radius        metres around the robot within which entries are asked, unless `recall` says otherwise
    threshold     the least cosine of an answer; what short-term memory has below it goes on to the long-term store
    long_term     asked then; what it finds is used, so it is taken in
    long_threshold   the least cosine of an answer of the long-term store; default: the same
    """

    def __init__(
        self,
        capacity: int,
        dimension: int,
        *,
        half_life_s: float = 120.0,
        radius: float = 10.0,
        threshold: float = 0.5,
        long_term: LongTerm | None = None,
        long_threshold: float | None = None,
    ) -> None:
        if capacity < 1 or dimension < 1:
            raise BadInputError(f"At least one entry of one number is needed, not {capacity} of {dimension}.")
        least = threshold if long_threshold is None else long_threshold
        if not (0 < half_life_s < np.inf and radius > 0 and -1 <= threshold <= 1 and -1 <= least <= 1):
            raise BadInputError(
                f"half_life_s must be positive and finite, radius positive, thresholds cosines; "
                f"got {half_life_s}, {radius}, {threshold} and {least}."
            )
        self.capacity, self.dimension = capacity, dimension
        self.half_life_s, self.radius, self.threshold, self.long_threshold = half_life_s, radius, threshold, least
        self.long_term = long_term
        self.hits = HitRates()
        self.place = -1
        self.map_id = ""
        self.origin = np.zeros(3)  # where the current place is in its map
        self._epoch: int | None = None  # ns: worth is counted from the first use, so that it keeps its precision
        self._records = np.zeros(0, dtype=np.int64)
        self._relative = np.zeros((0, 3))
        self._vectors = np.zeros((0, dimension), dtype=np.float32)
        self._worth = np.zeros(0)  # w of the module docstring

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> IntArray:
        """(n,) the records that are kept, ascending."""
        return self._records.copy()

    @property
    def relative(self) -> FloatArray:
        """(n, 3) metres from the current place, along the axes of its map."""
        return self._relative.copy()

    @property
    def positions(self) -> FloatArray:
        """(n, 3) metres in the map."""
        return self._relative + self.origin

    @property
    def nbytes(self) -> int:
        """What the entries take."""
        return sum(column.nbytes for column in (self._records, self._relative, self._vectors, self._worth))

    def scores(self, now_ns: int) -> FloatArray:
        """(n,) what each entry is worth at a time, in uses."""
        return np.asarray(np.exp2(self._worth - self._half_lives(np.array([now_ns]))[0]))

    def enter(self, place: int, position: ArrayLike, map_id: str = "") -> None:
        """The current place is another, or is known better: positions are told from there, and things stay put."""
        origin = _rows(position, 3, "place's position")
        if len(origin) != 1:
            raise BadInputError(f"A place has one position, not {len(origin)}.")
        if self.place >= 0 and map_id != self.map_id:
            self.clear()
        self._relative += self.origin - origin[0]
        self.place, self.map_id, self.origin = int(place), map_id, origin[0].copy()

    def remember(self, records: ArrayLike, positions: ArrayLike, vectors: ArrayLike, stamps_ns: ArrayLike) -> IntArray:
        """Take in n records, at (n, 3) metres in the current map, with unit vectors (n, d): each makes one use.

        A record that is there already is used again, and has its position and vector from now on. Returns the records
        that had to leave, ascending, refused newcomers included. Raises BadInputError, and then nothing has changed.
        """
        self._needs_place()
        where = _rows(positions, 3, "positions")
        rows = _unit_rows(vectors, self.dimension, "vectors")
        numbers, stamps = _numbers(records, len(where), "records"), _numbers(stamps_ns, len(where), "stamps")
        if len(rows) != len(where):
            raise BadInputError(f"{len(where)} positions need as many vectors, not {len(rows)}.")
        if not len(numbers):
            return np.zeros(0, dtype=np.int64)
        self._epoch = int(stamps[0]) if self._epoch is None else self._epoch
        numbers = np.concatenate([self._records, numbers])
        worth = np.concatenate([self._worth, self._half_lives(stamps)])
        order = np.argsort(numbers, kind="stable")
        starts = np.flatnonzero(np.diff(numbers[order], prepend=numbers[order[0]] - 1))
        newest = order[np.append(starts[1:], len(order)) - 1]
        total = np.logaddexp2.reduceat(worth[order], starts)
        rank = np.lexsort((numbers[newest], total))
        kept = np.sort(rank[-self.capacity :])
        left = numbers[newest[np.sort(rank[: -self.capacity])]]
        self._relative = np.concatenate([self._relative, where - self.origin])[newest[kept]]
        self._vectors = np.concatenate([self._vectors, rows])[newest[kept]]
        self._records, self._worth = numbers[newest[kept]], total[kept]
        return left

    def recall(
        self,
        vector: ArrayLike,
        *,
        stamp_ns: int,
        position: ArrayLike | None = None,
        radius: float | None = None,
        k: int = 1,
    ) -> Recalled:
        """The k entries most like vector (d,) within `radius` of a position of the map (default: the current place).

        Each that is returned is used. When none reaches the threshold the long-term store is asked. Fewer than k, or
        none, are returned rather than ones below the threshold. Raises BadInputError.
        """
        cue = self._cue(vector, position, self.radius if radius is None else float(radius), k)
        stamps = _numbers(stamp_ns, 1, "stamps")
        found = self._ranked(cue, self._records, self.positions, self._vectors, "short")
        if len(found):
            rows = np.searchsorted(self._records, found.records)
            self._worth[rows] = np.logaddexp2(self._worth[rows], self._half_lives(stamps))
        elif self.long_term is not None:
            found = self._from_long_term(self.long_term, cue, stamps, found.best)
        self.hits.count(found.source)
        return found

    def forget(self, records: ArrayLike) -> int:
        """Remove records, as when the log forgets them or corrects them; returns how many were there."""
        stays = ~np.isin(self._records, np.atleast_1d(np.asarray(records, dtype=np.int64)))
        gone = int((~stays).sum())
        self._keep(stays)
        return gone

    def clear(self) -> None:
        """Remove everything; hit rates stay."""
        self._keep(np.zeros(len(self), dtype=bool))

    # --- inside ------------------------------------------------------------------------------------------------

    def _half_lives(self, stamps: IntArray) -> FloatArray:
        return np.asarray((stamps - (self._epoch or 0)) / (self.half_life_s * 1e9))

    def _cue(self, vector: ArrayLike, position: ArrayLike | None, radius: float, k: int) -> Cue:
        """The question, checked."""
        self._needs_place()
        if k < 1 or not radius > 0:
            raise BadInputError(f"A question is for at least one entry within a positive radius, not {k} and {radius}.")
        asked = _unit_rows(vector, self.dimension, "vector of the question")
        center = self.origin[None] if position is None else _rows(position, 3, "position of the question")
        if len(asked) != 1 or len(center) != 1:
            raise BadInputError(f"A question has one vector and one position, not {len(asked)} and {len(center)}.")
        return Cue(asked[0], center[0].copy(), self.map_id, radius, k)

    def _ranked(
        self, cue: Cue, records: IntArray, positions: FloatArray, vectors: NDArray[np.float32], source: Source
    ) -> Recalled:
        """The k best within reach that are alike enough, of equals the newest record; source "none" when none is."""
        cosines = vectors.astype(np.float64) @ cue.vector.astype(np.float64)
        near = np.linalg.norm(positions - cue.position, axis=1) <= cue.radius
        rows = np.flatnonzero(near & (cosines >= (self.threshold if source == "short" else self.long_threshold)))
        rows = rows[np.lexsort((-records[rows], -cosines[rows]))[: cue.k]]
        best = float(cosines[near].max()) if near.any() else float("nan")
        where = positions[rows]
        return Recalled(records[rows], cosines[rows], where, where - self.origin, source if len(rows) else "none", best)

    def _from_long_term(self, store: LongTerm, cue: Cue, stamps: IntArray, best: float) -> Recalled:
        """What the store has, held to the same radius and its threshold; it is taken in."""
        answer = store(cue)
        vectors = _unit_rows(answer.vectors, self.dimension, "vectors of the long-term store")
        positions = _rows(answer.positions, 3, "positions of the long-term store")
        records = _numbers(answer.records, len(positions), "records of the long-term store")
        if len(vectors) != len(positions) or len(np.unique(records)) != len(records):
            raise BadInputError("The long-term store must give each record once, with one position and one vector.")
        found = self._ranked(cue, records, positions, vectors, "long")
        rows = np.flatnonzero(np.isin(records, found.records))
        self.remember(records[rows], positions[rows], vectors[rows], int(stamps[0]))
        return replace(found, best=best)

    def _keep(self, stays: NDArray[np.bool_]) -> None:
        self._records, self._worth = self._records[stays], self._worth[stays]
        self._relative, self._vectors = self._relative[stays], self._vectors[stays]

    def _needs_place(self) -> None:
        if self.place < 0:
            raise BadInputError("There is no current place yet: call `enter` first.")


def _rows(values: ArrayLike, width: int, what: str) -> FloatArray:
    """(n, width) finite numbers; one row may come as it is, an empty list is no row. Raises BadInputError."""
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"The {what} must be rows of {width} numbers ({error}).") from error
    rows = np.atleast_2d(rows) if rows.size else np.zeros((0, width))
    if rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
        raise BadInputError(f"The {what} must be rows of {width} finite numbers; the shape is {rows.shape}.")
    return rows


def _unit_rows(values: ArrayLike, width: int, what: str) -> NDArray[np.float32]:
    """(n, width) of length 1. Raises BadInputError."""
    rows = _rows(values, width, what)
    if np.any(np.abs(np.linalg.norm(rows, axis=1) - 1) > _UNIT):
        raise BadInputError(f"The {what} must have length 1: divide each by its norm.")
    return rows.astype(np.float32)


def _numbers(values: ArrayLike, n: int, what: str) -> IntArray:
    """(n,) whole numbers; one stands for n alike. Raises BadInputError."""
    given = np.asarray(values)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise BadInputError(f"The {what} must be whole numbers, not {given.dtype}.")
    if given.shape not in ((), (n,)):
        raise BadInputError(f"{n} {what} are needed; the shape is {given.shape}.")
    return np.broadcast_to(given.astype(np.int64), (n,))
