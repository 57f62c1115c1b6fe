"""What is believed of the stays of one kind, as things to answer with."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.objects.evidence import SAME_PLACE, VOLUMES, WITHIN
from embodied_mem.objects.fold import ObjectFold
from embodied_mem.objects.fold_state import PARTED, places
from embodied_mem.objects.identity import Kin, Links, link
from embodied_mem.objects.merging import OFTEN, TWICE
from embodied_mem.objects.stays import GONE, HERE, NONE, UNREAL
from embodied_mem.objects.things import Thing
from embodied_mem.objects.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_TRACE = 0.01  # probability of ever having been real from which a stay is told of at all
_REAL = 0.5  # and from which it may be a part of a move
_DOUBT = 0.5  # scores below are believed in less
_THIN, _WIDEST = 0.02, 4.0  # metres: nothing is thinner, and few things are wider
_RIVAL = 0.4  # share of the detections at a place from which a label stands
_EVIDENCE = 64  # newest detections that are named
_SHUT = 0.1  # metres beyond the sides of what holds a thing


class Answers:
    """Things of one fold. Made anew when frames were folded; what a kind needs is worked out when it is asked for."""

    def __init__(self, fold: ObjectFold, words: Vocabulary) -> None:
        self._fold, self._words = fold, words
        self.state = state = fold.state
        self.folded = state.folded
        self._labels = state.stays.main
        self._links: dict[tuple[int, ...], tuple[IntArray, Links]] = {}
        self._holding: IntArray | None = None

    def labels(self, around: FloatArray | None = None, radius: float = np.inf) -> list[str]:
        """Every label that something has, or has within `radius` metres of a point, in the plane."""
        rows = self._of(np.ones(len(self._words.names), dtype=bool))
        if around is not None:
            rows = rows[np.linalg.norm(places(self.state.stays, rows)[0][:, :2] - around[:2], axis=1) <= radius]
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
        boxes = places(stays, rows)
        made: dict[int, Thing] = {}
        for i in order[:limit].tolist():
            self._make(i, rows, was, still, links, boxes, made)
        return [made[i] for i in order[:limit].tolist()]

    # --- inside ------------------------------------------------------------------------------------------------

    def _of(self, wanted: NDArray[np.bool_]) -> IntArray:
        """The stays of these labels that are told of at all."""
        stays = self.state.stays
        return _told(wanted, self._labels, stays.into, stays.belief[:, UNREAL])

    def _kin(self, codes: tuple[int, ...]) -> tuple[IntArray, Links]:
        if codes in self._links:
            return self._links[codes]
        stays = self.state.stays
        wanted = np.zeros(len(self._words.names), dtype=bool)
        wanted[list(codes)] = True
        rows = self._of(wanted)
        belief = stays.belief[rows]
        real = np.flatnonzero(belief[:, HERE] + belief[:, GONE] > _REAL)
        own = rows[real]
        came = np.full(len(own), NONE)
        for i in np.flatnonzero(stays.came[own] != NONE).tolist():
            source = np.flatnonzero(own == self.state.root(int(stays.came[own[i]])))
            came[i] = int(source[0]) if len(source) else NONE
        rates = self.state.kinds.leaving()[self._labels[own]]
        found = link(
            Kin(
                stays.first[own], stays.last[own], np.maximum(stays.looked[own], stays.last[own]), stays.empty[own],
                belief[real, GONE] / belief[real, HERE:].sum(axis=1), came,
                float(rates.mean()) if len(rates) else 0.0,
                [stays.vectors.get(row) for row in own.tolist()] if stays.vectors else [],
                self._parted(own),
            )
        )  # fmt: skip
        before, sure, elsewhere = np.full(len(rows), NONE), np.zeros(len(rows)), np.zeros(len(rows))
        linked = found.before >= 0
        before[real[linked]] = real[found.before[linked]]
        sure[real], elsewhere[real] = found.sure, found.elsewhere
        self._links[codes] = rows, Links(before, sure, elsewhere)
        return self._links[codes]

    def _parted(self, rows: IntArray) -> list[tuple[int, int]]:
        """Places in `rows` of pairs that somebody said are two things."""
        told = [pair for pair, count in self.state.apart.items() if count >= PARTED]
        place = {row: i for i, row in enumerate(rows.tolist())} if told else {}
        return [(place[one], place[two]) for one, two in told if one in place and two in place]

    def _make(
        self, i: int, rows: IntArray, was: FloatArray, still: FloatArray, links: Links,
        boxes: tuple[FloatArray, FloatArray], made: dict[int, Thing],
    ) -> Thing:  # fmt: skip
        """The thing at rows[i], and those that it was before."""
        chain = [i]
        while chain[-1] not in made and links.before[chain[-1]] != NONE:
            chain.append(int(links.before[chain[-1]]))
        for j in reversed(chain):
            if j not in made:
                earlier = None if links.before[j] == NONE else made[int(links.before[j])]
                box = boxes[0][j], boxes[1][j]
                made[j] = self._thing(int(rows[j]), box, float(was[j]), float(still[j]), earlier, float(links.sure[j]))
        return made[i]

    def _thing(
        self, row: int, box: tuple[FloatArray, FloatArray], was: float, still: float, before: Thing | None, moved: float
    ) -> Thing:
        stays = self.state.stays
        sights = self._fold.trail.of(int(stays.trail[row]), _EVIDENCE)
        center, extent = box
        hits = int(stays.hits[row])
        return Thing(
            label=self._words.names[self._labels[row]],
            position=center.copy(),
            extent=extent.copy(),
            first_seen=int(stays.first[row]),
            last_seen=int(stays.last[row]),
            missed_ns=int(stays.missed[row]) or None,
            was_there=was,
            still_there=still,
            hits=hits,
            looks=max(int(stays.looks[row]), hits),
            score=float(stays.score[row]) / max(hits, 1),
            evidence=tuple(dict.fromkeys(sights[:, 0].tolist())),
            id=f"{stays.origin[row, 0]}.{stays.origin[row, 1]}" if before is None else before.id,
            covariance=stays.cov[row].copy(),
            before=before,
            moved=moved,
            hidden_ns=int(stays.hidden[row]),
            inside=self._holder(row, center, extent),
        )

    def _holder(self, row: int, center: FloatArray, extent: FloatArray) -> str:
        """The label of what a hidden thing is shut in."""
        stays = self.state.stays
        if not stays.hidden[row]:
            return ""
        if self._holding is None:
            self._holding = self._of(np.array(self._words.holding, dtype=bool))
        others = self._holding[self._holding != row]
        centers, extents = places(stays, others)
        around = (np.abs(centers - center) <= extents / 2 + _SHUT).all(axis=1) & (stays.belief[others, HERE] > _REAL)
        around &= extents.prod(axis=1) > extent.prod()
        held = others[around]
        return self._words.names[self._labels[held[0]]] if len(held) else ""

    def _shares(self, rows: IntArray) -> FloatArray:
        """(n,) below 1 where another label was detected far more often instead of it, at its place and in its time."""
        stays = self.state.stays
        rival = _rivals(
            rows, stays.into, stays.belief[:, UNREAL], stays.mean, stays.low, stays.high, stays.main,
            stays.first, stays.last, stays.hits,
        )  # fmt: skip
        share = stays.hits[rows] / (stays.hits[rows] + rival)
        share = np.where(stays.beside[rows] >= np.maximum(TWICE, OFTEN * stays.hits[rows]), 1.0, share)
        return np.where(share > _RIVAL, 1.0, share)


@njit(cache=True, nogil=True)
def _told(wanted: NDArray[np.bool_], labels: IntArray, into: IntArray, unreal: FloatArray) -> IntArray:
    out = np.empty(len(labels), np.int64)
    count = 0
    for row in range(len(labels)):
        if wanted[labels[row]] and into[row] == NONE and unreal[row] < 1 - _TRACE:
            out[count] = row
            count += 1
    return out[:count].copy()


@njit(cache=True, nogil=True)
def _rivals(
    rows: IntArray, into: IntArray, unreal: FloatArray, means: FloatArray, low: FloatArray, high: FloatArray,
    labels: IntArray, first: IntArray, last: IntArray, hits: NDArray[np.int32],
) -> IntArray:  # fmt: skip
    """(n,) detections of the most often detected thing of another label at the place, and in the time, of each row."""
    out = np.zeros(len(rows), np.int64)
    for i, row in enumerate(rows):
        widest = max(high[row, 0] - low[row, 0], high[row, 1] - low[row, 1], _WIDEST)
        reach = max(WITHIN * widest, SAME_PLACE)
        for other in range(len(means)):
            if abs(means[other, 0] - means[row, 0]) > reach or abs(means[other, 1] - means[row, 1]) > reach:
                continue
            if labels[other] == labels[row] or hits[other] <= max(hits[row], out[i]) or into[other] != NONE:
                continue
            if first[other] > last[row] or last[other] < first[row] or unreal[other] >= 1 - _TRACE:
                continue
            near, ratio = True, 1.0
            for axis in range(3):
                own = max(high[row, axis] - low[row, axis], _THIN)
                wide = max(high[other, axis] - low[other, axis], _THIN)
                near &= abs(means[other, axis] - means[row, axis]) <= max(WITHIN * max(own, wide), SAME_PLACE)
                ratio *= wide / own
            if near and 1 / VOLUMES < ratio < VOLUMES:
                out[i] = hits[other]
    return out
