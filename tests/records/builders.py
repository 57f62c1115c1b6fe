"""Small observations and an embedder for tests of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class LetterEmbedder:
    """Counts letters: simple enough to know the answers, different enough to rank by."""

    def __init__(self, name: str = "letters", dim: int = 26) -> None:
        self.name, self.dim = name, dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = np.array(
            [[text.lower().count(chr(97 + i % 26)) + 1e-3 * i for i in range(self.dim)] for text in texts]
        )
        return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), dtype=np.float32)


class Clock:
    """A clock that tests set."""

    def __init__(self, now_ns: int = START) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def detections(labels: Sequence[str], centers: ArrayLike | None = None) -> Detections:
    n = len(labels)
    places = np.zeros((n, 3)) if centers is None else np.asarray(centers, dtype=np.float64).reshape(n, 3)
    return Detections(tuple(labels), np.full(n, 0.9), places, np.full((n, 3), 0.1), np.zeros(n))


def observation(
    seconds: float = 0.0, position: ArrayLike = (0.0, 0.0, 0.0), caption: str = "a mug", **fields: Any
) -> Observation:
    """Seen `seconds` after START, from `position`."""
    values: dict[str, Any] = {"orientation": np.array([0.0, 0.0, 0.0, 1.0]), "caption": caption, **fields}
    return Observation(START + round(seconds * SECOND), np.asarray(position, dtype=np.float64), **values)


def seeing(classes: Sequence[str] = ("mug",), depth_mm: int = 2000) -> View:
    grid = np.full((4, 6), depth_mm, dtype=np.uint16)
    return View("camera", 1.5, 1.0, 0.1, 5.0, None, "detector", tuple(classes), grid)


def memory(clock: Clock | None = None, embedder: Any = None) -> RecordMemory:
    return RecordMemory.in_memory(embedder or LetterEmbedder(), clock=clock or Clock(START + 86_400 * SECOND))
