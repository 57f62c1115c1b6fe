"""Opening a memory: of an older version, with a strange name, and where nothing may be written."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.records import schema
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, observation
from tests.records.test_compaction import content, fill

OLD = Path(__file__).parent / "old_databases"
_NOBODY = 65534


def open_memory(folder: Path, **options: Any) -> RecordMemory:
    return RecordMemory.open(folder, LetterEmbedder(), clock=Clock(START + 10**15), **options)


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_what_an_older_version_wrote_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    old = sqlite3.connect(tmp_path / "log.db")
    old.executescript((OLD / f"version_{version}.sql").read_text())
    old.close()
    with pytest.raises(StorageError, match="older version"):
        open_memory(tmp_path, read_only=True)
    for _ in ("migrated", "opened again"):
        mem = open_memory(tmp_path)
        said = {hit.record.seq: hit.record for hit in mem.query(Query(k=50)).hits}
        assert {seq: record.observation.caption for seq, record in said.items()} == {
            2: "a red mug", 3: "a stool", 5: "a door",
        }  # fmt: skip
        assert said[3].observation.position.tolist() == [1, 2, 0] and said[5].seen_count == 2
        assert said[2].observation.stamp_ns == START and said[5].last_seen_ns == START + 61 * SECOND
        assert mem.map_id == "default" and mem.index.model == "letters"
        assert mem.query(Query(text="a red mug", k=1)).hits[0].record.seq == 2
        with pytest.raises(NotFoundError, match="forgotten"):
            mem.get(4)
        mem.close()
        assert check(tmp_path).whole
    mem = open_memory(tmp_path)
    assert mem.undo()[0] == 8 and mem.get(4).observation.caption == "a lamp on a desk"
    mem.close()


def test_a_migration_that_is_stopped_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = sqlite3.connect(tmp_path / "log.db")
    old.executescript((OLD / "version_1.sql").read_text())
    old.close()
    real = schema.MIGRATIONS[1]

    def stopped(connection: sqlite3.Connection) -> None:
        real(connection)
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setitem(schema.MIGRATIONS, 1, stopped)
        with pytest.raises(StorageError, match="full"):
            open_memory(tmp_path)
    raw = sqlite3.connect(tmp_path / "log.db")
    assert raw.execute("PRAGMA user_version").fetchone() == (1,)
    raw.close()
    mem = open_memory(tmp_path)
    assert len(mem.index) == 3
    mem.close()


@pytest.mark.parametrize("name", ["with space", "a#b", "what?mode=memory", "50%25", "ä"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    mem = open_memory(tmp_path / name)
    fill(mem, 1)
    mem.close()
    assert (tmp_path / name / "log.db").is_file() and check(tmp_path / name).whole
    mem = open_memory(tmp_path / name, read_only=True)
    assert len(mem.index) == 1
    mem.close()


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Path]:
    """A folder that may be read and not written, by whoever `as_reader` is."""
    folder = tmp_path / "m"
    mem = open_memory(folder)
    fill(mem, 3)
    mem.close()
    for path in tmp_path.parents:
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    _protect(folder, True)
    yield folder
    _protect(folder, False)


def _protect(folder: Path, protected: bool) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o555 if path.is_dir() else 0o444) if protected else 0o755)


def as_reader(folder: Path) -> str:
    """What a process without the right to write finds: what is wrong, or "" when it reads what is there."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_read, args=(folder, theirs))
    child.start()
    said = str(ours.recv())
    child.join(30)
    return said


def _read(folder: Path, pipe: Any) -> None:
    try:
        if os.getuid() == 0:
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        mem = open_memory(folder, read_only=True)
        found = len(mem.query(Query(k=50)).hits), mem.get(2, blobs=True).observation.cloud is not None
        mem.close()
        pipe.send("" if found == (3, True) and check(folder).whole else f"found {found}")
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}")


def test_a_folder_that_may_only_be_read_is_read(shown: Path) -> None:
    before = content(shown)
    assert as_reader(shown) == "" and content(shown) == before
    assert not list(shown.glob("log.db-*"))


def test_beside_its_writer_it_is_read_too(shown: Path) -> None:
    _protect(shown, False)
    mem = open_memory(shown)
    mem.remember(observation(5000, caption="fresh"), durable=True)
    mem.forget([mem.watermark])
    for path in [shown, *shown.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert as_reader(shown) == ""
    mem.close()


def test_one_that_was_not_closed_is_named(shown: Path, tmp_path: Path) -> None:
    _protect(shown, False)
    mem = open_memory(shown)
    mem.remember(observation(5000, caption="fresh"), durable=True)
    shutil.copytree(shown, tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm"))
    mem.close()
    _protect(tmp_path / "killed", True)
    said = as_reader(tmp_path / "killed")
    assert said.startswith("StorageError") and "copy the folder" in said
    _protect(tmp_path / "killed", False)
