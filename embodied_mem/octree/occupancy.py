"""How evidence adds up to occupancy: log-odds, clamped, as in OctoMap.

A. Hornung et al., "OctoMap: an efficient probabilistic 3D mapping framework based on octrees", Autonomous Robots 2013:
a voxel that a scan hits gains log(hit / (1 - hit)), one that a ray passes gains log(miss / (1 - miss)), and the sum is
clamped after each. Sums are in single precision, in the order of the scans, so that they equal OctoMap's to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError

COUNTED = 7  # misses that three bits can count


class Rules(NamedTuple):
    """The model as kernels want it: log-odds in single precision.

    misses (8,)  the log-odds after 0 .. 7 misses and no hit
    full         how many misses lead to the lower clamp, or 7
    """

    hit: np.float32
    miss: np.float32
    lowest: np.float32
    highest: np.float32
    occupied: np.float32
    misses: NDArray[np.float32]
    full: int
    clamped: bool  # `full` misses are at the clamp: a further one changes nothing


@dataclass(frozen=True, slots=True)
class OccupancyModel:
    """Probabilities; the defaults are OctoMap's. Raises BadInputError for a model in which evidence has no effect."""

    hit: float = 0.7
    miss: float = 0.4
    lowest: float = 0.1192
    highest: float = 0.971
    occupied: float = 0.5  # from here on a voxel is occupied

    def __post_init__(self) -> None:
        ordered = 0 < self.lowest <= self.miss < 0.5 < self.hit <= self.highest < 1
        if not ordered or not self.miss < self.occupied <= self.highest:
            raise BadInputError(
                f"{self} is no occupancy model: 0 < lowest <= miss < 0.5 < hit <= highest < 1 must hold, and "
                "occupied must lie above miss and not above highest."
            )

    def rules(self) -> Rules:
        """Everything in log-odds."""
        hit, miss, lowest, highest, occupied = (
            np.float32(math.log(p / (1 - p))) for p in (self.hit, self.miss, self.lowest, self.highest, self.occupied)
        )
        values = [np.float32(0)]
        for _ in range(COUNTED):
            values.append(max(np.float32(values[-1] + miss), lowest))
        at_clamp = [count for count, value in enumerate(values) if value <= lowest]
        full = at_clamp[0] if at_clamp else COUNTED
        return Rules(hit, miss, lowest, highest, occupied, np.array(values, np.float32), full, bool(at_clamp))
