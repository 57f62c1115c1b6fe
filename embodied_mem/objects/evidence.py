"""What a frame says for and against each stay: detections, looks in vain, and the time since the last look."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.estimating import estimate, vote
from embodied_mem.objects.fold_state import places
from embodied_mem.objects.looking import FILLED, HIDDEN, OPEN
from embodied_mem.objects.stays import GONE, HERE, UNREAL, StayTable
from embodied_mem.objects.step import Step
from embodied_mem.objects.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PRIOR = 0.02  # that a given detection is of a thing, before its likelihood
TOLD = 2.0  # what an observation says in which no detector ran: somebody told it, and had a reason
AT_REST = 3  # detections at one place after which a carried thing stands there
SAME_PLACE, WITHIN, VOLUMES = 0.12, 0.25, 4.0  # where and how large one thing under two names is: m, shares, ratio
_STEP, _TURN = 0.15, 0.2  # metres, radians to a view that is independent of the last one
_SAME = 0.1  # what a view from the same pose says, against an independent one
_PATIENCE = 0.2  # what a second at one pose adds, up to 1
_VISIT_S, _LEFT = 10.0, 0.1  # a look after such a pause finds the thing gone at least so often
_OVER = 0.02  # probability of being here below which a stay is over
_REPLACED = 3.0  # ratio of volumes up to which one thing stands in the place of another
_ONE_BOX = 0.5  # intersection over union from which two boxes of one frame are of one thing


def leave(step: Step) -> None:
    """Before what this frame says: what was here may have left since it was last looked at."""
    concerned = step.hit() | (step.shown >= FILLED)
    rows, stays = step.active[concerned], step.state.stays
    since = step.since(rows)
    leaving = 1 - np.exp(-step.state.kinds.leaving()[step.names[concerned]] * np.maximum(since, 0))
    leaving = np.where(since > _VISIT_S, np.maximum(leaving, _LEFT), leaving)
    moved = stays.belief[rows, HERE] * leaving
    stays.belief[rows, HERE] -= moved
    stays.belief[rows, GONE] += moved


def hit(step: Step, words: Vocabulary, model: SensorModel) -> None:
    """What was detected is believed in more, and known better."""
    stays, kinds, frame = step.state.stays, step.state.kinds, step.frame
    found = step.found
    place = step.to[found]
    rows, own, score = step.active[place], step.labels[found], frame.scores[found]
    since = np.asarray((frame.stamp_ns - stays.last[rows]) * 1e-9)
    news = _news(step, rows, since)
    main = stays.main[rows]
    sure = stays.belief[rows, HERE] > 0.9
    np.add.at(kinds.hits, main[sure], 1.0)
    np.add.at(kinds.looks, main[sure], 1.0 + stays.vain[rows[sure]])
    stays.vain[rows] = 0.0
    np.add.at(kinds.stayed, main, np.maximum(since, 0))
    distance = np.linalg.norm(frame.centers[found] - frame.position, axis=1)
    if not frame.again:
        kinds.saw(own, distance)
    # Looks in vain took back what earlier detections said: they were false, the thing is seen for the first time.
    unlikely = stays.belief[rows, HERE] <= PRIOR * (stays.belief[rows, HERE] + stays.belief[rows, UNREAL])
    stays.first[rows[unlikely]] = frame.stamp_ns
    rate = kinds.hit_rate(model)[main]
    weigh(stays, rows, vote(step, rows, found, news, words.vote) * np.log(rate / model.false))
    named = step.canon[stays.main[rows]] == step.canon[own]
    stays.strange[rows] = np.where(named, 0, stays.strange[rows] + 1)
    estimate(step, rows, found, distance)
    called = rows[named]  # under another name it may be another thing, that took its place
    stays.last[called] = np.maximum(stays.last[called], frame.stamp_ns)
    stays.missed[called] = 0
    stays.looked[rows] = np.maximum(stays.looked[rows], frame.stamp_ns)
    stays.hidden[rows] = 0
    stays.hits[rows] += not frame.again
    stays.looks[rows] += not frame.again
    stays.through[rows] += step.shown[place] == OPEN
    stays.score[rows] += score
    stays.best[rows] = np.maximum(stays.best[rows], score)
    still = np.linalg.norm(frame.centers[found] - stays.mean[rows], axis=1) < _STEP
    stays.moving[rows[stays.moving[rows] & (stays.hits[rows] >= AT_REST) & still]] = False


def miss(step: Step, model: SensorModel) -> None:
    """What the frame should have shown and did not is believed in less."""
    stays, kinds, frame, was_hit = step.state.stays, step.state.kinds, step.frame, step.hit()
    stays.hidden[step.active[(step.shown == HIDDEN) & ~was_hit]] = frame.stamp_ns
    missed = (step.shown >= FILLED) & ~was_hit
    if frame.again or not missed.any():
        return
    rows, main = step.active[missed], step.names[missed]
    centers, extents = step.centers[missed], step.extents[missed]
    taken = _taken(centers, extents, frame.centers, frame.sizes, step.to < 0)
    open_ = (step.shown[missed] == OPEN) | (taken == _BY_NEWS)
    since = step.since(rows)
    stays.vain[rows] += 1.0
    # What hides a thing in one frame hides it in the next: only after a while is a miss news.
    news = np.clip(since, _SAME, 1.0)
    unseen = (1 - kinds.hit_rate(model)[main]) / (1 - model.false)
    passed = (1 + stays.through[rows]) / (6 + stays.hits[rows])
    filled = np.log(unseen * (1 - passed) / model.filled)
    gain = np.where(open_, np.log(unseen * passed / (1 - model.filled)), filled)
    gain = np.where(taken == _BY_KNOWN, np.log(unseen), gain)  # it would be filled, whether the thing is there or not
    weigh(stays, rows, news * np.minimum(gain, 0.0))
    stays.looks[rows] += 1
    stays.looked[rows] = np.maximum(stays.looked[rows], frame.stamp_ns)
    stays.hidden[rows] = 0
    first = stays.missed[rows] == 0
    stays.missed[rows[first]] = frame.stamp_ns


def beside(step: Step, target: IntArray) -> None:
    """Count for each stay the frames that show it beside another kind of thing at nearly the same place.

    A detector that takes one thing for another does not detect both. target (m,): the stays of the detections
    """
    frame, stays = step.frame, step.state.stays
    seen = np.flatnonzero(target >= 0)
    if frame.again or len(seen) < 2:
        return
    rows = target[seen]
    centers, extents = places(stays, rows)
    kinds = step.canon[stays.main[rows]]
    stays.beside[rows[_beside(centers, extents, kinds, frame.centers[seen], frame.sizes[seen])]] += 1


def close(step: Step) -> None:
    """End the stays of what has left, and of what was never there."""
    state, rows = step.state, step.active
    here, gone = state.stays.belief[rows, HERE], state.stays.belief[rows, GONE]
    real = here + gone
    over = ~state.stays.closed[rows] & (here < _OVER * np.maximum(real, 1e-12)) & (real > 0.1)
    over |= ~state.stays.closed[rows] & (real < 1e-4)
    state.stays.closed[rows[over]] = True
    np.add.at(state.kinds.departures, step.names[over & (real > 0.5)], 1.0)


def weigh(stays: StayTable, rows: IntArray, gain: FloatArray) -> None:
    """Bayes' rule: gain (n,) is the log-likelihood ratio of being here against not being here."""
    belief = stays.belief[rows]
    belief[:, HERE] *= np.exp(gain)
    belief = np.maximum(belief, 1e-9)
    stays.belief[rows] = belief / belief.sum(axis=1, keepdims=True)


