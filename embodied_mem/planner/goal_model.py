"""A language model reads instructions that the grammar does not understand: asked with a schema, never believed.

What it answers counts only when it is JSON of the schema, names nothing that is not known, and uses the predicates of
goals rightly. Else the grammar's own sentence stands. No plan ever comes from a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Protocol

from embodied_mem.errors import BadInputError
from embodied_mem.planner.facts import Fact
from embodied_mem.planner.goals import Goal, parse_goal
from embodied_mem.planner.household import HOUSEHOLD, OPPOSITES
from embodied_mem.planner.places import PlaceBook

GOALS = ("on", "in", "seen", "open", "shut", "door_open", "door_shut", "running", "idle")
SCHEMA: dict[str, Any] = {
    "type": "object", "required": ["goal"], "additionalProperties": False,
    "properties": {"goal": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"type": "string"}}},
}  # fmt: skip
_MOST = 20  # facts of one goal
_LONGEST = 20_000  # characters of an answer


class Reader(Protocol):
    """A language model, as far as it is needed: text of a prompt, and a JSON schema for what it says."""

    def generate(self, prompt: str, schema: dict[str, Any]) -> str: ...


def read_goal(instruction: str, book: PlaceBook, things: Iterable[str], model: Reader | None = None) -> Goal:
    """The goal by the grammar, else by the model when there is one. BadInputError for what neither understands."""
    names = tuple(things)
    try:
        return parse_goal(instruction, book, names)
    except BadInputError as unclear:
        if model is None:
            raise
        try:
            answer = model.generate(prompt_for(instruction, book, names), SCHEMA)
        except Exception as error:
            raise BadInputError(f"{unclear} The language model gave no answer either: {error}.") from error
        try:
            return checked(answer, instruction, book, names)
        except BadInputError as refused:
            raise BadInputError(f"{unclear} The language model's answer was refused: {refused}") from refused


def prompt_for(instruction: str, book: PlaceBook, things: Iterable[str]) -> str:
    """What the model is asked."""
    lines = [f"{name}({', '.join(HOUSEHOLD.predicates[name].types)})" for name in GOALS]
    places = [f"{p.name}{' (container)' if p.container else ''}" for p in book.places]
    return (
        'State what shall hold after the instruction was carried out, as JSON {"goal": [facts]}.\n'
        f"Facts: {'; '.join(lines)}.\nThings: {', '.join(things)}.\nPlaces: {', '.join(places)}.\n"
        f"Doors: {', '.join(d.name for d in book.doors)}.\nInstruction: {instruction}\n"
    )


def checked(answer: str, instruction: str, book: PlaceBook, things: Iterable[str]) -> Goal:
    """The goal in a model's answer. Raises BadInputError for anything that is not one."""
    if not isinstance(answer, str) or len(answer) > _LONGEST:
        raise BadInputError("it is no text of a sensible length.")
    try:
        tree = json.loads(re.sub(r"^```(?:json)?\s*|\s*```$", "", answer.strip()))
    except (ValueError, RecursionError) as error:
        raise BadInputError("it is not JSON.") from error
    if not isinstance(tree, dict) or set(tree) != {"goal"} or not isinstance(tree["goal"], list):
        raise BadInputError("it does not follow the schema.")
    texts = tree["goal"]
    if not 0 < len(texts) <= _MOST or not all(isinstance(text, str) for text in texts):
        raise BadInputError(f"it must hold 1 to {_MOST} facts.")
    facts = frozenset(map(Fact.parse, texts))
    names = book.names(tuple(things))
    for item in facts:
        if item.name not in GOALS:
            raise BadInputError(f"{item} is nothing that can be asked for.")
        HOUSEHOLD.check(item, names)
    _consistent(facts)
    return Goal(facts, words=instruction.strip())


def _consistent(facts: frozenset[Fact]) -> None:
    for item in facts:
        opposite = OPPOSITES.get(item.name)
        if opposite and Fact(opposite, item.arguments) in facts:
            raise BadInputError(f"{item} and {Fact(opposite, item.arguments)} cannot both hold.")
    lying = [item.arguments[0] for item in facts if item.name in ("on", "in")]
    if len(set(lying)) < len(lying):
        raise BadInputError("a thing cannot be at two places.")
