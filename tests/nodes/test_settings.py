"""Parameters: the commented YAML agrees with the nodes, and a bad value is refused with a sentence."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.parameters import build, defaults
from embodied_mem.nodes.settings import SETTINGS
from embodied_mem.nodes.stack import OF_WORLDS, stack

ROOT = Path(__file__).resolve().parents[2]
YAML = ROOT / "config" / "embodied_mem.yaml"
LAUNCH = sorted((ROOT / "launch").glob("*.launch.yaml"))


def test_the_parameter_file_names_every_parameter_of_every_node_with_its_default() -> None:
    tree = yaml.safe_load(YAML.read_text())
    assert {name.removeprefix("/**/") for name in tree} == set(SETTINGS)
    for name, kind in SETTINGS.items():
        values = tree[f"/**/{name}"]["ros__parameters"]
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        assert given == defaults(kind), name
        assert {key: type(value) for key, value in given.items()} == {k: type(v) for k, v in defaults(kind).items()}
        build(name, kind, values)


def test_every_parameter_has_a_description_and_stands_under_it() -> None:
    text = " ".join(YAML.read_text().replace("#", " ").split())
    for kind in SETTINGS.values():
        for item in fields(kind):
            description = item.metadata["description"]
            assert description.endswith(".") and " ".join(description.split()) in text, item.name


@pytest.mark.parametrize("file", LAUNCH, ids=lambda file: file.name)
def test_launch_files_set_only_parameters_that_there_are(file: Path) -> None:
    nodes = [
        body for item in yaml.safe_load(file.read_text())["launch"] for kind, body in item.items() if kind == "node"
    ]
    assert {"record", "recall", "perception", "manager"} <= {body["name"] for body in nodes}
    for body in nodes:
        known = {item.name for item in fields(SETTINGS[body["name"]])} | {"use_sim_time"}
        assert body["exec"] == f"{body['name']}_node"
        assert body["respawn"] == "true"  # a text: launch reads it as a substitution and refuses a YAML boolean
        for entry in body["param"]:
            assert "from" in entry or entry["name"] in known, entry
            if entry.get("name") == "use_sim_time":
                assert entry["value"] is True or entry["value"].startswith("$(var ")
            elif "from" not in entry and not str(entry["value"]).startswith("$(var "):
                build(body["name"], SETTINGS[body["name"]], {entry["name"]: entry["value"]})  # a quoted true is a text


def test_launch_and_up_know_the_same_of_each_world() -> None:
    files = {file.stem: yaml.safe_load(file.read_text()) for file in (ROOT / "config" / "worlds").glob("*.yaml")}
    told = {
        world: {node.removeprefix("/**/"): body["ros__parameters"] for node, body in tree.items()}
        for world, tree in files.items()
    }
    assert told == OF_WORLDS
    for nodes in OF_WORLDS.values():
        for name, values in nodes.items():
            build(name, SETTINGS[name], values)


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "too low": ("record", {"queue": 0}, "'queue' of record must be at least 1, not 0"),
    "not above": ("record", {"lateness": 0.0}, "above 0"),
    "outside": ("recall", {"threshold": 1.5}, "between -1 and 1"),
    "NaN": ("recall", {"threshold": float("nan")}, "between -1 and 1"),
    "no choice": ("perception", {"pose": "gps"}, "one of odometry, pose_with_covariance, pose"),
    "a text for a number": ("perception", {"wait": "long"}, "a number"),
    "a number for a text": ("record", {"memory": 5}, "a text"),
    "truth for an integer": ("sim", {"seed": True}, "an integer"),
    "a float for an integer": ("record", {"queue": 1.5}, "an integer"),
    "no list": ("record", {"frames": "map"}, "a list of texts"),
    "misspelt": ("record", {"memroy": "/x"}, "is 'memory' meant"),
    "unknown": ("manager", {"zzz": 1}, "has no parameter 'zzz'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_refused_with_what_is_allowed(name: str) -> None:
    node, values, words = BAD[name]
    with pytest.raises(BadInputError) as caught:
        build(node, SETTINGS[node], values)
    assert words in str(caught.value)
    with pytest.raises(BadInputError):
        stack(("record", "recall", "perception", "sim"), parameters={node: values})


def test_an_integer_will_do_for_a_number() -> None:
    assert build("record", SETTINGS["record"], {"lateness": 5}).lateness == 5.0


def test_a_stack_of_unknown_nodes_is_refused() -> None:
    with pytest.raises(BadInputError, match="'reckord'"):
        stack(("reckord",))
    with pytest.raises(BadInputError, match="'manager'"):
        stack(("manager",))


def test_a_stack_is_the_named_nodes_in_order_and_their_manager() -> None:
    processes = stack(
        ("recall", "record"), namespace="robot1", use_sim_time=True, parameters={"record": {"memory": "/m"}}
    )
    assert [process.name for process in processes] == ["record", "recall", "manager"]
    record, _, manager = (" ".join(process.command()) for process in processes)
    assert "-r __ns:=/robot1" in record and "-p memory:='/m'" in record and "use_sim_time:=true" in record
    assert "nodes:=['record', 'recall']" in manager and "use_sim_time" not in manager
    (composed,) = stack(("record", "sim"), composed=True, use_sim_time=True)
    line = " ".join(composed.command())
    assert "stack:nodes:=['record', 'sim']" in line
    assert "record:use_sim_time:=true" in line and "sim:use_sim_time" not in line
