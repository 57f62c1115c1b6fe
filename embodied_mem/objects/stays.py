"""The table of stays: a row for each time a thing was at a place, and for whatever was taken for one.

Rows are never removed: a stay that ended is history. The table can be copied as a whole, which is what a checkpoint is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NONE = -1
NAMES = 4  # labels that a stay keeps weights of
UNREAL, HERE, GONE = 0, 1, 2  # columns of `belief`

# name -> (type, width)
_COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "mean": (np.float64, (3,)),  # of the centre, metres
    "cov": (np.float64, (3, 3)),  # its covariance, m^2
    "low": (np.float64, (3,)),  # corners of what is seen of it, metres
    "high": (np.float64, (3,)),
    "weight": (np.float64, ()),  # how much the corners rest on
    "names": (np.int32, (NAMES,)),  # labels, NONE where there is none
    "votes": (np.float64, (NAMES,)),  # log-likelihood of each against the others
    "called": (np.int64, (NAMES,)),  # ns, the first detection under each
    "main": (np.int64, ()),  # the likeliest label
    "origin": (np.int64, (2,)),  # the detection that began it: its record, and its place in it
    "belief": (np.float64, (3,)),  # probabilities that it is no thing, is here, was here and has gone
    "first": (np.int64, ()),  # ns, first and last detection
    "last": (np.int64, ()),
    "looked": (np.int64, ()),  # ns, the last look that could have shown it
    "missed": (np.int64, ()),  # ns, the first look in vain since the last detection, 0 when there was none
    "hidden": (np.int64, ()),  # ns, the last look at which something stood before it
    "empty": (np.int64, ()),  # ns, when its place was last seen empty before it came, 0 when it never was
    "hits": (np.int32, ()),  # detections; looks: views that should have shown it
    "looks": (np.int32, ()),
    "through": (np.int32, ()),  # detections while depth passed through its place
    "beside": (np.int32, ()),  # frames that showed it beside another kind of thing at nearly the same place
    "vain": (np.float64, ()),  # looks in vain since the last detection
    "strange": (np.int32, ()),  # detections under another name since the last under its own
    "score": (np.float64, ()),  # sum, and the best
    "best": (np.float64, ()),
    "stood": (np.float64, (3,)),  # where the sensor stood at the last detection that was news
    "faced": (np.float64, (4,)),
    "credit": (np.float64, ()),  # how much more detections from there may say
    "came": (np.int64, ()),  # the stay that it was carried away from in view
    "moving": (np.bool_, ()),  # it is being carried
    "into": (np.int64, ()),  # the stay that turned out to be the same
    "closed": (np.bool_, ()),  # it is over: nothing adds to it any more
    "trail": (np.int64, ()),  # the newest link of its evidence
}


class StayTable:
    """Columns of equal length, as attributes; see `_COLUMNS`."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    weight: NDArray[np.float64]
    names: NDArray[np.int32]
    votes: NDArray[np.float64]
    called: NDArray[np.int64]
    main: NDArray[np.int64]
    origin: NDArray[np.int64]
    belief: NDArray[np.float64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    looked: NDArray[np.int64]
    missed: NDArray[np.int64]
    hidden: NDArray[np.int64]
    empty: NDArray[np.int64]
    hits: NDArray[np.int32]
    looks: NDArray[np.int32]
    through: NDArray[np.int32]
    beside: NDArray[np.int32]
    vain: NDArray[np.float64]
    strange: NDArray[np.int32]
    score: NDArray[np.float64]
    best: NDArray[np.float64]
    stood: NDArray[np.float64]
    faced: NDArray[np.float64]
    credit: NDArray[np.float64]
    came: NDArray[np.int64]
    moving: NDArray[np.bool_]
    into: NDArray[np.int64]
    closed: NDArray[np.bool_]
    trail: NDArray[np.int64]

    def __init__(self) -> None:
        self._size = 0
        self._room: dict[str, NDArray[Any]] = {
            name: np.zeros((16, *shape), dtype=dtype) for name, (dtype, shape) in _COLUMNS.items()
        }
        self.vectors: dict[int, NDArray[np.float64]] = {}  # sums of the vectors of its detections, where there are any
        self._show()

    def __len__(self) -> int:
        return self._size

    def add(self, count: int) -> NDArray[np.int64]:
        """Append rows of zeros; returns their numbers."""
        start, self._size = self._size, self._size + count
        if self._size > len(self._room["last"]):
            capacity = max(self._size, 2 * start)
            for name, column in self._room.items():
                grown = np.zeros((capacity, *column.shape[1:]), dtype=column.dtype)
                grown[:start] = column[:start]
                self._room[name] = grown
        self._show()
        rows = np.arange(start, self._size)
        for name in ("came", "into", "trail", "names"):
            getattr(self, name)[rows] = NONE
        return rows

    def copy(self) -> StayTable:
        """The same rows, in arrays of its own."""
        other = StayTable.__new__(StayTable)
        other._size = self._size
        other._room = {name: column[: self._size].copy() for name, column in self._room.items()}
        other.vectors = dict(self.vectors)  # whose arrays are replaced, never changed
        other._show()
        return other

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self._room.values())

    def settle(self, rows: NDArray[np.int64]) -> None:
        """Find the likeliest label of rows anew; of equally likely ones the first that was seen."""
        names = self.names[rows]
        votes = np.where(names == NONE, -np.inf, self.votes[rows])
        self.main[rows] = names[np.arange(len(rows)), votes.argmax(axis=1)]

    def _show(self) -> None:
        for name, column in self._room.items():
            setattr(self, name, column[: self._size])
