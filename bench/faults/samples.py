"""Observations by number, each unlike the others, and what must be there again of one that was acknowledged."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.entry import as_logged
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View

START_NS = 1_700_000_000 * 10**9
NOW_NS = START_NS + 10**6 * 10**9
_THINGS = ("cup", "book", "chair", "lamp", "plant", "sofa", "table", "towel", "kettle", "clock", "bag", "shoe")
_COLOURS = ("red", "green", "blue", "white", "black", "brown", "yellow", "grey")


def embedder() -> HashingEmbedder:
    return HashingEmbedder()


def clock() -> int:
    """Later than all samples."""
    return NOW_NS


def sample(key: int, *, points: int = 40) -> Observation:
    """Observation `key`: with a cloud, a thumbnail, detections, and every third with a vector of its own."""
    rng = np.random.default_rng([7, key])
    thing, colour = str(rng.choice(_THINGS)), str(rng.choice(_COLOURS))
    position = np.array([key % 40 * 3.0, key // 40 * 3.0, 1.0])
    model = embedder()
    given = _unit(rng.normal(size=model.dim)) if key % 3 == 0 else None
    return Observation(
        START_NS + key * 10**9,
        position,
        np.array([0.0, 0.0, 0.0, 1.0]),
        caption=f"a {colour} {thing} with the number {key}",
        detections=Detections(
            (thing,), np.array([0.9]), position + rng.uniform(-1, 1, (1, 3)), np.full((1, 3), 0.2), np.zeros(1)
        ),
        view=View("camera", 1.5, 1.0, 0.1, 5.0, None, "detector", _THINGS),
        cloud=rng.uniform(-3, 3, (points, 3)).astype(np.float32) if key % 2 == 0 else None,
        thumbnail=rng.bytes(300) if key % 5 == 0 else b"",
        vector=given,
        vector_model=model.name if given is not None else "",
        sensor_id=f"s{key % 4}",
    )


@lru_cache(4096)
def vector_of(key: int) -> np.ndarray:
    """(384,) float32: what must be stored for sample `key`."""
    obs = sample(key)
    return np.asarray(embedder().embed([obs.caption])[0] if obs.vector is None else obs.vector)


def missing(memory: RecordMemory, seq: int, key: int) -> str:
    """What record `seq` lacks of sample `key`; "" when it is all there. Raises EmbodiedMemError when it is not there.

    Its vector counts only when it is on disk, which `memory` must have read (an `embed_missing` would hide a loss).
    """
    wanted = _as_logged(key)
    (entry,) = memory.entries(seq, 1, blobs=True)
    found = entry.observation
    if entry.seq != seq or found is None:
        return f"entry {seq} is {entry.kind.name} {entry.seq}"
    lacks = [
        name
        for name, same in (
            ("stamp", found.stamp_ns == wanted.stamp_ns),
            ("caption", found.caption == wanted.caption),
            ("position", np.array_equal(found.position, wanted.position)),
            ("detections", found.detections.labels == wanted.detections.labels),
            ("cloud", _same(found.cloud, wanted.cloud)),
            ("thumbnail", found.thumbnail == wanted.thumbnail),
            ("vector", found.vector is not None and np.allclose(found.vector, vector_of(key), rtol=0, atol=1e-6)),
        )
        if not same
    ]
    return f"record {seq} lacks its {', '.join(lacks)}" if lacks else ""


@lru_cache(4096)
def _as_logged(key: int) -> Observation:
    return as_logged(sample(key))


@lru_cache(4096)
def caption_of(key: int) -> str:
    return sample(key).caption


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray((vector / np.linalg.norm(vector)).astype(np.float32))


def _same(found: np.ndarray | None, wanted: np.ndarray | None) -> bool:
    return (found is None) == (wanted is None) and (found is None or np.array_equal(found, np.asarray(wanted)))
