"""An instruction in words becomes a goal, by a small grammar and no model.

The words are turned into a row of verbs, prepositions and known names; what is no such word must be one that means
nothing here (`please`, `the`), else the instruction is refused with what was not understood. Nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from embodied_mem.errors import BadInputError
from embodied_mem.planner.facts import Fact, Facts, fact
from embodied_mem.planner.household import OPPOSITES
from embodied_mem.planner.places import PlaceBook

_BRING, _FIND, _OPEN, _CLOSE, _ON, _OFF = "bring", "find", "open", "close", "turn on", "turn off"
_VERBS = {
    "find out where": _FIND, "find": _FIND, "locate": _FIND, "look for": _FIND, "search for": _FIND, "search": _FIND,
    "where": _FIND, "tell me where": _FIND, "bring": _BRING, "take": _BRING, "carry": _BRING, "fetch": _BRING,
    "get": _BRING, "move": _BRING, "put": _BRING, "place": _BRING, "set": _BRING, "lay": _BRING, "return": _BRING,
    "deliver": _BRING, "store": _BRING, "leave": _BRING, "pick up": _BRING, "open": _OPEN, "close": _CLOSE,
    "shut": _CLOSE,
    "turn on": _ON, "switch on": _ON, "start": _ON, "turn off": _OFF, "switch off": _OFF, "stop": _OFF,
    "turn": "turn", "switch": "turn", "make sure": "see to", "see to it": "see to",
}  # fmt: skip
_PREPOSITIONS = {
    "onto": "on", "on top of": "on", "on": "on", "back on": "on", "back onto": "on", "upon": "on", "into": "in",
    "inside": "in", "in": "in", "back in": "in", "back into": "in", "within": "in", "back to": "to", "over to": "to",
    "to": "to", "at": "to",
    "out of": "out", "from": "from", "off": "off", "away from": "from",
}  # fmt: skip
_EMPTY = {
    "please", "robot", "hey", "ok", "now", "the", "a", "an", "my", "our", "your", "some", "could", "can", "you",
    "would", "will", "is", "are", "i", "want", "to", "again", "afterwards", "after", "that", "finally", "first", "next",
    "then", "also", "of", "there", "down", "up", "over", "back", "be",
}  # fmt: skip
_PRONOUNS = {"it", "them", "both"}
_JOINTS = {"and", ",", ";", ".", "then", "and then", "!"}
_WORD = re.compile(r"[a-z0-9'-]+|[,;.!]")


@dataclass(frozen=True, slots=True)
class Goal:
    """What shall hold in the end, what the instruction said of how it is now, and the instruction itself."""

    facts: Facts
    hints: Facts = frozenset()
    words: str = ""

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it is about."""
        return tuple(
            sorted({f.arguments[0] for f in self.facts if f.name in ("on", "in", "seen", "located", "holding")})
        )


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # verb, prep, thing, place, it, joint
    value: str


def parse_goal(instruction: str, book: PlaceBook, things: Iterable[str]) -> Goal:
    """The goal of an instruction, about the book's places and these things. BadInputError says what is unclear."""
    return _Reader(_tokens(instruction, book, things), book, instruction).read()


