from __future__ import annotations

import json

import numpy as np
import pytest

from bench import harness
from bench.harness import Options, Report, layout, measure, parse


def test_arms_take_turns_after_a_warm_up_and_keep_what_they_return():
    calls: list[tuple[str, int]] = []

    def arm(name):
        def run(turn):
            calls.append((name, turn))
            return turn * 10

        return run

    ticks = iter(np.arange(100.0))
    timings = measure({"a": arm("a"), "b": arm("b")}, 3, warmup=1, clock=lambda: next(ticks))
    assert calls == [("a", 0), ("b", 0), ("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert timings["b"].outputs == [0, 10, 20]
    assert timings["a"].median_ms == 1000.0 and timings["a"].summary()["n"] == 3


def test_a_bar_fails_the_run_unless_it_is_open(tmp_path, capsys):
    report = Report("thing", Options(quick=True, json=tmp_path / "deep" / "out.json"), seeds={"world": 1})
    report.bar("fast", 0.5, at_most=1)
    report.bar("large run", 7.0, at_most=1, why_open="only a full run can say")
    report.table("figures", ["name", "ms"], [["a", np.float64(1.23456)], ["b", None]])
    assert report.finish() == 0
    report.bar("right", False)
    report.bar("recall", 0.5, at_least=0.9)
    assert report.finish() == 1

    written = json.loads((tmp_path / "deep" / "out.json").read_text())
    assert [bar["holds"] for bar in written["bars"]] == [True, None, False, False]
    assert written["bars"][1]["why"] == "only a full run can say"
    assert written["figures"]["figures"][0] == {"name": "a", "ms": 1.23456}
    assert written["seeds"] == {"world": 1} and written["versions"]["numpy"] == np.__version__
    assert {"commit", "machine", "time"} <= set(written)
    assert "FAILS" in capsys.readouterr().out


def test_only_a_full_run_writes_among_the_results(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    Report("thing", Options(quick=True)).finish()
    assert not list(tmp_path.iterdir())
    Report("thing", Options()).finish()
    assert [path.name for path in tmp_path.iterdir()] == ["thing.json"]


def test_a_table_lines_up():
    assert layout(["name", "ms"], [["a", 1.5], ["long", 1234.0]]).splitlines() == [
        "name     ms",
        "----  -----",
        "a       1.5",
        "long  1,234",
    ]


def test_options(tmp_path):
    assert parse("x", ["--quick", "--json", str(tmp_path / "a")]) == Options(True, tmp_path / "a")
    with pytest.raises(SystemExit):
        parse("x", ["--qui"])
