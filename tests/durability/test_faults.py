"""The proofs of bench/durability.py in a small form; the full figures are in bench/results/durability.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.faults import flips, kills, power, shim
from embodied_mem.records import blobs

pytestmark = pytest.mark.skipif(bool(shim.why_not()), reason=shim.why_not())


def test_an_error_at_the_nth_operation_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "outcomes.json"
    (tmp_path / "disk").mkdir()
    shim.run("bench.faults.errors", str(tmp_path / "disk" / "memory"), "29", str(out))
    outcomes = json.loads(out.read_text())
    assert len(outcomes) > 10 and len({outcome["case"] for outcome in outcomes}) == 7
    assert sum(outcome["told"] > 0 for outcome in outcomes) > len(outcomes) / 2
    assert not [outcome for outcome in outcomes if outcome["problems"]]


def test_a_folder_that_cannot_be_used_is_named_in_a_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):  # another user must get there
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o755)
    places = json.loads(shim.plain("bench.faults.places", str(tmp_path)))
    assert len(places) > 15
    assert not {what: problem for what, problem in places.items() if problem}


@pytest.mark.parametrize("level", ["FULL", "FAILING"])
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, level: str) -> None:
    recorded = power.record(tmp_path, rounds=3, seed=11, level=level)
    found = power.cut(recorded, tmp_path, cuts=40, seed=11)
    assert found.cuts == 40 and found.acknowledged > 200
    assert (found.operations["F"] > 0) == (level == "FAILING")
    assert not found.lost and not found.malformed
    assert found.operations["S"] > 50 and found.operations["D"] > 20, "the recorder has seen no syncs"


def test_a_loss_by_a_power_cut_would_be_seen(tmp_path: Path) -> None:
    recorded = power.record(tmp_path, rounds=2, seed=11, level="NORMAL")
    assert power.cut(recorded, tmp_path, cuts=40, seed=11).lost


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    flips.build(tmp_path / "memory", 60)
    found = flips.judge(tmp_path / "memory", flips.spots(tmp_path / "memory", 120, 3))
    assert len(found.verdicts) >= 120 and not found.failures
    assert sum(verdict.checked and verdict.read for verdict in found.verdicts) > 60


def test_a_flipped_bit_that_no_checksum_covers_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flips.build(tmp_path / "memory", 30)
    monkeypatch.setattr(blobs.BlobStore, "get", lambda self, name: self._path(name).read_bytes())
    wanted = flips.spots(tmp_path / "memory", 24, 3, "blob")
    assert flips.judge(tmp_path / "memory", wanted).failures


def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    found = kills.kill_writers(tmp_path / "memory", kills=12, seed=4)
    assert found.kills == 12 and found.acknowledged > 0  # how many, the load of the machine decides
    assert found.whole, found
