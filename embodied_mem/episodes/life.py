"""A robot's life as a sequence of moments: places, stays and visits, and how surprising each moment was.

Places are a grid that is learnt: a record farther than `spacing` from every place of its map begins a new one. A stay
is a run of records of one robot and session at one place; each stay is a visit. All of it follows from the sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.episodes.coding import CODE, FloatArray, IntArray
from embodied_mem.errors import BadInputError
from embodied_mem.records.growable import Growable

_LEARNING = 0.3  # share of a new moment in what is expected of its place


@dataclass(frozen=True, slots=True, eq=False)
class Lived:
    """Of n moments, (n,) each: place, stay, visit of the place, the place of the stay before (-1: none), surprise."""

    places: IntArray
    stays: IntArray
    visits: IntArray
    origins: IntArray
    surprise: NDArray[np.float64]


class Life:
    """What came so far, as far as later moments depend on it. spacing: metres between places.

    Raises BadInputError for a spacing that is not positive.
    """

    def __init__(self, spacing: float = 2.0) -> None:
        if not spacing > 0:
            raise BadInputError(f"Places must be some metres apart; {spacing:g} was asked for.")
        self.spacing = spacing
        self.spots = Growable(np.float64, 3)  # of each place: the position of its first record
        self.maps = Growable(np.int32)  # of each place
        self.visits = Growable(np.int64)  # of each place
        self._expected = Growable(np.float32, CODE)  # of each place
        self._stay_of: dict[int, tuple[int, int, int]] = {}  # of each stream: its stay, place, and the place before
        self._stays = 0

    def cells(self, places: IntArray) -> NDArray[np.float64]:
        """(n, 2) coordinates of places in cells; NaN for -1."""
        known = np.asarray(places) >= 0
        spots = self.spots.data[np.where(known, places, 0), :2] / self.spacing if len(self.spots) else np.zeros((1, 2))
        return np.where(known[..., None], spots, np.nan)

    def nearest(self, position: NDArray[np.float64], map_code: int) -> tuple[int, float]:
        """The place of a map that is nearest to a position (3,), and metres to it; -1 where the map has none."""
        there = np.flatnonzero(self.maps.data == map_code)
        if not len(there):
            return -1, np.inf
        away = np.linalg.norm(self.spots.data[there] - position, axis=1)
        return int(there[away.argmin()]), float(away.min())

    def extend(
        self, positions: NDArray[np.float64], maps: NDArray[np.int32], streams: IntArray, codes: FloatArray
    ) -> Lived:
        """Live on through n moments: positions (n, 3), numbers of the map and of the stream (n,), codes (n, CODE)."""
        places = self._places(positions, maps)
        n = len(places)
        stays, visits, origins = (np.empty(n, dtype=np.int64) for _ in range(3))
        for i, (stream, place) in enumerate(zip(streams.tolist(), places.tolist(), strict=True)):
            stay, at, before = self._stay_of.get(stream, (-1, -1, -1))
            if at != place:
                stay, before = self._stays, at
                self._stays += 1
                self.visits.data[place] += 1
                self._stay_of[stream] = (stay, place, before)
            stays[i], visits[i], origins[i] = stay, self.visits.data[place], before
        surprise = np.zeros(n)
        _expect(places, codes, self._expected.data, surprise)
        return Lived(places, stays, visits, origins, surprise)

    def _places(self, positions: NDArray[np.float64], maps: NDArray[np.int32]) -> IntArray:
        known, n = len(self.spots), len(positions)
        spots = np.concatenate([self.spots.data, np.zeros((n, 3))])
        of_map = np.concatenate([self.maps.data, np.zeros(n, dtype=np.int32)])
        places = np.empty(n, dtype=np.int64)
        count = _assign(np.ascontiguousarray(positions), maps, spots, of_map, known, self.spacing, places)
        self.spots.extend(spots[known:count])
        self.maps.extend(of_map[known:count])
        self.visits.extend(np.zeros(count - known, dtype=np.int64))
        self._expected.extend(np.zeros((count - known, CODE), dtype=np.float32))
        return places


@njit(cache=True, nogil=True)
def _assign(positions, maps, spots, of_map, count, spacing, places):  # type: ignore[no-untyped-def]
    """Give each position the nearest place within `spacing`, or a new one; returns how many places there are then."""
    for i in range(len(positions)):
        best, nearest = -1, spacing * spacing
        for place in range(count):
            if of_map[place] != maps[i]:
                continue
            away = 0.0
            for axis in range(3):
                away += (positions[i, axis] - spots[place, axis]) ** 2
            if away < nearest:
                best, nearest = place, away
        if best < 0:
            best = count
            spots[count], of_map[count] = positions[i], maps[i]
            count += 1
        places[i] = best
    return count


@njit(cache=True, nogil=True)
def _expect(places, codes, expected, surprise):  # type: ignore[no-untyped-def]
    """Surprise: 1 - cosine of what came and what its place lets expect, an exponential mean; 1 at a new place."""
    width = codes.shape[1]
    for i in range(len(places)):
        dot, known, came = 0.0, 0.0, 0.0
        for d in range(width):
            dot += expected[places[i], d] * codes[i, d]
            known += expected[places[i], d] ** 2
            came += codes[i, d] ** 2
        likeness = dot / np.sqrt(known * came) if known > 0 and came > 0 else 0.0
        surprise[i] = min(max(1.0 - likeness, 0.0), 1.0)
        rate = _LEARNING if known > 0 else 1.0
        for d in range(width):
            expected[places[i], d] += rate * (codes[i, d] - expected[places[i], d])
