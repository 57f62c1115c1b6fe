"""Where a stay is, how large, and what: what detections add to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.frames import Frame
from embodied_mem.objects.stays import NONE, StayTable
from embodied_mem.objects.step import Step

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NEAREST = 0.5  # metres: nearer views say no more
LEAST = 0.05  # score below which a detection counts no less
_DRIFT = 0.01  # metres by which a thing may be nudged between two detections
_CARRY = 0.3  # and while it is carried
TIGHT, LOOSE = 0.15, 0.85  # a corner is the quantile of these of what the views show
_SLOWEST = 0.03  # least gain of a corner


def estimate(step: Step, rows: IntArray, found: IntArray, distance: FloatArray) -> None:
    """Kalman update of the centres, asymmetric least squares (Newey and Powell 1987) of the corners.

    found (k,): detections, at `distance` (k,) metres from the sensor; rows (k,): the stays that they are of
    """
    stays, frame = step.state.stays, step.frame
    center, size = frame.centers[found], frame.sizes[found]
    trust = np.maximum(frame.scores[found], LEAST)
    moving = stays.moving[rows]
    prior = stays.cov[rows] + (np.where(moving, _CARRY, _DRIFT) ** 2)[:, None, None] * np.eye(3)
    gain = prior @ np.linalg.inv(prior + step.noise[found] / trust[:, None, None])
    mean = stays.mean[rows]
    stays.mean[rows] = mean + np.einsum("nij,nj->ni", gain, center - mean)
    stays.cov[rows] = (np.eye(3) - gain) @ prior
    own = trust / np.maximum(distance, NEAREST) ** 2
    stays.weight[rows] = np.where(moving, 0.0, stays.weight[rows]) + own
    pace = np.maximum(own / stays.weight[rows], _SLOWEST)[:, None]
    for corner, sight, outward in ((stays.low, center - size / 2, -1), (stays.high, center + size / 2, 1)):
        away = sight - corner[rows]
        grown = corner[rows] + np.minimum(2 * pace * np.where(away * outward > 0, LOOSE, TIGHT), 1.0) * away
        corner[rows] = np.where(moving[:, None], sight, grown)


def vote(step: Step, rows: IntArray, found: IntArray, news: FloatArray, says: float) -> FloatArray:
    """Bayes' rule for the label, when a detector names the right one at its usual rate and any other alike.

    says  log-likelihood of a detection for its label. Returns (k,) what the detections say for the thing that each
    stay is taken for: as many independent ones as `news` counts, none under another name; if that changes the name,
    then those that were made under the new one count in their place.
    """
    stays, own, canon = step.state.stays, step.labels[found], step.canon
    before, was = _support(stays, rows, canon), stays.main[rows]
    names = stays.names[rows]
    known = names == own[:, None]
    place = np.where(known, 0, np.where(names == NONE, 1, 2)).argmin(axis=1)
    fresh = ~known.any(axis=1)
    full = fresh & (names != NONE).all(axis=1)
    place = np.where(full, stays.votes[rows].argmin(axis=1), place)
    stays.votes[rows[fresh], place[fresh]] = 0.0
    stays.called[rows[fresh], place[fresh]] = step.frame.stamp_ns
    stays.names[rows, place] = own
    stays.votes[rows, place] += says * news
    stays.settle(rows)
    renamed = rows[canon[stays.main[rows]] != canon[was]]
    slot = (stays.names[renamed] == stays.main[renamed][:, None]).argmax(axis=1)
    stays.first[renamed] = stays.called[renamed, slot]  # what was here before had another name
    return (_support(stays, rows, canon) - before) / says


def _support(stays: StayTable, rows: IntArray, canon: IntArray) -> FloatArray:
    """(k,) votes for the kind that each stay is taken for, under all the names of that kind."""
    names = stays.names[rows]
    same = (names != NONE) & (canon[names] == canon[stays.main[rows]][:, None])
    return np.asarray(np.where(same, stays.votes[rows], 0.0).sum(axis=1))


def cosines(stays: StayTable, active: IntArray, frame: Frame) -> Callable[[IntArray, IntArray], FloatArray] | None:
    """Likeness of detections' vectors to those of stays, None when nothing has a vector; see `assignment.assign`."""
    known: dict[int, FloatArray] = stays.vectors
    if frame.vectors is None or not known:
        return None
    vectors = frame.vectors.astype(np.float64)

    def cosine(which: IntArray, stay: IntArray) -> FloatArray:
        out = np.full(len(which), np.nan)
        for i, (d, s) in enumerate(zip(which.tolist(), active[stay].tolist(), strict=True)):
            own = known.get(s)
            if own is not None and len(own) == vectors.shape[1]:
                out[i] = vectors[d] @ own / max(float(np.linalg.norm(own)), 1e-9)
        return out

    return cosine


def add_vectors(stays: StayTable, frame: Frame, rows: IntArray, found: IntArray) -> None:
    """Sum up the vectors of the detections of each stay."""
    if frame.vectors is None:
        return
    known: dict[int, FloatArray] = stays.vectors
    for row, d in zip(rows.tolist(), found.tolist(), strict=True):
        own, fresh = known.get(row), frame.vectors[d].astype(np.float64)
        known[row] = fresh if own is None or len(own) != len(fresh) else own + fresh
