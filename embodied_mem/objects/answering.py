"""What is believed of the stays of one kind, as things to answer with."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.objects.fold import ObjectFold
from embodied_mem.objects.fold_state import places
from embodied_mem.objects.identity import Kin, Links, link
from embodied_mem.objects.labels import can_hold
from embodied_mem.objects.stays import GONE, HERE, NONE
from embodied_mem.objects.things import Thing
from embodied_mem.objects.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_TRACE = 0.01  # probability of ever having been real from which a stay is told of at all
_REAL = 0.5  # and from which it may be a part of a move
_DOUBT = 0.5  # scores below are believed in less
_SAME_PLACE, _WITHIN, _VOLUMES = 0.12, 0.25, 4.0  # where and how large one thing under two names is
_RIVAL = 0.4  # share of the detections at a place from which a label stands
_SHUT = 0.1  # metres beyond the sides of what holds a thing


class Answers:
    """Things of one fold. Made anew when frames were folded; what a kind needs is worked out when it is asked for."""

    def __init__(self, fold: ObjectFold, words: Vocabulary) -> None:
        self._fold, self._words = fold, words
        self.state = state = fold.state
        self.folded = state.folded
        stays = state.stays
        every = np.arange(len(stays))
        self._labels = stays.label(every).astype(np.int64)
        real = stays.belief[:, HERE] + stays.belief[:, GONE]
        self._rows = np.flatnonzero((stays.into == NONE) & (real > _TRACE))
        self._centers, self._extents = places(stays, every)
        self._links: dict[tuple[int, ...], tuple[IntArray, Links]] = {}
        codes = [code for code, name in enumerate(words.names) if can_hold(name)]
        self._holders = self._rows[np.isin(self._labels[self._rows], codes)]

    def labels(self, around: FloatArray | None = None, radius: float = np.inf) -> list[str]:
        """Every label that something has, or has within `radius` metres of a point, in the plane."""
        rows = self._rows
        if around is not None:
            rows = rows[np.linalg.norm(self._centers[rows, :2] - around[:2], axis=1) <= radius]
        return [self._words.names[code] for code in np.unique(self._labels[rows]).tolist()]

    def of_kind(self, labels: tuple[str, ...], now_ns: int, limit: int | None = None) -> list[Thing]:
        """Things of these labels, surest first; `limit`: only the first few, which is quicker."""
        codes = tuple(code for label in labels if (code := self._words.find(label)) is not None)
        rows, links = self._kin(codes)
        if not len(rows):
            return []
        stays = self.state.stays
        here, gone = stays.belief[rows, HERE], stays.belief[rows, GONE]
        was = (here + gone) * np.clip(stays.best[rows] / _DOUBT, 0, 1)
        still = here / np.maximum(here + gone, 1e-12)
        seen = np.maximum(stays.last[rows], stays.looked[rows])
        leaving = self.state.kinds.leaving()[self._labels[rows]]
        still = still * np.exp(-leaving * np.maximum(now_ns - seen, 0) * 1e-9) * (1 - links.elsewhere)
        order = np.lexsort((-stays.last[rows], -np.round(was * still, 1)))
        chosen = order if limit is None else order[: 2 * limit]
        share = self._shares(rows[chosen])
        was[chosen] *= share
        if limit is not None or (share < 1).any():
            order = chosen[np.lexsort((-stays.last[rows[chosen]], -np.round((was * still)[chosen], 1)))]
        made: dict[int, Thing] = {}
        for i in order[:limit].tolist():
            self._make(i, rows, was, still, links, made)
        return [made[i] for i in order[:limit].tolist()]

    # --- inside ------------------------------------------------------------------------------------------------

    def _kin(self, codes: tuple[int, ...]) -> tuple[IntArray, Links]:
        if codes in self._links:
            return self._links[codes]
        stays = self.state.stays
        rows = self._rows[np.isin(self._labels[self._rows], codes)]
        belief = stays.belief[rows]
        real = np.flatnonzero(belief[:, HERE] + belief[:, GONE] > _REAL)
        own = rows[real]
        place = {int(row): i for i, row in enumerate(own)}
        came = [place.get(self.state.root(int(row)) if row != NONE else NONE, NONE) for row in stays.came[own]]
        rates = self.state.kinds.leaving()[self._labels[own]]
        found = link(
            Kin(
                stays.first[own], stays.last[own], np.maximum(stays.looked[own], stays.last[own]), stays.empty[own],
                belief[real, GONE] / belief[real, HERE:].sum(axis=1), np.array(came, dtype=np.int64),
                float(rates.mean()) if len(rates) else 0.0, [stays.vectors.get(int(row)) for row in own],
            )
        )  # fmt: skip
        before, sure, elsewhere = np.full(len(rows), NONE), np.zeros(len(rows)), np.zeros(len(rows))
        linked = found.before >= 0
        before[real[linked]] = real[found.before[linked]]
        sure[real], elsewhere[real] = found.sure, found.elsewhere
        self._links[codes] = rows, Links(before, sure, elsewhere)
        return self._links[codes]

    def _make(
        self, i: int, rows: IntArray, was: FloatArray, still: FloatArray, links: Links, made: dict[int, Thing]
    ) -> Thing:
        """The thing at rows[i], and those that it was before."""
        chain = [i]
        while chain[-1] not in made and links.before[chain[-1]] != NONE:
            chain.append(int(links.before[chain[-1]]))
        for j in reversed(chain):
            if j not in made:
                earlier = None if links.before[j] == NONE else made[int(links.before[j])]
                made[j] = self._thing(int(rows[j]), float(was[j]), float(still[j]), earlier, float(links.sure[j]))
        return made[i]

    def _thing(self, row: int, was: float, still: float, before: Thing | None, moved: float) -> Thing:
        stays = self.state.stays
        sights = self._fold.trail.of(int(stays.trail[row]))
        begun = f"{sights[-1, 0]}.{sights[-1, 1]}"
        hits = int(stays.hits[row])
        return Thing(
            label=self._words.names[self._labels[row]],
            position=self._centers[row].copy(),
            extent=self._extents[row].copy(),
            first_seen=int(stays.first[row]),
            last_seen=int(stays.last[row]),
            missed_ns=int(stays.missed[row]) or None,
            was_there=was,
            still_there=still,
            hits=len(set(sights[:, 0].tolist())),
            looks=max(int(stays.looks[row]), hits),
            score=float(stays.score[row]) / max(hits, 1),
            evidence=tuple(dict.fromkeys(sights[:, 0].tolist())),
            id=begun if before is None else before.id,
            covariance=stays.cov[row].copy(),
            before=before,
            moved=moved,
            hidden_ns=int(stays.hidden[row]),
            inside=self._holder(row),
        )

    def _holder(self, row: int) -> str:
        """The label of what a hidden thing is shut in."""
        stays = self.state.stays
        if not stays.hidden[row] or not len(self._holders):
            return ""
        others = self._holders[self._holders != row]
        apart = np.abs(self._centers[others] - self._centers[row])
        around = (apart <= self._extents[others] / 2 + _SHUT).all(axis=1) & (stays.belief[others, HERE] > _REAL)
        around &= self._extents[others].prod(axis=1) > self._extents[row].prod()
        held = others[around]
        return self._words.names[self._labels[held[0]]] if len(held) else ""

    def _shares(self, rows: IntArray) -> FloatArray:
        """(n,) below 1 where another label was detected far more often at a thing's place, in its time."""
        stays = self.state.stays
        every = self._rows
        rival = _rivals(
            rows, every, self._centers, self._extents, self._labels, stays.hits, stays.first, stays.last
        )  # fmt: skip
        share = stays.hits[rows] / (stays.hits[rows] + rival)
        return np.where(share > _RIVAL, 1.0, share)


@njit(cache=True, nogil=True)
def _rivals(
    rows: IntArray, every: IntArray, centers: FloatArray, extents: FloatArray, labels: IntArray,
    hits: NDArray[np.int32], first: IntArray, last: IntArray,
) -> IntArray:  # fmt: skip
    out = np.zeros(len(rows), dtype=np.int64)
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(every)):
            other = every[j]
            if labels[other] == labels[row] or hits[other] <= out[i]:
                continue
            if first[other] > last[row] or last[other] < first[row]:
                continue
            near, ratio = True, 1.0
            for axis in range(3):
                apart = abs(centers[row, axis] - centers[other, axis])
                if apart > max(_SAME_PLACE, _WITHIN * max(extents[row, axis], extents[other, axis])):
                    near = False
                ratio *= extents[other, axis] / max(extents[row, axis], 0.02)
            if near and 1 / _VOLUMES < ratio < _VOLUMES:
                out[i] = hits[other]
    return out
