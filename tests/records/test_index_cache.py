"""The index from its cache is the index from the log: after every kind of change, and whatever happens to the file."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.records import cache, index_cache
from embodied_mem.records.check import check
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query, TimeRange
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, detections, observation, seeing

LABELS = ("mug", "book", "chair", "lamp")
CHANGES = ("remember", "again", "correct", "forget", "undo", "map", "anchor")


@pytest.fixture(autouse=True)
def written_at_every_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "_AT_CLOSE", (1, 0.0))


class Life:
    """Does random things to the memory in a folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seconds = folder, 0.0
        self.rng = np.random.default_rng(seed)
        self.maps = ["default"]

    def open(self, **options: Any) -> RecordMemory:
        return RecordMemory.open(self.folder, LetterEmbedder(), clock=Clock(START + 10_000 * SECOND), **options)

    def go_on(self, memory: RecordMemory, steps: int) -> None:
        for what in self.rng.choice(CHANGES, steps, p=(0.55, 0.15, 0.1, 0.06, 0.08, 0.03, 0.03)):
            with contextlib.suppress(EmbodiedMemError):  # nothing to undo yet, and the like
                getattr(self, f"_{what}")(memory)

    def _remember(self, memory: RecordMemory) -> None:
        count = int(self.rng.integers(1, 6))
        seen = []
        for _ in range(count):
            self.seconds += float(self.rng.uniform(-2, 8))
            labels = self.rng.choice(LABELS, int(self.rng.integers(0, 3)))
            seen.append(
                observation(
                    self.seconds + 20, self.rng.uniform(-9, 9, 3), str(self.rng.choice(["", "a red mug", "two books"])),
                    detections=detections(tuple(map(str, labels)), self.rng.uniform(-9, 9, (len(labels), 3))),
                    view=seeing(LABELS[: int(self.rng.integers(1, 4))]),
                    robot_id=str(self.rng.choice(["one", "two"])),
                )
            )  # fmt: skip
        memory.remember_many(seen)

    def _again(self, memory: RecordMemory) -> None:
        self.seconds += 20
        for shift in range(3):
            memory.remember(observation(self.seconds + 20 + shift, (1.0, 2.0, 0.5), "the same as before"))
        self.seconds += 3

    def _number(self, memory: RecordMemory) -> int:
        return int(self.rng.integers(1, max(memory.watermark, 1) + 1))

    def _correct(self, memory: RecordMemory) -> None:
        what: dict[str, Any] = {"caption": f"a corrected lamp {self.rng.integers(9)}"}
        if self.rng.random() < 0.5:
            what = {"position": self.rng.uniform(-9, 9, 3), "orientation": quaternion_from_yaw(self.rng.uniform(-3, 3))}
        memory.correct(self._number(memory), **what)

    def _forget(self, memory: RecordMemory) -> None:
        memory.forget([self._number(memory)])

    def _undo(self, memory: RecordMemory) -> None:
        memory.undo()

    def _map(self, memory: RecordMemory) -> None:
        name = f"map {len(self.maps)}"
        matrix = np.eye(4)
        matrix[:3, 3] = self.rng.uniform(-3, 3, 3)
        memory.set_map(name, parent=memory.map_id, transform=matrix)
        self.maps.append(name)

    def _anchor(self, memory: RecordMemory) -> None:
        stamps = START + np.array([0, 2000]) * SECOND
        before = np.tile([0, 0, 0, 0, 0, 0, 1.0], (2, 1))
        after = before + np.array([*self.rng.uniform(-1, 1, 3), 0, 0, 0, 0])
        memory.reanchor(memory.map_id, stamps, before, after)


def rebuilt(folder: Path) -> RecordIndex:
    """The index as the log alone gives it."""
    log, index = RecordLog(folder, read_only=True), RecordIndex()
    index_cache.follow(log, index)
    log.close()
    return index


