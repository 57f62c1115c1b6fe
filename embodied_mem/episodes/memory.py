"""The moments that a budget holds, ready to be read: their tokens, and of each place the sum of them.

What is forgotten is the allocator's matter; here each moment in memory has a row, and its token is made once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.episodes.allocator import Allocator
from embodied_mem.episodes.coding import WIDTH, FloatArray, IntArray
from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.growable import Growable

BYTES = (
    WIDTH * 4 + 12 * 8
)  # of one moment: its token, the facts about it here and in the allocator, its number in lists


class EpisodicMemory:
    """A budget of moments over all places.

    capacity  moments; `of_budget` says how many a budget holds
    weights   (len(allocator.FEATURES),) of the rule of forgetting
    Raises BadInputError as `Allocator` does.
    """

    def __init__(self, capacity: int, weights: NDArray[np.float64]) -> None:
        self.allocator = Allocator(capacity, weights)
        self._tokens, self._sums = Growable(np.float32, WIDTH), Growable(np.float64, WIDTH)
        self._steps, self._places = Growable(np.int64), Growable(np.int64)
        self._row_of: dict[int, int] = {}  # step -> row
        self._members: list[list[int]] = []  # rows of each place
        self._chunks: tuple[IntArray, FloatArray] | None = None

    @staticmethod
    def of_budget(megabytes: float) -> int:
        """Moments that fit. Raises BadInputError for a budget that holds none."""
        if not megabytes * 1e6 >= BYTES:
            raise BadInputError(f"A budget of {megabytes:g} MB holds no moment: each takes {BYTES} bytes.")
        return int(megabytes * 1e6 / BYTES)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def steps(self) -> IntArray:
        """The steps in memory, ascending."""
        return self.allocator.kept

    def extend(
        self, tokens: FloatArray, places: IntArray, stays: IntArray, visits: IntArray, surprise: NDArray[np.float64]
    ) -> None:
        """Take in n moments, one after the other: tokens (n, WIDTH), and the rest as `Allocator.push`.

        Raises BadInputError for tokens that are not finite, before anything is changed.
        """
        if tokens.shape != (len(places), WIDTH) or not np.isfinite(tokens).all():
            raise BadInputError(
                f"{len(places)} tokens of {WIDTH} finite numbers were due: NaN, infinity or another size is refused."
            )
        first = self.allocator.came
        self.allocator.push(places, stays, visits, surprise)
        gone = self.allocator.evicted
        for step in gone[gone < first].tolist():
            self._drop(step)
        self._know(int(places.max(initial=-1)) + 1)
        fresh = np.setdiff1d(np.arange(first, first + len(places)), gone)
        self._put(fresh, tokens[fresh - first], places[fresh - first])
        self._chunks = None

    # --- what `reading.Memories` asks for ------------------------------------------------------------------------

    @property
    def tokens(self) -> FloatArray:
        """(n, WIDTH) of what is in memory, in no order."""
        return self._tokens.data

    @property
    def chunks(self) -> tuple[IntArray, FloatArray]:
        """Numbers (c,) of the places that hold anything, and the means (c, WIDTH) of their tokens."""
        if self._chunks is None:
            counts = np.array([len(rows) for rows in self._members])
            used = np.flatnonzero(counts)
            means = self._sums.data[used] / counts[used][:, None]
            self._chunks = used, np.asarray(means, dtype=np.float32)
        return self._chunks

    def members(self, chunk: int) -> IntArray:
        """Rows of a place. Raises NotFoundError for a place that never was."""
        if not 0 <= chunk < len(self._members):
            raise NotFoundError(f"There is no place {chunk}: memory knows {len(self._members)}, numbered from 0.")
        return np.array(self._members[chunk], dtype=np.int64)

    def steps_of(self, rows: IntArray) -> IntArray:
        """The steps that rows hold."""
        return np.asarray(self._steps.data[rows])

    # --- inside --------------------------------------------------------------------------------------------------

    def _know(self, count: int) -> None:
        """Have `count` places, though nothing may be left of some."""
        more = max(count - len(self._members), 0)
        self._members += [[] for _ in range(more)]
        self._sums.extend(np.zeros((more, WIDTH)))

    def _put(self, steps: IntArray, tokens: FloatArray, places: IntArray) -> None:
        if not len(steps):
            return
        first = self._tokens.extend(tokens)
        self._steps.extend(steps)
        self._places.extend(places)
        np.add.at(self._sums.data, places, tokens)
        for row, (step, place) in enumerate(zip(steps.tolist(), places.tolist(), strict=True), start=first):
            self._members[place].append(row)
            self._row_of[step] = row

    def _drop(self, step: int) -> None:
        """Forget a moment; the last row takes its place, so that rows stay dense."""
        row, last = self._row_of.pop(step), len(self._tokens) - 1
        place = int(self._places.data[row])
        self._members[place].remove(row)
        self._sums.data[place] -= self._tokens.data[row]
        if not self._members[place]:
            self._sums.data[place] = 0  # no residue of rounding
        if row != last:
            moved = self._members[int(self._places.data[last])]
            moved[moved.index(last)] = row
            self._row_of[int(self._steps.data[last])] = row
            for column in (self._tokens, self._steps, self._places):
                column.data[row] = column.data[last]
        for column in (self._tokens, self._steps, self._places):
            column.truncate(last)
