"""Detections gathered into things: one for each place at which a kind of thing was, with when it was there.

A function of the record index, so it is right after any correction, forgetting or re-anchoring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.objects.belief import Presence, SensorModel, estimate_hit_rate, presence
from embodied_mem.objects.clusters import cluster, extent_of, weighted_quantile
from embodied_mem.objects.visibility import HIDDEN, OPEN, look
from embodied_mem.records.tables import DetectionTable, ViewTable

FloatArray = NDArray[np.float64]
_FRESH_NS = 1_000_000_000
_STEP, _TURN = 0.15, 0.2  # metres, radians to a view that is independent of the last one
_SAME = 0.1  # what a view from the same pose says, against an independent one
_PATIENCE = 0.2  # what a second at one pose adds
_USUAL_REACH, _GUESSED = 3.0, 5  # metres; how many detections that guess is worth
_TOLD = 2.0  # what an observation says in which no detector ran
_SAME_PLACE = 0.2  # metres between the centres of one thing under two names
_SAME_SIZE = 6.0  # ratio of their volumes
_WITHIN = 0.4  # share of a thing's size within which another name's detections are of the same thing
_LARGE = 0.6  # metres from which a view mostly shows a part of a thing


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A kind of thing at one place.

    position (3,), extent (3,) metres; first_seen, last_seen ns: the ends of its stretch there
    missed_ns    when its absence was first noticed after that, or None
    was_there    probability that it ever was; still_there: that it has not left since
    hits         detections in the stretch; looks: views that should have shown it then
    evidence     record numbers, newest first
    id           the detection with which the thing, wherever it was then, was first seen: "record.place"; "" where
                 stays are not linked
    covariance   (3, 3) of the position, m^2, or None
    before       the stay before this one, with `moved`, the probability that it is the same thing
    hidden_ns    when it was last hidden by something, 0 if it was seen or looked for in vain since
    inside       label of what it is shut in, as far as is known
    """

    label: str
    position: FloatArray
    extent: FloatArray
    first_seen: int
    last_seen: int
    missed_ns: int | None
    was_there: float
    still_there: float
    hits: int
    looks: int
    score: float
    evidence: tuple[int, ...]
    id: str = ""
    covariance: FloatArray | None = None
    before: Thing | None = None
    moved: float = 0.0
    hidden_ns: int = 0
    inside: str = ""

    @property
    def present(self) -> float:
        """Probability that it is there now."""
        return self.was_there * self.still_there


def gather(
    found: DetectionTable,
    views: ViewTable,
    others: DetectionTable | None = None,
    *,
    model: SensorModel | None = None,
) -> list[Thing]:
    """Things of one kind, from its detections (of one label or of synonyms) and the views that could have shown it.

    Only views whose detector knows the kind may be in `views`. `others`: detections of other kinds; where they far
    outnumber this kind's at one place, this kind is taken for their confusion. The hit rate is estimated from the data.
    """
    if not len(found):
        return []
    groups = cluster(found.center, found.size)
    count = int(groups.max()) + 1
    weights = _weights(found)
    boxes = [_Box.of(found, groups == g, weights) for g in range(count)]
    positions, extents = (np.array([getattr(box, name) for box in boxes]) for name in ("position", "extent"))
    front = np.clip(0.1 + extents[:, :2].min(axis=1) / 2, 0.1, 0.35)
    back = 0.03 + extents[:, :2].max(axis=1) / 5
    looks = look(views, positions, extents, front, back, _reach(found))
    base = model or SensorModel()
    stories = [_Story.of(found, views, np.flatnonzero(groups == g), looks[:, g]) for g in range(count)]
    strong = [story for story in stories if story.presence(base).was_there > 0.9]
    seen, chances = (sum(story.chances(base)[i] for story in strong) for i in (0, 1))
    fitted = estimate_hit_rate(seen, chances, base)
    things = [_thing(found, story, fitted, weights) for story in stories]
    if others is not None and len(others):
        rivals = _Rivals(others)
        things = [rivals.against(thing) for thing in things]
    return sorted(things, key=lambda thing: (-round(thing.present, 1), -thing.last_seen))


