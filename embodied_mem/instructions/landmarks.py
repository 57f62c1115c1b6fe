"""The landmark phrases of a description: proper names by their capitals, kinds of place by a small dictionary."""

from __future__ import annotations

import re
from dataclasses import dataclass

from embodied_mem.instructions.instruction import LEFT, NO_SIDE, RIGHT, Phrase

# What people call the classes of OpenStreetMap.
_SORTS = {
    "bicycle rental": r"(?:bike|bicycle|citi ?bike)s? (?:rental|share|sharing|rack|dock|station|stand)s?"
    r"(?: dock| station| rack)?|citi ?bikes?",
    "fire station": r"fire ?(?:station|house|department)s?|fdny",
    "place of worship": r"church|synagogue|temple|cathedral|mosque|chapel",
    "post office": r"post office|usps",
    "police": r"police(?: station| precinct| department)?|nypd|precinct",
    "parking": r"(?:car )?park(?:ing)? (?:garage|lot|area|structure)s?|parking",
    "school": r"(?:high |middle |elementary |public )?school",
    "theatre": r"theat(?:er|re)",
    "cinema": r"cinema|movie theat(?:er|re)",
    "pharmacy": r"pharmacy|drug ?store",
    "bank": r"bank",
    "hospital": r"hospital",
    "library": r"library",
    "university": r"university|college",
    "fuel": r"gas station",
    "fountain": r"fountains?",
    "cafe": r"coffee (?:shop|house)|caf[eé]",
    "restaurant": r"restaurant",
    "bar": r"bar",
    "pub": r"pub",
    "embassy": r"embassy|consulate",
    "post box": r"mail ?box|post box",
    "ice cream": r"ice cream(?: shop| parlor)?",
    "nightclub": r"night ?club",
    "bus station": r"bus (?:station|terminal)",
    "clinic": r"clinic",
    "courthouse": r"court ?house",
    "community centre": r"community cent(?:er|re)",
    "arts centre": r"arts? cent(?:er|re)",
    "car rental": r"car rental",
    "park": r"(?:small |little |large |triangular )?(?:park|playground|green ?space|garden|plaza)",
    "hotel": r"hotel|inn",
    "subway": r"(?:subway|metro) (?:station|stop|entrance)s?",
    "bus stop": r"bus stops?",
}  # fmt: skip
_SORT = re.compile(r"\b(?:" + "|".join(f"(?P<s{i}>{words})" for i, words in enumerate(_SORTS.values())) + r")\b", re.I)
_NAMES_OF_SORTS = tuple(_SORTS)
# Words that start a sentence, or are written large without being a name.
_COMMON = frozenset(
    re.findall(
        r"\S+",
        """
    1st 2nd 3rd 4th 5th a about adjacent advance after again ahead all almost along also an and another approach
    approaching around as at avenue be bear before begin behind below beyond big block both by center circle come
    continue corner cross curve destination do don't double down drive east either end eventually exit facing far
    few finally find first five follow for forward four fourth from front full get give go going halfway head
    heading here hit i if ignore immediate immediately in intersection into it it's its just keep last left light
    lights long look make may merge middle move moving navigate near next north not note now nyc of on once one only
    onto or orient other out over pass passing past pause position possibly proceed pull quick quickly reach red
    remain right road second see set shortly should six slight so soon south start stay step steps still stop
    stopping straight street t-intersection take that the then there there'll there's third this three through to
    traffic travel traveling turn turning turns two under until up upon use veer very wait walk walking watch way
    west when where which while will with within you you'll you're you've youll your your's youre youve
    """,
    )
)
_WORD = re.compile(r"[A-Za-z0-9][\w'’.&-]*[\w'’]|[A-Za-z0-9&]")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_JOINING = frozenset(["of", "the", "&", "and", "de", "la", "le", "by", "at", "on", "in", "for", "a", "to", "du", "n"])
_SIDE = re.compile(
    r"\b(?:on|to|at|along|by|of|off|down)\s+(?:(?:the|your|its|my|you|a|far|near|immediate|next|both)\s+)*(?P<side>left|right)\b"
    r"|\b(?:far|near|nearest|the|your|front|back|next|opposite|street's)\s+(?P<corner>left|right)(?:[\s-]*hand)?\s+(?:side|corner)"
    r"|\b(?P<bare>left|right)(?:[\s-]*hand)?[\s-]+(?:side|corner)", re.I
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase and where it stands in the text."""

    start: int
    end: int
    phrase: Phrase


def sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence."""
    found, at = [], 0
    for gap in _SENTENCE.finditer(text):
        found.append((at, gap.start()))
        at = gap.end()
    return [*found, (at, len(text))] if at < len(text) else found


def find_landmarks(text: str) -> list[Found]:
    """Every landmark phrase in order of appearance, each with the side that the words beside it say."""
    found: list[Found] = []
    for begin, end in sentences(text):
        spans = _names(text, begin, end)
        spans += [
            (match.start() + begin, match.end() + begin, _NAMES_OF_SORTS[int((match.lastgroup or "s0")[1:])])
            for match in _SORT.finditer(text[begin:end])
        ]
        spans = _without_overlaps(spans)
        for i, (start, stop, sort) in enumerate(spans):
            after = spans[i + 1][0] if i + 1 < len(spans) else end
            before = spans[i - 1][1] if i else begin
            side = _side_of(text, before, start, stop, after)
            found.append(Found(start, stop, Phrase(_plain(text[start:stop]), sort, side)))
    return found


def side_spans(text: str) -> list[tuple[int, int]]:
    """Where "left" and "right" say on which side something stands."""
    return [(m.start(m.lastgroup or 0), m.end(m.lastgroup or 0)) for m in _SIDE.finditer(text)]


def _plain(text: str) -> str:
    return re.sub(r"[^\w&' ]+", " ", text.replace("’", "'")).strip().lower()


def _names(text: str, begin: int, end: int) -> list[tuple[int, int, str]]:
    """Runs of words with capitals or digits; joining words count within a run, common words never start one."""
    words = [(m.start() + begin, m.end() + begin) for m in _WORD.finditer(text[begin:end])]
    runs: list[list[tuple[int, int]]] = []
    run: list[tuple[int, int]] = []
    for i, (start, stop) in enumerate(words):
        word = text[start:stop]
        plain = word.lower().replace("’", "'").rstrip(".")
        parted = bool(run) and bool(re.search(r"[,;:()]", text[words[i - 1][1] : start]))
        if run and parted:
            runs.append(run)
            run = []
        named = word[0].isupper() or (
            word[0].isdigit() and bool(run) and not re.fullmatch(r"\d+(?:st|nd|rd|th)?", word)
        )
        if (named and (plain not in _COMMON or (bool(run) and i > 0 and word[0].isupper()))) or (
            run and (plain in _JOINING or word == "&")
        ):
            run.append((start, stop))
        elif run:
            runs.append(run)
            run = []
    if run:
        runs.append(run)
    spans = []
    for each in runs:
        while each and text[each[-1][0] : each[-1][1]].lower() in _JOINING:
            each.pop()
        if each and any(text[start].isalpha() for start, _ in each):
            spans += [(part[0][0], part[-1][1], "") for part in _split_joined(text, each)]
    return spans


def _split_joined(text: str, run: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """ "Chase and Starbucks" are two, "Wine & Spirits" is one."""
    parts: list[list[tuple[int, int]]] = [[]]
    for start, stop in run:
        if text[start:stop] in ("and", "at", "on", "by", "to", "in", "for"):
            parts.append([])
        else:
            parts[-1].append((start, stop))
    kept = []
    for part in parts:
        while part and text[part[0][0] : part[0][1]].lower() in _JOINING:
            part = part[1:]
        while part and text[part[-1][0] : part[-1][1]].lower() in _JOINING:
            part = part[:-1]
        if part:
            kept.append(part)
    return kept


def _without_overlaps(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Names win over classes, which are often a part of them; a class word right behind a name belongs to it."""
    kept: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda s: (s[0], s[2] != "")):
        if kept and span[0] <= kept[-1][1] + 1:
            start, end, sort = kept[-1]
            if not sort or span[1] > end:
                kept[-1] = (start, max(end, span[1]), sort and span[2])
            continue
        kept.append(span)
    return kept


def _side_of(text: str, before: int, start: int, stop: int, after: int) -> int:
    """The side named between this landmark and the next one; else one named between it and the landmark before."""
    for span in (text[stop:after], text[before:start]):
        match = _SIDE.search(span)
        if match:
            return LEFT if "left" in match.group(0).lower() else RIGHT
    return NO_SIDE
