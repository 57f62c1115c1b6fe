"""replay and import of real recordings and captions, and of small ones made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embodied_mem.cli.exits import Exit
from tests.cli.conftest import Run

needs_bags = pytest.mark.skipif("not __import__('importlib.util').util.find_spec('rosbags')", reason="no rosbags")
CAPTIONS = [
    {"caption": "a red barn beside a pond", "lat": 40.0, "lon": -80.0},
    {"caption": "a bus stop with a glass shelter", "lat": 40.001, "lon": -80.0},
    {"caption": "a bus stop in the snow", "lat": 40.01, "lon": -80.0},
]


@needs_bags
def test_the_kitchen_bag_answers_where_a_cup_is(run: Run, shared_data: Path, tmp_path: Path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    detector = shared_data / "perception" / "nanodet_coco80.onnx"
    bag = shared_data / "bags" / "7scenes_kitchen"
    ran = run("replay", bag, "--detector", detector, "--memory", tmp_path / "m", "--json")
    assert ran.code == Exit.OK and ran.data["kind"] == "bag"
    assert ran.data["admitted"] + ran.data["folded"] == 24 and not ran.data["refused"]
    asked = run("ask", "where is a cup?", "--memory", tmp_path / "m", "--now", "last", "--json")
    assert asked.code == Exit.OK
    x, y, z = asked.data["pose"]["position"]
    # The white mug, where its depth says that it is in frames 0, 240 and 600 (bench/kitchen.py).
    assert ((x + 0.70) ** 2 + (y + 0.13) ** 2 + (z - 1.91) ** 2) ** 0.5 < 0.2


@needs_bags
def test_a_bag_of_scans_says_what_was_left_out_and_assumed(run: Run, shared_data: Path, tmp_path: Path):
    ran = run("replay", shared_data / "bags" / "tilt_laser.bag", "--memory", tmp_path / "m", "--json")
    assert ran.code == Exit.OK and ran.data["admitted"] > 10 and not ran.data["refused"]
    remarks = " ".join(ran.data["remarks"])
    left_out = 178 - ran.data["admitted"]
    assert f"{left_out} of 178 measurements" in remarks and "no map or odometry frame" in remarks


def test_a_laser_log_becomes_scans(run: Run, shared_data: Path, tmp_path: Path):
    ran = run("replay", shared_data / "laser2d" / "exp1.dat", "--memory", tmp_path / "m")
    assert ran.code == Exit.OK and "new records, 0 repeated" in ran.out and "say nothing new" in ran.out
    assert run("info", "--memory", tmp_path / "m", "--json").data["maps"] == ["exp1"]


def test_a_limit_stops_early(run: Run, shared_data: Path, tmp_path: Path):
    ran = run("replay", shared_data / "rgbd_7scenes", "--limit", 5, "--memory", tmp_path / "m", "--json")
    assert ran.code == Exit.OK and ran.data["admitted"] + ran.data["folded"] == 5
    assert run("replay", shared_data / "rgbd_7scenes", "--limit", 0, "--memory", tmp_path / "m").code == Exit.USAGE


def captions_file(folder: Path) -> Path:
    path = folder / "walk.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in CAPTIONS), encoding="utf-8")
    return path


def test_latitudes_become_metres_from_an_origin_that_is_said(run: Run, tmp_path: Path):
    ran = run("import", captions_file(tmp_path), "--memory", tmp_path / "m", "--json")
    assert ran.code == Exit.OK and ran.data["origin"] == pytest.approx([40.001, -80.0])
    rows = run("records", "--memory", tmp_path / "m", "--json").data["records"]
    north = sorted(round(row["position"][1]) for row in rows)
    assert north == [-111, 0, 1002]


def test_an_origin_can_be_chosen_and_searched_around(run: Run, tmp_path: Path):
    memory = tmp_path / "m"
    ran = run("import", captions_file(tmp_path), "--memory", memory, "--origin", 40.01, -80.0)
    assert ran.code == Exit.OK and "east and north of latitude 40.010000, longitude -80.000000" in ran.out
    near = run(
        "query", "a bus stop", "--near", 0, 0, 0, "--radius", 200, "--min-score", -1, "--memory", memory, "--json"
    )
    assert [hit["caption"] for hit in near.data["hits"]] == ["a bus stop in the snow"]
    anywhere = run("query", "a bus stop", "--min-score", -1, "--memory", memory, "--json")
    assert len(anywhere.data["hits"]) == 3
    asked = run("ask", "where can I find a bus stop within 200 m of (0, -1000)?", "--memory", memory, "--json")
    assert asked.code == Exit.OK and "glass shelter" in asked.data["evidence"][0]["caption"]


def test_an_impossible_origin_is_refused(run: Run, tmp_path: Path):
    ran = run("import", captions_file(tmp_path), "--memory", tmp_path / "m", "--origin", 140, 0)
    assert ran.code == Exit.USAGE and "latitude" in ran.err
