"""What is believed of the stays of one kind, as things to answer with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.evidence import SAME_PLACE, VOLUMES, WITHIN
from embodied_mem.objects.fold import ObjectFold
from embodied_mem.objects.fold_state import places
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
_FAR = 1.0  # metres within which a rival has its middle
_RIVAL = 0.4  # share of the detections at a place from which a label stands
_EVIDENCE = 64  # newest detections that are named
_SHUT = 0.1  # metres beyond the sides of what holds a thing


class Answers:
    """Things of one fold. Made anew when frames were folded; what a kind needs is worked out when it is asked for."""

    def __init__(self, fold: ObjectFold, words: Vocabulary) -> None:
        self._fold, self._words = fold, words
        self.state = state = fold.state
        self.folded = state.folded
        stays = state.stays
        self._labels = stays.main
        self._rows = np.flatnonzero((stays.into == NONE) & (stays.belief[:, UNREAL] < 1 - _TRACE))
        self._links: dict[tuple[int, ...], tuple[IntArray, Links]] = {}
        self._holders = self._rows[np.array(words.holding, dtype=bool)[self._labels[self._rows]]]

    def labels(self, around: FloatArray | None = None, radius: float = np.inf) -> list[str]:
        """Every label that something has, or has within `radius` metres of a point, in the plane."""
        rows = self._rows
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

    def _kin(self, codes: tuple[int, ...]) -> tuple[IntArray, Links]:
        if codes in self._links:
            return self._links[codes]
        stays = self.state.stays
        wanted = np.zeros(len(self._words.names), dtype=bool)
        wanted[list(codes)] = True
        rows = self._rows[wanted[self._labels[self._rows]]]
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
            )
        )  # fmt: skip
        before, sure, elsewhere = np.full(len(rows), NONE), np.zeros(len(rows)), np.zeros(len(rows))
        linked = found.before >= 0
        before[real[linked]] = real[found.before[linked]]
        sure[real], elsewhere[real] = found.sure, found.elsewhere
        self._links[codes] = rows, Links(before, sure, elsewhere)
        return self._links[codes]

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
        if not stays.hidden[row] or not len(self._holders):
            return ""
        others = self._holders[self._holders != row]
        centers, extents = places(stays, others)
        around = (np.abs(centers - center) <= extents / 2 + _SHUT).all(axis=1) & (stays.belief[others, HERE] > _REAL)
        around &= extents.prod(axis=1) > extent.prod()
        held = others[around]
        return self._words.names[self._labels[held[0]]] if len(held) else ""

    def _shares(self, rows: IntArray) -> FloatArray:
        """(n,) below 1 where another label was detected far more often instead of it, at its place and in its time."""
        stays = self.state.stays
        x, y = stays.mean[self._rows, 0], stays.mean[self._rows, 1]
        rival = np.zeros(len(rows), dtype=np.int64)
        for i, row in enumerate(rows.tolist()):
            near = self._rows[(np.abs(x - stays.mean[row, 0]) < _FAR) & (np.abs(y - stays.mean[row, 1]) < _FAR)]
            near = near[(self._labels[near] != self._labels[row]) & (stays.first[near] <= stays.last[row])]
            near = near[(stays.last[near] >= stays.first[row]) & (stays.hits[near] > stays.hits[row])]
            if not len(near):
                continue
            own, size = stays.high[row] - stays.low[row], stays.high[near] - stays.low[near]
            within = np.maximum(WITHIN * np.maximum(own, size), SAME_PLACE)
            close = (np.abs(stays.mean[near] - stays.mean[row]) <= within).all(axis=1)
            ratio = (size / np.maximum(own, 0.02)).prod(axis=1)
            close &= (ratio > 1 / VOLUMES) & (ratio < VOLUMES)
            rival[i] = stays.hits[near[close]].max(initial=0)
        share = stays.hits[rows] / (stays.hits[rows] + rival)
        share = np.where(stays.beside[rows] >= np.maximum(TWICE, OFTEN * stays.hits[rows]), 1.0, share)
        return np.where(share > _RIVAL, 1.0, share)
