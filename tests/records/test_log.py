"""The log on disk: what was acknowledged is there again, what is foreign or damaged is named."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.records.check import check
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.vector_rows import VectorRow
from tests.records.builders import START, Clock, LetterEmbedder, detections, observation, seeing


def draft(i: int) -> Entry:
    return Entry(0, Kind.OBSERVATION, START, observation=observation(i, (i, 0, 0), f"caption {i}", map_id="m"))


def fill(folder: Path, count: int = 20) -> None:
    mem = RecordMemory.open(folder, LetterEmbedder(), clock=Clock(START + 10**12))
    cloud = np.random.default_rng(1).uniform(-2, 2, (30, 3)).astype(np.float32)
    for i in range(count):
        mem.remember(
            observation(
                i, (i, 0, 0), f"{i}", detections=detections(["mug"]), view=seeing(), cloud=cloud + i, thumbnail=b"jpg"
            )
        )
    mem.close()


def test_numbers_start_at_one_and_have_no_gaps(tmp_path: Path) -> None:
    log = RecordLog(tmp_path)
    first = log.append([draft(0), draft(1)])
    second = log.append([draft(2)], durable=True)
    assert [entry.seq for entry in (*first, *second)] == [1, 2, 3]
    assert log.watermark == log.durable_watermark == 3
    log.close()
    again = RecordLog(tmp_path)
    assert again.append([draft(3)])[0].seq == 4
    again.close()


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    RecordLog("~/memory").close()
    assert (tmp_path / "memory" / "log.db").exists()


def test_entries_can_be_read_before_they_are_on_disk(tmp_path: Path) -> None:
    log = RecordLog(tmp_path)
    log.append([draft(0)], durable=True)
    log.append([draft(1), draft(2)])
    assert [entry.seq for entry in log.read(1, 10)] == [1, 2, 3]
    assert [entry.seq for entry in log.read(2, 1)] == [2]
    assert log.get([3])[3].observation is not None
    with pytest.raises(NotFoundError, match="from 1 to 3"):
        log.get([4])
    log.close()


def test_a_commit_in_the_middle_of_reading_leaves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed after the rows were read is neither among them nor waiting any more."""
    log = RecordLog(tmp_path)
    log.append([draft(i) for i in range(3)], durable=True)
    log.append([draft(3)])
    rows_of = log._rows

    def interrupted(sql: str, values: tuple[int, ...]) -> list[Any]:
        rows = rows_of(sql, values)
        log.flush()
        log.append([draft(4)])
        return rows

    monkeypatch.setattr(log, "_rows", interrupted)
    seqs = [entry.seq for entry in log.read(1, 100)]
    assert seqs == list(range(1, len(seqs) + 1)) and len(seqs) >= 4
    log.close()


def test_every_field_survives(tmp_path: Path) -> None:
    fill(tmp_path / "m", 1)
    log = RecordLog(tmp_path / "m", read_only=True)
    obs = log.get([2], blobs=True)[2].observation
    assert obs is not None and obs.cloud is not None and obs.view.depth is not None
    assert obs.cloud.shape == (30, 3) and obs.thumbnail == b"jpg"
    assert obs.view.classes == ("mug",) and obs.view.depth.tolist() == [[2000] * 6] * 4
    assert obs.detections.labels == ("mug",) and obs.detections.sizes.tolist() == [[0.1] * 3]
    log.close()


def test_acknowledged_from_disk_survives_a_killed_writer(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.records.test_log import draft
from embodied_mem.records.log import RecordLog
log = RecordLog({str(tmp_path)!r})
for i in range(50):
    log.append([draft(i)], durable=i % 5 == 4)
    if i == 44:
        os.write(1, b"acknowledged")
        os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.stdout == b"acknowledged", done.stderr.decode()
    log = RecordLog(tmp_path)
    assert log.watermark >= 45
    assert [entry.seq for entry in log.read(1, 45)] == list(range(1, 46))
    log.close()
    assert check(tmp_path).whole


def test_one_writer_any_number_of_readers(tmp_path: Path) -> None:
    log = RecordLog(tmp_path)
    log.append([draft(0)], durable=True)
    with pytest.raises(StorageError, match="is being written by process"):
        RecordLog(tmp_path)
    reader = RecordLog(tmp_path, read_only=True)
    assert reader.watermark == 1
    log.append([draft(1)], durable=True)
    assert reader.watermark == 2
    with pytest.raises(StorageError, match="read-only"):
        reader.append([draft(2)])
    reader.close()
    log.close()
    with pytest.raises(StorageError, match="closed"):
        log.append([draft(2)])
    log.close()


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all, just text" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_memory_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.db").write_bytes(content)
    with pytest.raises(StorageError):
        RecordLog(tmp_path, read_only=True)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "log.db")
    other.execute("CREATE TABLE birds (name TEXT)")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match="not a memory"):
        RecordLog(tmp_path)
    with pytest.raises(StorageError, match="not a memory"):
        RecordLog(tmp_path, read_only=True)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    newer = sqlite3.connect(tmp_path / "log.db")
    newer.execute("PRAGMA user_version = 99")
    newer.commit()
    newer.close()
    with pytest.raises(StorageError, match="version 99"):
        RecordLog(tmp_path)