def assert_same(found: RecordIndex, wanted: RecordIndex) -> None:
    """Every column and fact (the order of vectors and of what came late is free), and many queries."""
    for name, column in wanted.columns().items():
        free = name.startswith(("_vectors", "table.by_", "table.slots", "table.slot_of_text"))
        assert free or np.array_equal(found.columns()[name].data, column.data), name
    assert {**found.facts(), "table": 0, "_vectors": 0} == {**wanted.facts(), "table": 0, "_vectors": 0}
    assert found.maps.current == wanted.maps.current
    for ours, theirs in zip(_sorted_columns(found), _sorted_columns(wanted), strict=True):
        assert np.array_equal(ours, theirs)
    for seq in range(1, wanted.watermark + 1):
        vector, other = found.vector_of(seq), wanted.vector_of(seq)
        assert (vector is None) == (other is None), seq
        assert vector is None or other is None or np.array_equal(vector, other), seq
        assert found.times_seen(seq) == wanted.times_seen(seq)
    rng = np.random.default_rng(0)
    for _ in range(150):
        query, vector = _question(rng, wanted)
        answers: list[Any] = []
        for index in (found, wanted):
            try:
                matches = index.search(query, vector)
            except EmbodiedMemError as error:
                answers.append(str(error))
                continue
            answers.append((matches.seqs.tolist(), matches.scores.tolist(), matches.positions.tolist(), matches.maps))
        assert answers[0] == answers[1], query
    assert np.array_equal(found.detections().center, wanted.detections().center)
    assert np.array_equal(found.views().depth_shape, wanted.views().depth_shape)


def _sorted_columns(index: RecordIndex) -> Iterator[np.ndarray]:
    """Values and rows of the paths by time and place: what came late may wait in a tail, or be in order already."""
    columns = index.table.columns()
    for name in ("by_time", "by_place._column", "by_center._column"):
        pairs = np.column_stack([columns[f"{name}._values"].data, columns[f"{name}._rows"].data])
        yield pairs[np.lexsort(pairs.T)]


def _question(rng: np.random.Generator, index: RecordIndex) -> tuple[Query, Any]:
    asked: dict[str, Any] = {"k": 20, "map_id": str(rng.choice(["", "*", "default"]))}
    if rng.random() < 0.4 and asked["map_id"] != "*":
        asked |= {"center": rng.uniform(-9, 9, 3), "radius": float(rng.uniform(1, 8))}
    if rng.random() < 0.4:
        asked["labels"] = (str(rng.choice(LABELS)),)
    if rng.random() < 0.3:
        begin, end = int(rng.integers(0, 300)), int(rng.integers(300, 900))
        asked["time"] = TimeRange(START + begin * SECOND, START + end * SECOND)
    if rng.random() < 0.3:
        asked["robot_id"] = str(rng.choice(["one", "two"]))
    if rng.random() < 0.3:
        asked["as_of"] = int(rng.integers(1, index.watermark + 1))
    vector = rng.normal(size=26).astype(np.float32)
    return Query(**asked), vector / np.linalg.norm(vector) if rng.random() < 0.7 else None


def file_of(folder: Path) -> Path:
    return folder / "cache" / "index"


def from_cache(memory: RecordMemory) -> bool:
    return memory.cache is not None and not memory.cache.problem


@pytest.mark.parametrize("seed", range(4))
def test_the_index_from_its_cache_is_the_index_from_the_log(tmp_path: Path, seed: int) -> None:
    life = Life(tmp_path, seed)
    memory = life.open()
    for _ in range(3):  # each time with what the last one left, and grown beyond it
        life.go_on(memory, 60)
        memory.close()
        memory = life.open()
        assert from_cache(memory)
        assert_same(memory.index, rebuilt(tmp_path))
    life.go_on(memory, 60)
    memory.flush()
    assert_same(memory.index, rebuilt(tmp_path))
    memory.close()


