"""Where places are made: an observation is of a known place unless space *and* looks say that it is new.

The first observation of a place is its anchor. An observation belongs to
1. the place where its robot was, while it is within `near` metres of that place's anchor (no flicker at borders);
2. else the nearest place with its anchor within `near`;
3. else, of the places with their anchors within `reach`, the one that looks most like it, if the cosine of its
   descriptor with the place's running descriptor is at least `alike` (a hall is one place, its doors are others);
4. else it makes a new place.
Beyond `reach` looks say nothing: two look-alike corners stay two. Without a descriptor there is no step 3. Floors are
kept apart by `height`, maps always. Anchors never move, so no place can wander off; positions and descriptors of
places are the means of their observations.

Places can be merged, as when a robot came back with drift. A merge is an event over places that stay as they are, so
to undo it is to leave it out, exactly. `proposals` finds what looks like one: near in space, alike, and far by way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.growable import Growable
from embodied_mem.records.names import Names
from embodied_mem.topology.arrays import FloatArray, IntArray, column, points
from embodied_mem.topology.place_kernels import assign_places, fill_buckets

_EVERY = 4096
_KEPT = 8  # states that can be returned to


@dataclass(frozen=True, slots=True)
class PlaceSettings:
    """When an observation is of a new place, and what is an edge. Lengths in metres.

    near, reach, alike, height   see the module docstring
    longest_step, longest_gap_s  two observations of a robot that are farther apart make no edge: it was carried,
                                 relocalised or switched off
    two_way                      whether an edge that was travelled can be travelled back, though nobody did
    """

    near: float = 2.0
    reach: float = 5.0
    alike: float = 0.85
    height: float = 1.5
    longest_step: float = 15.0
    longest_gap_s: float = 120.0
    two_way: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.near <= self.reach < np.inf and self.height > 0):
            raise BadInputError(
                f"Places need 0 < near <= reach and height > 0; got {self.near}, {self.reach} and {self.height}."
            )
        if not -1 <= self.alike <= 1 or self.longest_step <= 0 or self.longest_gap_s <= 0:
            raise BadInputError("alike is a cosine; longest_step and longest_gap_s are positive.")


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What `assign_places` needs to go on after `count` observations."""

    count: int
    anchors: FloatArray
    maps: NDArray[np.int32]
    sums: NDArray[np.float32]
    current: NDArray[np.int32]


