"""Where answers about things come from: a view of them where one is kept, else gathered from detections."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.locate import Located, locate, locate_all
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.query import EVERY_MAP, Query
from embodied_mem.records.view import RecordView


def _make(memory: RecordView) -> ObjectView:
    return ObjectView(memory.index)


class Objects:
    """Keeps the object view of the memory that was asked last, for several threads and nodes of one process."""

    def __init__(self, make: Callable[[RecordView], ObjectView] = _make) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: tuple[RecordView, ObjectView] | None = None

    def of(self, memory: RecordView) -> ObjectView:
        """The view of a memory's things, as far as it has read; it reads on when it is asked something."""
        with self._lock:
            if self._kept is None or self._kept[0] is not memory:
                self._kept = memory, self._make(memory)
            return self._kept[1]


class Finder:
    """Finds things of one memory. `objects`: without them everything is gathered, which costs a question more but
    a first question less.

    The present, of one map and of everybody, is what the view knows; any other filter leaves detections to gather.
    Beliefs are those of the last look, since every answer says how old it is.
    """

    def __init__(self, memory: RecordView, objects: Objects | None = None) -> None:
        self._memory, self._objects = memory, objects

    def locate(self, word: str, query: Query) -> Located:
        """Everything known of the kind of thing that a word names. Raises UnknownMapError."""
        view = self._view(query)
        return locate(self._memory.index, word, query) if view is None else view.locate(word, query.map_id)

    def locate_all(
        self, query: Query, *, around: NDArray[np.float64] | None = None, radius: float = np.inf
    ) -> list[Located]:
        """The same for every kind of thing, or those within `radius` metres of `around` (3,)."""
        view = self._view(query)
        if view is None:
            return locate_all(self._memory.index, query, around=around, radius=radius)
        return view.locate_all(query.map_id, around=around, radius=radius)

    def _view(self, query: Query) -> ObjectView | None:
        """The view, if it can answer: when the query restricts nothing but the map."""
        past = query.as_of_ns is not None or (query.as_of is not None and query.as_of < self._memory.watermark)
        given = (query.box, query.center, query.near_record, query.time, query.seqs, query.text, query.vector)
        restricted = any(each is not None for each in given) or query.labels or query.robot_id or query.session_id
        if self._objects is None or past or restricted or query.map_id == EVERY_MAP:
            return None
        return self._objects.of(self._memory)
