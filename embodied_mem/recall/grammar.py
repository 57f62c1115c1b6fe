"""A question in words becomes a typed query, by a small grammar (patterns.py) and no model.

`parse` takes politeness, time and place off the question and looks what is left up in the table. It never fails for
want of a pattern: such a question has the kind `search` and `parsed` False.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from embodied_mem.errors import BadInputError
from embodied_mem.recall.patterns import COMPARE, DESCRIBE, HERE, PLACES, QUESTIONS, REGION, SEARCH, compiled
from embodied_mem.records.when import parse_when

MAX_WORDS = 200
_METRES = {"c": 0.01, "k": 1000.0, "f": 0.3048, "m": 1.0}  # by the unit's first letter

_TABLE = tuple((kind, tense, compiled(pattern)) for kind, tense, pattern in QUESTIONS)
_PLACES = tuple((relation, compiled(pattern)) for relation, pattern in PLACES)
_HERE = compiled(HERE)
_POLITE = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|robot|please|so|well|and|also)\b[ ,]*"
    r"|(?:can|could|would|will) you (?:please )?(?:tell me|say|remember|recall|check)(?: if| whether)? "
    r"|(?:do you (?:know|remember|recall)|tell me|i (?:want|would like|need) to know|i wonder|any idea)"
    r"(?: if| whether)? (?=where|when|how|what|which|if|whether|is |are |the |my ))"
)
_ARTICLE = re.compile(
    r"^(?:the|a|an|my|your|our|his|her|their|any|some|that|this|these|those|all|of|ever|nearest|closest|nearby)\s+"
)
_POINT = re.compile(r"\(?\s*(-?\d+(?:\.\d+)?)\s*[, ]\s*(-?\d+(?:\.\d+)?)(?:\s*[, ]\s*(-?\d+(?:\.\d+)?))?\s*\)?")
_EVERYWHERE = {
    "house",
    "home",
    "building",
    "flat",
    "apartment",
    "world",
    "map",
    "memory",
    "place",
    "whole house",
    "scene",
}
_SURROUNDINGS = {"surroundings", "area", "region", "space", "vicinity", "neighbourhood", "neighborhood"}
_WORLDS = {"city", "town", "village", "campus", "everything", "everywhere", "environment"}
_PARTS = {"part", "side", "quarter", "district", "corner", "end"}
_HERES = {"here", "right here", "around here", "it here", "place", "spot"}
_SPEAKER = {"here", "me", "you", "us", "robot", "the robot"}
_VAGUE = {"", "me", "us", "it", "that", "this", "there", "you", "i", "we", "he", "she", "they", "what", "them", "still"}
_TIME_STARTS = {
    "yesterday", "today", "last", "this", "in", "within", "during", "over", "before", "after", "since", "until",
    "between", "from", "at", "on", "about", "around", "an", "a", "half", "just", "the", "past",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question is about: near, on, under or in an anchor (a thing's name) or a point in metres, or here."""

    relation: str
    anchor: str = ""
    radius: float | None = None
    point: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """The typed query. when: words that `parse_when` understands; other: what `what` is compared with.

    tense  "", "before", "first", "last", "still" or "less"
    """

    kind: str
    what: str = ""
    place: Place | None = None
    when: str = ""
    tense: str = ""
    parsed: bool = True
    other: str = ""

    def __str__(self) -> str:
        where = ""
        if self.place is not None:
            anchor = self.place.anchor or (str(self.place.point) if self.place.point else "")
            where = f"where={self.place.relation} {anchor}".rstrip()
            where += f" within {self.place.radius:g} m" if self.place.radius else ""
        other = self.other and f"other={self.other!r}"
        parts = (self.kind, self.what and f"what={self.what!r}", other, where, self.when and f"when={self.when!r}")
        return " ".join(part for part in (*parts, self.tense and f"tense={self.tense}") if part)


def parse(text: str) -> Question:
    """The typed query for a question. Raises BadInputError for an empty or endless one."""
    words = re.sub(r"(?:,? please)?[?!.;]*$", "", " ".join(text.lower().replace("\u2019", "'").split())).strip()
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in words):
        raise BadInputError("The question holds characters that are no text: decode it from its encoding first.")
    if not re.search(r"\w", words):
        raise BadInputError("The question is empty: ask for example 'where is the mug?'.")
    if len(words.split()) > MAX_WORDS:
        raise BadInputError(f"The question has over {MAX_WORDS} words: ask in one sentence.")
    whole = words
    while (shorter := _POLITE.sub("", words)) != words and shorter:
        words = shorter
    words, when = _take_time(words)
    whole_first = [(words, None)] if words.endswith(" like") else []  # its place stands inside: "... the pond like"
    for rest, place in [*whole_first, *_take_place(words), (words, None)]:
        question = _look_up(rest, place, when)
        if question is not None:
            return question
    return Question(SEARCH, whole, parsed=False)


