"""Compiles the kernels of this package before they are needed, so that no first question is kept waiting."""

from __future__ import annotations

import numpy as np

from embodied_mem.episodes.allocator import STRATEGIES, Allocator
from embodied_mem.episodes.coding import CODE
from embodied_mem.episodes.life import Life


def warm_episodes() -> None:
    """Live through two moments with room for one."""
    life, memory = Life(), Allocator(1, STRATEGIES["fifo"])
    nothing = np.zeros(2, dtype=np.int64)
    lived = life.extend(np.zeros((2, 3)), np.zeros(2, dtype=np.int32), nothing, np.ones((2, CODE), dtype=np.float32))
    memory.push(lived.places, lived.stays, lived.visits, lived.surprise)
