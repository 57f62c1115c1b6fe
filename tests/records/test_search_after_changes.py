"""Every filter together, with corrections, forgetting, undoing, re-anchoring and maps between, against brute force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.records import growable
from embodied_mem.records.commands import Command, Correct, Forget, ReAnchor, SetMap, Undo
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.index import Matches, RecordIndex
from embodied_mem.records.observation import Detections
from embodied_mem.records.query import Query, TimeRange
from tests.records.brute_force import BruteForce, Found
from tests.records.builders import SECOND, START, observation

LABELS = ("mug", "chair", "plant")
MAPS = ("a", "b", "c")
WIDTH = 6
EVENTS = ("observe",) * 4 + (
    "again",
    "again",
    "move",
    "relabel",
    "retell",
    "forget",
    "undo",
    "anchor",
    "map",
    "joined map",
)


@pytest.fixture(scope="module", autouse=True)
def _sorted_early() -> Iterator[None]:
    """Keep the indices sorted from a few rows on: they are used in worlds as small as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growable, "_TAIL", 4)
        yield


class Narrator:
    """Writes a log, event by event, for the index and for the brute force alike."""

    def __init__(self, seed: int, events: list[str]) -> None:
        self.rng = np.random.default_rng(seed)
        self.index = RecordIndex()
        self.truth = BruteForce()
        self.waiting: list[Entry] = []
        self.here = "a"
        for event in ("observe", *events):
            getattr(self, f"_{event.replace(' ', '_')}")()
            if self.rng.random() < 0.4:
                self.tell()
        self.tell()

    def tell(self) -> None:
        """Give the index the entries that wait, and their vectors."""
        self.index.apply(self.waiting)
        seqs = np.array([entry.seq for entry in self.waiting if entry.seq in self.truth.vectors], dtype=np.int64)
        if len(seqs):
            rows = np.array([self.truth.vectors[int(seq)] for seq in seqs])
            self.index.set_vectors(seqs, rows, "test")
        self.waiting = []

    def unit(self) -> NDArray[np.float32]:
        # Few directions, so that many records tie.
        row = np.round(self.rng.normal(size=WIDTH))
        row[0] += 0.5
        return np.asarray(row / np.linalg.norm(row), dtype=np.float32)

    def _write(self, entry: Entry, text: bool = False) -> None:
        self.truth.entries.append(entry)
        self.waiting.append(entry)
        if text and self.rng.random() < 0.9:
            self.truth.vectors[entry.seq] = self.unit()

    def _command(self, command: Command) -> None:
        self._write(Entry(self._next(), Kind.COMMAND, self._now(), command=command), isinstance(command, Correct))

    def _next(self) -> int:
        return len(self.truth.entries) + 1

    def _now(self) -> int:
        return START + self._next() * SECOND

    def records(self) -> list[int]:
        """Their numbers."""
        return [entry.seq for entry in self.truth.entries if entry.observation is not None]

    def _pick(self) -> int | None:
        records = self.records()
        return int(self.rng.choice(records)) if records else None

    def _place(self) -> NDArray[np.float64]:
        # Borders of the spatial hash too.
        return np.asarray(self.rng.uniform(-7, 7, 3) if self.rng.random() < 0.7 else self.rng.integers(-3, 4, 3) * 2.0)

    def _observe(self) -> None:
        for _ in range(self.rng.integers(1, 12)):  # more than a few, or no index would be used
            self._observe_once()

    def _observe_once(self) -> None:
        n, place = int(self.rng.integers(0, 4)), self._place()
        found = Detections(
            tuple(self.rng.choice(LABELS, n).tolist()), self.rng.random(n), place + self.rng.normal(0, 2, (n, 3)),
            np.full((n, 3), 0.2), np.zeros(n),
        )  # fmt: skip
        obs = observation(
            float(self.rng.integers(0, 40)), place, detections=found,
            map_id=self.here if self.rng.random() < 0.7 else str(self.rng.choice(MAPS)),
            orientation=quaternion_from_yaw(self.rng.uniform(-3, 3)),
            robot_id=f"r{self.rng.integers(2)}", session_id=f"s{self.rng.integers(2)}",
        )  # fmt: skip
        self._write(Entry(self._next(), Kind.OBSERVATION, self._now(), observation=obs), text=True)

    def _again(self) -> None:
        if (seq := self._pick()) is not None:
            obs = self.truth.entries[seq - 1].observation
            assert obs is not None
            stamp = obs.stamp_ns + int(self.rng.integers(1, 15)) * SECOND
            self._write(Entry(self._next(), Kind.SEEN_AGAIN, self._now(), about=seq, stamp_ns=stamp))

    def _move(self) -> None:
        if (seq := self._pick()) is not None:
            place = tuple(self._place().tolist()) if self.rng.random() < 0.8 else None
            turn = tuple(quaternion_from_yaw(self.rng.uniform(-3, 3)).tolist())
            self._command(Correct(seq, position=place, orientation=None if place and self.rng.random() < 0.3 else turn))

    def _relabel(self) -> None:
        if (seq := self._pick()) is not None:
            obs = self.truth.entries[seq - 1].observation
            assert obs is not None
            self._command(Correct(seq, labels=tuple(self.rng.choice(LABELS, len(obs.detections)).tolist())))

    def _retell(self) -> None:
        if (seq := self._pick()) is not None:
            self._command(Correct(seq, caption="otherwise"))

    def _forget(self) -> None:
        if (seq := self._pick()) is not None:
            self._command(Forget(tuple({seq, self._pick() or seq})))

    def _undo(self) -> None:
        now = len(self.truth.entries)
        live = [entry.seq for entry in self.truth.commands(now)]
        if live:
            self._command(Undo(int(self.rng.choice(live[-4:]))))

    def _anchor(self) -> None:
        count = int(self.rng.integers(1, 3))
        stamps = tuple(START + int(s) * SECOND for s in np.sort(self.rng.choice(40, count, replace=False)))
        paths = [
            tuple(
                (*self.rng.uniform(-3, 3, 3).tolist(), *quaternion_from_yaw(self.rng.uniform(-1.5, 1.5)).tolist())
                for _ in stamps
            )
            for _ in range(2)
        ]
        self._command(ReAnchor(str(self.rng.choice(MAPS)), stamps, *paths))

    def _map(self) -> None:
        self.here = str(self.rng.choice(MAPS))
        self._command(SetMap(self.here))

    def _joined_map(self) -> None:
        known = sorted({obs.map_id for entry in self.truth.entries if (obs := entry.observation) is not None})
        name = str(self.rng.choice(MAPS))
        parents = [each for each in known if each != name]
        if parents:
            yaw = self.rng.choice([0.0, np.pi / 2, 0.7])
            matrix = np.eye(4)
            matrix[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
            matrix[:3, 3] = self.rng.integers(-4, 5, 3) * (0.0 if self.rng.random() < 0.3 else 1.0)
            self.here = name
            self._command(SetMap(name, str(self.rng.choice(parents)), tuple(matrix.ravel().tolist())))


class Asker:
    """Makes up queries about what a narrator told: which filters is given, what they say is by chance."""

    def __init__(self, told: Narrator) -> None:
        self.told, self.rng = told, told.rng

    def query(self, filters: set[str]) -> Query:
        fields: dict[str, Any] = {"k": int(self.rng.choice([1, 5, 500])), "explain": True, "map_id": self._map(filters)}
        for name in filters - {"map"}:
            fields |= getattr(self, f"_{name}")()
        return Query(**fields)

    def _map(self, filters: set[str]) -> str:
        if "map" in filters:
            return str(self.rng.choice([*MAPS, "nowhere"]))
        return "" if filters & {"box", "slab", "ball", "near"} or self.rng.random() < 0.5 else "*"

    def _corner(self) -> NDArray[np.float64]:
        # Off the grid that places stand on: on a border, rounding in the last digit would decide.
        return np.asarray(self.rng.integers(-9, 2, 3) + 0.137)

    def _box(self) -> dict[str, Any]:
        low = self._corner()
        return {"box": (low, low + self.rng.uniform(3, 14, 3))}

    def _slab(self) -> dict[str, Any]:
        low = self._corner()
        open_side = self.rng.random(3) < 0.5
        return {"box": (np.where(open_side, -np.inf, low), np.where(self.rng.random(3) < 0.5, np.inf, low + 9))}

    def _ball(self) -> dict[str, Any]:
        return {"center": self._corner() + 4, "radius": float(self.rng.uniform(2, 9))}

    def _near(self) -> dict[str, Any]:
        records = self.told.records()
        wide = None if self.rng.random() < 0.3 else float(self.rng.uniform(1, 9))
        return {"near_record": int(self.rng.choice([*records[-30:], 1])), "radius": wide}

    def _time(self) -> dict[str, Any]:
        start = START + int(self.rng.integers(0, 45)) * SECOND
        end = start + int(self.rng.choice([1, 2, 5, 20])) * SECOND
        shape = self.rng.random()
        return {"time": TimeRange(start if shape < 0.8 else None, end if shape > 0.2 else None)}

    def _labels(self) -> dict[str, Any]:
        return {"labels": tuple(self.rng.choice([*LABELS, "dragon"], self.rng.integers(1, 3), replace=False).tolist())}

    def _robot(self) -> dict[str, Any]:
        return {"robot_id": str(self.rng.choice(["r0", "r1", "r9"], p=[0.45, 0.45, 0.1]))}

    def _session(self) -> dict[str, Any]:
        return {"session_id": str(self.rng.choice(["s0", "s1"]))}

    def _numbers(self) -> dict[str, Any]:
        last = len(self.told.truth.entries) + 3
        return {"seqs": tuple(self.rng.integers(-1, last, self.rng.integers(0, last)).tolist())}

    def _as_of(self) -> dict[str, Any]:
        return {"as_of": int(self.rng.integers(0, len(self.told.truth.entries) + 2))}

    def _as_of_ns(self) -> dict[str, Any]:
        return {"as_of_ns": START + int(self.rng.integers(0, len(self.told.truth.entries) + 2)) * SECOND}


WHERE = ("box", "slab", "ball", "near")
FILTERS = ("time", "labels", "robot", "session", "numbers", "as_of", "as_of_ns", "map")
chosen = st.tuples(
    st.sampled_from(((), (), *((name,) for name in WHERE), *((name, "labels") for name in WHERE))),
    st.sets(st.sampled_from(FILTERS), max_size=3),
).map(lambda parts: {*parts[0], *parts[1]})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    events=st.lists(st.sampled_from(EVENTS), min_size=20, max_size=45),
    questions=st.lists(chosen, min_size=6, max_size=6),
    floor=st.sampled_from((-1.0, 0.2, 0.6)),
)
def test_every_filter_after_any_change_equals_brute_force(
    seed: int, events: list[str], questions: list[set[str]], floor: float
) -> None:
    told = Narrator(seed, events)
    for filters in questions:
        query = Asker(told).query(filters)
        for vector in (None, told.unit()):
            try:
                expected = told.truth.ask(query, vector)
            except EmbodiedMemError as error:
                with pytest.raises(type(error)):
                    told.index.search(query, vector, floor)
                continue
            matches = told.index.search(query, vector, floor)
            compare(matches, expected, query, floor if vector is not None else None)
            counts = {name: int(count) for name, count in _parts(matches.explanation)}
            assert counts == told.truth.explain(query)


