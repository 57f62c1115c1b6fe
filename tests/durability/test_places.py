"""Where a memory lies: moved away while it is written, in a folder with an odd name, in one that may only be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.faults.places import build, read
from bench.faults.samples import missing, sample
from embodied_mem.errors import StorageError
from embodied_mem.records.check import check


def test_nothing_is_acknowledged_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    memory = build(tmp_path / "memory")
    (tmp_path / "memory").rename(tmp_path / "away")
    with pytest.raises(StorageError, match="moved or removed"):
        memory.remember(sample(8), durable=True)
    (tmp_path / "away").rename(tmp_path / "memory")
    memory.flush()
    assert missing(memory, 7, 8) == ""
    memory.close()
    assert check(tmp_path / "memory").whole


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100 % #1"
    build(folder).close()
    read(folder)
    assert check(folder).whole and (folder / "log.db").exists()
