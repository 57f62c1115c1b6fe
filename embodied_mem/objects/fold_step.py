"""One frame is folded into the stays: what it shows is assigned, what it shows in vain is believed in less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects import evidence, telling
from embodied_mem.objects.assignment import Sighted, assign, noise_of
from embodied_mem.objects.beginnings import begin
from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.estimating import add_vectors, cosines
from embodied_mem.objects.fold_state import FoldState, Trail, places
from embodied_mem.objects.frames import Frame
from embodied_mem.objects.looking import look
from embodied_mem.objects.merging import join_duplicates
from embodied_mem.objects.stays import NONE
from embodied_mem.objects.step import Step, in_reach
from embodied_mem.objects.ties import Ties
from embodied_mem.objects.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STRANGE = 2  # detections under another name, one after another, from which there is another thing


class Folder:
    """Folds frames, one after another, into a state.

    model      how the detector errs, before the log has taught better
    absence    whether what is not detected is believed in less
    seen_empty (point (3,), before ns) -> ns: when the place was last seen empty, 0 when never
    """

    def __init__(
        self,
        words: Vocabulary,
        trail: Trail,
        model: SensorModel,
        seen_empty: Callable[[FloatArray, int], int],
        *,
        absence: bool = True,
    ) -> None:
        self._words, self._trail, self._model, self._absence = words, trail, model, absence
        self._seen_empty = seen_empty

    def fold(self, state: FoldState, frame: Frame, ties: Ties) -> None:
        """Change the state to what it is after the frame."""
        step = self._assigned(state, frame, ties)
        found = step.found
        evidence.leave(step)
        if len(found):
            evidence.hit(step, self._words, self._model)
            self._keep(step, step.active[step.to[found]], found)
        evidence.miss(step, self._model)
        target = np.full(len(step.labels), NONE, dtype=np.int64)
        target[found] = step.active[step.to[found]]
        if len(found) < len(target) and not frame.again:
            born = begin(step, self._model, self._words.vote, self._seen_empty)
            self._keep(step, born, step.left)
            target[step.left] = born
        evidence.beside(step, target)
        telling.remember(step, self._trail, ties, target)
        join_duplicates(state, self._trail, target, frame, step.canon, step.active)
        evidence.close(step)
        state.folded += 1
        state.links = len(self._trail)

    def _assigned(self, state: FoldState, frame: Frame, ties: Ties) -> Step:
        """Which stays the frame concerns, and which of its detections is of which."""
        stays, kinds = state.stays, state.kinds
        labels = np.array(self._words.codes(frame.labels), dtype=np.int64)
        kinds.know(self._words.names)
        canon, able = self._words.of_detector(frame.classes if frame.ran else None)
        active = in_reach(state, frame)
        names = stays.main[active]
        centers, extents = places(stays, active)
        shown = np.zeros(len(active), dtype=np.int8)
        if frame.ran and self._absence:
            shown = look(frame, centers, extents, kinds.reach()[names])
            shown[~able[names]] = 0
        noise = noise_of(frame.centers, frame.position)
        to = assign(
            Sighted(frame.centers, frame.sizes, noise, canon[labels]), centers, stays.cov[active], extents,
            canon[names], stays.strange[active] < _STRANGE, cosines(stays, active, frame),
            telling.forbidden(state, frame.seq, ties, active),
        )  # fmt: skip
        return Step(state, frame, labels, canon, noise, active, names, centers, extents, shown, to)

    def _keep(self, step: Step, rows: IntArray, found: IntArray) -> None:
        """Detections `found` are evidence of the stays `rows`, whatever becomes of these."""
        n, stays = len(rows), step.state.stays
        sights = np.column_stack([np.full(n, step.frame.seq), found, np.full(n, step.frame.stamp_ns)])
        stays.trail[rows] = self._trail.add(sights, stays.trail[rows])
        add_vectors(stays, step.frame, rows, found)