def test_a_missing_folder_and_a_file_in_its_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no memory"):
        RecordLog(tmp_path / "nowhere", read_only=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is a file"):
        RecordLog(tmp_path / "file")
    with pytest.raises(StorageError):
        RecordLog("/proc/nowhere/at/all")


def test_damage_is_found_on_reading_and_by_check(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    assert check(tmp_path).whole
    raw = sqlite3.connect(tmp_path / "log.db")
    raw.execute("UPDATE entries SET caption = 'forged' WHERE seq = 5")
    raw.execute("DELETE FROM entries WHERE seq = 8")
    raw.execute("UPDATE vectors SET data = zeroblob(104) WHERE seq = 4")
    raw.commit()
    raw.close()
    blob = next((tmp_path / "blobs").glob("??/*"))
    blob.write_bytes(blob.read_bytes()[:-1])
    report = check(tmp_path)
    text = "\n".join(report.problems)
    assert not report.whole
    for words in ("Entry 5 of the log is damaged", "no entry 8", "vector of entry 4", "blob"):
        assert words in text, text
    log = RecordLog(tmp_path, read_only=True)
    with pytest.raises(StorageError, match="damaged"):
        log.get([5])
    log.close()


def test_a_full_disk_is_reported_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RecordLog(tmp_path)
    log.append([draft(0)], durable=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log, "_commit", full)
        with pytest.raises(StorageError, match="No space left"):
            log.append([draft(1)], durable=True)
        assert [entry.seq for entry in log.read(1, 10)] == [1, 2]
    log.flush()
    assert log.durable_watermark == 2
    log.close()
    again = RecordLog(tmp_path, read_only=True)
    assert [entry.seq for entry in again.read(1, 10)] == [1, 2]
    again.close()


def test_vectors_come_back_in_order(tmp_path: Path) -> None:
    log = RecordLog(tmp_path)
    log.append([draft(i) for i in range(5)])
    rows = np.eye(5, dtype=np.float32)
    log.attach_vectors(VectorRow(i + 1, "m", rows[i]) for i in (3, 0, 4, 1, 2))
    log.flush()
    batches = list(log.vectors("m", batch=2))
    assert np.concatenate([seqs for seqs, _ in batches]).tolist() == [1, 2, 3, 4, 5]
    assert np.array_equal(np.concatenate([vectors for _, vectors in batches]), rows)
    assert not list(log.vectors("another"))
    log.close()


def _is_whole(folder: Path) -> bool:
    """What `check` says, which raises only when there is nothing that it could open."""
    try:
        return check(folder).whole
    except StorageError:
        return False


def _open_and_ask(folder: Path) -> None:
    mem = RecordMemory.open(folder, LetterEmbedder(), read_only=True)
    try:
        mem.query(Query(text="caption", map_id="*"))
        list(mem.entries(1, 1000))
    finally:
        mem.close()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_truncated_database_is_named_wherever_it_ends(tmp_path: Path, share: float) -> None:
    fill(tmp_path, 60)
    database = tmp_path / "log.db"
    whole = database.read_bytes()
    database.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StorageError) as refusal:
        _open_and_ask(tmp_path)
    assert str(refusal.value).endswith(".")
    assert not _is_whole(tmp_path)
    database.write_bytes(whole)
    _open_and_ask(tmp_path)


def test_garbage_in_a_database_is_never_anything_but_a_storage_error(tmp_path: Path) -> None:
    fill(tmp_path, 60)
    database = tmp_path / "log.db"
    whole = database.read_bytes()
    rng = np.random.default_rng(5)
    named = 0
    for _ in range(60):
        broken = bytearray(whole)
        start = int(rng.integers(0, len(whole) - 64))
        broken[start : start + 64] = rng.bytes(64)
        database.write_bytes(bytes(broken))
        try:
            _open_and_ask(tmp_path)
        except StorageError:
            named += 1
            assert not _is_whole(tmp_path)
    assert named > 20, "most damage is somewhere that counts"


def test_a_vector_that_came_with_an_observation_is_in_the_same_commit(tmp_path: Path) -> None:
    """It cannot be made again: a process killed between two commits must not leave its record with another one."""
    mem = RecordMemory.open(tmp_path / "memory", LetterEmbedder())
    append = mem.log.append

    def killed_at_the_next_commit(drafts: Sequence[Entry], **kwargs: Any) -> list[Entry]:
        entries = append(drafts, **kwargs)
        mem.log.flush()
        shutil.copytree(tmp_path / "memory", tmp_path / f"left-{entries[0].seq}")
        return entries

    mem.log.append = killed_at_the_next_commit  # type: ignore[method-assign]
    vector = np.eye(26, dtype=np.float32)[3]
    seq = mem.remember(observation(vector=vector, vector_model="letters")).seq
    mem.close()
    left = RecordMemory.open(tmp_path / f"left-{seq}", LetterEmbedder())
    assert list(left.embed_missing()) == []
    found = left.index.vector_of(seq)
    assert found is not None and found.tolist() == vector.tolist()
    left.close()
