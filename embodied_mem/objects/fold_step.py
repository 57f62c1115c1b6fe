"""One frame is folded into the stays: what it shows is assigned, what it shows in vain is believed in less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.assignment import Sighted, assign, noise_of
from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.fold_state import FoldState, Trail, places
from embodied_mem.objects.frames import Frame
from embodied_mem.objects.looking import FILLED, HIDDEN, OPEN, look
from embodied_mem.objects.merging import join_duplicates, merge
from embodied_mem.objects.stays import GONE, HERE, NONE, UNREAL, StayTable
from embodied_mem.objects.ties import Ties
from embodied_mem.objects.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SECOND = 1_000_000_000
_PRIOR = 0.02  # that a given detection is of a thing, before its likelihood
_STEP, _TURN = 0.15, 0.2  # metres, radians to a view that is independent of the last one
_SAME = 0.1  # what a view from the same pose says, against an independent one
_PATIENCE = 0.2  # what a second at one pose adds, up to 1
_TOLD = 2.0  # what an observation says in which no detector ran: somebody told it, and had a reason
_VISIT_S, _LEFT = 10.0, 0.1  # a look after such a pause finds the thing gone at least so often
_OVER = 0.02  # probability of being here below which a stay is over
_DRIFT = 0.01  # metres by which a thing may be nudged between two detections
_CARRY = 0.3  # and while it is carried
_TIGHT, _LOOSE = 0.15, 0.85  # a corner is the quantile of these of what the views show
_SLOWEST = 0.03  # least gain of a corner
_NEAREST = 0.5  # metres: nearer views say no more
_CARRIED_S, _SPEED, _ARM = 3.0, 1.5, 0.5  # seconds, m/s, metres: how a thing moves that is carried in view
_BEYOND = 3.0  # metres beyond what a frame shows, where a large thing may have its middle
_STRANGE = 2  # detections under another name, one after another, from which there is another thing
_REPLACED = 3.0  # ratio of volumes up to which one thing stands in the place of another
_AT_REST = 3  # detections at one place after which a carried thing stands there


class Folder:
    """Folds frames, one after another, into a state.

    model      how the detector errs, before the log has taught better
    absence    whether what is not detected is believed in less
    seen_empty (point (3,), before ns) -> ns: when the place was last seen empty, 0 when never
    """

    def __init__(
        self,
        words: Vocabulary,
        trail: Trail,
        model: SensorModel,
        seen_empty: Callable[[FloatArray, int], int],
        *,
        absence: bool = True,
    ) -> None:
        self._words, self._trail, self._model, self._absence = words, trail, model, absence
        self._seen_empty = seen_empty

    def fold(self, state: FoldState, frame: Frame, ties: Ties) -> None:
        stays, kinds = state.stays, state.kinds
        labels = np.array(self._words.codes(frame.labels), dtype=np.int64)
        kinds.know(self._words.names)
        canon, able = self._words.of_detector(frame.classes if frame.ran else None)
        active = _in_reach(state, frame)
        names = stays.main[active]
        centers, extents = places(stays, active)
        shown = np.zeros(len(active), dtype=np.int8)
        if frame.ran and self._absence:
            shown = look(frame, centers, extents, kinds.reach()[names])
            shown[~able[names]] = 0
        noise = noise_of(frame.centers, frame.position)
        seen = Sighted(frame.centers, frame.sizes, noise, canon[labels])
        forbidden = _forbidden(state, frame.seq, ties, active)
        to = assign(
            seen,
            centers,
            stays.cov[active],
            extents,
            canon[names],
            stays.strange[active] < _STRANGE,
            self._cosine(stays, active, frame),
            forbidden,
        )
        self._leave(state, frame, active, names, shown, to)
        found = np.flatnonzero(to >= 0)
        if len(found):
            self._hit(state, frame, active[to[found]], found, labels, noise, shown[to[found]] == OPEN)
        self._miss(state, frame, active, names, shown, to)
        left = np.flatnonzero(to < 0)
        born: IntArray = np.zeros(0, np.int64)
        if len(left) and not frame.again:
            born = self._begin(state, frame, left, labels, noise, canon, active, names, shown, to)
        target = np.full(len(labels), NONE, dtype=np.int64)
        target[found] = active[to[found]]
        if len(born):
            target[left] = born
        self._remember(state, frame, ties, target)
        join_duplicates(state, self._trail, target, frame, canon, active)
        self._close(state, active, names)
        state.folded += 1
        state.links = len(self._trail)

    # --- evidence ----------------------------------------------------------------------------------------------

    def _leave(
        self, state: FoldState, frame: Frame, active: IntArray, names: IntArray, shown: NDArray[np.int8], to: IntArray
    ) -> None:
        """Before what this frame says: what was here may have left since it was last looked at."""
        concerned = shown >= FILLED
        concerned[to[to >= 0]] = True
        rows = active[concerned]
        stays = state.stays
        since = (frame.stamp_ns - np.maximum(stays.last[rows], stays.looked[rows])) * 1e-9
        leaving = 1 - np.exp(-state.kinds.leaving()[names[concerned]] * np.maximum(since, 0))
        leaving = np.where(since > _VISIT_S, np.maximum(leaving, _LEFT), leaving)
        moved = stays.belief[rows, HERE] * leaving
        stays.belief[rows, HERE] -= moved
        stays.belief[rows, GONE] += moved

    def _hit(
        self, state: FoldState, frame: Frame, rows: IntArray, found: IntArray, labels: IntArray, noise: FloatArray,
        through: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Detections `found` are of the stays `rows`, through which the depth may have passed."""
        stays, kinds, own = state.stays, state.kinds, labels[found]
        score = frame.scores[found]
        since = np.asarray((frame.stamp_ns - stays.last[rows]) * 1e-9, dtype=np.float64)
        news = self._news(stays, frame, rows, since)
        main = stays.main[rows]
        sure = stays.belief[rows, HERE] > 0.9
        np.add.at(kinds.hits, main[sure], 1.0)
        np.add.at(kinds.looks, main[sure], 1.0 + stays.vain[rows[sure]])
        stays.vain[rows] = 0.0
        np.add.at(kinds.stayed, main, np.maximum(since, 0))
        distance = np.linalg.norm(frame.centers[found] - frame.position, axis=1)
        if not frame.again:
            kinds.saw(own, distance)
        rate = kinds.hit_rate(self._model)[main]
        _weigh(stays, rows, news * np.log(rate / self._model.false))
        self._vote(state, rows, own, news)
        stays.strange[rows] = np.where(main == own, 0, stays.strange[rows] + 1)
        self._filter(stays, rows, frame, found, noise, score, distance)
        named = rows[main == own]  # under another name it may be another thing, that took its place
        stays.last[named] = np.maximum(stays.last[named], frame.stamp_ns)
        stays.missed[named] = 0
        stays.looked[rows] = np.maximum(stays.looked[rows], frame.stamp_ns)
        stays.hidden[rows] = 0
        stays.hits[rows] += not frame.again
        stays.looks[rows] += not frame.again
        stays.through[rows] += through
        stays.score[rows] += score
        stays.best[rows] = np.maximum(stays.best[rows], score)
        still = np.linalg.norm(frame.centers[found] - stays.mean[rows], axis=1) < _STEP
        rested = stays.moving[rows] & (stays.hits[rows] >= _AT_REST) & still
        stays.moving[rows[rested]] = False
        self._link(state, frame, rows, found)
        self._add_vectors(stays, frame, rows, found)

    def _miss(
        self, state: FoldState, frame: Frame, active: IntArray, names: IntArray, shown: NDArray[np.int8], to: IntArray
    ) -> None:
        """What the frame should have shown and did not is believed in less."""
        stays, kinds = state.stays, state.kinds
        hit = np.zeros(len(active), dtype=bool)
        hit[to[to >= 0]] = True
        covered = active[(shown == HIDDEN) & ~hit]
        stays.hidden[covered] = frame.stamp_ns
        missed = (shown >= FILLED) & ~hit
        if frame.again or not missed.any():
            return
        rows, main = active[missed], names[missed]
        open_ = (shown[missed] == OPEN) | self._replaced(state, frame, rows, to)
        since = (frame.stamp_ns - np.maximum(stays.last[rows], stays.looked[rows])) * 1e-9
        stays.vain[rows] += 1.0
        # What hides a thing in one frame hides it in the next: only after a while is a miss news.
        news = np.clip(since, _SAME, 1.0)
        miss = (1 - kinds.hit_rate(self._model)[main]) / (1 - self._model.false)
        passed = (1 + stays.through[rows]) / (6 + stays.hits[rows])
        filled = self._model.filled
        gain = np.where(open_, np.log(miss * passed / (1 - filled)), np.log(miss * (1 - passed) / filled))
        _weigh(stays, rows, news * np.minimum(gain, 0.0))
        stays.looks[rows] += 1
        stays.looked[rows] = np.maximum(stays.looked[rows], frame.stamp_ns)
        stays.hidden[rows] = 0
        first = stays.missed[rows] == 0
        stays.missed[rows[first]] = frame.stamp_ns

    @staticmethod
    def _replaced(state: FoldState, frame: Frame, rows: IntArray, to: IntArray) -> NDArray[np.bool_]:
        """(n,) whether the frame shows a thing like none of its names right where each of the stays should be."""
        centers, extents = places(state.stays, rows)
        loose = to < 0
        apart = np.abs(centers[:, None] - frame.centers[loose][None])
        ratio = (frame.sizes[loose][None] / extents[:, None]).prod(axis=2)
        alike = (ratio > 1 / _REPLACED) & (ratio < _REPLACED)
        return np.asarray(((apart <= 0.25 * extents[:, None]).all(axis=2) & alike).any(axis=1))

    def _news(self, stays: StayTable, frame: Frame, rows: IntArray, since: FloatArray) -> FloatArray:
        """(n,) how independent each detection is of the one before: the same error is made again from the same pose.

        A pose that was kept for long says more than a single frame, up to as much as a second pose.
        """
        table = stays
        moved = np.linalg.norm(frame.position - table.stood[rows], axis=1) / _STEP
        turned = np.abs(table.faced[rows] @ frame.facing).clip(max=1)
        moved += 2 * np.arccos(turned) / _TURN
        credit = table.credit[rows]
        credit = np.minimum(credit + moved, 1.0)
        waited = np.minimum(_PATIENCE * np.maximum(since, 0), credit)
        table.credit[rows] = credit - waited
        table.stood[rows], table.faced[rows] = frame.position, frame.facing
        if not frame.ran:
            return np.full(len(rows), _TOLD)
        return waited if frame.again else np.clip(np.maximum(moved, waited), _SAME, 1.0)

    # --- where, how large, and what ------------------------------------------------------------------------------

    def _filter(
        self, stays: StayTable, rows: IntArray, frame: Frame, found: IntArray, noise: FloatArray, score: FloatArray,
        distance: FloatArray,
    ) -> None:  # fmt: skip
        """Kalman update of the centres, asymmetric least squares (Newey and Powell 1987) of the corners."""
        table, center, size = stays, frame.centers[found], frame.sizes[found]
        trust = np.maximum(score, 0.05)
        drift = np.where(table.moving[rows], _CARRY, _DRIFT)
        prior = table.cov[rows] + (drift**2)[:, None, None] * np.eye(3)
        noise = noise[found] / trust[:, None, None]
        gain = prior @ np.linalg.inv(prior + noise)
        mean = table.mean[rows]
        table.mean[rows] = mean + np.einsum("nij,nj->ni", gain, center - mean)
        table.cov[rows] = (np.eye(3) - gain) @ prior
        own = trust / np.maximum(distance, _NEAREST) ** 2
        table.weight[rows] = np.where(table.moving[rows], 0.0, table.weight[rows]) + own
        pace = np.maximum(own / table.weight[rows], _SLOWEST)[:, None]
        for corner, sight, outward in ((table.low, center - size / 2, -1), (table.high, center + size / 2, 1)):
            step = sight - corner[rows]
            corner[rows] += np.minimum(2 * pace * np.where(step * outward > 0, _LOOSE, _TIGHT), 1.0) * step
            carried = table.moving[rows]
            corner[rows[carried]] = sight[carried]

    def _vote(self, state: FoldState, rows: IntArray, own: IntArray, news: FloatArray) -> None:
        """Bayes' rule for the label, when a detector names the right one at its usual rate and any other alike."""
        stays = state.stays
        names = stays.names[rows]
        place = np.where(names == own[:, None], 0, np.where(names == NONE, 1, 2)).argmin(axis=1)
        known = (names == own[:, None]).any(axis=1)
        free = (names == NONE).any(axis=1)
        weakest = np.where(names == own[:, None], np.inf, stays.votes[rows]).argmin(axis=1)
        place = np.where(known | free, place, weakest)
        fresh = ~known
        stays.votes[rows[fresh], place[fresh]] = 0.0
        stays.names[rows, place] = own
        stays.votes[rows, place] += self._words.vote * news
        stays.settle(rows)

    @staticmethod
    def _cosine(stays: StayTable, active: IntArray, frame: Frame) -> Callable[[IntArray, IntArray], FloatArray] | None:
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

    @staticmethod
    def _add_vectors(stays: StayTable, frame: Frame, rows: IntArray, found: IntArray) -> None:
        if frame.vectors is None:
            return
        known: dict[int, FloatArray] = stays.vectors
        for row, d in zip(rows.tolist(), found.tolist(), strict=True):
            own, fresh = known.get(row), frame.vectors[d].astype(np.float64)
            known[row] = fresh if own is None or len(own) != len(fresh) else own + fresh

    # --- beginnings and ends -------------------------------------------------------------------------------------

    def _begin(
        self, state: FoldState, frame: Frame, left: IntArray, labels: IntArray, noise: FloatArray, canon: IntArray,
        active: IntArray, names: IntArray, shown: NDArray[np.int8], to: IntArray,
    ) -> IntArray:  # fmt: skip
        """Stays for the detections `left` that are of none; what was seen being carried goes on."""
        carried = self._carried(state, frame, left, labels, canon, active, names, shown, to)
        rows = np.empty(len(left), dtype=np.int64)
        fresh = np.ones(len(left), dtype=bool)
        for i, source in carried.items():
            if state.stays.moving[source]:  # it only goes on
                rows[i], fresh[i] = source, False
        made = state.stays.add(int(fresh.sum()))
        rows[fresh] = made
        stays = state.stays
        own, center, size = labels[left], frame.centers[left], frame.sizes[left]
        stays.mean[rows], stays.cov[rows] = center, noise[left]
        stays.low[rows], stays.high[rows] = center - size / 2, center + size / 2
        distance = np.linalg.norm(center - frame.position, axis=1)
        stays.weight[rows] = np.maximum(frame.scores[left], 0.05) / np.maximum(distance, _NEAREST) ** 2
        stays.names[made, 0], stays.votes[made, 0], stays.main[made] = own[fresh], self._words.vote, own[fresh]
        stays.origin[made, 0], stays.origin[made, 1] = frame.seq, left[fresh]
        stays.last[rows], stays.looked[rows] = frame.stamp_ns, frame.stamp_ns
        stays.missed[rows], stays.hidden[rows] = 0, 0
        stays.first[made] = frame.stamp_ns
        stays.stood[rows], stays.faced[rows], stays.credit[rows] = frame.position, frame.facing, 1.0
        stays.hits[rows], stays.looks[rows], stays.through[rows] = 1, 1, 0
        stays.score[rows] = stays.best[rows] = frame.scores[left]
        state.kinds.saw(own, distance)
        news = 1.0 if frame.ran else _TOLD
        odds = _PRIOR / (1 - _PRIOR) * (state.kinds.hit_rate(self._model)[own] / self._model.false) ** news
        here = odds / (1 + odds)
        stays.belief[made] = np.column_stack([1 - here, here, np.zeros(len(here))])[fresh]
        for i, source in carried.items():
            if fresh[i]:
                _carry_on(state, int(rows[i]), source, frame.stamp_ns)
        self._came_from_elsewhere(state, made, canon, frame.stamp_ns)
        self._link(state, frame, rows, left)
        self._add_vectors(stays, frame, rows, left)
        return rows

    def _carried(
        self, state: FoldState, frame: Frame, left: IntArray, labels: IntArray, canon: IntArray, active: IntArray,
        names: IntArray, shown: NDArray[np.int8], to: IntArray,
    ) -> dict[int, int]:  # fmt: skip
        """Detections that are of nothing at their place, and the thing that just left its own, if only one may have."""
        stays = state.stays
        gone = (shown == OPEN) | stays.moving[active]
        gone[to[to >= 0]] = False
        gone &= (frame.stamp_ns - stays.last[active] < _CARRIED_S * SECOND) & (stays.belief[active, HERE] > 0.2)
        gone &= stays.hits[active] + 10 * stays.moving[active] >= _AT_REST
        out: dict[int, int] = {}
        taken: set[int] = set()
        for i, d in enumerate(left.tolist()):
            if not gone.any():
                break
            since = (frame.stamp_ns - stays.last[active]) * 1e-9
            apart = np.linalg.norm(stays.mean[active] - frame.centers[d], axis=1)
            able = gone & (canon[names] == canon[labels[d]]) & (apart <= _ARM + _SPEED * since)
            able_rows = [int(row) for row in active[able] if int(row) not in taken]
            if len(able_rows) == 1:
                out[i] = able_rows[0]
                taken.add(able_rows[0])
        return out

    def _came_from_elsewhere(self, state: FoldState, made: IntArray, canon: IntArray, stamp_ns: int) -> None:
        """Where there is another of its kind, it matters whether the place was seen empty before."""
        stays = state.stays
        real = stays.belief[:, UNREAL] < 0.5
        kinds = np.unique(canon[stays.main[real]])
        for row, kind in zip(made.tolist(), canon[stays.main[made]].tolist(), strict=True):
            if kind in kinds:
                stays.empty[row] = self._seen_empty(stays.mean[row], stamp_ns)

    def _link(self, state: FoldState, frame: Frame, rows: IntArray, found: IntArray) -> None:
        n = len(rows)
        sights = np.column_stack([np.full(n, frame.seq), found, np.full(n, frame.stamp_ns)])
        state.stays.trail[rows] = self._trail.add(sights, state.stays.trail[rows])

    def _remember(self, state: FoldState, frame: Frame, ties: Ties, target: IntArray) -> None:
        """Where the detections went that somebody named, and what follows from it."""
        for i, row in enumerate(target.tolist()):
            anchor = (frame.seq, i)
            if row == NONE or anchor not in ties.named or anchor in state.anchors:
                continue
            row = state.root(row)
            state.anchors[anchor] = row
            for other in ties.other.get(anchor, ()):
                if other in state.anchors:
                    pair = tuple(sorted((row, state.root(state.anchors[other]))))
                    state.apart[pair[0], pair[1]] = 1 << 30
            earlier = state.anchors.get(ties.same.get(anchor, (0, 0)))
            if earlier is not None and (earlier := state.root(earlier)) != row:
                self._unite(state, row, earlier, frame.stamp_ns)

    def _unite(self, state: FoldState, row: int, earlier: int, stamp_ns: int) -> None:
        """Two stays are of one thing: one stay when they touch, else it was moved."""
        stays = state.stays
        touch = (stays.low[row] - 0.3 <= stays.high[earlier]) & (stays.high[row] + 0.3 >= stays.low[earlier])
        if touch.all() and not stays.closed[earlier]:
            merge(state, self._trail, keep=earlier, lose=row)
            return
        _carry_on(state, row, earlier, stamp_ns)
        stays.moving[row] = False

    def _close(self, state: FoldState, active: IntArray, names: IntArray) -> None:
        """End the stays of what has left, and of what was never there."""
        stays = state.stays
        here, gone = stays.belief[active, HERE], stays.belief[active, GONE]
        real = here + gone
        over = ~stays.closed[active] & (here < _OVER * np.maximum(real, 1e-12)) & (real > 0.1)
        over |= ~stays.closed[active] & (real < 1e-4)
        stays.closed[active[over]] = True
        left = over & (real > 0.5)
        np.add.at(state.kinds.departures, names[left], 1.0)


