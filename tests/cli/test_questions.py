"""Asking a folder: query, records, info, check, with text and with --json."""

from __future__ import annotations

import os
from pathlib import Path

from embodied_mem.cli.exits import Exit
from tests.cli.conftest import COUNT, Run


def test_query_by_text(run: Run, folder: Path):
    ran = run("query", "a lamp", "--memory", folder, "--json", "-k", 2)
    assert ran.code == Exit.OK
    assert ran.data["found"] and len(ran.data["hits"]) == 2
    assert all("lamp" in hit["labels"] for hit in ran.data["hits"])
    assert ran.data["hits"][0]["score"] >= ran.data["hits"][1]["score"]


def test_options_may_stand_before_the_command(run: Run, folder: Path):
    before = run("--memory", folder, "--json", "query", "a lamp", "--now", "last")
    after = run("query", "a lamp", "--memory", folder, "--json", "--now", "last")
    assert before.code == after.code == Exit.OK
    assert before.data == after.data


def test_filters_restrict(run: Run, folder: Path):
    ran = run("query", "--memory", folder, "--json", "--label", "LAMP", "--near-record", 4, "--radius", 3, "--explain")
    assert {hit["seq"] for hit in ran.data["hits"]} <= {4, 7}
    assert ran.data["explanation"]
    nothing = run("query", "--memory", folder, "--json", "--near", 500, 0, 0, "--radius", 1)
    assert nothing.code == Exit.NOT_FOUND
    assert not nothing.data["found"] and nothing.data["reason"]


def test_time_in_words_counts_from_now(run: Run, folder: Path):
    recent = run("records", "--memory", folder, "--json", "--now", "last", "--when", "last 3 s")
    assert [record["seq"] for record in recent.data["records"]] == [7, 6, 5, 4]
    today = run("records", "--memory", folder, "--json", "--now", "2026-01-01T00:00", "--when", "last 3 s")
    assert today.code == Exit.NOT_FOUND
    before = run("records", "--memory", folder, "--json", "--when", "before record 4")
    assert [record["seq"] for record in before.data["records"]] == [3, 2]


def test_now_is_the_newest_record_of_a_memory_whose_time_is_not_the_computers(run: Run, folder: Path):
    """Stamps far from when the folder was written are a simulator's or a recording's."""
    replayed = run("records", "--memory", folder, "--json", "--when", "last 3 s")
    assert [record["seq"] for record in replayed.data["records"]] == [7, 6, 5, 4]
    for file in folder.glob("log.db*"):
        os.utime(file, (1_700_000_010, 1_700_000_010))  # a robot's own memory, written as it saw things
    assert run("records", "--memory", folder, "--json", "--when", "last 3 s").code == Exit.NOT_FOUND


def test_absolute_times(run: Run, folder: Path):
    ran = run("records", "--memory", folder, "--json", "--since", 1_700_000_004, "--until", 1_700_000_005)
    assert [record["seq"] for record in ran.data["records"]] == [6]


def test_records_for_people(run: Run, folder: Path):
    ran = run("records", "--memory", folder, "-n", 3)
    assert len(ran.out.strip().splitlines()) == 3
    assert "number 5 – schön." in ran.out.splitlines()[0]


def test_info(run: Run, folder: Path):
    ran = run("info", "--memory", folder, "--json")
    assert ran.data["records"] == COUNT
    assert ran.data["labels"] == {"mug": 6, "chair": 4, "lamp": 2}
    assert ran.data["current_map"] == "flat" and ran.data["sessions"] == ["morning"]
    assert f"{COUNT} records" in run("info", "--memory", folder).out


def test_check_finds_damage(run: Run, folder: Path):
    assert run("check", "--memory", folder).code == Exit.OK
    blob = next(path for path in (folder / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(blob.read_bytes()[:-3])
    ran = run("check", "--memory", folder, "--json")
    assert ran.code == Exit.STORAGE
    assert not ran.data["whole"] and ran.data["problems"]


def test_reading_goes_on_beside_a_writer(run: Run, folder: Path):
    from embodied_mem.records.memory import RecordMemory

    writer = RecordMemory.open(folder)
    try:
        assert run("query", "a mug", "--memory", folder).code == Exit.OK
        assert run("info", "--memory", folder, "--json").data["being_written"]
        locked = run("forget", 3, "--memory", folder, "--direct")
        assert locked.code == Exit.STORAGE
        assert "being written" in locked.err
    finally:
        writer.close()


def test_the_folder_may_come_from_the_environment(run: Run, folder: Path, monkeypatch):
    monkeypatch.setenv("EMBODIED_MEM_LOG", str(folder))
    assert run("info", "--json").data["records"] == COUNT
