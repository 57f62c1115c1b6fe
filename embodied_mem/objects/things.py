"""Detections gathered into things: one for each place at which a kind of thing was, with when it was there.

A function of the record index, so it is right after any correction, forgetting or re-anchoring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from embodied_mem.objects.belief import SensorModel, estimate_hit_rate, presence
from embodied_mem.objects.visibility import should_see
from embodied_mem.records.tables import DetectionTable, ViewTable

FloatArray = NDArray[np.float64]
_FRESH_NS = 1_000_000_000
_SAME_PLACE = 0.2  # metres between the centres of one thing under two names
_SAME_SIZE = 4.0  # ratio of their volumes
_LINK = (0.35, 0.9)  # metres: detections of one thing lie this close, depending on its size


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A kind of thing at one place.

    position (3,), extent (3,) metres; first_seen, last_seen ns: the ends of its stretch there
    missed_ns    when its absence was first noticed after that, or None
    was_there    probability that it ever was; still_there: that it has not left since
    hits         detections in the stretch; looks: views that should have shown it then
    evidence     record numbers, newest first
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
    groups = _clusters(found)
    count = int(groups.max()) + 1
    centers = np.array([_middle(found, groups == g) for g in range(count)])
    widths = np.array([np.median(found.size[groups == g, :2], axis=0) for g in range(count)])
    front = np.clip(0.1 + widths.min(axis=1) / 2, 0.1, 0.35)
    looks = should_see(views, centers, front, 0.05 + widths.max(axis=1) / 2, _reach(found))
    base = model or SensorModel()
    stories = [_Story.of(found, views, np.flatnonzero(groups == g), looks[:, g]) for g in range(count)]
    strong = [story for story in stories if presence(story.hits, base, story.weights).was_there > 0.9]
    chances = sum(story.chances(base)[1] for story in strong)
    hits = sum(story.chances(base)[0] for story in strong)
    fitted = estimate_hit_rate(hits, chances, base)
    things = [_thing(found, story, fitted) for story in stories]
    if others is not None and len(others):
        things = [_against(thing, others) for thing in things]
    return sorted(things, key=lambda thing: (-thing.present, -thing.last_seen))


@dataclass(frozen=True, slots=True, eq=False)
class _Story:
    """What was seen and not seen at one place, in order of time."""

    rows: NDArray[np.intp]  # of the detections
    stamps: NDArray[np.int64]  # of the observations
    hits: NDArray[np.bool_]
    weights: NDArray[np.float64]  # of the misses

    @classmethod
    def of(cls, found: DetectionTable, views: ViewTable, rows: NDArray[np.intp], looks: FloatArray) -> _Story:
        """`looks` (views,): how much it says that a view did not detect it."""
        seen = np.unique(found.seq[rows])
        missed = np.flatnonzero((looks > 0) & ~np.isin(views.seq, seen))
        first = {int(seq): int(stamp) for seq, stamp in zip(found.seq[rows], found.last_seen_ns[rows], strict=True)}
        stamps = np.concatenate([[first[int(seq)] for seq in seen], views.last_seen_ns[missed]]).astype(np.int64)
        hits = np.concatenate([np.ones(len(seen), bool), np.zeros(len(missed), bool)])
        telling = np.concatenate([np.ones(len(seen)), looks[missed]])
        order = np.argsort(stamps, kind="stable")
        stamps, hits = stamps[order], hits[order]
        # What hides a thing in one frame hides it in the next: only after a while is a miss news.
        pause = np.diff(stamps, prepend=stamps[0] - _FRESH_NS) / _FRESH_NS
        return cls(rows, stamps, hits, np.clip(pause, 0.1, 1.0) * telling[order])

    def chances(self, model: SensorModel) -> tuple[int, int]:
        """Hits and looks within the stretch in which it was there."""
        there = presence(self.hits, model, self.weights)
        inside = self.hits[there.first : there.last + 1]
        return int(inside.sum()), len(inside)


def _thing(found: DetectionTable, story: _Story, model: SensorModel) -> Thing:
    there = presence(story.hits, model, story.weights)
    first, last = int(story.stamps[there.first]), int(story.stamps[there.last])
    stamps = found.last_seen_ns[story.rows]
    rows = story.rows[(stamps >= first) & (stamps <= last)]
    after = story.stamps[there.last + 1 :][~story.hits[there.last + 1 :]]
    kept = np.zeros(len(found), dtype=bool)
    kept[rows] = True
    names, counts = np.unique(found.label[rows], return_counts=True)
    newest = rows[np.argsort(-found.last_seen_ns[rows], kind="stable")]
    return Thing(
        label=found.names[int(names[np.argmax(counts)])],
        position=_middle(found, kept),
        extent=np.median(found.size[rows], axis=0),
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


def _against(thing: Thing, others: DetectionTable) -> Thing:
    """The thing, believed in less the more often something else was detected at its place in its time."""
    near = np.linalg.norm(others.center - thing.position, axis=1) <= _SAME_PLACE
    near &= (others.stamp_ns >= thing.first_seen) & (others.stamp_ns <= thing.last_seen)
    alike = (others.size / np.maximum(thing.extent, 0.02)).prod(axis=1)
    near &= (alike > 1 / _SAME_SIZE) & (alike < _SAME_SIZE)
    if not near.any():
        return thing
    rival = int(np.bincount(others.label[near]).max())
    share = thing.hits / (thing.hits + rival)
    return thing if share > 0.4 else replace(thing, was_there=thing.was_there * share)


def _clusters(found: DetectionTable) -> NDArray[np.int64]:
    """(n,) a group for each detection: chains of detections that lie closer than a link."""
    link = float(np.clip(0.5 * np.median(found.size[:, :2].max(axis=1)), *_LINK))
    pairs = cKDTree(found.center).query_pairs(link, output_type="ndarray")
    n = len(found)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _middle(found: DetectionTable, rows: NDArray[np.bool_]) -> FloatArray:
    """(3,) the median of the centres, those seen from near and with a high score weighing more."""
    centers = found.center[rows]
    distance = np.linalg.norm(centers - found.sensor[rows], axis=1)
    weights = found.score[rows] / np.maximum(distance, 0.5) ** 2
    order = np.argsort(centers, axis=0)
    heaped = np.cumsum(weights[order], axis=0)
    middle = (heaped >= heaped[-1] / 2).argmax(axis=0)
    return np.take_along_axis(centers, order[middle, np.arange(3)][None], axis=0)[0]


def _reach(found: DetectionTable) -> float:
    """Metres within which this kind is recognised: where nine in ten of its detections were made."""
    return float(max(np.percentile(np.linalg.norm(found.center - found.sensor, axis=1), 85), 1.5))
