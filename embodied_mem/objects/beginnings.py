"""Stays that begin with a frame: things that were never seen at their place, new ones or brought from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.estimating import LEAST, NEAREST
from embodied_mem.objects.evidence import AT_REST, PRIOR, TOLD
from embodied_mem.objects.fold_state import FoldState
from embodied_mem.objects.looking import OPEN
from embodied_mem.objects.stays import HERE, UNREAL
from embodied_mem.objects.step import SECOND, Step

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CARRIED_S, _SPEED, _ARM = 3.0, 1.5, 0.5  # seconds, m/s, metres: how a thing moves that is carried in view


def begin(step: Step, model: SensorModel, says: float, seen_empty: Callable[[FloatArray, int], int]) -> IntArray:
    """Stays for the detections `step.left` that are of none, in their order; what was seen being carried goes on.

    says        log-likelihood of a detection for its label
    seen_empty  (point (3,), before ns) -> ns: when the place was last seen empty, 0 when never
    """
    state, frame, left = step.state, step.frame, step.left
    carried = _carried(step)
    stays = state.stays
    rows = np.empty(len(left), dtype=np.int64)
    fresh = np.ones(len(left), dtype=bool)
    for i, source in carried.items():
        if stays.moving[source]:  # it only goes on
            rows[i], fresh[i] = source, False
    made = stays.add(int(fresh.sum()))
    rows[fresh] = made
    own, center, size = step.labels[left], frame.centers[left], frame.sizes[left]
    stays.mean[rows], stays.cov[rows] = center, step.noise[left]
    stays.low[rows], stays.high[rows] = center - size / 2, center + size / 2
    distance = np.linalg.norm(center - frame.position, axis=1)
    stays.weight[rows] = np.maximum(frame.scores[left], LEAST) / np.maximum(distance, NEAREST) ** 2
    stays.names[made, 0], stays.votes[made, 0], stays.main[made] = own[fresh], says, own[fresh]
    stays.called[made, 0] = frame.stamp_ns
    stays.origin[made, 0], stays.origin[made, 1] = frame.seq, left[fresh]
    stays.last[rows], stays.looked[rows] = frame.stamp_ns, frame.stamp_ns
    stays.missed[rows], stays.hidden[rows] = 0, 0
    stays.first[made] = frame.stamp_ns
    stays.stood[rows], stays.faced[rows], stays.credit[rows] = frame.position, frame.facing, 1.0
    stays.hits[rows], stays.looks[rows], stays.through[rows] = 1, 1, 0
    stays.score[rows] = stays.best[rows] = frame.scores[left]
    state.kinds.saw(own, distance)
    news = 1.0 if frame.ran else TOLD
    odds = PRIOR / (1 - PRIOR) * (state.kinds.hit_rate(model)[own] / model.false) ** news
    here = odds / (1 + odds)
    stays.belief[made] = np.column_stack([1 - here, here, np.zeros(len(here))])[fresh]
    for i, source in carried.items():
        if fresh[i]:
            carry_on(state, int(rows[i]), source, frame.stamp_ns)
    _came_from_elsewhere(step, made, seen_empty)
    return rows


def carry_on(state: FoldState, row: int, source: int, stamp_ns: int) -> None:
    """The thing of the stay `source` is now that of `row`: as real as it was, and gone from there."""
    stays = state.stays
    was = stays.belief[source]
    unreal = float(was[UNREAL])
    stays.belief[row] = (unreal, 1 - unreal, 0.0)
    stays.belief[source] = (unreal, 1e-9, 1 - unreal)
    stays.missed[source] = stays.missed[source] or stamp_ns
    stays.closed[source] = True
    stays.came[row], stays.moving[row] = source, True


def _carried(step: Step) -> dict[int, int]:
    """Detections that are of nothing at their place, and the thing that just left its own, if only one may have."""
    stays, frame, active = step.state.stays, step.frame, step.active
    gone = (step.shown == OPEN) | stays.moving[active]
    gone &= ~step.hit()
    gone &= (frame.stamp_ns - stays.last[active] < _CARRIED_S * SECOND) & (stays.belief[active, HERE] > 0.2)
    gone &= stays.hits[active] + 10 * stays.moving[active] >= AT_REST
    rows = active[gone]
    kinds, since = step.canon[step.names[gone]], (frame.stamp_ns - stays.last[rows]) * 1e-9
    out: dict[int, int] = {}
    taken: set[int] = set()
    for i, d in enumerate(step.left.tolist() if len(rows) else ()):
        apart = np.linalg.norm(stays.mean[rows] - frame.centers[d], axis=1)
        able = (kinds == step.canon[step.labels[d]]) & (apart <= _ARM + _SPEED * since)
        free = [int(row) for row in rows[able] if int(row) not in taken]
        if len(free) == 1:
            out[i] = free[0]
            taken.add(free[0])
    return out


def _came_from_elsewhere(step: Step, made: IntArray, seen_empty: Callable[[FloatArray, int], int]) -> None:
    """Where there is another of its kind, it matters whether the place was seen empty before."""
    stays, canon = step.state.stays, step.canon
    kinds = np.unique(canon[stays.main[stays.belief[:, UNREAL] < 0.5]])
    for row, kind in zip(made.tolist(), canon[stays.main[made]].tolist(), strict=True):
        if kind in kinds:
            stays.empty[row] = seen_empty(stays.mean[row], step.frame.stamp_ns)
