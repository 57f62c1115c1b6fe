"""A backup: one state, whole, also while it is written; it appears only when it is complete."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.records import backup as module
from embodied_mem.records.backup import backup
from embodied_mem.records.check import check
from embodied_mem.records.compaction import Compaction
from tests.records.builders import observation
from tests.records.test_compaction import answers, content, fill, found_in, open_memory


def test_opening_a_backup_is_restoring_it(tmp_path: Path) -> None:
    mem = open_memory(tmp_path / "m")
    fill(mem, 12)
    mem.flush()
    report = backup(tmp_path / "m", tmp_path / "b")
    assert report.watermark == mem.watermark and report.blobs == 24 and not report.problems
    again = open_memory(tmp_path / "b")
    assert answers(again) == answers(mem)
    again.remember(observation(5000, caption="life goes on"), durable=True)
    again.close()
    mem.close()
    assert check(tmp_path / "b").whole
    assert not list(tmp_path.glob(".*"))


def test_a_backup_of_a_memory_that_is_written_and_compacted_meanwhile_has_one_state(tmp_path: Path) -> None:
    mem = open_memory(tmp_path / "m")
    told = fill(mem, 10)
    mem.flush()
    over, failures = threading.Event(), []

    def write() -> None:
        i = 0
        try:
            while not over.is_set():
                i += 1
                seq = mem.remember(
                    observation(5000 + 20 * i, (i, 0, 0), f"new {i}", thumbnail=b"picture %d" % i), durable=True
                ).seq
                if i % 5 == 0:
                    mem.forget([seq, seq - 1] if i % 10 else [seq])
                    Compaction(mem).run()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for turn in range(5):
            report = backup(tmp_path / "m", tmp_path / f"b{turn}")
            assert not report.problems and check(tmp_path / f"b{turn}").whole
    finally:
        over.set()
        thread.join(60)
    assert not failures
    mem.forget([told[0].seq])
    Compaction(mem).run()
    backup(tmp_path / "m", tmp_path / "last")
    mem.close()
    assert not found_in(tmp_path / "last", told[:1]) and found_in(tmp_path / "b0", told[:1])


def test_a_blob_that_vanishes_between_log_and_blobs_makes_it_copy_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mem = open_memory(tmp_path / "m")
    told = fill(mem, 6)
    mem.flush()
    real, calls = module._copy_blobs, []

    def late(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            mem.forget([told[2].seq])
            Compaction(mem).run()
        return real(*args)

    monkeypatch.setattr(module, "_copy_blobs", late)
    report = backup(tmp_path / "m", tmp_path / "b")
    assert len(calls) == 2 and not report.problems and report.watermark == mem.watermark
    mem.close()
    assert check(tmp_path / "b").whole and not found_in(tmp_path / "b", told[2:3])


def test_what_was_damaged_before_is_told(tmp_path: Path) -> None:
    mem = open_memory(tmp_path / "m")
    fill(mem, 3)
    mem.close()
    next((tmp_path / "m" / "blobs").glob("??/*")).unlink()
    report = backup(tmp_path / "m", tmp_path / "b")
    assert len(report.problems) == 1 and "missing" in report.problems[0]


def test_a_target_that_is_there_or_inside_is_refused_and_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mem = open_memory(tmp_path / "m")
    fill(mem, 3)
    mem.close()
    before = content(tmp_path / "m")
    with pytest.raises(BadInputError, match="there already"):
        backup(tmp_path / "m", tmp_path / "m")
    with pytest.raises(BadInputError, match="in the memory itself"):
        backup(tmp_path / "m", tmp_path / "m" / "inside")
    with pytest.raises(StorageError, match="no memory"):
        backup(tmp_path / "nowhere", tmp_path / "b")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_copy_blobs", full)
    with pytest.raises(StorageError, match="No space left"):
        backup(tmp_path / "m", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert content(tmp_path / "m") == before
