"""Commands of `embodied-mem` that go through running nodes: what they change is what the folder's own would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from embodied_mem.cli.main import main
from tests.ros.conftest import Pair
from tests.ros.samples import seen, things

Run = Callable[..., Any]


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("forget", "3") -> what the command prints for machines, or the sentence that it fails with."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(pair.graph.domain))

    def call(*argv: object) -> Any:
        capsys.readouterr()
        main(["--ros", "--json", *map(str, argv)])
        return json.loads(capsys.readouterr().out)

    return call


def test_what_is_forgotten_by_number_and_by_filter_comes_back(pair: Pair, run: Run) -> None:
    one = pair.client.remember(seen("a red kite", (30, 0, 1), detections=things(("kite",), (30, 1, 1)))).seq
    two = pair.client.remember(seen("a blue kite", (40, 0, 1), detections=things(("kite",), (40, 1, 1)))).seq
    assert run("forget", one, "--dry-run")["count"] == 1
    assert run("forget", one)["count"] == 1
    assert [hit["seq"] for hit in run("query", "kite", "--label", "kite")["hits"]] == [two]
    done = run("forget", "--label", "kite")
    assert done["count"] == 1 and not run("query", "kite", "--label", "kite")["found"]
    assert run("undo", done["command_seq"])["undone"] == done["command_seq"]
    run("undo", done["command_seq"] - 1)
    assert {hit["seq"] for hit in run("query", "kite", "--label", "kite")["hits"]} == {one, two}


def test_a_correction_and_a_question(pair: Pair, run: Run) -> None:
    seq = pair.client.remember(seen("a violin on the bed", (50, 0, 1))).seq
    run("correct", seq, "--caption", "a cello on the bed")
    assert run("query", "cello")["hits"][0]["seq"] == seq
    assert "cello" in run("ask", "where is the cello?")["sentence"]


def test_what_is_wrong_is_a_sentence(run: Run) -> None:
    for argv in (("forget", 10**6), ("correct", 10**6, "--caption", "x"), ("unite", "1.0"), ("undo", 10**6)):
        assert "Bug" not in str(run(*argv)), argv
