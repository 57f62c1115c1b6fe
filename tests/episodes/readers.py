"""Readers for tests: of any shape, with weights near the scaled identities that training begins from."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_mem.episodes.coding import WIDTH
from embodied_mem.episodes.reading import Reading
from embodied_mem.episodes.shape import ReaderShape


def weights(shape: ReaderShape, seed: int = 0, spread: float = 0.02) -> dict[str, Any]:
    """Identities and zeros with noise, by the names of a checkpoint."""
    rng = np.random.default_rng(seed)
    eye, sharp = np.eye(WIDTH), np.eye(WIDTH) * shape.sharpness**0.5
    found = {
        "kind": np.zeros((shape.kinds, WIDTH)),
        "head": eye,
        "code_scale": np.array(8.0),
        "place_scale": np.array(8.0),
    }
    for i in range(shape.layers):
        found |= {f"layers.{i}.{name}": sharp for name in ("query", "key", "chunk")}
        found |= {f"layers.{i}.{name}": eye for name in ("value", "out")}
        found |= {
            f"layers.{i}.into": np.zeros((WIDTH, shape.hidden)), f"layers.{i}.bias": np.zeros(shape.hidden),
            f"layers.{i}.back": np.zeros((shape.hidden, WIDTH)),
        }  # fmt: skip
    return {name: (value + spread * rng.normal(size=value.shape)).astype(np.float32) for name, value in found.items()}


def reading(shape: ReaderShape | None = None, seed: int = 0, spread: float = 0.02) -> Reading:
    shape = shape or ReaderShape()
    return Reading(shape, weights(shape, seed, spread))
