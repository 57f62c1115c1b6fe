"""What really happened: where every thing was at every time, and when it could be seen. For judging and reports only.

Nothing under embodied_mem may read this; the memory knows the world through the noisy sensors alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.house.sensor import Visible
from sim.house.thing import Thing

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stay:
    """A thing stood in one place from start_ns until end_ns (None: still does)."""

    start_ns: int
    end_ns: int | None
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    room: str
    support: str  # label of the furniture under it, "floor" for none


@dataclass(slots=True)
class ThingTruth:
    """One thing's history: its stays in order of time, and the frames in which the detector had a chance to see it.

    seen_ns, seen_pixels, seen_distance (lists of equal length) hold frames with enough of it in view and a pose that
    the robot could trust; glimpsed_ns is the last frame with any pixel of it at all.
    """

    id: int
    label: str
    furniture: bool
    stays: list[Stay] = field(default_factory=list)
    seen_ns: list[int] = field(default_factory=list)
    seen_pixels: list[int] = field(default_factory=list)
    seen_distance: list[float] = field(default_factory=list)
    glimpsed_ns: int = 0

    def stay_at(self, stamp_ns: int) -> Stay | None:
        """Where it was at a time; None when it was not in the house."""
        for stay in self.stays:
            if stay.start_ns <= stamp_ns and (stay.end_ns is None or stamp_ns < stay.end_ns):
                return stay
        return None

    @property
    def now(self) -> Stay | None:
        """Where it is at the end; None when it is gone."""
        return self.stays[-1] if self.stays and self.stays[-1].end_ns is None else None

    def frames_seen(self, stay: Stay) -> int:
        """How many frames showed it during a stay."""
        end = stay.end_ns if stay.end_ns is not None else 2**63
        return int(sum(stay.start_ns <= stamp < end for stamp in self.seen_ns))


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed in the house: kind is moved, removed or added; from_ and to are positions or None."""

    stamp_ns: int
    kind: str
    id: int
    label: str
    from_: tuple[float, float, float] | None
    to: tuple[float, float, float] | None
    sentence: str


class TruthLog:
    """Filled by the simulator while it runs."""

    def __init__(self) -> None:
        self.things: dict[int, ThingTruth] = {}
        self.events: list[Event] = []
        self.path: list[tuple[int, float, float, float]] = []  # stamp_ns, x, y, yaw of the base
        self.start_ns = 0
        self.end_ns = 0
        self.vocabulary: tuple[str, ...] = ()

    def place(self, thing: Thing, stamp_ns: int, support: str) -> None:
        """From now on the thing stands where it says."""
        truth = self.things.setdefault(thing.id, ThingTruth(thing.id, thing.label, thing.furniture))
        self.leave(thing.id, stamp_ns)
        truth.stays.append(Stay(stamp_ns, None, _triple(thing.center), _triple(thing.size), thing.room, support))

    def leave(self, identity: int, stamp_ns: int) -> None:
        """From now on the thing is no longer where it was."""
        stays = self.things[identity].stays
        if stays and stays[-1].end_ns is None:
            last = stays[-1]
            stays[-1] = Stay(last.start_ns, stamp_ns, last.center, last.size, last.room, last.support)

    def saw(self, stamp_ns: int, visible: Visible, trusted: bool) -> None:
        """A frame: what was in it. `trusted`: the localisation was good, so that the memory will admit the frame."""
        self.end_ns = stamp_ns
        for i, identity in enumerate(visible.ids):
            truth = self.things[int(identity)]
            truth.glimpsed_ns = stamp_ns
            if visible.detectable[i] and trusted:
                truth.seen_ns.append(stamp_ns)
                truth.seen_pixels.append(int(visible.pixels[i]))
                truth.seen_distance.append(float(visible.distances[i]))

    def labelled(self, label: str) -> list[ThingTruth]:
        """Every thing that ever had this label in the house."""
        return [truth for truth in self.things.values() if truth.label == label]

    def present(self, stamp_ns: int | None = None) -> list[tuple[ThingTruth, Stay]]:
        """Things that are in the house at a time (None: the end), with where they are."""
        stamp = self.end_ns if stamp_ns is None else stamp_ns
        found = ((truth, truth.stay_at(stamp)) for truth in self.things.values())
        return [(truth, stay) for truth, stay in found if stay is not None]

    def coverage(self, fewest: int = 1, within: float = 3.5) -> float:
        """Share of the small things at the start that were seen in at least `fewest` frames from within some metres."""
        first = [t for t in self.things.values() if not t.furniture and t.stays[0].start_ns == self.start_ns]
        good = [sum(d < within for d in t.seen_distance) >= fewest for t in first]
        return float(np.mean(good)) if good else 1.0


def _triple(values: FloatArray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
