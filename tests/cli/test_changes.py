"""Changing a folder: forget, undo, correct, reembed, export and import."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embodied_mem.cli.exits import Exit
from embodied_mem.records.memory import RecordMemory
from tests.cli.conftest import COUNT, Run
from tests.exchange.samples import assert_same


def numbers(run: Run, folder: Path) -> list[int]:
    return sorted(record["seq"] for record in run("records", "--memory", folder, "--json").data["records"])


def test_forget_and_undo(run: Run, folder: Path):
    assert run("forget", 3, 4, "--memory", folder, "--dry-run", "--json").data["count"] == 2
    assert numbers(run, folder) == [2, 3, 4, 5, 6, 7]
    forgot = run("forget", 3, 4, "--memory", folder, "--json")
    assert forgot.code == Exit.OK and numbers(run, folder) == [2, 5, 6, 7]
    undone = run("undo", "--memory", folder, "--json")
    assert undone.data["undone"] == forgot.data["command_seq"]
    assert numbers(run, folder) == [2, 3, 4, 5, 6, 7]


def test_forget_by_filter(run: Run, folder: Path):
    ran = run("forget", "--label", "lamp", "--memory", folder, "--json")
    assert ran.data["seqs"] == [4, 7]
    assert numbers(run, folder) == [2, 3, 5, 6]
    assert run("forget", "--label", "lamp", "--memory", folder).code == Exit.NOT_FOUND


def test_correct(run: Run, folder: Path):
    assert run("correct", 2, "--caption", "a green bottle", "--memory", folder).code == Exit.OK
    assert run("query", "green bottle", "--memory", folder, "--json").data["hits"][0]["seq"] == 2
    assert run("correct", 3, "--labels", "cup", "stool", "--memory", folder).code == Exit.OK
    assert run("query", "--label", "stool", "--memory", folder, "--json").data["hits"][0]["seq"] == 3
    moved = run("correct", 2, "--position", 9, 9, 1, "--yaw", 1.57, "--memory", folder)
    assert moved.code == Exit.OK
    record = run("records", 2, "--memory", folder, "--json").data["records"][0]
    assert record["pose"]["position"] == [9, 9, 1]


def test_reembed_can_be_repeated(run: Run, folder: Path):
    again = run("reembed", "hashing", "--memory", folder, "--json")
    assert again.code == Exit.OK and again.data["texts"] == 0
    memory = RecordMemory.open(folder, read_only=True)
    assert memory.index.model.startswith("hashing")
    memory.close()


@pytest.mark.parametrize("ending", ["jsonl", "mcap"])
def test_export_and_import(run: Run, folder: Path, tmp_path: Path, ending: str):
    if ending == "mcap":
        pytest.importorskip("mcap")
    file, copy = tmp_path / f"memory.{ending}", tmp_path / "copy"
    assert run("export", file, "--memory", folder, "--json").data["records"] == COUNT
    came = run("import", file, "--memory", copy, "--json")
    assert came.code == Exit.OK and came.data["admitted"] == COUNT and not came.data["refused"]
    before, after = (RecordMemory.open(path, read_only=True) for path in (folder, copy))
    try:
        assert after.map_id == "flat"
        for seq in range(2, 2 + COUNT):
            a, b = before.get(seq, blobs=True).observation, after.get(seq, blobs=True).observation
            assert_same(a, b, tolerance=1e-6)
    finally:
        before.close()
        after.close()
    again = run("import", file, "--memory", copy, "--json")
    assert again.data["admitted"] == 0 and again.data["folded"] == COUNT


def test_export_what_is_filtered_and_corrected(run: Run, folder: Path, tmp_path: Path):
    run("correct", 4, "--caption", "a tall lamp", "--memory", folder)
    run("forget", 7, "--memory", folder)
    file = tmp_path / "lamps.jsonl"
    assert run("export", file, "--label", "lamp", "--memory", folder).code == Exit.OK
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["caption"] for line in lines[1:]] == ["a tall lamp"]


def test_export_to_standard_output(run: Run, folder: Path):
    ran = run("export", "-", "--no-clouds", "--memory", folder)
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert len(lines) == 1 + COUNT and not any("cloud" in line for line in lines)


def test_import_that_breaks_half_way_keeps_what_came_before(run: Run, folder: Path, tmp_path: Path):
    file, copy = tmp_path / "memory.jsonl", tmp_path / "copy"
    run("export", file, "--memory", folder)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:4]) + lines[4][:50], encoding="utf-8")
    ran = run("import", file, "--memory", copy)
    assert ran.code == Exit.STORAGE
    assert "truncated" in ran.err and "3 observations before it were kept" in ran.err
    assert len(numbers(run, copy)) == 3
