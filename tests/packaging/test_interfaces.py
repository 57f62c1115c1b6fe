"""The .msg, .srv and .action files: they parse, use only what the package declares, and are what is installed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

parser = pytest.importorskip("rosidl_adapter.parser", reason="rosidl_adapter is not installed: run `make setup`")

NAME = "embodied_mem_msgs"
MSGS = Path(__file__).resolve().parents[2] / "msgs"
MESSAGES = sorted(MSGS.glob("msg/*.msg"))
SERVICES = sorted(MSGS.glob("srv/*.srv"))
ACTIONS = sorted(MSGS.glob("action/*.action"))


def _specification(file: Path) -> list[Any]:
    """The messages in a file: one, request and response, or goal, result and feedback."""
    if file.suffix == ".msg":
        return [parser.parse_message_file(NAME, str(file))]
    if file.suffix == ".action":
        action = parser.parse_action_file(NAME, str(file))
        return [action.goal, action.result, action.feedback]
    service = parser.parse_service_file(NAME, str(file))
    return [service.request, service.response]


def test_there_are_interfaces() -> None:
    assert len(MESSAGES) >= 10
    assert len(SERVICES) >= 9


@pytest.mark.parametrize("file", MESSAGES + SERVICES + ACTIONS, ids=lambda file: file.name)
def test_it_parses_and_uses_only_declared_packages(file: Path) -> None:
    package = ElementTree.parse(MSGS / "package.xml").getroot()
    declared = {element.text for element in package.findall("depend")}
    generated = re.search(r"DEPENDENCIES ([\w\s]+)\)", (MSGS / "CMakeLists.txt").read_text())
    assert generated is not None
    assert set(generated[1].split()) == declared
    for message in _specification(file):
        for field in message.fields:
            if field.type.pkg_name == NAME:
                assert (MSGS / "msg" / f"{field.type.type}.msg").is_file(), f"{field} names no message"
            elif field.type.pkg_name:
                assert field.type.pkg_name in declared, f"{field}: its package is not in msgs/package.xml"


@pytest.mark.parametrize("file", SERVICES + ACTIONS, ids=lambda file: file.name)
def test_every_response_says_how_it_went(file: Path) -> None:
    response = _specification(file)[1]
    kinds = {field.name: str(field.type) for field in response.fields}
    assert kinds.get("error_code") == "uint16"
    assert kinds.get("message") == "string"


@pytest.mark.parametrize("file", MESSAGES + SERVICES + ACTIONS, ids=lambda file: file.name)
def test_what_is_installed_was_made_from_it(file: Path) -> None:
    pytest.importorskip(NAME, reason="the interfaces are not installed: run `make setup`")
    made = getattr(importlib.import_module(f"{NAME}.{file.suffix[1:]}"), file.stem)
    parts = {".msg": [], ".srv": ["Request", "Response"], ".action": ["Goal", "Result", "Feedback"]}[file.suffix]
    classes = [getattr(made, part) for part in parts] or [made]
    for message, kind in zip(_specification(file), classes, strict=True):
        fields = [field.name for field in message.fields]
        # rosidl gives an empty message one dummy member.
        assert [
            name for name in kind.get_fields_and_field_types() if name != "structure_needs_at_least_one_member"
        ] == fields