class PlaceBuilder:
    """Gives observations, in order of time, their places; a function of these observations, however they are batched.

    every   observations between two states that `rewind` can return to
    """

    def __init__(self, settings: PlaceSettings | None = None, *, every: int = _EVERY) -> None:
        self.settings = settings or PlaceSettings()
        self.every = every
        self.maps: Names[str] = Names()
        self.streams: Names[tuple[str, str]] = Names()  # a robot in one of its sessions
        # By observation.
        self.records = Growable(np.int64)
        self.stamps = Growable(np.int64)
        self.last_seen = Growable(np.int64)
        self.positions = Growable(np.float64, 3)
        self.map_codes = Growable(np.int32)
        self.stream_codes = Growable(np.int32)
        self.places = Growable(np.int32)
        # By place.
        self._count = 0
        self._anchors = np.zeros((0, 3))
        self._maps = np.zeros(0, dtype=np.int32)
        self._sums = np.zeros((0, 0), dtype=np.float32)
        self._following = np.zeros(0, dtype=np.int32)
        self._buckets = np.full(1024, -1, dtype=np.int32)
        self._current = np.zeros(0, dtype=np.int32)
        self._states: list[_State] = []

    def __len__(self) -> int:
        """How many observations were given."""
        return len(self.places)

    @property
    def place_count(self) -> int:
        return self._count

    @property
    def anchors(self) -> FloatArray:
        """(places, 3) where each place was first seen."""
        return self._anchors[: self._count]

    @property
    def map_of_place(self) -> NDArray[np.int32]:
        """(places,) index into `maps`."""
        return self._maps[: self._count]

    @property
    def descriptor_sums(self) -> NDArray[np.float32]:
        """(places, d) the sum of the descriptors of each place; zeros where it has none."""
        return self._sums[: self._count]

    def observe(
        self,
        positions: ArrayLike,
        stamps_ns: ArrayLike,
        *,
        records: ArrayLike = 0,
        descriptors: ArrayLike | None = None,
        maps: str | Sequence[str] = "",
        streams: tuple[str, str] | Sequence[tuple[str, str]] = ("", ""),
        last_seen_ns: ArrayLike | None = None,
    ) -> NDArray[np.int32]:
        """Take n observations in order of time; returns their places (n,).

        positions (n, 3) metres; records (n,) numbers; descriptors (n, d), a row of zeros is a missing one;
        maps: one each, or one for all; streams: robot and session, likewise. Raises BadInputError.
        """
        where = points(positions, "observations' positions")
        n = len(where)
        stamps = column(stamps_ns, n, "stamps", np.int64)
        seen = stamps if last_seen_ns is None else column(last_seen_ns, n, "stamps of the last time", np.int64)
        numbers = column(records, n, "records", np.int64)
        names = [maps] * n if isinstance(maps, str) else list(maps)
        robots = [streams] * n if isinstance(streams, tuple) else list(streams)
        if len(names) != n or len(robots) != n:
            raise BadInputError(f"{n} observations need as many maps and streams, or one for all.")
        map_codes = np.array(self.maps.codes(names), dtype=np.int32)
        return self.observe_coded(
            where, stamps, seen, numbers, map_codes, np.array(self.streams.codes(robots), dtype=np.int32), descriptors
        )

    def observe_coded(
        self,
        positions: FloatArray,
        stamps: IntArray,
        last_seen: IntArray,
        records: IntArray,
        map_codes: NDArray[np.int32],
        streams: NDArray[np.int32],
        descriptors: ArrayLike | None,
    ) -> NDArray[np.int32]:
        """`observe` with maps and streams as numbers of the caller's own."""
        rows = self._descriptors(descriptors, len(positions))
        start = len(self)
        for begin in range(0, len(positions), self.every):
            part = slice(begin, min(begin + self.every, len(positions)))
            self._make_room(part.stop - begin, int(streams[part].max(initial=-1)) + 1)
            described = rows[part].any(axis=1)
            settings = self.settings
            places, self._count = assign_places(
                positions[part], map_codes[part], streams[part], described, rows[part],
                settings.near, settings.reach, settings.height, settings.alike,
                self._anchors, self._maps, self._sums, self._buckets, self._following, self._current, self._count,
            )  # fmt: skip
            self.places.extend(places)
            for column_, values in (
                (self.records, records), (self.stamps, stamps), (self.last_seen, last_seen),
                (self.positions, positions), (self.map_codes, map_codes), (self.stream_codes, streams),
            ):  # fmt: skip
                column_.extend(values[part])
            if len(self) - (self._states[-1].count if self._states else 0) >= self.every:
                self._keep_state()
        return self.places.data[start:].copy()

    def rewind(self, count: int) -> int:
        """Go back to a state of at most `count` observations, as late as there is; returns how many it has."""
        if count >= len(self):
            return len(self)
        while self._states and self._states[-1].count > count:
            self._states.pop()
        width = self._sums.shape[1]
        state = self._states[-1] if self._states else None
        kept = state.count if state else 0
        for grown in (
            self.records, self.stamps, self.last_seen, self.positions, self.map_codes, self.stream_codes, self.places
        ):  # fmt: skip
            grown.truncate(kept)
        self._count = len(state.anchors) if state else 0
        self._anchors = state.anchors.copy() if state else np.zeros((0, 3))
        self._maps = state.maps.copy() if state else np.zeros(0, dtype=np.int32)
        self._sums = np.zeros((self._count, width), dtype=np.float32)
        if state is not None and state.sums.shape[1] == width:  # else it is from before the first descriptor
            self._sums[:] = state.sums
        self._current = state.current.copy() if state else np.zeros(0, dtype=np.int32)
        self._following = np.full(self._count, -1, dtype=np.int32)
        self._hash()
        return kept

    # --- inside ------------------------------------------------------------------------------------------------

    def _descriptors(self, given: ArrayLike | None, n: int) -> NDArray[np.float32]:
        """(n, d) float32, zeros where there is none; the first ones settle the width for good."""
        if given is None:
            return np.zeros((n, self._sums.shape[1]), dtype=np.float32)
        rows = np.asarray(given, dtype=np.float32)
        if rows.ndim != 2 or len(rows) != n or not np.isfinite(rows).all():
            raise BadInputError(f"{n} observations need as many rows of finite descriptors, not {rows.shape}.")
        if not self._sums.shape[1]:
            self._sums = np.zeros((len(self._sums), rows.shape[1]), dtype=np.float32)
        if rows.shape[1] != self._sums.shape[1]:
            raise BadInputError(f"A descriptor has {self._sums.shape[1]} numbers here, not {rows.shape[1]}.")
        return rows

    def _make_room(self, places: int, streams: int) -> None:
        """For `places` more, and for this many streams."""
        needed = self._count + places
        if needed > len(self._anchors):
            more = max(needed, len(self._anchors) * 3 // 2)
            self._anchors = _grown(self._anchors, more)
            self._maps = _grown(self._maps, more)
            self._sums = _grown(self._sums, more)
            self._following = _grown(self._following, more)
        if streams > len(self._current):
            self._current = np.append(self._current, np.full(streams - len(self._current), -1, dtype=np.int32))
        if needed > len(self._buckets):
            self._hash()

    def _hash(self) -> None:
        size = 1024
        while size < 2 * len(self._anchors):
            size *= 2
        self._buckets = np.full(size, -1, dtype=np.int32)
        fill_buckets(self._buckets, self._following, self._anchors, self._maps, self._count, self.settings.reach)

    def _keep_state(self) -> None:
        self._states.append(
            _State(len(self), self.anchors.copy(), self.map_of_place.copy(), self.descriptor_sums.copy(),
                   self._current.copy())
        )  # fmt: skip
        del self._states[:-_KEPT]


class Merges:
    """Which places are one: a list of events, each of which can be taken back, in any order."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int]] = []
        self._undone: set[int] = set()

    def merge(self, a: int, b: int) -> int:
        """Places a and b are one; returns the number of the event."""
        if a == b or min(a, b) < 0:
            raise BadInputError(f"Places {a} and {b} cannot be merged: give two different ones.")
        self.events.append((a, b))
        return len(self.events) - 1

    def undo(self, event: int) -> None:
        """Take a merge back. Raises NotFoundError for one that there is not, or no more."""
        if not 0 <= event < len(self.events) or event in self._undone:
            raise NotFoundError(f"There is no merge {event} to undo.")
        self._undone.add(event)

    def roots(self, count: int) -> IntArray:
        """(count,) for each place the one with the smallest number that it is one with."""
        return roots_of([pair for i, pair in enumerate(self.events) if i not in self._undone], count)


def roots_of(pairs: Sequence[tuple[int, int]], count: int) -> IntArray:
    """(count,) the smallest number in the group of each, where pairs are of one group."""
    parent = np.arange(count)
    for a, b in pairs:
        first, second = sorted((_root(parent, a), _root(parent, b)))
        parent[second] = first
    while not np.array_equal(parent, parent[parent]):
        parent = parent[parent]
    return parent


def _root(parent: IntArray, a: int) -> int:
    while parent[a] != a:
        a = int(parent[a])
    return a


def _grown(rows: NDArray[Any], length: int) -> NDArray[Any]:
    grown = np.zeros((length, *rows.shape[1:]), dtype=rows.dtype)
    grown[: len(rows)] = rows
    return grown