def _news(step: Step, rows: IntArray, since: FloatArray) -> FloatArray:
    """(k,) how independent each detection is of the one before: the same error is made again from the same pose.

    A pose that was kept for long says more than a single frame, up to as much as a second pose.
    """
    stays, frame = step.state.stays, step.frame
    moved = np.linalg.norm(frame.position - stays.stood[rows], axis=1) / _STEP
    turned = np.abs(stays.faced[rows] @ frame.facing).clip(max=1)
    moved += 2 * np.arccos(turned) / _TURN
    credit = np.minimum(stays.credit[rows] + moved, 1.0)
    waited = np.minimum(_PATIENCE * np.maximum(since, 0), credit)
    stays.credit[rows] = credit - waited
    stays.stood[rows], stays.faced[rows] = frame.position, frame.facing
    if not frame.ran:
        return np.full(len(rows), TOLD)
    return waited if frame.again else np.clip(np.maximum(moved, waited), _SAME, 1.0)


_BY_KNOWN, _BY_NEWS = 1, 2


@njit(cache=True, nogil=True)
def _taken(
    centers: FloatArray, extents: FloatArray, seen: FloatArray, sizes: FloatArray, loose: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """(n,) whether the frame shows another thing where a stay should be: one that is known, or (loose) a new one."""
    out = np.zeros(len(centers), np.int8)
    for i in range(len(centers)):
        for d in range(len(seen)):
            here, near, ratio = True, True, 1.0
            for axis in range(3):
                apart = abs(centers[i, axis] - seen[d, axis])
                here &= apart <= WITHIN * extents[i, axis]
                near &= apart <= max(WITHIN * max(extents[i, axis], sizes[d, axis]), SAME_PLACE)
                ratio *= sizes[d, axis] / extents[i, axis]
            if loose[d] and here and 1 / _REPLACED < ratio < _REPLACED:
                out[i] = _BY_NEWS
            elif near and 1 / VOLUMES < ratio < VOLUMES and out[i] == 0:
                out[i] = _BY_KNOWN
    return out


@njit(cache=True, nogil=True)
def _beside(
    centers: FloatArray, extents: FloatArray, kinds: IntArray, seen: FloatArray, sizes: FloatArray
) -> NDArray[np.bool_]:
    """(k,) which of the detected stays have one of another kind at their place that was seen as a box of its own."""
    out = np.zeros(len(centers), np.bool_)
    for i in range(len(centers)):
        for j in range(i):
            if kinds[i] == kinds[j]:
                continue
            near, shared, own, other = True, 1.0, 1.0, 1.0
            for axis in range(3):
                within = WITHIN * max(extents[i, axis], extents[j, axis])
                near &= abs(centers[i, axis] - centers[j, axis]) <= max(within, SAME_PLACE)
                apart, wide, wider = abs(seen[i, axis] - seen[j, axis]), sizes[i, axis], sizes[j, axis]
                shared *= max(min((wide + wider) / 2 - apart, wide, wider), 0.0)
                own *= wide
                other *= wider
            if near and shared < _ONE_BOX * (own + other - shared):
                out[i] = out[j] = True
    return out
