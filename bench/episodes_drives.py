"""Drives whose logs bench/episodes asks about: through simulated houses, and through a district of a real city."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.house import remember
from embodied_mem.episodes.allocator import Allocator
from embodied_mem.episodes.coding import BLOCKS, CODE, FloatArray, IntArray, Moments, layer_norm
from embodied_mem.episodes.life import Life, Lived
from embodied_mem.episodes.memory import EpisodicMemory
from embodied_mem.episodes.reading import Reading
from embodied_mem.episodes.tasks import AGO, WHERE
from embodied_mem.episodes.view import OfPlace, projection
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from sim.house.simulator import HouseSimulator
from sim.street.data import street_folder
from sim.street.graph import TouchdownGraph, load_touchdown
from sim.street.landmarks import Eyes, Landmarks, load_landmarks
from sim.street.simulator import AS_A_CAMERA, caption_of

_SECOND = 1_000_000_000
_START = 1_500_000_000 * _SECOND
_DISTRICT = 80  # nodes of the graph that a robot delivers to
BACK = 5  # visits ago at most
_ALIKE = 0.95  # cosine from which another moment shows the same
RAW_BYTES = 96  # of a moment in a ring buffer: its code in half precision, number, stamp, place, stay and visit


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """Of n records in order: positions (n, 3), vectors (n, d) of what was said of them; metres between places."""

    name: str
    positions: NDArray[np.float64]
    vectors: FloatArray
    spacing: float

    def lived(self) -> tuple[Life, Lived, FloatArray]:
        """Places, stays and visits of the whole drive, and codes (n, CODE)."""
        life, n = Life(self.spacing), len(self.positions)
        codes = layer_norm(self.vectors @ projection(self.vectors.shape[1]))
        return life, life.extend(self.positions, np.zeros(n, np.int32), np.zeros(n, np.int64), codes), codes


def house(seed: int) -> Drive:
    """A robot that sweeps a house to the end, as the nodes remember it."""
    memory = RecordMemory.in_memory(HashingEmbedder())
    remember(HouseSimulator(seed=seed), memory)
    table = memory.index.table
    rows = np.flatnonzero(table.live.data).astype(np.int32)
    return Drive(f"house {seed}", table.positions.data[rows].copy(), memory.index.vectors_at(rows), 1.5)


def streets(seeds: range, steps: int) -> Iterator[Drive]:
    """Robots that deliver in a district each: from node to node, at junctions anywhere but back."""
    folder = street_folder()
    graph = load_touchdown(folder)
    landmarks = load_landmarks(folder, graph)
    for seed in seeds:
        yield _street(graph, landmarks, seed, steps)


def street_memory(seed: int, steps: int) -> RecordMemory:
    """The log of such a drive, for the view."""
    folder = street_folder()
    graph = load_touchdown(folder)
    nodes, captions = _delivered(graph, load_landmarks(folder, graph), seed, steps)
    memory = RecordMemory.in_memory(HashingEmbedder())
    upright = np.array([0.0, 0.0, 0.0, 1.0])
    memory.remember_many([
        Observation(_START + i * _SECOND, np.append(graph.xy[node], 1.5), orientation=upright, caption=caption)
        for i, (node, caption) in enumerate(zip(nodes, captions, strict=True))
    ])  # fmt: skip
    return memory


def _street(graph: TouchdownGraph, landmarks: Landmarks, seed: int, steps: int) -> Drive:
    nodes, captions = _delivered(graph, landmarks, seed, steps)
    positions = np.concatenate([graph.xy[nodes], np.full((len(nodes), 1), 1.5)], axis=1)
    return Drive(f"street {seed}", positions, HashingEmbedder().embed(captions), 15.0)


def _delivered(graph: TouchdownGraph, landmarks: Landmarks, seed: int, steps: int) -> tuple[list[int], list[str]]:
    rng = np.random.default_rng(seed)
    eyes = Eyes(landmarks, AS_A_CAMERA, seed=seed)
    start = int(rng.choice(np.flatnonzero(graph.degrees >= 3)))
    district, queue = {start}, [start]
    for at in queue:
        for other in graph.links[graph.first[at] : graph.first[at + 1], 1].tolist():
            if other not in district and len(district) < _DISTRICT:
                district.add(other)
                queue.append(other)
    node, before, nodes, captions = start, -1, [], []
    for _ in range(steps):
        nodes.append(node)
        captions.append(caption_of(landmarks, eyes.look(graph.xy[node], 0.0)))
        onward = [o for o in graph.links[graph.first[node] : graph.first[node + 1], 1].tolist() if o in district]
        ahead = [other for other in onward if other != before] or onward
        node, before = (int(rng.choice(ahead)), node) if ahead else (node, before)
    return nodes, captions


# --- what is asked -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Questions "what did I see here k visits ago": places (q,) and visits (q,)."""

    places: IntArray
    visits: IntArray


def asked_of(lived: Lived, seed: int, count: int) -> Asked:
    """Any place that was visited, any of its last few visits."""
    rng = np.random.default_rng([seed, 77])
    newest = np.zeros(lived.places.max() + 1, dtype=np.int64)
    np.maximum.at(newest, lived.places, lived.visits)
    places = rng.integers(len(newest), size=count)
    back = (rng.random(count) * np.minimum(newest[places], BACK)).astype(np.int64)
    return Asked(places, newest[places] - back)


