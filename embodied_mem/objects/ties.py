"""What people said of single detections: these are of one thing, those are not.

A command names detections, not objects: whatever is corrected or forgotten may number objects anew. It takes effect
where the later detection is folded, so nothing needs to know how far the fold was when the command came.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.frames import ENTRY, PRINT, RECORD
from embodied_mem.records.commands import PartThings, UniteThings
from embodied_mem.records.index import RecordIndex

Anchor = tuple[int, int]  # a detection: its record, and its place among the record's detections


@dataclass(frozen=True, slots=True)
class Ties:
    """same: a detection -> the one, earlier in time, that is of the same thing; other: a detection -> those, earlier in
    time, that are of other things; named: every detection that a tie names.
    """

    same: Mapping[Anchor, Anchor] = field(default_factory=dict)
    other: Mapping[Anchor, Collection[Anchor]] = field(default_factory=dict)
    named: Collection[Anchor] = ()


def ties_of(index: RecordIndex) -> Ties:
    """The ties that the live commands of a log make between detections that are not forgotten."""
    same: dict[Anchor, Anchor] = {}
    other: dict[Anchor, list[Anchor]] = defaultdict(list)
    with index.lock:
        for command in index.history.live_of(UniteThings):
            told = _in_time(index, command.detections)
            same.update(zip(told[1:], told[:-1], strict=True))
        for parted in index.history.live_of(PartThings):
            told = _in_time(index, parted.detections)
            for i, anchor in enumerate(told):
                other[anchor] += told[:i]
    return Ties(same, dict(other), {*same, *same.values(), *other, *(a for group in other.values() for a in group)})


def marked(frames: NDArray[np.int64], ties: Ties) -> NDArray[np.int64]:
    """The frames (n, 5) with a print of what is told of their detections, so that a change of it is seen."""
    if not ties.named or not len(frames):
        return frames
    told: dict[int, list[tuple[object, ...]]] = defaultdict(list)
    for anchor in ties.named:
        told[anchor[0]].append((anchor, ties.same.get(anchor), sorted(ties.other.get(anchor, ()))))
    for seq, facts in told.items():
        own = (frames[:, RECORD] == seq) & (frames[:, ENTRY] == seq)
        frames[own, PRINT] = zlib.crc32(repr(sorted(facts, key=repr)).encode()) + 1
    return frames


def _in_time(index: RecordIndex, detections: tuple[Anchor, ...]) -> list[Anchor]:
    """Those of the detections that can be found, in order of time."""
    table = index.table
    found = []
    for seq, place in detections:
        row = int(table.current_row.data[seq]) if seq <= index.watermark else -1
        if row >= 0 and not table.hidden.data[row] and place < int(np.diff(table.spans.data[row])[0]):
            found.append((int(table.first_seen.data[row]), seq, place))
    return [(seq, place) for _, seq, place in sorted(found)]
