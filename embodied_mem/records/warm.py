"""Compiles the kernels of memory once, on a few made-up records, so that the first real one is not late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query, TimeRange

_SECOND = 1_000_000_000
_FEW = 600  # so many candidates are ranked by codes first


def warm() -> RecordMemory:
    """Remember, repeat and search; returns the memory, for views that are to be warmed too."""
    embedder = HashingEmbedder()
    memory = RecordMemory.in_memory(embedder, clock=lambda: 2 * _FEW * _SECOND)
    upright = np.array([0.0, 0.0, 0.0, 1.0])
    cloud = np.random.default_rng(0).uniform(-2, 2, (50, 3)).astype(np.float32)
    seen = [
        Observation(i * _SECOND, np.array([0.5 * i, 0.0, 1.0]), upright, caption=f"thing {i}") for i in range(1, _FEW)
    ]
    memory.remember_many([replace(seen[0], cloud=cloud), *seen[1:]])
    memory.remember(seen[0])  # the same again
    box = (np.array([-5.0, -5.0, -5.0]), np.array([50.0, 5.0, 5.0]))
    for restriction in ({}, {"box": box}, {"time": TimeRange(0, 50 * _SECOND)}, {"center": box[1], "radius": 9.0}):
        memory.query(Query(text="thing 7", k=5, **restriction))
    memory.forget([int(memory.query(Query(k=1)).hits[0].record.seq)])
    return memory


if __name__ == "__main__":
    warm()