def compare(matches: Matches, expected: list[Found], query: Query, floor: float | None) -> None:
    """Numbers, order, scores, times and places are those of the brute force; which of several that tie is free."""
    assert matches.candidates == len(expected)
    by_seq = {found.story.seq: found for found in expected}
    if floor is None:
        newest = sorted(expected, key=lambda found: (-found.story.last, -found.story.seq))[: query.k]
        assert matches.seqs.tolist() == [found.story.seq for found in newest]
    else:
        scores = sorted((f.score for f in expected if f.score is not None), reverse=True)
        kept = [score for score in scores[: query.k] if score >= floor]
        assert matches.without_vector == len(expected) - len(scores)
        assert np.allclose(matches.scores, kept, atol=1e-6)
        assert len(set(matches.seqs.tolist())) == len(kept)
        own = np.array([by_seq[seq].score for seq in matches.seqs.tolist()], dtype=np.float64)
        assert np.allclose(own, matches.scores, atol=1e-6)
        if len(kept) < min(len(scores), query.k):
            assert matches.below == pytest.approx(scores[len(kept)], abs=1e-6)
    for seq, seen, position in zip(matches.seqs.tolist(), matches.last_seen, matches.positions, strict=True):
        assert seen == by_seq[seq].story.last
        assert np.allclose(position, by_seq[seq].position, atol=1e-6)


def _parts(explanation: str) -> list[tuple[str, str]]:
    return [(part.split(": ")[0], part.split(": ")[1]) for part in explanation.replace(";", ",").split(", ")]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), events=st.lists(st.sampled_from(EVENTS), min_size=5, max_size=40))
def test_an_index_made_in_one_go_answers_the_same(seed: int, events: list[str]) -> None:
    told = Narrator(seed, events)
    again = RecordIndex()
    again.apply(told.truth.entries)
    seqs = np.array(sorted(told.truth.vectors), dtype=np.int64)
    if len(seqs):
        again.set_vectors(seqs, np.array([told.truth.vectors[int(seq)] for seq in seqs]), "test")
    vector = told.unit()
    for as_of in (None, len(events) // 2):
        for query in (Query(map_id="*", k=100, as_of=as_of), Query(map_id="*", labels=("mug",), k=100, as_of=as_of)):
            first, second = (index.search(query, vector) for index in (told.index, again))
            assert first.seqs.tolist() == second.seqs.tolist()
            assert first.scores.tolist() == second.scores.tolist()
            assert np.array_equal(first.positions, second.positions)
