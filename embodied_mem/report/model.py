"""What a report shows. `gather.py` fills it from a memory, `page.py` and `picture.py` draw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import FloatArray


@dataclass(frozen=True, eq=False)
class Ground:
    """What was seen from above, as a picture.

    walls, floor  (rows, cols) in 0..1: how much stands there, and whether the floor was seen; row 0 is the top (+y)
    low, high     (2,) metres: the corners of the picture in the map
    """

    walls: NDArray[np.float32]
    floor: NDArray[np.float32]
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Thing:
    """Something that memory located. `belief`: that it is there now; `state`: observed, moved, stale or gone."""

    label: str
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    belief: float
    state: str
    seqs: tuple[int, ...]
    last_seen_ns: int

    @property
    def here(self) -> bool:
        """Whether memory believes that it is there now."""
        return self.state in ("observed", "moved")


@dataclass(frozen=True)
class Asked:
    """A question with its answer (as cli/shape.py has it). `right` is None where no truth is known."""

    question: str
    answer: dict[str, Any]
    kind: str = ""
    expected: str = ""
    right: bool | None = None
    milliseconds: float = 0.0
    said: str = ""  # when it was asked: "half-way", "at the end"


@dataclass(frozen=True, eq=False)
class Way:
    """Where to go to see what answer `number` (from 1) is about: points (n, 3) metres to the pose, radians there."""

    number: int
    points: FloatArray
    heading: float
    words: str


@dataclass(frozen=True)
class Event:
    """Something that happened in the world or to the nodes."""

    stamp_ns: int
    text: str


@dataclass(eq=False)
class Report:
    """Everything a report shows.

    strips    paths, each (n, 3) metres, in order of time
    stamps    (records,) ns, for the chart of records over time
    phases    (name, seconds) of the run, in order
    counters  (what, how many): refusals, folded, drops
    files     (name, what it is) of the files that lie beside the page
    """

    title: str
    subtitle: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    ground: Ground | None = None
    strips: list[FloatArray] = field(default_factory=list)
    stamps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    things: list[Thing] = field(default_factory=list)
    way: Way | None = None
    asked: list[Asked] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    counters: list[tuple[str, int]] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)

    @property
    def judged(self) -> list[Asked]:
        """The questions whose answers could be judged."""
        return [item for item in self.asked if item.right is not None]

    @property
    def right(self) -> int:
        return sum(item.right is True for item in self.asked)

    def extent(self) -> tuple[FloatArray, FloatArray]:
        """(2,) low and (2,) high corner of everything that is drawn, metres, with a margin."""
        parts = [strip[:, :2] for strip in self.strips if len(strip)]
        parts += [np.array([thing.position[:2]]) for thing in self.things]
        if self.ground is not None:
            parts.append(np.stack([self.ground.low, self.ground.high]))
        if not parts:
            return np.array([-1.0, -1.0]), np.array([1.0, 1.0])
        points = np.concatenate(parts)
        low, high = points.min(axis=0), points.max(axis=0)
        margin = max(0.03 * float((high - low).max()), 0.3)
        return low - margin, high + margin
