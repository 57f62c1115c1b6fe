"""Queries and what they return."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.records.observation import Float32Array, FloatArray, Record

MAX_K = 10_000
EVERY_MAP = "*"
_LATEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """[start_ns, end_ns) in ROS time; None leaves a side open."""

    start_ns: int | None = None
    end_ns: int | None = None

    def __post_init__(self) -> None:
        if any(stamp is not None and not -_LATEST <= stamp <= _LATEST for stamp in (self.start_ns, self.end_ns)):
            raise BadInputError("The time range is beyond all time: give nanoseconds that fit in 64 bits.")
        if self.start_ns is not None and self.end_ns is not None and self.start_ns >= self.end_ns:
            raise BadInputError("The time range is empty or inverted: its start must lie before its end.")


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What x where x when. Everything that is given must hold; filters restrict first, then `text` or `vector` ranks.

    text, vector   what to rank by (at most one); without, the newest come first. `vector` (d,) needs `vector_model`
    box            ((3,), (3,)) metres: corners, both ends included
    center, radius metres: a sphere with its surface; or near_record: around that record (radius 2 m unless given)
    time           a record matches when any moment at which it was seen lies in the range
    labels         a record matches when it has a detection with one of these labels; then box and sphere are tested on
                   that detection's centre, otherwise on the sensor's position
    map_id         whose coordinates are meant; "" = the current map; "*" = every map, without box or sphere
    seqs           only these records
    min_score      cosine below which nothing is found; None = the memory's threshold for text, none for a vector
    as_of          answer as the log stood at this number (as_of_ns: at this time); what was forgotten stays so
    """

    text: str | None = None
    vector: Float32Array | None = None
    vector_model: str = ""
    box: tuple[FloatArray, FloatArray] | None = None
    center: FloatArray | None = None
    radius: float | None = None
    near_record: int | None = None
    time: TimeRange | None = None
    labels: tuple[str, ...] = ()
    robot_id: str = ""
    session_id: str = ""
    map_id: str = ""
    seqs: NDArray[np.int64] | tuple[int, ...] | None = None
    k: int = 10
    min_score: float | None = None
    as_of: int | None = None
    as_of_ns: int | None = None
    explain: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K or self.k != int(self.k):
            raise BadInputError(f"k must be between 1 and {MAX_K:,}, a whole number, not {self.k}.")
        if self.text is not None and not self.text.strip():
            raise BadInputError("The query's text is empty: leave it out to list the newest records.")
        for text in (self.text or "", *self.labels, self.robot_id, self.session_id, self.map_id):
            if not _is_unicode(text):
                raise BadInputError(f"The query's words {text[:40]!a} are not valid Unicode: decode them first.")
        if self.text is not None and self.vector is not None:
            raise BadInputError("Give either a text or a vector, not both.")
        if self.vector is not None:
            _check_vector(self.vector, self.vector_model)
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise BadInputError(f"min_score is a cosine between -1 and 1, not {self.min_score}.")
        if any(not label.strip() for label in self.labels):
            raise BadInputError("A label of the query is empty.")
        self._check_numbers()
        self._check_where()

    @property
    def has_where(self) -> bool:
        """Whether the query restricts space."""
        return self.box is not None or self.center is not None or self.near_record is not None

    def _check_numbers(self) -> None:
        for name in ("near_record", "as_of", "as_of_ns"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= _LATEST:
                raise BadInputError(f"{name} must be a number from 0 on, not {value}.")
        if self.seqs is None:
            return
        try:
            numbers = np.asarray(self.seqs, dtype=np.int64)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(f"seqs must be the numbers of records ({error}).") from error
        if numbers.ndim != 1:
            raise BadInputError(f"seqs must be one row of numbers, not of the shape {numbers.shape}.")

    def _check_where(self) -> None:
        if sum(value is not None for value in (self.box, self.center, self.near_record)) > 1:
            raise BadInputError("Give one of box, center and near_record, not several.")
        if self.map_id == EVERY_MAP and self.has_where:
            raise BadInputError("Coordinates of several maps cannot be compared: name one map to search in space.")
        if self.box is not None:
            low, high = _corners(self.box)
            if low.shape != (3,) or high.shape != (3,) or np.isnan(low).any() or np.isnan(high).any():
                raise BadInputError("A box is two corners of 3 numbers each, without NaN.")
            if (low > high).any():
                raise BadInputError(f"The box is inverted: its low corner {low.tolist()} is not below {high.tolist()}.")
        if self.center is not None:
            center = np.asarray(self.center, dtype=np.float64)
            if center.shape != (3,) or not np.isfinite(center).all():
                raise BadInputError("The centre of a search is 3 finite numbers.")
            if self.radius is None:
                raise BadInputError("A search around a centre needs a radius in metres.")
        if self.radius is not None:
            if self.center is None and self.near_record is None:
                raise BadInputError("A radius needs a center or near_record.")
            if not self.radius > 0:
                raise BadInputError(f"The radius must be above 0 m, not {self.radius}.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _corners(box: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    try:
        low, high = (np.asarray(corner, dtype=np.float64) for corner in box)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"A box is two corners of 3 numbers each ({error}).") from error
    return low, high


def _check_vector(vector: Float32Array, model: str) -> None:
    if np.ndim(vector) != 1 or not np.isfinite(vector).all() or not np.any(vector):
        raise BadInputError("The query's vector must be one row of finite numbers, not all zero.")
    if not model:
        raise BadInputError("A query by vector needs the name of the model that made it (vector_model).")


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """A record that was found.

    score     cosine to the query, or for a query without text or vector 1.0
    age_s     seconds since it was last seen
    position  (3,) metres in the map of the query: the matching detection's centre, else the sensor's position
    map_id    the map of these coordinates
    """

    record: Record
    score: float
    age_s: float
    position: FloatArray
    map_id: str


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """The hits, best first; when there are none, `reason` says why.

    exact        every candidate was ranked (always so up to now)
    explanation  how many candidates each filter left, when asked for
    watermark    the log was read up to this number
    """

    hits: list[Hit] = field(default_factory=list)
    reason: str = ""
    exact: bool = True
    explanation: str = ""
    model: str = ""
    watermark: int = 0

    @property
    def found(self) -> bool:
        return bool(self.hits)
