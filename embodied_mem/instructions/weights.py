"""The weights of the alignment, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.instructions import alignment as a
from embodied_mem.instructions import learned

FloatArray = NDArray[np.float64]


def _start() -> FloatArray:
    w = np.zeros(a.FEATURES)
    w[a.TURN_AT : a.TURN_AT + 5] = -3, 1, 2, -4, -5
    w[a.PASS_AT : a.PASS_AT + 6] = 1, 0, -3, 1, 0, -3
    w[a.NONE_AT : a.NONE_AT + 7] = -1, -1, -3, -0.5, -0.5, -2, -0.5
    w[a.SKIP : a.SKIP + 3] = -4, -2, -1
    for block in (a.SEEN, a.CORNER, a.STOP_SEEN):
        w[block : block + 3] = 0, 2, 0.3
    w[a.FRONTIER + 4 : a.FRONTIER + 6] = -1
    return w


START = _start()  # by hand: where tuning begins
BLOCKS = {
    "turn": 5, "bend": 1, "pass": 6, "none": 7, "skip": 3, "seen": 3, "corner": 3, "stopped": 42, "stop_seen": 3,
    "frontier": 6, "unused": 1,
}  # fmt: skip


def from_blocks(blocks: dict[str, list[float]]) -> FloatArray:
    """The weights from their named blocks. Raises BadInputError when a block has another size."""
    if any(len(blocks.get(name, [])) != size for name, size in BLOCKS.items()):
        raise BadInputError(f"The weights need these blocks with so many numbers: {BLOCKS}.")
    return np.concatenate([np.array(blocks[name], dtype=np.float64) for name in BLOCKS])


def to_blocks(weights: FloatArray) -> dict[str, list[float]]:
    """The named blocks of weights, rounded to what matters."""
    ends = np.cumsum(list(BLOCKS.values()))
    parts = np.split(np.asarray(weights, dtype=np.float64), ends[:-1])
    return {name: [round(float(w), 3) for w in part] for name, part in zip(BLOCKS, parts, strict=True)}


def with_memory() -> FloatArray:
    """Tuned for a robot that knows streets beyond those it sees (bench/street_tune.py)."""
    return from_blocks(learned.WITH_MEMORY)


def without_memory() -> FloatArray:
    """Tuned for a robot that knows only what it perceives on the way."""
    return from_blocks(learned.WITHOUT_MEMORY)