@dataclass(frozen=True, slots=True, eq=False)
class _Box:
    """Where a group of detections is, and how large what they show together."""

    position: FloatArray
    extent: FloatArray

    @classmethod
    def of(cls, found: DetectionTable, rows: NDArray[np.bool_], weights: FloatArray) -> _Box:
        """A small thing is where most views put its middle; of a large one, the middle is that of all its parts."""
        centers, sizes, own = found.center[rows], found.size[rows], weights[rows]
        low, high = extent_of(centers, sizes, own)
        whole = np.maximum(high - low, 0.01)
        if max(whole[:2]) >= _LARGE:
            return cls((low + high) / 2, whole)
        return cls(weighted_quantile(centers, own, 0.5), whole)


@dataclass(frozen=True, slots=True, eq=False)
class _Story:
    """What was seen and not seen at one place, in order of time."""

    rows: NDArray[np.intp]  # of the detections
    stamps: NDArray[np.int64]  # of the observations
    hits: NDArray[np.bool_]
    open_: NDArray[np.bool_]  # depth reached through the place
    weights: NDArray[np.float64]  # how much news each is

    @classmethod
    def of(cls, found: DetectionTable, views: ViewTable, rows: NDArray[np.intp], looks: NDArray[np.int8]) -> _Story:
        """`looks` (views,): what each view shows of the place."""
        seen, first = np.unique(found.seq[rows], return_index=True)
        hit = np.isin(views.seq, seen)
        missed = np.flatnonzero((looks != HIDDEN) & ~hit)
        stamps = np.concatenate([found.last_seen_ns[rows[first]], views.last_seen_ns[missed]])
        hits = np.concatenate([np.ones(len(seen), bool), np.zeros(len(missed), bool)])
        open_ = np.concatenate([np.isin(seen, views.seq[hit & (looks == OPEN)]), looks[missed] == OPEN])
        order = np.argsort(stamps, kind="stable")
        stamps, hits = stamps[order], hits[order]
        # What hides a thing in one frame hides it in the next: only after a while is a miss news.
        weights = np.clip(np.diff(stamps, prepend=stamps[0] - _FRESH_NS) / _FRESH_NS, 0.1, 1.0)
        weights[hits] = _news(found, views, rows[first])[np.argsort(found.last_seen_ns[rows[first]], kind="stable")]
        return cls(rows, stamps, hits, open_[order], weights)

    def presence(self, model: SensorModel) -> Presence:
        """When it was there. How often depth passes this thing is learnt from the views that detected it."""
        passed = (1 + int((self.hits & self.open_).sum())) / (6 + int(self.hits.sum()))
        return presence(self.weights * replace(model, passed=passed).gains(self.hits, self.open_), model)

    def chances(self, model: SensorModel) -> tuple[int, int]:
        """Hits and looks within the stretch in which it was there."""
        there = self.presence(model)
        inside = self.hits[there.first : there.last + 1]
        return int(inside.sum()), len(inside)


def _thing(found: DetectionTable, story: _Story, model: SensorModel, weights: FloatArray) -> Thing:
    there = story.presence(model)
    first, last = int(story.stamps[there.first]), int(story.stamps[there.last])
    stamps = found.last_seen_ns[story.rows]
    rows = story.rows[(stamps >= first) & (stamps <= last)]
    after = story.stamps[there.last + 1 :][~story.hits[there.last + 1 :]]
    kept = np.zeros(len(found), dtype=bool)
    kept[rows] = True
    box = _Box.of(found, kept, weights)
    names, counts = np.unique(found.label[rows], return_counts=True)
    newest = rows[np.argsort(-found.last_seen_ns[rows], kind="stable")]
    return Thing(
        label=found.names[int(names[np.argmax(counts)])],
        position=box.position,
        extent=box.extent,
        first_seen=first,
        last_seen=last,
        missed_ns=int(after[0]) if len(after) else None,
        was_there=there.was_there * float(np.clip(found.score[rows].max() / 0.5, 0, 1)),
        still_there=there.still_there,
        hits=len(np.unique(found.seq[rows])),
        looks=there.last - there.first + 1,
        score=float(found.score[rows].mean()),
        evidence=tuple(dict.fromkeys(found.seq[newest].tolist())),
    )


