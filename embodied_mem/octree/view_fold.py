"""One map as a fold over its sweeps: the same, whatever changes and restarts lay between.

The sweeps that a map is made of are compared with those that it should be made of. Where they first differ (a record
was corrected, forgotten, brought back, or its map re-anchored), the fold goes back to a checkpoint before that place,
and on from there. Meanwhile the map as it was answers.

Clouds that retention has dropped live on in the checkpoints that were made with them. What must be folded again from
before such a cloud lacks it from then on: it is counted as lost, never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError
from embodied_mem.geometry import pose_matrix, transform_points
from embodied_mem.octree.tree import Octree
from embodied_mem.octree.view_checkpoints import Checkpoints
from embodied_mem.octree.view_sweeps import alike, standing, sweep_of
from embodied_mem.records.growable import Growable
from embodied_mem.records.index import RecordIndex


class MapFold:
    """Folds the sweeps of one map into an octree. One thread changes it; `tree` may be read by any.

    empty makes an octree without content
    tree  the map that answers: whole up to some sweep, or still growing when there was none before
    """

    def __init__(self, empty: Callable[[], Octree], checkpoints: Checkpoints, counters: Counter[str]) -> None:
        self._empty, self._checkpoints, self._counters = empty, checkpoints, counters
        self._seqs = np.zeros(0, dtype=np.int64)  # every record of the map that brought a cloud, ascending
        self._wanted = np.zeros((0, 2), dtype=np.int64)  # what the map should be made of
        self._made_of = Growable(np.int64, 2)  # what `_next` is made of
        self._next = empty()
        self._saved = 0
        self._begun = False
        self.tree = self._next

    @property
    def behind(self) -> int:
        """Sweeps that are still to be folded in."""
        return len(self._wanted) - len(self._made_of)

    @property
    def due(self) -> int:
        """The record whose cloud is to be folded in next, 0 when there is none."""
        return int(self._wanted[len(self._made_of), 0]) if self.behind else 0

    def compare(self, index: RecordIndex, brought: list[int]) -> None:
        """The records `brought` came with clouds: look what the map should be made of now, and go back where needed."""
        if not self._begun:  # also those whose clouds were dropped since
            known = self._checkpoints.newest()
            brought = [*brought, *known[known <= index.watermark].tolist()]
        self._seqs = np.union1d(self._seqs, np.array(brought, dtype=np.int64))
        self._wanted = standing(index, self._seqs)
        if not self._begun or alike(self._made_of.data, self._wanted) < len(self._made_of):
            self._restore()
        self._begun = True

    def extend(self, index: RecordIndex, brought: list[int]) -> None:
        """As `compare`, when nothing can have changed but that these newest records came."""
        if not self._begun:
            self.compare(index, brought)
            return
        fresh = np.array(brought, dtype=np.int64)
        self._seqs = np.concatenate([self._seqs, fresh])
        self._wanted = np.concatenate([self._wanted, standing(index, fresh)])

    def fold(self, index: RecordIndex, cloud: NDArray[np.float32] | None) -> None:
        """Fold in the cloud (n, 3) of the record that is `due`; None when retention has dropped it."""
        row = self._wanted[len(self._made_of)]
        try:
            sweep = sweep_of(index, int(row[0]))
        except NotFoundError:  # forgotten since: the next `compare` leaves it out
            cloud = None
        if cloud is None:
            self._counters["sweeps_lost"] += 1
        elif len(cloud):
            points = transform_points(pose_matrix(sweep.position, sweep.orientation), cloud)
            self._next.insert(
                points, origin=sweep.position, stamp_ns=sweep.stamp_ns, record=sweep.seq, max_range=sweep.reach
            )
        self._made_of.extend(row[None])
        if len(self._made_of) - self._saved >= self._checkpoints.every:
            self.save()
        if not self.behind:
            self.tree = self._next

    def save(self) -> None:
        """Make a checkpoint of what there is. Raises StorageError."""
        if len(self._made_of) > self._saved:
            self._checkpoints.save(self._next, self._made_of.data)
            self._saved = len(self._made_of)

    # --- inside ------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Go back to where the map was what it should be."""
        found = self._checkpoints.latest(self._wanted)
        self._counters["folded_again"] += self._begun
        self._made_of = Growable(np.int64, 2)
        if found is None:
            self._next = self._empty()
        else:
            self._next, made_of = found
            self._made_of.extend(made_of)
        self._saved = len(self._made_of)
        if not self.behind or not len(self.tree):
            self.tree = self._next
