"""What stands at places: names, in which direction they were seen from there, how often and when last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.growable import Growable
from embodied_mem.records.names import Names
from embodied_mem.topology.arrays import column, grouped


@dataclass(frozen=True, slots=True)
class Landmark:
    """A name as it was seen from one place.

    bearing      radians from the x axis of the map, counter-clockwise; NaN when no direction was ever given
    distance     metres, mean; NaN when none was ever given
    count        how often it was seen from this place
    last_seen_ns, record   when last, and the number of that record (0: none)
    """

    place: int
    name: str
    bearing: float
    distance: float
    count: int
    last_seen_ns: int
    record: int


class Landmarks:
    """A row for each place and name. Bearings are averaged as unit vectors, so that they may wrap around."""

    def __init__(self) -> None:
        self.names: Names[str] = Names()
        self.place = Growable(np.int32)
        self.name = Growable(np.int32)
        self.count = Growable(np.int64)
        self.toward = Growable(np.float64, 2)  # sum of unit vectors
        self.far = Growable(np.float64, 2)  # sum and number of distances
        self.last_seen = Growable(np.int64)
        self.record = Growable(np.int64)
        self._row: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.place)

    def add(
        self,
        places: ArrayLike,
        names: Sequence[str],
        bearings: ArrayLike | None = None,
        *,
        which: ArrayLike | None = None,
        distances: ArrayLike | None = None,
        stamps_ns: ArrayLike = 0,
        records: ArrayLike = 0,
        counts: ArrayLike = 1,
    ) -> None:
        """n sightings: from which places (n,), of what, in which direction (n,) radians, how far (n,) metres.

        names: one each, or distinct ones of which `which` (n,) gives the index of each sighting; NaN in bearings or
        distances: not known. Raises BadInputError for wrong sizes and empty names.
        """
        keys = [normal(name) for name in names]
        index = np.arange(len(names)) if which is None else np.atleast_1d(np.asarray(which, dtype=np.int64))
        n = len(index)
        if not all(keys):
            raise BadInputError("A landmark's name is empty: give a word, or leave the landmark out.")
        place = column(places, n, "places of landmarks", np.int64)
        angle = column(np.nan if bearings is None else bearings, n, "bearings", np.float64)
        distance = column(np.nan if distances is None else distances, n, "distances", np.float64)
        stamp, number, count = (
            column(values, n, what, np.int64)
            for values, what in ((stamps_ns, "stamps"), (records, "records"), (counts, "counts"))
        )
        if n and place.min() < 0:
            raise BadInputError("A landmark was seen from a place with a negative number.")
        if n and not (index.min() >= 0 and index.max() < len(names)):
            raise BadInputError(f"Sightings are of names 0 to {len(names) - 1}, not {index.min()} to {index.max()}.")
        code = np.array(self.names.codes(keys), dtype=np.int64)[index]
        known = np.isfinite(angle)
        toward = np.where(known[:, None], np.column_stack([np.cos(angle), np.sin(angle)]), 0.0) * count[:, None]
        measured = np.isfinite(distance)
        far = np.column_stack([np.where(measured, distance, 0.0), measured]) * count[:, None]
        self._fold(place << 32 | code, count, toward, far, stamp, number)

    def of(self, place: int) -> list[Landmark]:
        """What was seen from a place, most often first."""
        rows = np.flatnonzero(self.place.data == place)
        return [self[int(row)] for row in rows[np.argsort(-self.count.data[rows], kind="stable")]]

    def __getitem__(self, row: int) -> Landmark:
        east, north = self.toward.data[row]
        total, measured = self.far.data[row]
        return Landmark(
            place=int(self.place.data[row]),
            name=self.names[int(self.name.data[row])],
            bearing=float(np.arctan2(north, east)) if east or north else float("nan"),
            distance=float(total / measured) if measured else float("nan"),
            count=int(self.count.data[row]),
            last_seen_ns=int(self.last_seen.data[row]),
            record=int(self.record.data[row]),
        )

    def rows_named(self, name: str) -> NDArray[np.intp]:
        """The rows of a name: exactly so called, else every name that has all of its words.

        Raises NotFoundError, which names what sounds like it.
        """
        wanted = normal(name)
        exact = self.names.find(wanted)
        if exact is not None:
            return np.flatnonzero(self.name.data == exact)
        words = set(wanted.split()) - {"the", "a", "an"}
        codes = [code for code, known in enumerate(self.names.all()) if words and words <= set(known.split())]
        if not codes:
            alike = [known for known in self.names.all() if words & set(known.split())][:5]
            hint = f"; similar: {', '.join(alike)}" if alike else ""
            raise NotFoundError(f"No landmark called {name!r} was ever seen{hint}.")
        return np.flatnonzero(np.isin(self.name.data, codes))

    def _fold(
        self,
        keys: NDArray[np.int64],
        count: NDArray[np.int64],
        toward: NDArray[np.float64],
        far: NDArray[np.float64],
        stamp: NDArray[np.int64],
        record: NDArray[np.int64],
    ) -> None:
        """Add sightings to the rows of their place and name, and make the rows that are missing."""
        order = np.lexsort((record, stamp, keys))  # the newest of a group comes last
        unique, starts = grouped(keys[order])
        if not len(unique):
            return
        last = np.append(starts[1:], len(keys)) - 1
        newest_stamp, newest_record = stamp[order][last], record[order][last]
        rows = np.array([self._row.setdefault(key, len(self._row)) for key in unique.tolist()])
        fresh = rows >= len(self)
        self.place.extend(unique[fresh] >> 32)
        self.name.extend(unique[fresh] & 0xFFFFFFFF)
        for empty in (self.count, self.last_seen, self.record):
            empty.extend(np.zeros(int(fresh.sum())))
        for pairs in (self.toward, self.far):
            pairs.extend(np.zeros((int(fresh.sum()), 2)))
        self.count.data[rows] += np.add.reduceat(count[order], starts)
        self.toward.data[rows] += np.add.reduceat(toward[order], starts)
        self.far.data[rows] += np.add.reduceat(far[order], starts)
        newer = fresh | (newest_stamp >= self.last_seen.data[rows])
        self.last_seen.data[rows[newer]] = newest_stamp[newer]
        self.record.data[rows[newer]] = newest_record[newer]

    def to_arrays(self) -> dict[str, Any]:
        """Plain arrays, and the names as a list."""
        columns = ("place", "name", "count", "toward", "far", "last_seen", "record")
        return {"names": self.names.all(), **{name: getattr(self, name).data.copy() for name in columns}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Landmarks:
        """What `to_arrays` gave."""
        made = cls()
        made.names.codes(arrays["names"])
        for name, values in arrays.items():
            if name != "names":
                getattr(made, name).extend(values)
        keys = made.place.data.astype(np.int64) << 32 | made.name.data
        made._row = dict(zip(keys.tolist(), range(len(keys)), strict=True))
        return made


def normal(name: str) -> str:
    """A name as it is compared: lower case, single spaces."""
    return " ".join(name.lower().split())