def _in_reach(state: FoldState, frame: Frame) -> IntArray:
    """The stays that go on, as far as the frame can concern them."""
    stays = state.stays
    farthest = np.linalg.norm(frame.centers - frame.position, axis=1).max(initial=0.0)
    reach = max(frame.far, float(farthest)) + _BEYOND
    near = (np.abs(stays.mean - frame.position) < reach).all(axis=1)
    return np.flatnonzero(near & ~stays.closed)


def _weigh(stays: StayTable, rows: IntArray, gain: FloatArray) -> None:
    """Bayes' rule: gain (n,) is the log-likelihood ratio of being here against not being here."""
    belief = stays.belief[rows]
    belief[:, HERE] *= np.exp(gain)
    belief = np.maximum(belief, 1e-9)
    stays.belief[rows] = belief / belief.sum(axis=1, keepdims=True)


def _carry_on(state: FoldState, row: int, source: int, stamp_ns: int) -> None:
    """The thing of the stay `source` is now that of `row`: as real as it was, and gone from there."""
    stays = state.stays
    was = stays.belief[source]
    unreal = float(was[UNREAL])
    stays.belief[row] = (unreal, 1 - unreal, 0.0)
    stays.belief[source] = (unreal, 1e-9, 1 - unreal)
    stays.missed[source] = stays.missed[source] or stamp_ns
    stays.closed[source] = True
    stays.came[row], stays.moving[row] = source, True


def _forbidden(state: FoldState, seq: int, ties: Ties, active: IntArray) -> set[tuple[int, int]]:
    """Pairs (detection, place in `active`) that somebody said are not the same."""
    out: set[tuple[int, int]] = set()
    if not ties.other:
        return out
    place = {int(row): i for i, row in enumerate(active)}
    for (record, d), others in ties.other.items():
        if record == seq:
            rows = [state.root(state.anchors[other]) for other in others if other in state.anchors]
            out |= {(d, place[row]) for row in rows if row in place}
    return out