def test_the_tail_of_the_log_is_read_after_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(tmp_path, 11)
    memory = life.open()
    life.go_on(memory, 50)
    memory.close()
    monkeypatch.setattr(index_cache, "_AT_CLOSE", (10**9, 0.0))
    old = file_of(tmp_path).read_bytes()
    memory = life.open()
    life.go_on(memory, 80)
    memory.close()
    assert file_of(tmp_path).read_bytes() == old
    memory = life.open()
    assert from_cache(memory)
    assert_same(memory.index, rebuilt(tmp_path))
    memory.close()


def test_a_vector_that_came_after_the_cache_was_written_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model = RecordMemory.open(tmp_path, LetterEmbedder(), clock=Clock(START + 99 * SECOND))
    with_model.remember(observation(1, (1, 0, 0), "a red mug"))
    with_model.close()
    without = RecordMemory.open(tmp_path, clock=Clock(START + 99 * SECOND))
    late = without.remember(observation(2, (2, 0, 0), "two books")).seq
    corrected = without.correct(2, caption="a green lamp")
    without.close()
    monkeypatch.setattr(index_cache, "_AT_CLOSE", (10**9, 0.0))
    memory = RecordMemory.open(tmp_path, LetterEmbedder(), clock=Clock(START + 99 * SECOND))
    assert not memory.index.has_vector(late)
    assert list(memory.embed_missing())
    memory.close()
    again = RecordMemory.open(tmp_path, LetterEmbedder(), clock=Clock(START + 99 * SECOND))
    assert from_cache(again)
    assert again.index.has_vector(late) and again.index.has_vector(corrected)
    assert_same(again.index, rebuilt(tmp_path))
    again.close()


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    life = Life(tmp_path, 5)
    memory = life.open()
    life.go_on(memory, 60)
    memory.close()
    whole, rng = file_of(tmp_path).read_bytes(), np.random.default_rng(2)
    for _ in range(25):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        file_of(tmp_path).write_bytes(damaged)
        memory = life.open(read_only=True)
        assert_same(memory.index, rebuilt(tmp_path))
        memory.close()
    file_of(tmp_path).write_bytes(whole[: len(whole) // 2])
    memory = life.open()
    assert not from_cache(memory)
    memory.close()
    memory = life.open()
    assert from_cache(memory)
    memory.close()


def test_the_cache_of_another_log_is_not_used(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for seed, folder in enumerate(folders):
        life = Life(folder, seed)
        memory = life.open()
        life.go_on(memory, 40)
        memory.close()
    shutil.copy(file_of(folders[0]), file_of(folders[1]))
    memory = Life(folders[1], 0).open(read_only=True)
    assert not from_cache(memory)
    assert_same(memory.index, rebuilt(folders[1]))
    memory.close()


def test_a_cache_beyond_the_log_is_not_used(tmp_path: Path) -> None:
    life = Life(tmp_path / "memory", 3)
    memory = life.open()
    life.go_on(memory, 30)
    memory.close()
    shutil.copytree(tmp_path / "memory", tmp_path / "shorter")
    memory = life.open()
    life.go_on(memory, 30)
    memory.close()
    shutil.copy(file_of(tmp_path / "memory"), file_of(tmp_path / "shorter"))
    memory = Life(tmp_path / "shorter", 0).open(read_only=True)
    assert not from_cache(memory)
    assert_same(memory.index, rebuilt(tmp_path / "shorter"))
    memory.close()


@pytest.mark.parametrize("name", ["generation", "model"])
def test_a_log_that_was_rewritten_has_no_use_for_its_cache(tmp_path: Path, name: str) -> None:
    life = Life(tmp_path, 3)
    memory = life.open()
    life.go_on(memory, 30)
    memory.close()
    log = RecordLog(tmp_path)
    log.set_setting(name, "another")
    log.close()
    memory = life.open(read_only=True)
    assert not from_cache(memory)
    memory.close()


def test_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(tmp_path, 3)
    memory = life.open()
    life.go_on(memory, 10)
    memory.close()
    monkeypatch.setattr(index_cache, "VERSION", index_cache.VERSION + 1)
    memory = life.open(read_only=True)
    assert not from_cache(memory)
    memory.close()


def test_an_index_from_before_a_rewrite_of_the_log_is_not_written(tmp_path: Path) -> None:
    life = Life(tmp_path, 4)
    memory = life.open()
    life.go_on(memory, 30)
    memory.log.set_setting("generation", "2")
    memory.close()
    assert not file_of(tmp_path).exists()


def test_no_cache_is_written_while_the_log_is_being_rewritten(tmp_path: Path) -> None:
    life = Life(tmp_path, 4)
    memory = life.open()
    memory.log.set_setting("rewriting", "1")  # by a process that was killed at it
    memory.close()
    memory = life.open()
    life.go_on(memory, 30)
    memory.close()
    assert not file_of(tmp_path).exists()


def test_a_rewrite_of_the_log_while_the_cache_is_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path, 4)
    memory = life.open()
    life.go_on(memory, 30)
    save = cache.save

    def rewrite_meanwhile(*arguments: Any) -> None:
        memory.log.set_setting("generation", "2")
        save(*arguments)

    monkeypatch.setattr(cache, "save", rewrite_meanwhile)
    memory.close()
    assert not file_of(tmp_path).exists()


def test_a_reader_uses_the_cache_and_writes_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, 6)
    memory = life.open()
    life.go_on(memory, 30)
    memory.close()
    before = file_of(tmp_path).stat().st_mtime_ns
    reader = life.open(read_only=True)
    assert from_cache(reader)
    reader.close()
    assert file_of(tmp_path).stat().st_mtime_ns == before
    shutil.rmtree(tmp_path / "cache")
    reader = life.open(read_only=True)
    reader.close()
    assert not (tmp_path / "cache").exists()


def test_the_cache_is_renewed_while_the_memory_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "_WHILE_RUNNING", (40, 0.0))
    monkeypatch.setattr(index_cache, "_AT_CLOSE", (10**9, 0.0))
    written = threading.Event()
    save = cache.save

    def save_and_tell(*arguments: Any) -> None:
        save(*arguments)
        written.set()

    monkeypatch.setattr(cache, "save", save_and_tell)
    life = Life(tmp_path, 7)
    memory = life.open()
    for _ in range(3):
        written.clear()
        before = memory.watermark
        while memory.watermark < before + 60:
            life.go_on(memory, 10)
        assert written.wait(30)
        life.go_on(memory, 10)  # its thread may be at work still
    memory.close()
    memory = life.open()
    assert from_cache(memory)
    assert_same(memory.index, rebuilt(tmp_path))
    memory.close()


