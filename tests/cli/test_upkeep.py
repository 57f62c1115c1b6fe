"""Looking after a folder: compact, backup, repair, and what info says of them."""

from __future__ import annotations

from pathlib import Path

from embodied_mem.cli.exits import Exit
from embodied_mem.records.memory import RecordMemory
from tests.cli.conftest import Run


def test_compact_makes_forgetting_final(run: Run, folder: Path) -> None:
    assert "nothing to erase" in run("compact", "--memory", folder).out
    forgot = run("forget", 3, "--memory", folder, "--json").data["command_seq"]
    done = run("compact", "--memory", folder, "--json")
    assert done.code == Exit.OK and done.data["entries"] == 1
    undone = run("undo", forgot, "--memory", folder)
    assert undone.code == Exit.USAGE and "compaction has erased" in undone.err
    assert run("check", "--memory", folder).code == Exit.OK
    assert run("info", "--memory", folder, "--json").data["erased_records"] == 1


def test_backup_and_restore(run: Run, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    done = run("backup", target, "--memory", folder, "--json")
    assert done.code == Exit.OK and done.data["watermark"] == 7
    assert run("query", "mug", "--memory", target, "--json").data["found"]
    assert run("backup", target, "--memory", folder).code == Exit.USAGE


def test_repair_says_what_was_lost(run: Run, folder: Path) -> None:
    assert "nothing to repair" in run("repair", "--memory", folder).out
    blob = next((folder / "blobs").glob("??/*"))
    blob.write_bytes(blob.read_bytes()[:-1])
    assert run("check", "--memory", folder).code == Exit.STORAGE
    done = run("repair", "--memory", folder)
    assert done.code == Exit.OK and "loses a cloud or a picture" in done.out and ".damaged-" in done.out
    assert run("check", "--memory", folder).code == Exit.OK


def test_info_says_what_the_disk_budget_has_cost(run: Run, folder: Path) -> None:
    memory = RecordMemory.open(folder, disk_budget_mb=0.01)
    memory.retention.enforce(now=True)
    memory.close()
    assert "to keep the disk budget" in run("info", "--memory", folder).out
    assert run("info", "--memory", folder, "--json").data["dropped_clouds"] == 3
