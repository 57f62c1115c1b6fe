"""Every row vouches for its key too; memories of the first version get such checksums when they are opened."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import pytest

from bench.faults.samples import clock, embedder, missing, sample
from embodied_mem.errors import StorageError
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.repair import repair

_KEYS = (1, 2, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    memory = RecordMemory.open(tmp_path / "memory", embedder(), clock=clock)
    memory.remember_many([sample(key) for key in _KEYS])
    memory.close()
    return tmp_path / "memory"


def execute(folder: Path, *statements: str) -> None:
    database = sqlite3.connect(folder / "log.db")
    database.create_function("crc_of", 1, zlib.crc32)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def as_version_1(folder: Path) -> None:
    execute(
        folder,
        "UPDATE vectors SET crc = crc_of(data)",
        "ALTER TABLE settings DROP COLUMN crc",
        "PRAGMA user_version = 1",
    )


def lacks(folder: Path) -> list[str]:
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        return [found for seq, key in enumerate(_KEYS, 2) if (found := missing(memory, seq, key))]
    finally:
        memory.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE vectors SET seq = 9 WHERE seq = 3",
        "UPDATE vectors SET seq = -3 WHERE seq = 3",
        "UPDATE vectors SET model = 'hashimg-384-v1' WHERE seq = 3",
        "UPDATE settings SET value = 'another' WHERE name = 'model'",
        "UPDATE settings SET name = 'mode1' WHERE name = 'model'",
        "UPDATE entries SET seq = 4611686018427387904 WHERE seq = 4",
        "UPDATE entries SET seq = 1000000000 WHERE seq = 3",
    ],
)
def test_a_damaged_key_is_found_on_reading_and_by_check_and_repaired(folder: Path, damage: str) -> None:
    execute(folder, damage)
    with pytest.raises(StorageError, match="embodied-mem check"):
        lacks(folder)
    assert check(folder).problems
    assert repair(folder).losses
    assert check(folder).whole
    memory = RecordMemory.open(folder, embedder(), clock=clock)
    assert memory.watermark < 10
    memory.close()


def test_a_memory_of_version_1_is_brought_up_to_date(folder: Path) -> None:
    as_version_1(folder)
    with pytest.raises(StorageError, match="older version"):
        RecordMemory.open(folder, read_only=True)
    RecordMemory.open(folder, embedder(), clock=clock).close()
    assert check(folder).whole and lacks(folder) == []


def test_what_was_damaged_in_version_1_does_not_become_right(folder: Path) -> None:
    execute(folder, "UPDATE vectors SET data = zeroblob(256) WHERE seq = 3")
    as_version_1(folder)
    execute(folder, "UPDATE vectors SET crc = crc + 1 WHERE seq = 3")
    with pytest.raises(StorageError, match="vector of entry 3"):
        RecordMemory.open(folder, embedder(), clock=clock)
    assert "vector of entry 3" in " ".join(check(folder).problems)


def test_a_damaged_memory_of_version_1_is_repaired(folder: Path) -> None:
    execute(folder, "UPDATE entries SET caption = 'forged' WHERE seq = 3")
    as_version_1(folder)
    assert any("3" in loss for loss in repair(folder).losses)
    memory = RecordMemory.open(folder, embedder(), clock=clock)
    assert missing(memory, 2, 1) == "" and missing(memory, 4, 3) == ""
    memory.close()