def _tokens(instruction: str, book: PlaceBook, things: Iterable[str]) -> list[_Token]:
    words = _WORD.findall(instruction.lower())
    if not words or len(words) > 200:
        raise BadInputError("The instruction must have between 1 and 200 words, such as: bring the mug to the desk.")
    table: dict[tuple[str, ...], _Token] = {}
    for source, kind in ((_PREPOSITIONS, "prep"), (_VERBS, "verb")):
        table |= {tuple(key.split()): _Token(kind, value) for key, value in source.items()}
    table |= {(word,): _Token("it", word) for word in _PRONOUNS}
    table |= {tuple(joint.split()): _Token("joint", joint) for joint in _JOINTS}
    for thing in things:
        for form in {thing, thing + "s"}:
            table[tuple(form.split())] = _Token("thing", thing)
    labels: dict[str, list[str]] = {}
    for place in book.places:
        labels.setdefault(place.label, []).append(place.name)
        table[tuple(place.name.split())] = _Token("place", place.name)
        table[(*place.room.split(), *place.label.split())] = _Token("place", place.name)
        table[(*place.label.split(), "in", "the", *place.room.split())] = _Token("place", place.name)
    for door in book.doors:
        table[tuple(door.name.split())] = _Token("place", door.name)
    for label, names in labels.items():
        if len(names) > 1:
            table[tuple(label.split())] = _Token("several", label)
    rooms = {tuple(room.split()): _Token("room", room) for room in book.rooms if tuple(room.split()) not in table}
    table |= rooms
    longest = max(map(len, table))
    found: list[_Token] = []
    at = 0
    while at < len(words):
        for size in range(min(longest, len(words) - at), 0, -1):
            token = table.get(tuple(words[at : at + size]))
            if token is not None:
                found.append(token)
                at += size
                break
        else:
            if words[at] not in _EMPTY:
                near = get_close_matches(words[at], [" ".join(key) for key in table], 1)
                hint = f" Is {near[0]!r} meant?" if near else " It is no thing or place that is known here."
                raise BadInputError(f"{words[at]!r} was not understood in {instruction!r}.{hint}")
            at += 1
    return found