class _Rivals:
    """Detections of other kinds, of which a thing may be a confusion."""

    def __init__(self, others: DetectionTable) -> None:
        self._others = others
        self._tree = cKDTree(others.center)
        self._farthest = float(max(_WITHIN * others.size.max(initial=0.0), _SAME_PLACE))

    def against(self, thing: Thing) -> Thing:
        """The thing, believed in less the more often something else was detected at its place in its time."""
        reach = max(self._farthest, _WITHIN * float(thing.extent.max()))
        close = np.array(self._tree.query_ball_point(thing.position, reach * np.sqrt(3)), dtype=np.intp)
        center, size, stamp = (getattr(self._others, name)[close] for name in ("center", "size", "stamp_ns"))
        within = np.maximum(np.maximum(thing.extent, size) * _WITHIN, _SAME_PLACE)
        near = (np.abs(center - thing.position) <= within).all(axis=1)
        near &= (stamp >= thing.first_seen) & (stamp <= thing.last_seen)
        alike = (size / np.maximum(thing.extent, 0.02)).prod(axis=1)
        near &= (alike > 1 / _SAME_SIZE) & (alike < _SAME_SIZE)
        if not near.any():
            return thing
        rival = int(np.bincount(self._others.label[close[near]]).max())
        share = thing.hits / (thing.hits + rival)
        return thing if share > 0.4 else replace(thing, was_there=thing.was_there * share)


def _news(found: DetectionTable, views: ViewTable, rows: NDArray[np.intp]) -> FloatArray:
    """(n,) how independent each detection is of the one before: the same error is made again from the same pose.

    A pose that was kept for long says more than a single frame, up to as much as a second pose. What no detector saw
    was told by somebody, who had a reason.
    """
    order = np.argsort(found.last_seen_ns[rows], kind="stable")
    rows = rows[order]
    seqs, by_seq = found.seq[rows], np.argsort(views.seq)  # a corrected record stands behind newer ones
    told = ~np.isin(seqs, views.seq)
    place = np.zeros(len(rows), dtype=np.intp)
    place[~told] = by_seq[np.searchsorted(views.seq, seqs[~told], sorter=by_seq)]
    moved = np.linalg.norm(np.diff(found.sensor[rows], axis=0), axis=1) / _STEP
    if not told.all():
        facing = views.orientation[place]
        moved += 2 * np.arccos(np.abs((facing[1:] * facing[:-1]).sum(axis=1)).clip(max=1)) / _TURN
    news = np.concatenate([[1.0], np.clip(moved, _SAME, 1.0)])
    news += np.minimum(_PATIENCE * (found.last_seen_ns[rows] - found.stamp_ns[rows]) * 1e-9, 1.0)
    news[told] = _TOLD
    out = np.empty(len(rows))
    out[order] = news
    return out


def _weights(found: DetectionTable) -> FloatArray:
    """(n,) how much each detection says of where a thing is: near and sure ones say more."""
    distance = np.linalg.norm(found.center - found.sensor, axis=1)
    return found.score / np.maximum(distance, 0.5) ** 2


def _reach(found: DetectionTable) -> float:
    """Metres within which this kind is recognised: where most of its detections were made, a guess while few are."""
    n, typical = len(found), float(np.percentile(np.linalg.norm(found.center - found.sensor, axis=1), 85))
    return max((n * typical + _GUESSED * _USUAL_REACH) / (n + _GUESSED), 1.5)
