"""A description of a route in plain English -> its clauses in order, by rules.

The text is read from left to right. Three sorts of mention matter: junctions ("the second set of lights"), turns
("take a left") and the stop. How a junction is governed decides what it does: one goes *through* it (a PASS), or *to*
it, and then it waits for the turn or the stop that happens there. Ordinals count from the last turn; "next" counts
from where one is. Landmarks hang on the nearest mention in their sentence, or stand for themselves when one passes
them. The rules were written on map2seq's tuning pool; what they get wrong costs the search a skipped clause, no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from embodied_mem.errors import BadInputError
from embodied_mem.instructions.instruction import LEFT, RIGHT, Clause, Instruction, Kind, Phrase, Stop
from embodied_mem.instructions.landmarks import find_landmarks, sentences, side_spans

_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "first": 1, "second": 2, "third": 3, "fourth": 4,
    "fifth": 5, "sixth": 6, "couple": 2, "double": 1, "both": 2,
}  # fmt: skip
_NUMBER = "|".join([*_NUMBERS, r"\d(?:st|nd|rd|th)?"])
_JUNCTION = re.compile(
    rf"\b(?:(?P<a>{_NUMBER}|next|following|another|immediate)\s+)?(?:(?P<b>{_NUMBER})\s+)?(?:more\s+)?"
    r"(?:(?:sets?|pairs?|couple)\s+of\s+)?(?:(?:traffic|stop|street|road|major|main|large|big|small|four[- ]way|"
    r"4[- ]way|three[- ]way|3[- ]way|double|immediate|wide|t)[\s-]+)*"
    r"(?P<noun>stoplights?|lights?|intersections?|junctions?|crossroads?|crossings?|set|blocks?(?=\s+(?:and|to|then))|"
    r"(?<=next )one|(?<=following )one|(?<=second )one|corner|streets?(?=\s*(?:and|[.,]))|(?<=the )t(?=\s))\b"
)
_TURN = re.compile(
    r"\b(?P<verb>turn(?:ing|s)?|tak(?:e|ing)|mak(?:e|ing)|bear(?:ing)?|veer(?:s|ing)?|hang|go|going|head|merge|curves?|slight|"
    r"sharp|quick)\b(?:\s+(?!past|through|pass|before|then|and|turn|stop)[\w-]+){0,6}?\s+(?P<side>left|right)\b"
    r"|\b(?P<side2>left|right)(?:[\s-]*hand)?\s+turn\b|(?:^|[.,;]\s*|\bthen\s+|\band\s+(?:a\s+)?)(?P<side3>left|right)\b"
    r"(?=\s+(?:at|on|onto|when|again|and|then|$))"
)
_STOP = re.compile(
    r"\b(?:stop(?:ping|s)?(?!\s*lights?|\s*signs?)|destination|you(?:'ll| will) (?:be|arrive|end)|arrive|halt|end up)\b"
)
_EITHER_WAY = re.compile(
    r"\b(?P<past>through|past|pass(?:ing|es|ed)?|cross(?:ing)?|over|beyond|straight at|crossed)\b"
    r"|\b(?P<to>at|to|reach(?:ing)?|until|towards?|when|where|find|hit|see|into|come)\b"
    r"|\b(?P<near>before|after|from|between)\b"
)
_TOO_FAR = re.compile(r"\b(?:too far|if you (?:reach|pass|get|see|hit|come|go)|gone past|missed)\b")
_PASSING = re.compile(
    r"\b(?:pass(?:ing|es)?|past|by|see)\b(?:\s+[\w-]+){0,3}\s*$|\b(?:pass(?:ing|es)?|past)\b[^.;]{0,60}$"
)
_STEPS = re.compile(r"\bsteps?\b|\bimmediately\b|\bright after\b|\bjust after\b|\bafter\b|\bas soon as\b|\bonce you\b")
_BEFORE = re.compile(r"\b(?:before|short of|almost|nearly|prior|end of the block|approaching)\b")
_MIDDLE = re.compile(r"\bhalf\w*|\bmid\w*|\b\d/\d\b|\bthird of\b|\bquarter\b|\bway (?:down|up)\b|\bdown the block\b")


@dataclass(slots=True)
class _Reading:
    """Where the reader is: what was passed since the last turn, and whether it stands at a junction (`waiting`)."""

    clauses: list[Clause] = field(default_factory=list)
    passed: int = 0
    waiting: bool = False
    stop: Stop = Stop.UNSAID
    corner: list[Phrase] = field(default_factory=list)  # seen at the junction where the reader stands
    said: str = ""  # the sort of the last mention

    def through(self, count: int) -> None:
        for _ in range(count):
            self.clauses.append(Clause(Kind.PASS, phrases=self._take()))
        self.passed += count
        self.waiting, self.said = False, "pass"

    def to(self, ordinal: int) -> None:
        """Stand at a junction: the ordinal-th since the last turn, or the next one from here (0)."""
        if self.waiting and ordinal == 0:
            self.through(1)
        self.through(max(0, ordinal - 1 - self.passed) if ordinal else 0)
        self.waiting, self.said = True, "to"

    def turn(self, side: int) -> None:
        self.clauses.append(Clause(Kind.TURN, side, self._take()))
        self.passed, self.waiting, self.said = 0, False, "turn"

    def _take(self) -> list[Phrase]:
        taken, self.corner = self.corner, []
        return taken


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    sort: str  # junction, turn, stop, landmark
    match: re.Match[str] | None = None
    phrase: Phrase | None = None


def parse(text: str) -> Instruction:
    """Read a description. Raises BadInputError for an empty one; words that say nothing about a way give no clauses."""
    if not text.strip():
        raise BadInputError("The description of the way is empty: say where to turn and where to stop.")
    landmarks = find_landmarks(text)
    masked = _masked(text, [(f.start, f.end) for f in landmarks])
    reading, stop_phrases, beyond = _Reading(), list[Phrase](), list[Phrase]()
    for begin, end in sentences(text):
        sentence = masked[begin:end]
        inside = [f for f in landmarks if begin <= f.start < end]
        too_far = _TOO_FAR.search(sentence)
        if too_far and (too_far.start() < 8 or "far" in too_far.group(0)):
            beyond += [f.phrase for f in inside]
            continue
        mentions = _mentions(sentence)
        stop = next((m for m in mentions if m.sort == "stop"), None)
        over = reading.stop is not Stop.UNSAID
        mentions += [_Mention(f.start - begin, f.end - begin, "landmark", phrase=f.phrase) for f in inside]
        mentions.sort(key=lambda m: m.start)
        head = mentions if stop is None else [m for m in mentions if m.start < stop.start]
        if over:
            stop_phrases += [f.phrase for f in inside]
            continue
        _read(sentence if stop is None else sentence[: stop.start], head, reading)
        if stop is not None:
            tail = sentence[stop.start :]
            rest = [m for m in mentions if m.start > stop.start]
            stop_phrases += [m.phrase for m in rest if m.phrase is not None]
            reading.stop = _stop(tail, stop.start, rest, reading, bool(stop_phrases))
    if reading.corner:
        stop_phrases += reading.corner
    return Instruction(tuple(reading.clauses), reading.stop, tuple(stop_phrases), tuple(beyond))


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    """Lower case, with names and the sides of things blotted out: what is left of "left" are turns."""
    letters = list(text.lower().replace("’", "'"))
    for start, end in [*spans, *side_spans(text)]:
        letters[start:end] = "_" * (end - start)
    return "".join(letters)


def _mentions(sentence: str) -> list[_Mention]:
    found = [_Mention(m.start(), m.end(), "turn", m) for m in _TURN.finditer(sentence)]
    found += [_Mention(m.start(), m.end(), "junction", m) for m in _JUNCTION.finditer(sentence)]
    found += [_Mention(m.start(), m.end(), "stop", m) for m in _STOP.finditer(sentence)]
    return sorted(found, key=lambda m: m.start)


def _read(sentence: str, mentions: list[_Mention], reading: _Reading) -> None:
    """One sentence up to its stop."""
    used: set[int] = set()
    for i, mention in enumerate(mentions):
        if i in used or mention.match is None:
            if mention.phrase is not None and i not in used:
                _place(sentence, mentions, i, reading)
            continue
        if mention.sort == "turn":
            at = _junction_behind(sentence, mentions, i)
            if at is not None:
                used.add(at)
                match = mentions[at].match
                ordinal, _ = _count(match) if match is not None else (0, False)
                if ordinal or not reading.waiting:
                    reading.to(ordinal)
                reading.corner += _corners(sentence, mentions, at, used)
            side = next(word for word in mention.match.group("side", "side2", "side3") if word)
            reading.turn(LEFT if side == "left" else RIGHT)
        elif mention.sort == "junction":
            _junction(sentence, mention, reading)


def _junction(sentence: str, mention: _Mention, reading: _Reading) -> None:
    assert mention.match is not None
    ordinal, several = _count(mention.match)
    words = list(_EITHER_WAY.finditer(sentence[max(0, mention.start - 45) : mention.start]))
    governed = words[-1].lastgroup if words else "to"
    if mention.match["noun"].startswith("block"):
        if several or ordinal:
            reading.to(ordinal)
    elif governed == "near":
        return
    elif governed == "past" or several:
        if several:
            reading.through(max(1, ordinal))
        elif ordinal:
            reading.through(max(1, ordinal - reading.passed))
        elif reading.waiting and mention.match["a"] is None:
            reading.through(1)  # "go to the light and through it"
        else:
            if reading.waiting:
                reading.through(1)
            reading.through(1)
    else:
        same = reading.waiting and mention.match["a"] is None and mention.match["b"] is None
        if not same:
            reading.to(ordinal)


def _count(match: re.Match[str]) -> tuple[int, bool]:
    """(ordinal or number, whether it counts several): "the third light" (3, False), "3 lights" (3, True)."""
    value, several = 0, False
    for word in match.group("a", "b"):
        if word is None:
            continue
        if word in ("next", "following", "another", "immediate"):
            continue
        value = _NUMBERS.get(word, 0) or int(word[0]) if not word[0].isdigit() else int(word[0])
        cardinal = word.isdigit() or word in ("one", "two", "three", "four", "five", "six", "couple", "both")
        several = cardinal or (value > 1 and match["a"] in ("next", "first", "following") and word != match["a"])
    if several and value == 1 and not match["noun"].endswith("s"):
        several = (match["a"] is not None and match["a"].isdigit()) or match["a"] == "one"
    return value, several


def _junction_behind(sentence: str, mentions: list[_Mention], i: int) -> int | None:
    """The junction named right behind a turn: "turn left at the second light"."""
    for k in range(i + 1, len(mentions)):
        if mentions[k].sort in ("turn", "stop"):
            return None
        if mentions[k].sort == "junction":
            between = sentence[mentions[i].end : mentions[k].start]
            return (
                k
                if re.match(r"^\s*(?:at|on|onto|when|where|by|once|as)\b[^.;]{0,40}$", between)
                and " and " not in between
                else None
            )
    return None


def _corners(sentence: str, mentions: list[_Mention], at: int, used: set[int]) -> list[Phrase]:
    """The landmarks behind a junction that a turn has taken, up to the next mention."""
    phrases = []
    for k in range(at + 1, len(mentions)):
        phrase = mentions[k].phrase
        if phrase is None or re.search(
            r"\bpass|\band\b.*\bstop|\bthen\b", sentence[mentions[at].end : mentions[k].start]
        ):
            break
        used.add(k)
        phrases.append(phrase)
    return phrases


def _place(sentence: str, mentions: list[_Mention], i: int, reading: _Reading) -> None:
    """Hang a landmark where it belongs: on the junction ahead or behind, or on its own."""
    mention = mentions[i]
    assert mention.phrase is not None
    before = sentence[: mention.start]
    after = sentence[mention.end :]
    last = max((m.end for m in mentions[:i] if m.sort != "landmark"), default=0)
    passing = bool(_PASSING.search(before[last:]))
    turned_next = re.match(r"^[^.;]{0,60}\b(?:turn|take|make|bear|veer)", after) is not None
    if passing and not re.match(r"^[\s\w,_]{0,25}\b(?:corner)", after) and not reading.waiting:
        reading.clauses.append(Clause(Kind.LANDMARK, phrases=[mention.phrase]))
    elif reading.waiting or turned_next:
        reading.corner.append(mention.phrase)
    elif (
        reading.said in ("turn", "pass") and last and reading.clauses and reading.clauses[-1].kind is not Kind.LANDMARK
    ):
        reading.clauses[-1].phrases.append(mention.phrase)
    else:
        reading.clauses.append(Clause(Kind.LANDMARK, phrases=[mention.phrase]))


def _stop(tail: str, begin: int, rest: list[_Mention], reading: _Reading, landmark: bool) -> Stop:
    """Where the way ends, from the words behind "stop" and the last thing said before."""
    named = [m for m in rest if m.match is not None and m.sort == "junction"]
    junction = next((m for m in named if m.match and not re.match("block|corner|street", m.match["noun"])), None)
    turned = re.search(r"\bturn", tail) is not None
    if junction is not None and junction.match is not None:
        ordinal, several = _count(junction.match)
        before = tail[: junction.start - begin]
        if _BEFORE.search(before):
            return Stop.BEFORE_JUNCTION
        if _STEPS.search(before) or re.search(r"\b(?:past|through|beyond)\b", before):
            return Stop.AFTER_JUNCTION
        if not reading.waiting and not several:
            reading.to(ordinal)
        return Stop.AT_JUNCTION
    if _MIDDLE.search(tail):
        return Stop.AT_JUNCTION if "intersection" in tail else Stop.MIDBLOCK
    if turned or (_STEPS.search(tail) and not landmark and reading.said == "turn"):
        return Stop.AFTER_TURN
    if landmark and not re.search(r"\bsteps?\b", tail):
        return Stop.AT_LANDMARK
    if reading.waiting:
        return Stop.BEFORE_JUNCTION if _BEFORE.search(tail) else Stop.AT_JUNCTION
    if reading.said == "turn":
        return Stop.AFTER_TURN
    return Stop.AFTER_JUNCTION if reading.said == "pass" else Stop.UNSAID
