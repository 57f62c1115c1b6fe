"""Which came first, how often, and when last: what sightings in a memory with gaps say, and how likely it is true.

A moment in memory shows a thing with some probability. Of a stay that has any moment left, nothing is taken to be
missing: what a place shows does not change much while the robot stays. Stays of which nothing is left may have shown
the thing too: as often as those that are left, and by chance (a Poisson process), so that the chance that none of f
lost stays did is exp(-r f), with r the share of the stays in memory that show the thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """One thing in the n moments that memory still holds, in order of time.

    shows (n,)   probability that the thing was to be seen
    before (n,)  stays of which nothing is left, before each; missing: all of them
    stays (n,)   number of the stay of each
    """

    shows: FloatArray
    before: IntArray
    missing: int
    stays: IntArray

    @property
    def rate(self) -> float:
        """Share of the stays that show it."""
        return float(self.by_stay().mean()) if len(self.shows) else 0.0

    def by_stay(self) -> FloatArray:
        """(s,) the probability that each stay shows it."""
        order = np.argsort(self.stays, kind="stable")
        begins = np.flatnonzero(np.diff(self.stays[order], prepend=-1))
        return np.asarray(1 - np.multiply.reduceat(1 - self.shows[order], begins))

    @property
    def ever(self) -> float:
        """Probability that any moment in memory shows it."""
        return float(1 - np.prod(1 - self.shows))

    def first_at(self) -> FloatArray:
        """(n,) probability that it was seen first, of what memory holds, at each moment."""
        return self.shows * np.concatenate([[1.0], np.cumprod(1 - self.shows)[:-1]])


def came_first(one: Sightings, other: Sightings) -> tuple[float, float, float]:
    """Probabilities that `one` came first, that the other did, and that both came in the same moment.

    They sum to the probability that memory holds a sighting of both; where a lost stay may have shown the other before,
    what is known is no more than a coin's toss.
    """
    either = one.ever * other.ever
    if either <= 0:
        return 0.0, 0.0, 0.0
    return _ahead(one, other), _ahead(other, one), float((one.first_at() * other.first_at()).sum())


def how_often(seen: Sightings) -> tuple[int, float]:
    """On how many stays it was seen, and the probability of just that number."""
    if not len(seen.shows):
        return 0, float(np.exp(-seen.missing))
    each = seen.by_stay()
    counts = np.ones(1)
    for chance in each[each > 1e-6]:  # the distribution of a sum of independent ones and zeros
        counts = np.convolve(counts, [1 - chance, chance])
    best = int(counts.argmax())
    return best, float(counts[best] * np.exp(-seen.rate * seen.missing))


def last_at(seen: Sightings) -> tuple[int, float]:
    """The moment (index) of the last likely sighting in memory, and how likely none came after; -1: there is none."""
    likely = np.flatnonzero(seen.shows >= 0.5)
    if not len(likely):
        return -1, 0.0
    at = int(likely[-1])
    after = seen.missing - int(seen.before[at])
    return at, float(seen.shows[at] * np.prod(1 - seen.shows[at + 1 :]) * np.exp(-seen.rate * after))


def _ahead(one: Sightings, other: Sightings) -> float:
    unseen = np.cumprod(1 - other.shows)  # the other was not seen up to this moment
    later = np.maximum(unseen - np.prod(1 - other.shows), 0)  # and is seen after it
    certain = one.first_at() * later
    return float((certain * (0.5 + 0.5 * np.exp(-other.rate * one.before))).sum())
