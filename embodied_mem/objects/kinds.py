"""What the log teaches about kinds of things: how often they are detected, from how far, and how long they stay.

The priors are worth a few observations each, so that a short memory is not certain and a long one is not told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.labels import lasting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LOOKS = 20.0  # looks that the prior of the hit rate is worth
_BINS, _BIN = 40, 0.25  # histogram of the distances of detections, metres
_USUAL_REACH, _GUESSED, _SHARE = 3.0, 5.0, 0.85  # metres; detections that the guess is worth; quantile
_DEPARTURES = 2.0  # departures that the prior of the rate is worth


class KindTable:
    """Statistics by label code; rows are made as labels appear."""

    def __init__(self) -> None:
        self.hits = np.zeros(0)
        self.looks = np.zeros(0)
        self.distances = np.zeros((0, _BINS))
        self.departures = np.zeros(0)
        self.stayed = np.zeros(0)  # seconds, of all of the kind together
        self.prior = np.zeros(0)  # departures a second

    def know(self, names: list[str]) -> None:
        """Make room for labels; `names` by code."""
        more = len(names) - len(self.hits)
        if more <= 0:
            return
        for column in ("hits", "looks", "departures", "stayed"):
            setattr(self, column, np.concatenate([getattr(self, column), np.zeros(more)]))
        self.distances = np.concatenate([self.distances, np.zeros((more, _BINS))])
        self.prior = np.concatenate([self.prior, [1 / lasting(name) for name in names[-more:]]])

    def copy(self) -> KindTable:
        other = KindTable()
        for name, column in vars(self).items():
            setattr(other, name, column.copy())
        return other

    def hit_rate(self, model: SensorModel) -> FloatArray:
        """(labels,) how often a thing that is there and in view is detected: what is known of the detector, then of
        the kind.
        """
        usual = (self.hits.sum() + _LOOKS * model.hit) / (self.looks.sum() + _LOOKS)
        return np.clip((self.hits + _LOOKS * usual) / (self.looks + _LOOKS), 0.3, 0.95)

    def reach(self) -> FloatArray:
        """(labels,) metres within which a kind is recognised: where most of its detections were made."""
        heaped = np.cumsum(self.distances, axis=1)
        n = heaped[:, -1]
        typical = ((heaped >= _SHARE * n[:, None]).argmax(axis=1) + 1) * _BIN
        return np.maximum((n * typical + _GUESSED * _USUAL_REACH) / (n + _GUESSED), 1.5)

    def leaving(self) -> FloatArray:
        """(labels,) departures a second: Gamma-Poisson, from how long things of the kind stayed and how many left."""
        return (_DEPARTURES + self.departures) / (_DEPARTURES / self.prior + self.stayed)

    def saw(self, labels: IntArray, distances: FloatArray) -> None:
        """Things of these labels (m,) were detected from these distances, metres."""
        bins = np.minimum((distances / _BIN).astype(np.int64), _BINS - 1)
        np.add.at(self.distances, (labels, bins), 1.0)
