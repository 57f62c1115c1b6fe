"""Facts such as `on(mug, desk)`: what goals, conditions, effects and beliefs are made of.

All facts are positive; what would be negative has a name of its own (`open` and `shut`, `holding` and `hand_empty`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from embodied_mem.errors import BadInputError

_FORM = re.compile(r"\s*([a-z][a-z_]*)\s*(?:\(([^()]*)\))?\s*\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9 _.'-]*\Z")


class Fact(NamedTuple):
    """A predicate and the names that it is said of."""

    name: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)})" if self.arguments else self.name

    @classmethod
    def parse(cls, text: str) -> Fact:
        """`on(mug, desk)` -> the fact. Raises BadInputError."""
        found = _FORM.match(text)
        if found is None:
            raise BadInputError(f"{text!r} is not a fact: write it as on(mug, desk) or hand_empty.")
        arguments = tuple(part.strip() for part in found[2].split(",")) if found[2] is not None else ()
        for argument in arguments:
            if not _NAME.match(argument):
                raise BadInputError(f"{argument!r} in {text!r} is not a name: use lower-case words.")
        return cls(found[1], arguments)


Facts = frozenset[Fact]


def fact(name: str, *arguments: str) -> Fact:
    """fact("on", "mug", "desk") is on(mug, desk)."""
    return Fact(name, arguments)


def parse_facts(texts: Iterable[str]) -> Facts:
    """Several facts. Raises BadInputError."""
    return frozenset(Fact.parse(text) for text in texts)


def listed(facts: Iterable[Fact]) -> list[str]:
    """The facts as sorted texts."""
    return sorted(map(str, facts))
