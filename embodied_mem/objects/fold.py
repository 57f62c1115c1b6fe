"""The stays of one map as a fold over its frames: the same, whatever changes lay between.

The frames that the stays are made of are compared with those that they should be made of. Where they first differ (a
record came late, was corrected, forgotten or brought back, a map was re-anchored, two things were told to be one), the
fold goes back to a checkpoint before that place, and on from there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices, spherical
from embodied_mem.objects.belief import SensorModel
from embodied_mem.objects.fold_state import FoldState, Trail
from embodied_mem.objects.fold_step import Folder
from embodied_mem.objects.frames import ENTRY, RECORD, ROW, STAMP, alike, read
from embodied_mem.objects.ties import Ties
from embodied_mem.objects.vocabulary import Vocabulary
from embodied_mem.records.growable import Growable
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.versions import NO_ROW

FloatArray = NDArray[np.float64]
_BEHIND = 0.08  # metres beyond a place from which a return says that nothing stands there
_CLOSE = 4.0  # metres from which a place is seen well enough for that
_EVERY = 32  # frames from one checkpoint to the next


class ObjectFold:
    """See the module docstring. `refolded` counts how often frames had to be folded again."""

    def __init__(
        self,
        index: RecordIndex,
        words: Vocabulary,
        model: SensorModel | None = None,
        *,
        absence: bool = True,
        every: int = _EVERY,
    ) -> None:
        self._index, self._every = index, every
        self.trail = Trail()
        self.state = FoldState()
        self.refolded = 0
        self._folder = Folder(words, self.trail, model or SensorModel(), self._seen_empty, absence=absence)
        self._made_of = Growable(np.int64, 5)
        self._checkpoints: list[FoldState] = []

    @property
    def made_of(self) -> NDArray[np.int64]:
        """(n, 5) the frames that were folded, see `frames.standing`."""
        return self._made_of.data

    @property
    def nbytes(self) -> int:
        """Bytes of the stays and of their checkpoints."""
        return sum(state.stays.nbytes for state in (self.state, *self._checkpoints))

    def become(
        self, wanted: NDArray[np.int64], ties: Ties, vectors: dict[int, NDArray[np.float32]], most: int = 1 << 60
    ) -> int:
        """Fold until the stays are those of the frames (n, 5) in order of time, or `most` of them are folded.

        Returns how many are left.
        """
        same = alike(self._made_of.data, wanted)
        if same < len(self._made_of):
            self._go_back(same)
        return self._fold(wanted[len(self._made_of) :], ties, vectors, most)

    def extend(
        self, fresh: NDArray[np.int64], ties: Ties, vectors: dict[int, NDArray[np.float32]], most: int = 1 << 60
    ) -> int:
        """As `become`, when nothing has changed but that these frames (m, 5) came."""
        if not len(fresh):
            return 0
        made = self._made_of.data
        if not len(made) or tuple(made[-1, :2]) < tuple(fresh[0, :2]):
            return self._fold(fresh, ties, vectors, most)
        wanted = np.concatenate([made, fresh])
        return self.become(wanted[np.lexsort((wanted[:, ENTRY], wanted[:, STAMP]))], ties, vectors, most)

    # --- inside ------------------------------------------------------------------------------------------------

    def _fold(self, items: NDArray[np.int64], ties: Ties, vectors: dict[int, NDArray[np.float32]], most: int) -> int:
        for item in items[:most]:
            frame = read(self._index, item, vectors.get(int(item[RECORD])))
            self._folder.fold(self.state, frame, ties)
            self._made_of.extend(item[None])
            if self.state.folded % self._every == 0:
                self._checkpoints.append(self.state.copy())
                self._thin()
        return max(len(items) - most, 0)

    def _go_back(self, count: int) -> None:
        """Become what was made of some of the first `count` frames."""
        while self._checkpoints and self._checkpoints[-1].folded > count:
            self._checkpoints.pop()
        self.state = self._checkpoints[-1].copy() if self._checkpoints else FoldState()
        self.trail.cut(self.state.links)
        kept = self._made_of.data[: self.state.folded].copy()
        self._made_of = Growable(np.int64, 5)
        self._made_of.extend(kept)
        self.refolded += 1

    def _thin(self) -> None:
        """Of the checkpoints whose ages lie between two powers of two, keep the oldest."""
        kept: dict[int, FoldState] = {}
        for state in self._checkpoints:
            kept.setdefault((self.state.folded - state.folded).bit_length(), state)
        self._checkpoints = sorted(kept.values(), key=lambda state: state.folded)

    def _seen_empty(self, point: FloatArray, before_ns: int) -> int:
        """When a view last showed that nothing stands at a point (3,), in ns; 0 when none did."""
        made = self._made_of.data[: self.state.folded]
        table, views = self._index.table, self._index.views_seen
        with self._index.lock:
            rows = made[:, ROW]
            apart = np.linalg.norm(table.positions.data[rows] - point, axis=1)
            near = np.flatnonzero((apart < _CLOSE) & (table.views.data[rows] != NO_ROW) & (made[:, STAMP] < before_ns))
            if not len(near):
                return 0
            rows, apart = rows[near], apart[near]
            ids = table.views.data[rows].astype(np.int64)
            away = point - table.positions.data[rows]
            turned = np.einsum("nij,ni->nj", rotation_matrices(table.orientations.data[rows]), away)
            azimuth, elevation, _ = spherical(turned)
            geometry, shape = views.geometry.data[ids], views.shapes.data[ids]
            wide, tall = np.maximum(geometry[:, 0], 1e-6), np.maximum(geometry[:, 1], 1e-6)
            col = np.floor((0.5 - azimuth / wide) * shape[:, 1]).astype(np.int64)
            row = np.floor((0.5 - elevation / tall) * shape[:, 0]).astype(np.int64)
            inside = (col >= 0) & (col < shape[:, 1]) & (row >= 0) & (row < shape[:, 0]) & (apart <= geometry[:, 3])
            depth = views.depth(ids[inside], row[inside], col[inside]) * 1e-3
            empty = near[inside][depth > apart[inside] + _BEHIND]
        return int(made[empty, STAMP].max()) if len(empty) else 0