def _look_up(words: str, place: Place | None, when: str) -> Question | None:
    for kind, tense, pattern in _TABLE:
        match = pattern.fullmatch(words)
        if match is None:
            continue
        what = bare(match.groupdict().get("what") or "")
        question = Question(kind, what, place, when, tense, other=bare(match.groupdict().get("other") or ""))
        if kind == REGION and not what:
            question = replace(question, what="here")
        if kind == DESCRIBE and what and place is None:
            around = None if what in _EVERYWHERE else Place("here") if what in _SURROUNDINGS else Place("near", what)
            question = replace(question, what="", place=around)
        if _makes_sense(question):
            return question
    return None


def _makes_sense(question: Question) -> bool:
    if question.kind in (DESCRIBE, REGION):
        return True
    if question.kind == COMPARE:
        return question.place is None
    return question.what not in _VAGUE and len(question.what.split()) <= 6


def _take_place(words: str) -> list[tuple[str, Place | None]]:
    """The question without its place, and the place, for each preposition at which one may begin, first ones first."""
    out: list[tuple[str, Place | None]] = []
    for start in (match.end() for match in re.finditer(" ", words)):
        rest, tail = words[: start - 1].strip(), words[start:]
        if _HERE.fullmatch(tail):
            out.append((rest, Place("here")))
        for relation, pattern in _PLACES:
            match = pattern.fullmatch(tail)
            if match is not None:
                out.append((rest, _place(relation, match.groupdict())))
                break
    return out


def _place(relation: str, groups: dict[str, str]) -> Place | None:
    radius = float(groups["radius"]) * _METRES[groups["unit"][0]] if groups.get("radius") else None
    anchor = groups["anchor"].strip()
    point = _POINT.fullmatch(anchor)
    if point is not None:
        x, y, z = (float(value or 0) for value in point.groups())
        return Place("near", "", radius, (x, y, z))
    if anchor in _SPEAKER:
        return Place("here", "", radius)
    anchor = bare(anchor)
    if anchor in _EVERYWHERE and relation in ("in", "near"):
        return None
    return Place(relation, anchor, radius)


def _take_time(words: str) -> tuple[str, str]:
    """The question without its time, and the time, when its end or beginning is one that `parse_when` knows."""
    tokens = words.replace(",", " ").split()
    for start in range(1, len(tokens)):
        when = " ".join(tokens[start:])
        if (tokens[start] in _TIME_STARTS or tokens[start][0].isdigit()) and _is_time(when):
            return " ".join(tokens[:start]), when
    for end in range(min(6, len(tokens) - 1), 0, -1):
        when = " ".join(tokens[:end])
        if _is_time(when):
            return " ".join(tokens[end:]), when
    return words, ""


def _is_time(words: str) -> bool:
    if words in ("now", "right now", "at the moment", "currently", "just now") or words.isdigit():
        return False  # the default tense, not a range of time
    try:
        parse_when(words, 1_700_000_000_000_000_000, lambda _: 1_700_000_000_000_000_000)
    except BadInputError:
        return False
    return True


def area(phrase: str) -> Place | None:
    """What part of the world a phrase names: here, a point, an anchor's surroundings; None: everywhere.

    "this part of the city" is here too, with the relation "part": a larger here.
    """
    words = bare(" ".join(phrase.lower().split()))
    if words.split()[:1] in ([name] for name in _PARTS) and len(words.split()) > 1:
        return Place("part")
    if words in _VAGUE | _SPEAKER | _HERES | _SURROUNDINGS | _PARTS:
        return Place("here")
    if words in _EVERYWHERE | _WORLDS or words.startswith(("whole ", "entire ")):
        return None
    if _POINT.fullmatch(words):
        return _place("near", {"anchor": words})
    placed = [place for _, place in _take_place(f"what {words}") if place is not None]
    return placed[0] if placed else Place("in", words)


def bare(phrase: str) -> str:
    """A phrase in lower case without the articles and possessives that it begins with."""
    phrase = phrase.strip(" ,'\"")
    while (shorter := _ARTICLE.sub("", phrase)) != phrase:
        phrase = shorter
    return phrase
