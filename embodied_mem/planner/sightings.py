"""What the robot has just seen: which places were in view, which things were detected there, what it reports of states.

Each camera frame becomes a `Glimpse`. What a frame would have shown and did not is as much evidence as what it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import rotation_matrices
from embodied_mem.objects.frames import Frame
from embodied_mem.objects.looking import FILLED, look
from embodied_mem.planner.facts import Fact
from embodied_mem.planner.places import PlaceBook
from embodied_mem.records.observation import Observation

FloatArray = NDArray[np.float64]
_SAMPLES = 5  # points of a place, along its diagonals, that tell whether it is in view
_COVERED = 0.6  # share of them that must be
_REACH = 3.4  # metres within which small things are recognised
_FOLDED = 200  # glimpses within which one that is seen again is looked for
_POINT = 0.1  # metres: size of such a point


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """One frame.

    position   (2,) metres, where the robot believed to be
    covered    (regions,) whether most of each region of the place book was in view
    things     label -> (region or -1, (3,) metres), of the best detection of each label
    reports    facts that the robot's perception stated
    """

    seq: int
    stamp_ns: int
    position: FloatArray
    covered: NDArray[np.bool_]
    things: dict[str, tuple[int, FloatArray]]
    reports: tuple[Fact, ...]
    looked: bool


class Sightings:
    """Glimpses in order of time. `keep`: how many; older ones give way."""

    def __init__(self, book: PlaceBook, keep: int = 4000) -> None:
        self.book, self._keep = book, keep
        self.glimpses: list[Glimpse] = []
        low, high = book.boxes
        low = low + 0.0
        for i, region in enumerate(book.regions):
            low[i, 2] = max(low[i, 2], high[i, 2] - 0.45 + 0.05) if region.name == "on" else low[i, 2]
        middle, half = (low + high) / 2, (high - low) / 2
        middle[:, 2] = np.where([r.name == "on" for r in book.regions], low[:, 2] + 0.12, middle[:, 2] * 0.7)
        signs = np.array([[0, 0], [0.6, 0.6], [0.6, -0.6], [-0.6, 0.6], [-0.6, -0.6]])
        steps = np.concatenate([signs[None] * half[:, None, :2], np.zeros((len(low), _SAMPLES, 1))], axis=2)
        self._points = (middle[:, None] + steps).reshape(-1, 3)
        self._sizes = np.full_like(self._points, _POINT)
        self._reach = np.full(len(self._points), _REACH)

    def read(self, seq: int, obs: Observation) -> Glimpse:
        """Take in one observation of a camera."""
        return self._add(self._glimpse(seq, obs))

    def again(self, seq: int, stamp_ns: int) -> Glimpse | None:
        """Take in that a record was seen once more; None when that record was too long ago."""
        for glimpse in reversed(self.glimpses[-_FOLDED:]):
            if glimpse.seq == seq:
                return self._add(replace(glimpse, stamp_ns=stamp_ns))
        return None

    def _add(self, glimpse: Glimpse) -> Glimpse:
        self.glimpses.append(glimpse)
        if len(self.glimpses) > 1 and glimpse.stamp_ns < self.glimpses[-2].stamp_ns:
            self.glimpses.sort(key=lambda item: item.stamp_ns)
        if len(self.glimpses) > self._keep:
            del self.glimpses[: len(self.glimpses) - self._keep]
        return glimpse

    def since(self, stamp_ns: int) -> Sequence[Glimpse]:
        """Glimpses from a time on, oldest first."""
        first = len(self.glimpses)
        while first and self.glimpses[first - 1].stamp_ns >= stamp_ns:
            first -= 1
        return self.glimpses[first:]

    def _glimpse(self, seq: int, obs: Observation) -> Glimpse:
        found, view = obs.detections, obs.view
        covered = np.zeros(len(self.book.regions), dtype=np.bool_)
        looked = bool(view.detector) and view.depth is not None
        if view.detector and view.depth is not None and len(covered):
            frame = Frame(
                seq, obs.stamp_ns, False, np.asarray(obs.position, float), np.asarray(obs.orientation, float),
                rotation_matrices(np.asarray(obs.orientation, float)), view.fov_h, view.fov_v, view.min_range,
                view.max_range, view.depth, True, view.classes, (), np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)),
            )  # fmt: skip
            seen = look(frame, self._points, self._sizes, self._reach) >= FILLED
            covered = seen.reshape(-1, _SAMPLES).mean(axis=1) >= _COVERED
        things: dict[str, tuple[int, FloatArray]] = {}
        if len(found):
            regions = self.book.places_at(found.centers)
            for i in np.argsort(found.scores, kind="stable"):
                things[found.labels[i]] = (int(regions[i]), found.centers[i])
        return Glimpse(
            seq, obs.stamp_ns, np.asarray(obs.position[:2], float), covered, things, stated(obs.caption), looked
        )


def stated(caption: str) -> tuple[Fact, ...]:
    """Facts that a caption states, separated by semicolons; other words state none."""
    found = []
    for part in caption.split(";"):
        if "(" in part or part.strip() == "hand_empty":
            try:
                found.append(Fact.parse(part))
            except BadInputError:
                continue
    return tuple(found)


def newest(glimpses: Iterable[Glimpse], wanted: set[Fact]) -> tuple[Glimpse, Fact] | None:
    """The last glimpse that reports one of some facts, and which."""
    best = None
    for glimpse in glimpses:
        for item in glimpse.reports:
            if item in wanted:
                best = (glimpse, item)
    return best