class _Reader:
    """Reads tokens from left to right; a clause without a verb has that of the clause before."""

    def __init__(self, tokens: list[_Token], book: PlaceBook, instruction: str) -> None:
        self._book, self._instruction = book, instruction
        self._clauses = self._split(tokens)
        self._facts: dict[tuple[str, str], Fact] = {}
        self._hints: set[Fact] = set()
        self._things: list[str] = []  # that "it" may stand for
        self._place = ""

    def read(self) -> Goal:
        for verb, tokens in self._clauses:
            self._clause(verb, tokens)
        if not self._facts:
            raise self._unclear("it asks for nothing")
        return Goal(frozenset(self._facts.values()), frozenset(self._hints), self._instruction.strip())

    def _unclear(self, why: str) -> BadInputError:
        return BadInputError(
            f"{self._instruction!r} was not understood: {why}. Say, for example: bring the mug to the desk; put the "
            "apple in the fridge and close it; find out where the book is."
        )

    def _split(self, tokens: list[_Token]) -> list[tuple[str, list[_Token]]]:
        """A clause begins at each verb, and at a joint after a destination; "turn the tv on" has its end looked at."""
        clauses: list[tuple[str, list[_Token]]] = []
        for token in tokens:
            if token.kind == "verb":
                if token.value == "see to":
                    continue
                clauses.append((token.value, []))
            elif not clauses:
                if token.kind != "joint":
                    raise self._unclear("it does not begin with what is to be done")
            else:
                parts = clauses[-1][1]
                if token.kind == "joint" and self._complete(parts):
                    clauses.append((clauses[-1][0], []))
                else:
                    parts.append(token)
        return [(verb, parts) for verb, parts in clauses if any(part.kind != "joint" for part in parts)]

    @staticmethod
    def _complete(parts: list[_Token]) -> bool:
        """Whether there is a destination already."""
        return any(
            part.kind == "prep" and part.value in ("on", "in", "to") and i + 1 < len(parts)
            for i, part in enumerate(parts)
        )

    def _clause(self, verb: str, tokens: list[_Token]) -> None:
        tokens = [token for token in tokens if token.kind != "joint"]
        if verb == "turn":
            ways = [token.value for token in tokens if token.kind == "prep" and token.value in ("on", "off")]
            if len(ways) != 1:
                raise self._unclear("turn it on, or turn it off?")
            verb, tokens = f"turn {ways[0]}", [token for token in tokens if token.kind != "prep"]
        things = [token.value for token in tokens if token.kind == "thing"]
        if verb == _FIND:
            self._find(tokens, things)
        elif verb == _BRING:
            self._bring(tokens, things)
        else:
            self._change(verb, tokens)

    def _find(self, tokens: list[_Token], things: list[str]) -> None:
        if not things:
            raise self._unclear("what is to be found?")
        for thing in things:
            self._say(fact("seen", thing), "seen")
        self._things = things

    def _bring(self, tokens: list[_Token], things: list[str]) -> None:
        if not things and any(token.kind == "it" for token in tokens):
            things = self._things
        if not things:
            raise self._unclear("what is to be brought?")
        self._things = things
        target, relation = "", ""
        for i, token in enumerate(tokens[:-1]):
            if token.kind != "prep":
                continue
            following = tokens[i + 1]
            if following.kind in ("room", "several"):
                raise self._ambiguous(following)
            if following.kind != "place":
                continue
            if token.value in ("from", "off", "out"):
                self._hints |= self._hint(things, following.value, {"off": "on", "out": "in"}.get(token.value, ""))
            elif target and not self._hints:  # "the mug on the table to the desk": the first is where it is
                self._hints |= self._hint(things, target)
                target, relation = following.value, token.value
            else:
                target, relation = following.value, token.value
        if not target:
            raise self._unclear(f"where is the {things[0]} to be brought?")
        self._place = target
        for thing in things:
            self._say(self._lies(thing, target, relation), "lies")

    def _hint(self, things: list[str], name: str, relation: str = "") -> set[Fact]:
        """That things are on or in a place: either, where it was not said which."""
        place = self._book.by_name.get(name)
        if place is None:
            raise self._unclear(f"nothing can be on or in the {name}")
        words = [word for word, fits in (("on", place.surface), ("in", place.container)) if fits]
        words = [word for word in words if relation in ("", word)] or words
        return {fact(word, thing, name) for thing in things for word in words}

    def _ambiguous(self, token: _Token) -> BadInputError:
        if token.kind == "room":
            inside = [p.name for p in self._book.places if p.room == token.value and (p.surface or p.container)]
            return self._unclear(f"where in the {token.value}: {', '.join(inside)}")
        names = [place.name for place in self._book.places if place.label == token.value]
        return self._unclear(f"which {token.value}: {' or '.join(names)}")

    def _lies(self, thing: str, name: str, relation: str) -> Fact:
        place = self._book.by_name.get(name)
        if place is None:
            raise self._unclear(f"nothing can be put on or in the {name}")
        inside = relation == "in" or (relation == "to" and not place.surface)
        if inside and not place.container:
            raise self._unclear(f"nothing can be put in the {name}")
        if not inside and not place.surface:
            raise self._unclear(f"nothing can be put on the {name}")
        return fact("in" if inside else "on", thing, name)

    def _change(self, verb: str, tokens: list[_Token]) -> None:
        names = [token.value for token in tokens if token.kind == "place"]
        for token in tokens:
            if token.kind == "several":
                raise self._ambiguous(token)
        if not names and any(token.kind == "it" for token in tokens) and self._place:
            names = [self._place]
        if not names:
            raise self._unclear(f"what is to be {verb.split()[0]}ed?")
        for name in names:
            self._place = name
            place = self._book.by_name.get(name)
            if verb in (_OPEN, _CLOSE):
                if place is None:
                    word = "door_open" if verb == _OPEN else "door_shut"
                elif place.container:
                    word = "open" if verb == _OPEN else "shut"
                else:
                    raise self._unclear(f"the {name} cannot be opened or shut")
            elif place is not None and place.appliance:
                word = "running" if verb == _ON else "idle"
            else:
                raise self._unclear(f"the {name} cannot be turned on or off")
            self._say(fact(word, name), "state")

    def _say(self, item: Fact, about: str) -> None:
        """What is said later of the same thing replaces what was said before."""
        if about == "state":
            self._facts.pop((item.arguments[0], OPPOSITES[item.name]), None)
        self._facts[item.arguments[0], item.name if about == "state" else about] = item
