"""What answers about regions are made of, and which records a region holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.search import passing
from embodied_mem.forest.summarise import Sentence, Summary, Worded
from embodied_mem.forest.view import ForestView
from embodied_mem.records.query import EVERY_MAP, Query


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A part of the world in an answer: its summary, and how many (what share) of its records are of what is asked."""

    summary: Summary
    share: float
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Described(Worded):
    """found False: nothing can be said, `reason` says why. evidence: numbers of records behind the sentences."""

    found: bool
    sentences: tuple[Sentence, ...] = ()
    reason: str = ""
    areas: tuple[Area, ...] = ()


def frame_and_leaves(forest: ForestView, query: Query | None) -> tuple[str, NDArray[np.int64]] | str:
    """The frame and leaves of the region that a query's filters leave, or why there is none. The forest is locked.

    Raises BadInputError for the past and for every map at once, UnknownMapError.
    """
    if query is not None and (query.as_of is not None or query.as_of_ns is not None):
        raise BadInputError("The forest shows memory as it stands now: ask the records for the past.")
    if query is not None and query.map_id == EVERY_MAP:
        raise BadInputError("A region lies in one map: name it.")
    found = passing(forest, Query() if query is None else replace(query, text=None, vector=None))
    if not found:
        return "Not found: no record passes the filters."
    frame = max(found, key=lambda name: len(found[name]))
    return frame, found[frame]
