"""A seeded robot memory of any size for bench/search: where, when, who, what was seen, and its vectors.

Five robots walk between the places of five maps. A session is one robot's work in one map; sessions take turns in runs
of some minutes. Shares are fixed so that some robot, map and session each hold about 50, 10, 1 and 0.01 % of records.
Vectors have the spread of sentence embeddings of captions: a part that all share, a topic, the place, the moment; and
2 % repeat the vector before, as a robot repeats itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.commands import SetMap
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.observation import Detections, Observation

MODEL = "bench"
DIM = 384
_CHUNK = 20_000  # records whose vectors are made at a time
_BATCH = 64  # records that the index is told of at a time
_TOPICS = 200
_PLACES = 60  # in a map
_SIZE = np.array([60.0, 40.0])  # metres, of a map
_RUN = 200  # records of a session before another has its turn
_LEG = 15  # records from one place to the next
_STEP_NS = 2_000_000_000  # between records
_SIDEWAYS = np.array([0.0, 0.0, 0.0, 1.0])

# session: robot, map, share of all records (the last takes the rest)
SESSIONS = {
    "tour": ("r0", "site", 0.52),
    "night": ("r2", "annex", 0.10),
    "test": ("r3", "annex", 0.01),
    "visit": ("r4", "annex", 0.0001),
    "depot": ("r1", "depot", 0.10),
    "yard": ("r1", "yard", 0.01),
    "shed": ("r1", "shed", 0.0001),
    "second tour": ("r1", "site", 0.05),
    "rounds": ("r1", "annex", 1.0),
}
ROBOTS = tuple(dict.fromkeys(robot for robot, _, _ in SESSIONS.values()))
MAPS = tuple(dict.fromkeys(name for _, name, _ in SESSIONS.values()))
# label: share of the records that have one
LABELS = {
    "chair": 0.50,
    "person": 0.30,
    "table": 0.40,
    "lamp": 0.25,
    "door": 0.35,
    "mug": 0.10,
    "vase": 0.01,
    "trophy": 0.0001,
}
COMMON_LABELS = ("chair", "person", "table", "lamp", "door", "mug")


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """n records with m detections; times in ns, places in metres in each record's own map.

    Record i has the number i + first_seq. `owner` (m,) ascends.
    """

    seed: int
    stamps: NDArray[np.int64]
    last_seen: NDArray[np.int64]
    positions: NDArray[np.float64]
    sessions: NDArray[np.int32]  # codes into SESSIONS; so are robots and maps into theirs
    robots: NDArray[np.int32]
    maps: NDArray[np.int32]
    places: NDArray[np.int32]
    owner: NDArray[np.int64]
    labels: NDArray[np.int32]
    centers: NDArray[np.float64]
    first_seq: int = len(MAPS) + 1

    def __len__(self) -> int:
        return len(self.stamps)

    def vectors(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The first record of a chunk, and its vectors (c, 384), unit length: the same at every call."""
        base = _base(self.seed)
        for first in range(0, len(self), _CHUNK):
            rng = np.random.default_rng([self.seed, 1, first])
            places = self.places[first : first + _CHUNK]
            count = len(places)
            # A place shows its eight topics, the first ones most often.
            pick = np.minimum(rng.geometric(0.3, count) - 1, 7)
            topics = (places.astype(np.int64) * 37 + pick * 11) % _TOPICS
            moment = rng.standard_normal((count, DIM), dtype=np.float32) / np.float32(np.sqrt(DIM))
            out = 0.45 * base.common + 0.6 * base.topics[topics] + 0.35 * base.places[places] + 0.55 * moment
            repeats = np.flatnonzero(rng.random(count) < 0.02)
            repeats = repeats[repeats > 0]
            out[repeats] = out[repeats - 1]
            yield first, _unit(out)

    def queries(self, count: int) -> NDArray[np.float32]:
        """(count, 384) questions: a topic, in other words."""
        base = _base(self.seed)
        rng = np.random.default_rng([self.seed, 2])
        noise = rng.standard_normal((count, DIM), dtype=np.float32) / np.float32(np.sqrt(DIM))
        topics = base.topics[rng.integers(0, _TOPICS, count)]
        return _unit(0.45 * base.common + 0.65 * topics + 0.6 * noise)


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    common: NDArray[np.float32]
    topics: NDArray[np.float32]
    places: NDArray[np.float32]


