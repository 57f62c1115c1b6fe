"""Launch and parameter files: they parse, and every executable, file and parameter file that they name exists.

Declarative launch files are read as plain YAML, since `launch` itself is on no package index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = sorted((ROOT / "launch").glob("*.launch.yaml"))
PARAMETERS = sorted(file for file in (ROOT / "config").glob("*.yaml") if "ros__parameters" in file.read_text())
SHARE = "$(find-pkg-share embodied_mem)"


def _actions(items: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, body) of every action, those in groups included."""
    for item in items:
        for kind, body in item.items():
            if kind == "group":
                yield from _actions(body if isinstance(body, list) else body.get("children", []))
            else:
                yield kind, body


def _load(file: Path) -> list[tuple[str, dict[str, Any]]]:
    return list(_actions(yaml.safe_load(file.read_text())["launch"]))


def _resolve(text: str, defaults: dict[str, str]) -> str:
    """Put in the defaults of the arguments, and the checkout for the package's share folder."""
    for _ in range(5):
        text = re.sub(r"\$\(var ([\w.-]+)\)", lambda match: defaults.get(match[1], match[0]), text)
    return text.replace(SHARE, str(ROOT)).replace("$(dirname)", str(ROOT / "launch"))


def test_there_are_launch_files_for_a_robot_and_for_the_simulator() -> None:
    assert len(LAUNCH) >= 2
    assert all(file.name.endswith(".launch.yaml") for file in (ROOT / "launch").iterdir())


@pytest.mark.parametrize("file", LAUNCH, ids=lambda file: file.name)
def test_what_a_launch_file_names_exists(file: Path) -> None:
    actions = _load(file)
    defaults = {body["name"]: str(body.get("default", "")) for kind, body in actions if kind == "arg"}
    for body in (body for kind, body in actions if kind == "arg"):
        assert body.get("description"), f"argument {body['name']} has no description"
    for kind, body in actions:
        used = re.findall(r"\$\(var ([\w.-]+)\)", str(body))
        known = set(defaults) | {other["name"] for name, other in actions if name == "let"}
        assert set(used) <= known, f"{kind} uses arguments that are not declared: {set(used) - known}"
        if kind == "node":
            assert body["pkg"] == "embodied_mem"
            assert (ROOT / "scripts" / body["exec"]).exists(), f"no executable {body['exec']}"
            for parameters in body.get("param", []):
                if "from" in parameters:
                    path = _resolve(parameters["from"], defaults)
                    assert not path or Path(path).is_file(), f"no parameter file {path}"
        elif kind == "include":
            path = _resolve(body["file"], defaults)
            assert Path(path).is_file(), f"no launch file {path}"
            there = {other["name"] for name, other in _load(Path(path)) if name == "arg"}
            given = {argument["name"] for argument in body.get("arg", [])}
            assert given <= there, f"{Path(path).name} does not declare {given - there}"
        for value in re.findall(r"\$\(find-pkg-share embodied_mem\)[\w./-]*", str(body)):
            assert Path(_resolve(value, defaults)).exists(), f"{value} does not exist"


@pytest.mark.parametrize("file", PARAMETERS, ids=lambda file: file.name)
def test_a_parameter_file_has_nodes_with_commented_parameters(file: Path) -> None:
    text = file.read_text()
    for node, body in yaml.safe_load(text).items():
        assert body["ros__parameters"] is not None, f"{node} has no parameters"
    assert text.count("#") >= 1


def test_config_files_parse() -> None:
    for file in (ROOT / "config").glob("*.yaml"):
        assert yaml.safe_load(file.read_text()), f"{file.name} is empty"