def test_after_a_rewrite_the_cache_is_renewed_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "_WHILE_RUNNING", (40, 0.0))
    life = Life(tmp_path, 12)
    memory = life.open()
    memory.log.set_setting("generation", "2")
    while memory.watermark < 80:
        life.go_on(memory, 10)
    memory.close()  # waits for the thread
    memory = life.open()
    assert from_cache(memory)
    assert_same(memory.index, rebuilt(tmp_path))
    memory.close()


def test_a_cache_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    tmp_path.joinpath("cache").write_text("a file where the folder should be")
    life = Life(tmp_path, 8)
    memory = life.open()
    life.go_on(memory, 20)
    own = memory.cache
    memory.close()
    assert own is not None and "could not be written" in own.problem
    assert_same(life.open(read_only=True).index, rebuilt(tmp_path))


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    life = Life(tmp_path, 9)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".index.123.tmp").write_bytes(b"half")
    memory = life.open()
    life.go_on(memory, 10)
    memory.close()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["index"]


def test_check_finds_a_flipped_bit_in_the_cache(tmp_path: Path) -> None:
    life = Life(tmp_path, 10)
    memory = life.open()
    life.go_on(memory, 20)
    memory.close()
    assert check(tmp_path).whole
    data = bytearray(file_of(tmp_path).read_bytes())
    data[30] ^= 4
    file_of(tmp_path).write_bytes(data)
    assert any("damaged" in problem and "made again" in problem for problem in check(tmp_path).problems)
