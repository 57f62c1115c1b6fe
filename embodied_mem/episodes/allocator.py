"""What to forget when memory is full: one family of rules, of which the usual ones and the learned ones are members.

Every moment in memory, and the one that has just come, has features; a rule is a weight for each of them, and the
moment with the highest weighted sum goes. There is one budget over all places. First in first out is a weight on age;
most visited first, a decisive one on the time that was spent at a place. Learned rules have other weights: the Adaptive
Memory Allocator (Spatially-Aware Transformer, ICLR 2024) chooses one of the usual rules for an episode, the per-step
one has weights of its own (`allocator_training.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Of a moment in memory. age: its rank, 0 newest .. 1 oldest; spent: how many moments its place ever had, of the most of
# any place; share: how many it has in memory, of the most; depth: ln(1 + how many visits ago it was at its place) / 4;
# crowd: ln(how many moments of its stay are in memory) / 4; surprise: how little it was expected, 0 .. 1.
FEATURES = ("age", "spent", "share", "depth", "crowd", "surprise")
_COUNT = len(FEATURES)
_DECISIVE = 1e6  # what ranks first; age decides among equals
_QUIET = np.zeros((1, 1))

STRATEGIES: dict[str, FloatArray] = {
    "fifo": np.array([1.0, 0, 0, 0, 0, 0]),
    "lifo": np.array([-1.0, 0, 0, 0, 0, 0]),
    "most visited first": np.array([1.0, _DECISIVE, 0, 0, 0, 0]),
    "least visited first": np.array([1.0, -_DECISIVE, 0, 0, 0, 0]),
    "random": np.zeros(_COUNT),
}


class Allocator:
    """Which of the moments that came are in memory: at most `capacity`, oldest first.

    weights  (len(FEATURES),) of the rule
    Raises BadInputError for a capacity below 1, or weights of another size or that are not finite.
    """

    def __init__(self, capacity: int, weights: FloatArray) -> None:
        if capacity < 1:
            raise BadInputError(f"Memory must hold at least one moment; {capacity} was asked for.")
        if weights.shape != (_COUNT,) or not np.isfinite(weights).all():
            raise BadInputError(f"A rule of forgetting has {_COUNT} finite weights: {', '.join(FEATURES)}.")
        self.capacity, self.came = capacity, 0
        self.evicted = np.zeros(0, dtype=np.int64)  # steps that went with the last push, in order
        self._weights = weights.astype(np.float64)
        self._slots: NDArray[Any] = np.zeros(
            (4, 0), dtype=np.int64
        )  # step, place, stay, visit of what is in memory, oldest first
        self._surprise: NDArray[Any] = np.zeros(0)
        self._places: NDArray[Any] = np.zeros(
            (3, 0), dtype=np.int64
        )  # of each place: moments in memory, ever, its newest visit
        self._stays: NDArray[Any] = np.zeros(0, dtype=np.int64)  # of each stay: moments in memory

    @property
    def kept(self) -> IntArray:
        """The steps in memory, ascending; the first that came was 0."""
        return self._slots[0].copy()

    def push(
        self, places: IntArray, stays: IntArray, visits: IntArray, surprise: FloatArray,
        noise: FloatArray | None = None,
    ) -> FloatArray:  # fmt: skip
        """Take in n moments, one after the other.

        places, stays, visits (n,)  place and stay (numbers from 0), and which visit of the place it is
        surprise (n,)  0 .. 1
        noise (evictions, capacity + 1)  added to the scores; of a Gumbel distribution: the rule is a softmax policy
        Returns (len(FEATURES),) the sum of the gradients of ln p(what went) by the weights; zeros without noise.
        """
        n, held = len(places), self._slots.shape[1]
        if not n:
            self.evicted = np.zeros(0, dtype=np.int64)
            return np.zeros(_COUNT)
        self._places = _grown(self._places, int(places.max()) + 1)
        self._stays = _grown(self._stays, int(stays.max()) + 1)
        room = min(held + n, self.capacity) + 1
        slots, expected = _grown(self._slots, room), _grown(self._surprise, room)
        arriving = np.stack([np.arange(self.came, self.came + n), places, stays, visits]).astype(np.int64)
        noisy = noise is not None
        self.evicted = np.empty(max(held + n - self.capacity, 0), dtype=np.int64)
        size, gradient = _push(
            slots, expected, held, self._places, self._stays, arriving, np.asarray(surprise, dtype=np.float64),
            self.capacity, self._weights, _QUIET if noise is None else noise, noisy, self.evicted,
        )  # fmt: skip
        self._slots, self._surprise = slots[:, :size], expected[:size]
        self.came += n
        return np.asarray(gradient)


def retain(
    places: IntArray, stays: IntArray, visits: IntArray, capacity: int, weights: FloatArray,
    rng: np.random.Generator | None = None,
) -> tuple[IntArray, FloatArray]:  # fmt: skip
    """Steps (B, min(capacity, n)) kept of each of B episodes (B, n), and the policy's gradients (B, F).

    weights  (B, F), of each episode
    rng      chooses by softmax; None: what scores highest goes
    """
    size, steps = places.shape
    kept = np.empty((size, min(capacity, steps)), dtype=np.int64)
    gradients = np.zeros((size, _COUNT))
    nothing = np.zeros(steps)
    for i in range(size):
        memory = Allocator(capacity, weights[i])
        noise = None if rng is None else rng.gumbel(size=(max(steps - capacity, 1), capacity + 1))
        gradients[i] = memory.push(places[i], stays[i], visits[i], nothing, noise)
        kept[i] = memory.kept
    return kept, gradients


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The array with at least `size` entries along its last axis, with zeros after those that were there."""
    have = array.shape[-1]
    if size <= have:
        return array
    grown = np.zeros((*array.shape[:-1], max(size, have + have // 2)), dtype=array.dtype)
    grown[..., :have] = array
    return grown


@njit(cache=True, nogil=True)
def _push(slots, expected, size, places, stays, arriving, surprise, capacity, weights, noise, noisy, evicted):  # type: ignore[no-untyped-def]
    """See `Allocator.push`; slots (4, at least capacity + 1) and the counts are changed in place."""
    features = weights.shape[0]
    gradient = np.zeros(features)
    rows = np.empty((slots.shape[1], features))
    scores = np.empty(slots.shape[1])
    turn = 0
    for step in range(arriving.shape[1]):
        slots[:, size] = arriving[:, step]
        expected[size] = surprise[step]
        size += 1
        place, stay = arriving[1, step], arriving[2, step]
        places[0, place] += 1
        places[1, place] += 1
        places[2, place] = arriving[3, step]
        stays[stay] += 1
        if size <= capacity:
            continue
        _score(slots, expected, size, places, stays, weights, noisy, rows, scores)
        out, best = 0, -np.inf
        for slot in range(size):
            score = scores[slot] + (noise[turn, slot] if noisy else 0.0)
            if score > best:
                out, best = slot, score
        if noisy:
            likely = np.exp(scores[:size] - scores[:size].max())
            likely /= likely.sum()
            for feature in range(features):
                gradient[feature] += rows[out, feature] - (likely * rows[:size, feature]).sum()
        evicted[turn] = slots[0, out]
        turn += 1
        places[0, slots[1, out]] -= 1
        stays[slots[2, out]] -= 1
        for slot in range(out, size - 1):
            for part in range(slots.shape[0]):
                slots[part, slot] = slots[part, slot + 1]
            expected[slot] = expected[slot + 1]
        size -= 1
    return size, gradient


@njit(cache=True, nogil=True)
def _score(slots, expected, size, places, stays, weights, every, rows, scores):  # type: ignore[no-untyped-def]
    """Features (size, F) and scores of what is in memory; logarithms only where they count, or `every` feature."""
    deep, crowded = every or weights[3] != 0, every or weights[4] != 0
    most, longest = 1, 1
    for slot in range(size):
        most = max(most, places[0, slots[1, slot]])
        longest = max(longest, places[1, slots[1, slot]])
    for slot in range(size):
        place = slots[1, slot]
        rows[slot, 0] = 1.0 - slot / (size - 1)
        rows[slot, 1] = places[1, place] / longest
        rows[slot, 2] = places[0, place] / most
        rows[slot, 3] = np.log1p(places[2, place] - slots[3, slot]) / 4 if deep else 0.0
        rows[slot, 4] = np.log(stays[slots[2, slot]]) / 4 if crowded else 0.0
        rows[slot, 5] = expected[slot]
        total = 0.0
        for feature in range(weights.shape[0]):
            total += rows[slot, feature] * weights[feature]
        scores[slot] = total
