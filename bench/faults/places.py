"""Folders that cannot be used: of another user, read-only, vanished. Whoever tries is told in a sentence.

python -m bench.faults.places FOLDER        (as root it becomes another user for part of it; prints JSON)
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench.faults.samples import clock, embedder, missing, sample
from embodied_mem.errors import StorageError
from embodied_mem.records.check import check
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query

_NOBODY = 65534


def build(folder: Path) -> RecordMemory:
    memory = RecordMemory.open(folder, embedder(), clock=clock)
    memory.remember_many([sample(key) for key in range(1, 6)], durable=True)
    return memory


def told(attempt: Callable[[], object]) -> str:
    """What is wrong with how an attempt failed: "" when it was a sentence."""
    try:
        attempt()
    except StorageError as error:
        return "" if str(error).endswith(".") else f"no sentence: {error!r}"
    except BaseException as error:
        return f"raised {error!r}"
    return "it succeeded"


def write(folder: Path) -> None:
    memory = RecordMemory.open(folder, embedder(), clock=clock)
    try:
        memory.remember(sample(9), durable=True)
    finally:
        memory.close()


def read(folder: Path) -> None:
    """Raises whatever opening or asking raises, AssertionError for another answer."""
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        assert not missing(memory, 2, 1)
        assert memory.query(Query(text=sample(1).caption, k=1)).hits[0].record.seq == 2
    finally:
        memory.close()


def works(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except BaseException as error:
        return f"raised {error!r}"
    return ""


def of_another_user(base: Path) -> dict[str, str]:
    """Problems by what was tried, as a user who does not own the folders (or, not root, on folders without rights)."""
    names = ("shown", "closed", "file")
    for name in names:
        build(base / name).close()
    open_one = build(base / "open")  # with a write-ahead log beside it
    for path in [base, *base.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for folder in (base / "shown", base / "open"):
        folder.chmod(0o555)
    for folder in (base / "closed", base / "open" / "blobs" / "none"):
        if folder.exists():
            folder.chmod(0o000)
    (base / "file").chmod(0o777)
    (base / "file" / "log.db").chmod(0o444)
    (base / "file" / "writer.lock").chmod(0o666)
    read(base / "file")  # so that all is imported before it may not be
    if os.getuid() == 0:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    found = {
        "writing in a folder that may only be read": told(lambda: write(base / "shown")),
        "reading in a folder that may only be read": works(lambda: read(base / "shown")),
        "checking a folder that may only be read": works(lambda: check(base / "shown")),
        "reading in a folder that may only be read, beside its writer": works(lambda: read(base / "open")),
        "writing in a folder that may not be entered": told(lambda: write(base / "closed")),
        "reading in a folder that may not be entered": told(lambda: read(base / "closed")),
        "checking a folder that may not be entered": told(lambda: check(base / "closed")),
        "writing a database that may only be read": told(lambda: write(base / "file")),
        "making a memory where nothing may be made": told(lambda: write(base / "shown" / "new")),
    }
    del open_one
    return found


def vanished(base: Path) -> dict[str, str]:
    """Problems by what was tried, with a folder that is removed or moved."""
    found = {}
    ways: tuple[tuple[str, Callable[[Path], object]], ...] = (
        ("removed", lambda folder: shutil.rmtree(folder)),
        ("moved", lambda folder: folder.rename(folder.with_name("elsewhere"))),
        ("replaced", _replace),
    )
    for name, vanish in ways:
        folder = base / name
        memory = build(folder)
        vanish(folder)
        found[f"writing in a folder that was {name}"] = told(
            lambda memory=memory: memory.remember(sample(8), durable=True)  # type: ignore[misc]
        )
        found[f"closing a memory whose folder was {name}"] = told(memory.close)
    shutil.rmtree(base / "elsewhere")
    found["reading where there is nothing"] = told(lambda: read(base / "elsewhere"))
    found["checking where there is nothing"] = told(lambda: check(base / "elsewhere"))
    folder = base / "back"
    memory = build(folder)
    folder.rename(base / "away")
    told(lambda: memory.remember(sample(8), durable=True))
    (base / "away").rename(folder)
    found["going on when the folder is back"] = works(memory.flush) or works(memory.close)
    found["what was refused meanwhile"] = works(lambda: _there(folder, 7, 8))
    return found


def _replace(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    build(folder).close()


def _there(folder: Path, seq: int, key: int) -> None:
    memory = RecordMemory.open(folder, embedder(), clock=clock, read_only=True)
    try:
        lacks = missing(memory, seq, key)
        assert not lacks, lacks
    finally:
        memory.close()


def main() -> int:
    base = Path(sys.argv[1])
    found = vanished(base / "vanished") | of_another_user(base / "rights")
    os.write(1, json.dumps(found).encode())
    os._exit(0)  # as another user, nothing can be closed in order


if __name__ == "__main__":
    sys.exit(main())