def _base(seed: int) -> _Base:
    rng = np.random.default_rng([seed, 0])
    rows = _unit(rng.standard_normal((1 + _TOPICS + len(MAPS) * _PLACES, DIM), dtype=np.float32))
    return _Base(rows[0], rows[1 : 1 + _TOPICS], rows[1 + _TOPICS :])


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def make_world(count: int, seed: int) -> World:
    """`count` records; the same for the same seed."""
    rng = np.random.default_rng([seed, 3])
    sessions = _turns(count, rng)
    robot_of, map_of = (
        np.array([names.index(value[part]) for value in SESSIONS.values()], dtype=np.int32)
        for part, names in ((0, ROBOTS), (1, MAPS))
    )
    maps = map_of[sessions]
    places, positions = _walk(sessions, maps, rng)
    # Robots' clocks and delays differ: stamps are in order only nearly.
    stamps = 1_700_000_000_000_000_000 + np.arange(count) * _STEP_NS + rng.integers(0, 3_000_000_000, count)
    stretched = rng.random(count) < 0.05  # the robot stood still and saw the same for a while
    last_seen = stamps + np.where(stretched, rng.integers(1, 60_000_000_000, count), 0)
    has = np.stack([rng.random(count) < share for share in LABELS.values()], axis=1)
    owner, labels = np.nonzero(has)
    centers = positions[owner] + rng.normal(0, 1.5, (len(owner), 3)) * (1, 1, 0.2)
    return World(
        seed, stamps, last_seen, positions, sessions, robot_of[sessions], maps, places,
        owner, labels.astype(np.int32), centers,
    )  # fmt: skip


def _turns(count: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """(count,) which session each record belongs to: runs of records, in random order."""
    numbers = [max(1, round(count * share)) for _, _, share in SESSIONS.values()]
    numbers[-1] = count - sum(numbers[:-1])
    runs = [(code, min(_RUN, number - i)) for code, number in enumerate(numbers) for i in range(0, number, _RUN)]
    order = rng.permutation(len(runs))
    return np.repeat([runs[i][0] for i in order], [runs[i][1] for i in order]).astype(np.int32)


def _walk(
    sessions: NDArray[np.int32], maps: NDArray[np.int32], rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Place (codes over all maps) and position of each record: straight from place to place, with some noise."""
    floors = rng.integers(0, 2, (len(MAPS), _PLACES)) * 3.0
    corners = np.concatenate([rng.random((len(MAPS), _PLACES, 2)) * _SIZE, floors[:, :, None] + 1.2], axis=2)
    places = np.empty(len(sessions), dtype=np.int32)
    positions = np.empty((len(sessions), 3))
    for code in range(len(SESSIONS)):
        own = np.flatnonzero(sessions == code)
        if not len(own):
            continue
        name = int(maps[own[0]])
        stops = rng.integers(0, _PLACES, len(own) // _LEG + 2)
        leg, along = np.divmod(np.arange(len(own)), _LEG)
        share = (along / _LEG)[:, None]
        positions[own] = corners[name, stops[leg]] * (1 - share) + corners[name, stops[leg + 1]] * share
        places[own] = name * _PLACES + np.where(along * 2 < _LEG, stops[leg], stops[leg + 1])
    return places, positions + rng.normal(0, 0.15, positions.shape)


def build_index(world: World) -> RecordIndex:
    """The world as a log's entries would bring it in: maps, observations with detections, repetitions, vectors."""
    index = RecordIndex()
    index.apply([Entry(number, Kind.COMMAND, 0, command=SetMap(name)) for number, name in enumerate(MAPS, start=1)])
    starts = np.searchsorted(world.owner, np.arange(len(world) + 1))
    names, sessions = tuple(LABELS), tuple(SESSIONS)
    for first, vectors in world.vectors():
        rows = range(first, first + len(vectors))
        entries = []
        for row in rows:
            own = slice(starts[row], starts[row + 1])
            count = starts[row + 1] - starts[row]
            seen = Detections(
                tuple(names[code] for code in world.labels[own]), np.full(count, 0.8), world.centers[own],
                np.full((count, 3), 0.5), np.zeros(count),
            )  # fmt: skip
            observation = Observation(
                int(world.stamps[row]), world.positions[row], _SIDEWAYS, map_id=MAPS[world.maps[row]],
                robot_id=ROBOTS[world.robots[row]], session_id=sessions[world.sessions[row]], detections=seen,
            )  # fmt: skip
            entries.append(Entry(row + world.first_seq, Kind.OBSERVATION, int(world.stamps[row]), observation))
        for start in range(0, len(entries), _BATCH):  # or the indices would be sorted more often than a robot's are
            index.apply(entries[start : start + _BATCH])
        index.set_vectors(np.arange(first, first + len(vectors)) + world.first_seq, vectors, MODEL)
    again = np.flatnonzero(world.last_seen > world.stamps)
    index.apply([_seen_again(world, int(row), index.watermark + 1 + turn) for turn, row in enumerate(again)])
    return index


def _seen_again(world: World, row: int, number: int) -> Entry:
    seen = int(world.last_seen[row])
    return Entry(number, Kind.SEEN_AGAIN, seen, about=row + world.first_seq, stamp_ns=seen)
