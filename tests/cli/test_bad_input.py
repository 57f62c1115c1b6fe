"""Malformed input: an exit code that means something, one sentence on standard error, nothing lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from embodied_mem.cli.exits import Exit
from tests.cli.conftest import COUNT, Run

BAD = [
    # arguments after --memory FOLDER, exit code, part of the sentence
    (["query", ""], Exit.USAGE, "text is empty"),
    (["query", "   "], Exit.USAGE, "text is empty"),
    (["query", "mug", "-k", "0"], Exit.USAGE, "k must be between"),
    (["query", "mug", "-k", "99999999999"], Exit.USAGE, "k must be between"),
    (["query", "mug", "-k", "many"], Exit.USAGE, "invalid int value"),
    (["query", "mug", "--min-score", "7"], Exit.USAGE, "cosine between"),
    (["query", "--box", "1", "0", "0", "0", "1", "1"], Exit.USAGE, "inverted"),
    (["query", "--box", "nan", "0", "0", "1", "1", "1"], Exit.USAGE, "NaN"),
    (["query", "--near", "nan", "0", "0", "--radius", "1"], Exit.USAGE, "finite"),
    (["query", "--near", "0", "0", "0"], Exit.USAGE, "radius"),
    (["query", "--near", "0", "0", "0", "--radius", "-1"], Exit.USAGE, "above 0"),
    (["query", "--near", "0", "0"], Exit.USAGE, "expected 3"),
    (["query", "--near-record", "0"], Exit.USAGE, "number of a record"),
    (["query", "--near-record", "4000"], Exit.NOT_FOUND, "no record 4000"),
    (["query", "--since", "2026-01-02", "--until", "2026-01-01"], Exit.USAGE, "inverted"),
    (["query", "--since", "soon"], Exit.USAGE, "not a time"),
    (["query", "--when", "once upon a time"], Exit.USAGE, "not understood"),
    (["query", "--when", "today", "--since", "2026-01-01"], Exit.USAGE, "not both"),
    (["query", "--when", "before record 999"], Exit.NOT_FOUND, "999"),
    (["query", "--map", "atlantis"], Exit.NOT_FOUND, "atlantis"),
    (["query", "--map", "*", "--near", "0", "0", "0", "--radius", "1"], Exit.USAGE, "one map"),
    (["query", "--label", " "], Exit.USAGE, "label"),
    (["query", "mug", "--now", "someday"], Exit.USAGE, "--now"),
    (["records", "-n", "-3"], Exit.USAGE, "k must be between"),
    (["ask", "  "], Exit.USAGE, "question is empty"),
    (["locate", ""], Exit.USAGE, "Locate what"),
    (["forget"], Exit.USAGE, "Forget what"),
    (["forget", "12345"], Exit.NOT_FOUND, "no record 12345"),
    (["forget", "1"], Exit.NOT_FOUND, "some are commands"),
    (["undo", "3"], Exit.NOT_FOUND, "not a command"),
    (["undo", "-5"], Exit.USAGE, "1 or more"),
    (["correct", "2"], Exit.USAGE, "Nothing to correct"),
    (["correct", "2", "--labels", "a", "b", "c", "d"], Exit.USAGE, "one each"),
    (["correct", "2", "--position", "inf", "0", "0"], Exit.USAGE, "NaN or infinity"),
    (["correct", "99", "--caption", "x"], Exit.NOT_FOUND, "no record 99"),
    (["export", "memory.xls"], Exit.USAGE, "ending"),
    (["export", "/proc/no/such/place.jsonl"], Exit.STORAGE, "cannot be written"),
    (["import", "nowhere.jsonl"], Exit.NOT_FOUND, "no file"),
    (["frobnicate"], Exit.USAGE, "invalid choice"),
    ([], Exit.USAGE, "COMMAND"),
]


@pytest.mark.parametrize(("argv", "code", "says"), BAD, ids=[" ".join(argv) for argv, _, _ in BAD])
def test_a_sentence_and_a_code(run: Run, folder: Path, argv: list[str], code: Exit, says: str):
    ran = run("--memory", folder, *argv)
    assert ran.code == code, ran.err
    assert says in ran.err, ran.err
    assert len(ran.err.strip()) > 10
    assert run("info", "--memory", folder, "--json").data["records"] == COUNT


def test_machines_get_the_error_too(run: Run, folder: Path):
    ran = run("query", "mug", "-k", 0, "--memory", folder, "--json")
    assert ran.data["error"]["exit_code"] == Exit.USAGE
    assert "k must be" in ran.data["error"]["message"]


def test_no_memory_there(run: Run, tmp_path: Path):
    ran = run("query", "mug", "--memory", tmp_path / "none")
    assert ran.code == Exit.NOT_FOUND and "no memory in" in ran.err
    assert not (tmp_path / "none").exists()


def test_a_file_is_no_memory(run: Run, tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("hello")
    assert run("info", "--memory", file).code == Exit.STORAGE


@pytest.mark.parametrize("content", [b"", b"this is not a database, whatever its name says" * 40])
def test_not_a_database(run: Run, tmp_path: Path, content: bytes):
    (tmp_path / "log.db").write_bytes(content)
    commands: list[list[str | Path]] = [["info"], ["check"], ["query", "mug"], ["export", tmp_path / "x.jsonl"]]
    if content:  # an empty file is a memory that nobody wrote to yet
        commands.append(["forget", "1"])
    for command in commands:
        ran = run("--memory", tmp_path, *command)
        assert ran.code in (Exit.STORAGE, Exit.NOT_FOUND), (command, ran.err)
        assert ran.err.count("\n") == 1


def test_somebody_elses_database(run: Run, tmp_path: Path):
    import sqlite3

    connection = sqlite3.connect(tmp_path / "log.db")
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.commit()
    connection.close()
    ran = run("info", "--memory", tmp_path)
    assert ran.code == Exit.STORAGE and "not a memory" in ran.err


def test_a_truncated_database(run: Run, folder: Path):
    log = folder / "log.db"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    ran = run("check", "--memory", folder)
    assert ran.code == Exit.STORAGE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.jsonl", b'{"caption": "a mug", "x": 1, '),
        ("list.jsonl", b"[1, 2, 3]\n"),
        ("nothing.csv", b"colour,taste\nred,sweet\n"),
        ("broken.gml", b"graph [ node [ id 0 "),
        ("zeros.mcap", bytes(100)),
        ("notes.docx", b"PK\x03\x04 whatever"),
    ],
)
def test_files_that_cannot_be_imported(run: Run, tmp_path: Path, name: str, content: bytes):
    file = tmp_path / name
    file.write_bytes(content)
    ran = run("import", file, "--memory", tmp_path / "memory")
    assert ran.code not in (Exit.OK, Exit.INTERRUPTED)
    assert name in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path):
    tmp_path.chmod(0o500)
    ran = run("import", tmp_path / "x.jsonl", "--memory", tmp_path / "memory")
    assert ran.code != Exit.OK


def test_a_folder_below_a_file_cannot_be_made(run: Run, folder: Path, tmp_path: Path):
    file = tmp_path / "memory.jsonl"
    run("export", file, "--memory", folder)
    ran = run("import", file, "--memory", file / "below")
    assert ran.code == Exit.STORAGE and "cannot be written" in ran.err


def test_an_unexpected_error_is_a_sentence_too(run: Run, folder: Path, monkeypatch):
    from embodied_mem.records.memory import RecordMemory

    def broken(*args, **kwargs):
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(RecordMemory, "query", broken)
    ran = run("query", "mug", "--memory", folder, "--json")
    assert ran.code == Exit.ERROR
    assert "the sky fell" in json.loads(ran.out)["error"]["message"]
