"""Is it there? Log-odds from detections and from their absence where they should have been."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SensorModel:
    """How a detector errs, and what depth says of a place.

    hit      probability that a thing that is there and should be seen is detected
    false    probability that a detection of the label appears where no such thing is, for each view of the place
    stay     probability that a thing that was there stays there until it is looked at again
    passed   probability that depth reaches through the place of a thing that is there: it has holes, or its place is
             not known well
    filled   probability that something else is where a thing was
    """

    hit: float = 0.7
    false: float = 0.02
    stay: float = 0.9
    passed: float = 0.15
    filled: float = 0.3

    def gains(self, hits: NDArray[np.bool_], open_: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(n,) log-likelihood ratio of each observation, there against not there.

        hits (n,): detected; open_ (n,): depth reached through the place. No miss speaks for the thing.
        """
        for_hit = np.log(self.hit / self.false)
        miss = (1 - self.hit) / (1 - self.false)
        through = min(np.log(miss * self.passed / (1 - self.filled)), 0.0)
        blocked = min(np.log(miss * (1 - self.passed) / self.filled), 0.0)
        return np.where(hits, for_hit, np.where(open_, through, blocked))


@dataclass(frozen=True, slots=True)
class Presence:
    """When a thing was at a place.

    first, last   indices of the observations that begin and end its best stretch
    was_there     probability that it ever was
    still_there   probability that it has stayed, given that it was
    """

    first: int
    last: int
    was_there: float
    still_there: float


def presence(gains: NDArray[np.float64], model: SensorModel, prior: float = 0.02) -> Presence:
    """From what the observations of a place say, in order of time: gains (n,) are log-likelihood ratios.

    The stretch in which the thing was there is the one whose summed log-likelihood ratio is largest (Kadane's maximum
    sub-array); what comes after its end tells whether it has gone. `prior`: that a given place holds such a thing; that
    any of n moments may begin the stretch is paid for with log n, so that a chance pair of false detections among many
    looks stays unlikely.
    """
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    lowest = np.minimum.accumulate(sums)
    best = int(np.argmax(sums[1:] - lowest[:-1])) + 1
    first = int(np.argmin(sums[:best]))
    evidence = float(sums[best] - sums[first])
    afterwards = float(sums[-1] - sums[best])
    return Presence(
        first,
        best - 1,
        probability(evidence + log_odds(prior) - np.log(len(gains))),
        probability(min(afterwards, 0.0) + log_odds(model.stay)),
    )


def estimate_hit_rate(hits: int, chances: int, prior: SensorModel | None = None) -> SensorModel:
    """The sensor model with its hit rate estimated from how often things that were surely there were detected.

    A Beta prior worth 20 views keeps a short memory from being certain.
    """
    base = prior or SensorModel()
    rate = (hits + 20 * base.hit) / (chances + 20)
    return replace(base, hit=float(np.clip(rate, 0.3, 0.95)))


def log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def probability(odds: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(odds, -50, 50))))