def share_held(lived: Lived, kept: IntArray, asked: Asked) -> float:
    """The share of questions whose answer is among the kept steps: what an exact look-up there gets right."""
    there = set(zip(lived.places[kept].tolist(), lived.visits[kept].tolist(), strict=True))
    return float(np.mean([pair in there for pair in zip(asked.places.tolist(), asked.visits.tolist(), strict=True)]))


def kept_by(lived: Lived, capacity: int, weights: NDArray[np.float64]) -> IntArray:
    """The steps that a rule of forgetting keeps."""
    memory = Allocator(capacity, weights)
    memory.push(lived.places, lived.stays, lived.visits, lived.surprise)
    return memory.kept


def kept_by_lru(lived: Lived, capacity: int) -> IntArray:
    """Least recently used: the oldest moment of the place where the robot was longest ago goes."""
    last = np.full(lived.places.max() + 1, -1)
    kept: list[int] = []
    for step, place in enumerate(lived.places.tolist()):
        last[place] = step
        kept.append(step)
        if len(kept) > capacity:
            kept.pop(int(last[lived.places[kept]].argmin()))
    return np.array(kept)


def memory_of(
    drive: Drive, lived: Lived, life: Life, codes: FloatArray, capacity: int, weights: NDArray[np.float64]
) -> EpisodicMemory:
    """The network's memory of a drive."""
    n = len(lived.places)
    moments = Moments(
        codes, np.arange(n), life.cells(lived.places), life.cells(lived.origins), lived.visits, np.zeros(n, np.int64)
    )
    memory = EpisodicMemory(capacity, weights)
    memory.extend(
        moments.tokens(("code", "time", "place", "origin", "visit")), lived.places, lived.stays, lived.visits,
        lived.surprise,
    )  # fmt: skip
    return memory


def network_right(
    reader: Reading, memory: EpisodicMemory, life: Life, lived: Lived, asked: Asked, *, named: bool = True
) -> tuple[float, float]:
    """Share of questions where the most attended memory is of that place and visit, and tokens read, mean.

    named  whether memory knows the place by its number, or has to find it by its coordinates
    """
    cells = life.cells(asked.places)
    q, right, read_tokens = len(asked.places), 0, 0
    tokens = _questions(np.zeros((q, CODE), dtype=np.float32), cells, asked.visits, len(lived.places))
    for token, place, visit in zip(tokens, asked.places.tolist(), asked.visits.tolist(), strict=True):
        if not len(memory.members(place)):
            continue
        read = reader.read(token, AGO, OfPlace(memory, place) if named else memory)
        step = int(memory.steps_of(read.rows[[read.attention.argmax()]])[0])
        right += int(lived.places[step] == place and lived.visits[step] == visit)
        read_tokens += read.tokens_read
    return right / q, read_tokens / q


def content_right(
    reader: Reading, memory: EpisodicMemory, life: Life, lived: Lived, drive: Drive, codes: FloatArray, seed: int,
    count: int,
) -> dict[str, float]:  # fmt: skip
    """ "Which of these four places had X" and "did X or Y come first": the network, and exact search of the full log.

    X is what was said of a moment, seen as it was then; other moments that look the same count as X too.
    """
    rng = np.random.default_rng([seed, 78])
    n, right = (
        len(lived.places),
        {"network, which place": 0, "exact, which place": 0, "network, order": 0, "exact, order": 0},
    )
    steps = rng.integers(n, size=(count, 2))
    nothing = np.zeros(count, dtype=np.int64)
    nowhere = np.full((count, 2), np.nan)
    tokens = [_questions(codes[steps[:, i]], nowhere, nothing, n) for i in range(2)]
    used = 0
    for turn, (x, y) in enumerate(steps.tolist()):
        likeness = drive.vectors @ drive.vectors[[x, y]].T
        same = likeness >= _ALIKE
        latest = int(np.flatnonzero(same[:, 0])[-1])
        others = np.setdiff1d(np.arange(len(life.spots)), lived.places[same[:, 0]])
        if len(others) < 3 or same.all(axis=1).any():
            continue
        used += 1
        choices = np.append(rng.choice(others, 3, replace=False), lived.places[latest])
        reads = [reader.read(part[turn], WHERE, memory) for part in tokens]
        right["network, which place"] += int(reader.choose(reads[0], cells=life.cells(choices)).argmax() == 3)
        right["exact, which place"] += int(np.isin(choices, lived.places[[latest]]).argmax() == 3)
        first = [int(np.flatnonzero(same[:, i])[-1]) for i in range(2)]  # by the latest moment of each
        when = [float(memory.steps_of(read.rows) @ read.attention / read.attention.sum()) for read in reads]
        right["network, order"] += int((when[0] < when[1]) == (first[0] < first[1]))
        right["exact, order"] += 1
    return {name: value / max(used, 1) for name, value in right.items()} | {"questions": used}


def _questions(codes: FloatArray, cells: NDArray[np.float64], visits: IntArray, now: int) -> FloatArray:
    nothing = np.zeros(len(codes), dtype=np.int64)
    asked = Moments(codes, np.full(len(codes), now), cells, np.full(cells.shape, np.nan), visits, nothing).tokens()
    asked[:, BLOCKS["time"]] *= (visits == 0)[:, None]  # as in training: a visit says it all
    return asked
