"""The drives of bench/tokens: what a robot said of where it was, with vectors, and questions whose answers are known.

House drives are whole runs of sim/house through perception; street drives are patrols of sim/street. Training and
measuring share nothing: other houses, and of the city the western half (training) and the eastern one.

A question names a thing; right is every record that really tells of it (its detections, or the landmarks in sight).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.forest_world import CACHE
from bench.house import remember
from embodied_mem.inference.protocols import Embedder
from embodied_mem.records.memory import RecordMemory
from sim.house.simulator import HouseSimulator
from sim.street.graph import load_touchdown
from sim.street.landmarks import load_landmarks
from sim.street.simulator import StreetSimulator

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
HOUSE_TRAINING, HOUSE_MEASURING = tuple(range(601, 603)), tuple(range(701, 706))
STREET_TRAINING, STREET_MEASURING = tuple(range(801, 807)), tuple(range(901, 906))
STREET_NODES = 1_200
_COMMON = 0.1  # a thing that more of the records tell of than this is no question
_MOST_QUESTIONS = 120
_HOUSE_ASKS = ("Where is the {}?", "Find the {}.", "Where did you see a {}?")
_STREET_ASKS = ("Where is {}?", "Find {}.", "Where did we pass {}?")


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """n records in order of time, and q questions.

    captions (n,), vectors (n, d), positions (n, 3) metres, stamps_ns (n,)
    asks (q,), asked (q, d): texts and their vectors; right: for each the rows of records that tell of it
    """

    name: str
    captions: tuple[str, ...]
    vectors: Float32Array
    positions: FloatArray
    stamps_ns: NDArray[np.int64]
    asks: tuple[str, ...]
    asked: Float32Array
    right: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.captions)


def street_folder() -> Path:
    """touchdown/ in the development data: EMBODIED_MEM_DATA, or ../shared/data."""
    return Path(os.environ.get("EMBODIED_MEM_DATA", "../shared/data")) / "touchdown"


def house_drive(seed: int, embedder: Embedder) -> Drive:
    """A run through a house, by its seed."""
    told = _cached(f"tokens_house_{seed}", lambda: _see_house(seed))
    return _drive(f"house {seed}", told, embedder, _HOUSE_ASKS, seed)


def street_drive(seed: int, embedder: Embedder, *, east: bool) -> Drive:
    """A patrol of STREET_NODES nodes; only what was seen in one half of the city counts."""
    told = _cached(f"tokens_street_{seed}_{'east' if east else 'west'}", lambda: _see_street(seed, east))
    return _drive(f"street {seed}", told, embedder, _STREET_ASKS, seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    captions: list[str]
    positions: list[list[float]]
    stamps: list[int]
    things: list[list[str]]


def _see_house(seed: int) -> _Told:
    memory = RecordMemory.in_memory(None)
    remember(HouseSimulator(seed=seed), memory)
    told = _Told([], [], [], [])
    for entry in memory.entries(1, 10**6):
        seen = entry.observation
        if seen is not None and seen.caption:
            told.captions.append(seen.caption)
            told.positions.append(seen.position.tolist())
            told.stamps.append(seen.stamp_ns)
            told.things.append(sorted(set(seen.detections.labels)))
    return told


def _see_street(seed: int, east: bool) -> _Told:
    graph = load_touchdown(street_folder())
    middle = float(np.median(graph.xy[:, 0]))
    side = np.flatnonzero(((graph.xy[:, 0] > middle) == east) & (graph.degrees >= 2))
    start = int(np.random.default_rng(seed).choice(side))
    world = StreetSimulator(graph, load_landmarks(street_folder(), graph), seed=seed, nodes=STREET_NODES, start=start)
    told = _Told([], [], [], [])
    while not world.done:
        frame = world.step()
        if (frame.position[0] > middle) != east or not len(frame.sighting):
            continue
        names = {world.landmarks.names[row] for row in frame.sighting.rows} - {""}
        told.captions.append(frame.caption)
        told.positions.append(frame.position.tolist())
        told.stamps.append(frame.stamp_ns)
        told.things.append(sorted(names))
    return told


def _drive(name: str, told: _Told, embedder: Embedder, asks: Sequence[str], seed: int) -> Drive:
    things = sorted({thing for row in told.things for thing in row})
    right = {thing: np.flatnonzero([thing in row for row in told.things]) for thing in things}
    rng = np.random.default_rng([seed, 1])
    chosen = [thing for thing in things if len(right[thing]) <= _COMMON * len(told.captions)]
    chosen = [chosen[i] for i in np.sort(rng.permutation(len(chosen))[:_MOST_QUESTIONS])]
    texts = tuple(asks[int(rng.integers(len(asks)))].format(thing) for thing in chosen)
    return Drive(
        name, tuple(told.captions), embed(embedder, told.captions), np.array(told.positions),
        np.array(told.stamps, dtype=np.int64), texts, embed(embedder, texts), tuple(right[thing] for thing in chosen),
    )  # fmt: skip


def embed(embedder: Embedder, texts: Sequence[str]) -> Float32Array:
    """(n, d) vectors, kept in a file beside the repository's other caches; equal texts are embedded once."""
    import zlib

    unique = list(dict.fromkeys(texts))
    path = CACHE / f"tokens_{embedder.name}_{zlib.crc32(chr(0).join(unique).encode()):08x}_{len(unique)}.npy"
    if path.is_file():
        rows = np.load(path)
    else:
        rows = embedder.embed(unique) if unique else np.zeros((0, embedder.dim), np.float32)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rows)
    at = {text: i for i, text in enumerate(unique)}
    return np.asarray(rows[[at[text] for text in texts]], dtype=np.float32)


def _cached(name: str, make) -> _Told:  # type: ignore[no-untyped-def]
    path = CACHE / f"{name}.json"
    if path.is_file():
        return _Told(**json.loads(path.read_text(encoding="utf-8")))
    told: _Told = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"captions": told.captions, "positions": told.positions, "stamps": told.stamps, "things": told.things}
    path.write_text(json.dumps(fields), encoding="utf-8")
    return told
