"""Where SQLite is not careful enough: it takes no notice when a folder cannot be synced, and quotes damaged text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.faults.places import build
from embodied_mem.errors import StorageError
from embodied_mem.records.check import check
from embodied_mem.records.log import RecordLog
from embodied_mem.records.repair import repair


def test_the_name_of_the_write_ahead_log_is_durable_before_anything_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "memory").close()
    real, failing = os.fsync, True

    def fsync(handle: int) -> None:
        if failing and Path(f"/proc/self/fd/{handle}").resolve() == tmp_path / "memory":
            assert (tmp_path / "memory" / "log.db-wal").exists(), "synced before the file was made"
            raise OSError(5, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match="cannot be synced"):
        RecordLog(tmp_path / "memory")
    failing = False
    RecordLog(tmp_path / "memory").close()


def test_a_schema_that_is_no_text_any_more_is_named(tmp_path: Path) -> None:
    build(tmp_path / "memory").close()
    database = tmp_path / "memory" / "log.db"
    content = database.read_bytes()
    assert content.count(b"CREATE TABLE vectors") == 1
    database.write_bytes(content.replace(b"CREATE TABLE vectors", b"CREAT\xc5 TABLE vectors"))
    with pytest.raises(StorageError, match="not a readable memory"):
        RecordLog(tmp_path / "memory", read_only=True)
    with pytest.raises(StorageError):
        check(tmp_path / "memory")
    with pytest.raises(StorageError):
        repair(tmp_path / "memory")
