"""Where is it, where was it, and is it still there?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.labels import meant
from embodied_mem.objects.things import Thing, gather
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.query import Query
from embodied_mem.records.tables import DetectionTable, ViewTable

PRESENT = 0.5  # probability from which a thing counts as being there
_WIDEST = 3.0  # metres beyond a radius from which a thing inside of it may have been detected
_MOVED = 0.5  # metres: within them a thing is where it was
_OVERLAP_NS = 2_000_000_000  # a move may be noticed this much before the old place was last believed in


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """What memory knows of one kind of thing.

    labels    the known labels that the word means; empty: none was ever detected
    things    every place where one was, surest first
    """

    word: str
    labels: tuple[str, ...] = ()
    things: list[Thing] = field(default_factory=list)

    @property
    def here(self) -> list[Thing]:
        """Those believed to be there now, surest first."""
        return [thing for thing in self.things if thing.present >= PRESENT]

    @property
    def gone(self) -> list[Thing]:
        """Those that were there and are no more, last seen first."""
        left = [thing for thing in self.things if thing.was_there >= PRESENT and thing.present < PRESENT]
        return sorted(left, key=lambda thing: -thing.last_seen)

    def before(self, thing: Thing) -> Thing | None:
        """The place that this thing most likely came from: left before the thing was first seen where it is."""
        earlier = thing.before
        while earlier is not None and np.linalg.norm(earlier.position - thing.position) < _MOVED:
            earlier = earlier.before  # it was only lost from sight
        if earlier is not None:
            return earlier
        left = [other for other in self.gone if other.last_seen <= thing.first_seen + _OVERLAP_NS]
        return left[0] if left else None

    def earlier(self, thing: Thing) -> Thing | None:
        """The place where such a thing was last seen before this one was ever seen; nobody has looked there since."""
        left = [o for o in self.here if o is not thing and o.last_seen <= thing.first_seen + _OVERLAP_NS]
        return max(left, key=lambda other: other.last_seen, default=None)

    def state(self, thing: Thing) -> str:
        """observed, moved (from another place), inside (shut in something), stale or gone."""
        if thing.present < PRESENT:
            if thing.inside and thing.was_there >= PRESENT and thing.missed_ns is None:
                return "inside"
            return "gone" if thing.still_there < PRESENT and thing.missed_ns is not None else "stale"
        if thing.inside:
            return "inside"
        return "moved" if self.before(thing) is not None else "observed"


def locate(index: RecordIndex, word: str, query: Query | None = None, *, model: SensorModel | None = None) -> Located:
    """Everything known of the kind of thing that `word` names, among the records that the query's filters leave.

    Raises UnknownMapError and what else `RecordIndex.detections` raises.
    """
    base = query or Query()
    views = index.views(base)
    labels = meant(word, index.labels_seen.all(), views.class_sets)
    if not labels:
        return Located(word)
    return _located(word, labels, index.detections(None, base), views, model)


def locate_all(
    index: RecordIndex,
    query: Query | None = None,
    *,
    around: NDArray[np.float64] | None = None,
    radius: float = np.inf,
    model: SensorModel | None = None,
) -> list[Located]:
    """The same for every kind of thing in memory, or every kind detected within `radius` metres of `around` (3,)."""
    base = query or Query()
    found, views = index.detections(None, base), index.views(base)
    close = np.ones(len(found), bool)
    if around is not None:
        apart = np.linalg.norm(found.center[:, :2] - around[:2], axis=1)
        found = _rows(found, apart <= radius + _WIDEST)
        close = apart[apart <= radius + _WIDEST] <= radius
    out: list[Located] = []
    done: set[str] = set()
    for code in np.unique(found.label[close]).tolist():
        label = found.names[code]
        labels = meant(label, found.names, views.class_sets)
        if label in done:
            continue
        done.update(labels)
        out.append(_located(label, labels, found, views, model))
    return out


def _located(
    word: str, labels: tuple[str, ...], found: DetectionTable, views: ViewTable, model: SensorModel | None
) -> Located:
    own = np.isin(found.label, [found.names.index(each) for each in labels])
    things = gather(_rows(found, own), _able(views, labels), _rows(found, ~own), model=model)
    return Located(word, labels, things)


def _able(views: ViewTable, labels: tuple[str, ...]) -> ViewTable:
    """The views whose detector knows one of the labels."""
    able = np.array([not set(labels).isdisjoint(classes) for classes in views.class_sets], dtype=bool)
    if not len(views) or able.all():
        return views
    kept = np.flatnonzero(able[views.classes])
    columns = ("seq", "stamp_ns", "last_seen_ns", "position", "orientation", "fov_h", "fov_v", "min_range", "max_range")
    fields = {name: getattr(views, name)[kept] for name in (*columns, "classes", "depth_shape")}
    return replace(views, **fields, depth_at=lambda i, row, col: views.depth_at(kept[i], row, col))


def _rows(found: DetectionTable, kept: NDArray[np.bool_]) -> DetectionTable:
    columns = ("seq", "stamp_ns", "last_seen_ns", "label", "score", "center", "size", "yaw", "sensor")
    return replace(found, **{name: getattr(found, name)[kept] for name in columns})
