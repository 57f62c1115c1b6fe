"""Where things are, as far as is known: a probability for every place, from memory, looks and habit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.planner.facts import Fact
from embodied_mem.planner.places import PlaceBook

FloatArray = NDArray[np.float64]
HIT, FALSE = 0.9, 0.01  # how likely a thing in view is detected, and one that is not there
MISS = (1 - HIT) / (1 - FALSE)
_HIDDEN = 0.06  # how likely a thing that is there stays unseen however often one looks: something stands before it
_ODDS = 1e-6
_MOVED = 0.02  # probability, against all memory, that a thing is now where it was just detected


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """Of one thing.

    probability  (regions,) that it is on or in each region of the place book; the rest: it is anywhere else
    position     (3,) metres where it was detected last, in `region`; None when it never was
    evidence     records
    why          one sentence
    """

    thing: str
    probability: FloatArray
    region: int = -1
    position: FloatArray | None = None
    evidence: tuple[int, ...] = ()
    why: str = ""
    fresh: bool = False  # it was detected just now, in `region`

    @property
    def best(self) -> int:
        """The likeliest region."""
        return int(np.argmax(self.probability)) if len(self.probability) else -1

    @property
    def sure(self) -> float:
        """The probability of the likeliest region."""
        return float(self.probability.max()) if len(self.probability) else 0.0

    @property
    def elsewhere(self) -> float:
        """The probability that it is at no known place."""
        return float(max(0.0, 1 - self.probability.sum()))

    def of(self, item: Fact, book: PlaceBook) -> float:
        """The probability of on(thing, place) or in(thing, place)."""
        region = Fact(item.name, ("", item.arguments[1]))
        return float(self.probability[book.regions.index(region)]) if region in book.regions else 0.0


def prior_of(
    thing: str, book: PlaceBook, typical: Mapping[str, tuple[str, ...]], counts: Mapping[int, float]
) -> FloatArray:
    """(regions,) where such a thing is when nothing is known of this one; sums to 1.

    typical  thing -> kinds of places where people put it; a container's inside counts like its top. Others get little
    counts   region -> how often it was found there before: each is worth as much as what is usual
    """
    kinds = typical.get(thing)
    weights = np.array(
        [1.0 if kinds is None or book.by_name[r.arguments[1]].label in kinds else 0.05 for r in book.regions]
    )
    weights = weights / weights.sum() if len(weights) else weights
    for region, count in counts.items():
        weights[region] += count
    return weights / weights.sum() if len(weights) else weights


def mixed(known: FloatArray, prior: FloatArray, doubts: FloatArray) -> tuple[FloatArray, float]:
    """(regions,) belief from what memory knows, and from the prior for the rest; and how much of the prior is left.

    known   (regions,) probabilities by memory, at most 1 in all
    doubts  (regions,) in 0..1: how much of the prior is left where it was looked for in vain
    """
    total = float(known.sum())
    if total > 0.99:
        known, total = known * (0.99 / total), 0.99
    left = prior * doubts
    share = float(left.sum())
    rest = (1 - total) * share
    spread = left / share if share > 0 else left
    # By Bayes: what the prior had at places that were looked at goes to "anywhere else", in which little is believed.
    nowhere = (1 - total) * (1 - share) * 0.05
    scale = total + rest + nowhere
    return (known + rest * spread) / max(scale, 1e-9), share


def updated(probability: FloatArray, hits: NDArray[np.int64], misses: NDArray[np.int64]) -> FloatArray:
    """(regions,) belief after fresh frames: hits and misses (regions,) count detections there, and looks in vain.

    A thing is at one place only, so a detection at one speaks against all others.
    """
    ratio = (HIT / FALSE) ** np.minimum(hits, 3) * np.maximum(MISS**misses, _HIDDEN)
    weights = np.maximum(probability, np.where(hits > 0, _MOVED, _ODDS)) * ratio
    outside = max(1 - float(probability.sum()), _ODDS)
    return weights / (weights.sum() + outside)
