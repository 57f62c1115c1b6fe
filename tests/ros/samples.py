"""Observations, images and what else the tests send."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from embodied_mem.records.observation import Detections, Observation

UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])
SECOND = 1_000_000_000
_steps = itertools.count()


def now_ns() -> int:
    """The clock, a microsecond later at each call: no two observations share a stamp."""
    return time.time_ns() + next(_steps) * 1000


def seen(caption: str = "a mug", position: ArrayLike = (0.0, 0.0, 0.0), **fields: Any) -> Observation:
    """What a captioner at `position` says now. Each call is another sensor's, so that nothing is folded."""
    values: dict[str, Any] = {
        "stamp_ns": now_ns(), "orientation": UPRIGHT, "caption": caption, "sensor_id": f"s{next(_steps)}", **fields,
    }  # fmt: skip
    return Observation(position=np.asarray(position, dtype=np.float64), **values)


def things(labels: tuple[str, ...], centers: ArrayLike, score: float = 0.9) -> Detections:
    n = len(labels)
    places = np.asarray(centers, dtype=np.float64).reshape(n, 3)
    return Detections(labels, np.full(n, score), places, np.full((n, 3), 0.1), np.zeros(n))
