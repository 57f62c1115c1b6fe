"""What a moment is made of: the token of a memory and of a question, as blocks side by side.

A token is the sum of an observation's code and of embeddings of time, place, the place before, visit and action
(Spatially-Aware Transformer, ICLR 2024). Each of them lives in dimensions of its own, so that a scaled identity as
query and key projection is from the start a kernel that compares like with like: code with code, place with place.

Coordinates, steps and visits are embedded by sines and cosines (Attention Is All You Need, 2017): a product of two such
embeddings depends on their difference alone, so what was learnt in a small world holds in a large one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

CODE, TIME, PLACE, VISIT, ACTION = 32, 16, 24, 8, 4  # numbers in each block
_SIZES = {"code": CODE, "time": TIME, "place": PLACE, "origin": PLACE, "visit": VISIT, "action": ACTION}
WIDTH = sum(_SIZES.values())
BLOCKS = {
    name: slice(end - size, end)
    for (name, size), end in zip(_SIZES.items(), np.cumsum(list(_SIZES.values())).tolist(), strict=True)
}
ACTIONS = ACTION + 1  # stay, and a move in each direction

_STEPS = np.geomspace(4.0, 4096.0, TIME // 2)  # periods, in steps
_CELLS = np.array([2.3, 3.1, 4.3, 6.1, 19.0, 131.0])  # periods, in cells: none a multiple of another
_VISITS = np.array([2.6, 4.3, 9.0, 31.0])  # periods, in visits


def layer_norm(codes: ArrayLike) -> FloatArray:
    """Codes (..., d) without mean and of unit length, zeros where all numbers are equal.

    Raises BadInputError for codes that are not finite.
    """
    found = np.asarray(codes, dtype=np.float32)
    if not np.isfinite(found).all():
        raise BadInputError("A token holds NaN or infinity: a memory of it would spoil every later read.")
    found = found - found.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    return np.asarray(np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-6), dtype=np.float32)


def waves(values: ArrayLike, periods: NDArray[np.float64]) -> FloatArray:
    """(..., 2 n) sines and cosines of values (...) at n periods, of unit length."""
    angles = np.asarray(values, dtype=np.float64)[..., None] * (2 * np.pi / periods)
    found = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1) / np.sqrt(len(periods))
    return np.asarray(found, dtype=np.float32)


def place_code(cells: ArrayLike) -> FloatArray:
    """(..., PLACE) the embedding of coordinates (..., 2), in cells (the spacing of places), of unit length."""
    both = waves(cells, _CELLS) / np.sqrt(2)
    return np.asarray(both.reshape(*both.shape[:-2], PLACE), dtype=np.float32)


def time_code(steps: ArrayLike) -> FloatArray:
    """(..., TIME) the embedding of numbers of steps (...)."""
    return waves(steps, _STEPS)


def visit_code(visits: ArrayLike) -> FloatArray:
    """(..., VISIT) the embedding of how many times a place had been visited, 1 = the first."""
    return waves(visits, _VISITS)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Memories or questions as arrays of the same leading shape (...).

    codes    (..., CODE) layer-normalised, zeros where a question names none
    steps    (...) number of the step
    cells    (..., 2) coordinates in cells, NaN where a question names no place
    origins  (..., 2) those of the place that the robot came from, NaN where there is none
    visits   (...) of the place, from 1; 0: none is named
    actions  (...) 0 = stayed, else 1 + direction of the move that led there
    """

    codes: FloatArray
    steps: IntArray
    cells: NDArray[np.float64]
    origins: NDArray[np.float64]
    visits: IntArray
    actions: IntArray

    def tokens(self, knows: tuple[str, ...] = tuple(BLOCKS)) -> FloatArray:
        """(..., WIDTH); the blocks that are not among `knows` stay zero."""
        found = np.zeros((*self.codes.shape[:-1], WIDTH), dtype=np.float32)
        if "code" in knows:
            found[..., BLOCKS["code"]] = self.codes
        if "time" in knows:
            found[..., BLOCKS["time"]] = time_code(self.steps)
        for name, cells in (("place", self.cells), ("origin", self.origins)):
            if name in knows:
                named = np.isfinite(cells).all(axis=-1, keepdims=True)
                found[..., BLOCKS[name]] = place_code(np.where(named, cells, 0)) * named
        if "visit" in knows:
            found[..., BLOCKS["visit"]] = visit_code(self.visits) * (self.visits > 0)[..., None]
        if "action" in knows:
            found[..., BLOCKS["action"]] = np.eye(ACTIONS, dtype=np.float32)[self.actions][..., 1:]
        return found

    def at(self, chosen: IntArray) -> Moments:
        """Of (episodes, steps) moments, those of (episodes, n) steps."""
        rows = np.arange(len(chosen))[:, None]
        return Moments(*(getattr(self, part.name)[rows, chosen] for part in fields(self)))
