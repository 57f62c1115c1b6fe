"""Settings of the house: to and from YAML, and sentences for what makes no sense."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from sim.house.config import HouseConfig, LidarConfig, ScriptConfig, SensorConfig, SimConfig, from_tree


def test_settings_survive_a_file(tmp_path: Path) -> None:
    config = SimConfig(
        house=HouseConfig(min_area=70), sensor=SensorConfig(false_score=(0.2, 0.3)), lidar=LidarConfig(enabled=True)
    )
    config.dump(tmp_path / "house.yaml")
    assert SimConfig.load(tmp_path / "house.yaml") == config != SimConfig()


def test_what_a_file_leaves_out_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "house.yaml"
    path.write_text("script: {sweeps: 3}\nsensor:\n", encoding="utf-8")
    assert SimConfig.load(path) == SimConfig(script=replace(ScriptConfig(), sweeps=3))
    path.write_text("", encoding="utf-8")
    assert SimConfig.load(path) == SimConfig()


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"hose": {}}, "unknown setting hose"),
        ({"house": {"area": 70}}, "house: unknown setting area"),
        ({"house": {"door_width": 0.2}}, "HouseConfig.door_width is 0.2; it must lie between 0.9 and 1.4"),
        ({"house": {"min_area": 90, "max_area": 80}}, "a minimum is above its maximum"),
        ({"camera": {"width": 0}}, "CameraConfig.width"),
        ({"camera": {"width": 320.5}}, "is 320.5, which is not of the type int"),
        ({"camera": {"width": True}}, "not of the type int"),
        ({"lidar": {"enabled": "yes"}}, "not of the type bool"),
        ({"sensor": {"dropout": 1.5}}, "SensorConfig.dropout"),
        ({"sensor": {"dropout": float("nan")}}, "SensorConfig.dropout is nan"),
        ({"sensor": {"edge_zero": 0.6, "edge_nan": 0.6}}, "add up to more than 1"),
        ({"sensor": {"false_score": [0.5, 0.2]}}, "upside down"),
        ({"sensor": {"false_score": 0.5}}, "a pair of numbers"),
        ({"script": {"sweeps": 0}}, "ScriptConfig.sweeps"),
        ({"script": {"frame_rate": -1.0}}, "ScriptConfig.frame_rate"),
        ({"robot": {"radius": 2}}, "RobotConfig.radius"),
        ({"localisation": {"yaw_std": -0.1}}, "LocalisationConfig.yaw_std"),
        ({"script": 5}, "must hold settings by name"),
        ([1, 2], "must hold settings by name"),
    ],
)
def test_bad_settings_are_named(tree: Any, says: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(says)):
        from_tree(SimConfig, tree, "house.yaml")


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot be read"):
        SimConfig.load(tmp_path / "none.yaml")
    path = tmp_path / "house.yaml"
    path.write_text("house: [", encoding="utf-8")
    with pytest.raises(BadInputError, match="not YAML"):
        SimConfig.load(path)
    path.write_bytes(b"\xff\xfe house")
    with pytest.raises(BadInputError, match="not YAML"):
        SimConfig.load(path)
