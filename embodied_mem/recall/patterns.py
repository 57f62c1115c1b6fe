"""The grammar of questions, as a table. The first pattern that matches a whole question decides.

Notation: a bare word stands for itself, `(a|b)` for one of several, `[a|b]` for one of several or nothing, `{what}` for
the thing that is asked for; `{quality}`, `{part}` and `{length}` stand below; names in capitals are entries of `PARTS`.
"""

from __future__ import annotations

import re

FIND, WHERE, WHEN, HOW_MANY, IS_THERE, DESCRIBE, SEARCH, ORDER, HOW_OFTEN = (
    "find", "where", "when", "how_many", "is_there", "describe", "search", "order", "how_often",
)  # fmt: skip
REGION, COMPARE, MORE = "region", "compare", "where_more"  # answered from the semantic forest

PARTS = {
    "SEE": "(see|seen|saw|notice|noticed|spot|spotted|observe|observed|find|found|encounter|encountered|come across)",
    "BE": "(is|are|was|were)",
    "DID": "(did|have|had|do|can|could)",
    "YOU": "(you|i|we|one|someone)",
    "NOW": "(now|right now|at the moment|currently|at present|these days|after it [was] moved|after the move)",
    "BEFORE": "(before|earlier|earlier on|previously|originally|initially|at first|in the beginning|formerly"
    "|before that|before the move|before (it|they|someone|somebody) [was|were|had been|got|has been] "
    "(moved|changed|taken|put away|relocated) [it|them|away])",
    "LAST": "(last|most recently|for the last time)",
    "FIRST": "(first|for the first time)",
    "THINGS": "(thing|things|object|objects|item|items|stuff|else)",
    "AREA": "(place|area|part|region|district|neighbourhood|neighborhood|quarter|room|environment|surroundings|world)",
}

# (kind, tense, pattern)
QUESTIONS: tuple[tuple[str, str, str], ...] = (
    (COMPARE, "", "how (do|does|did|are|is) {what} and {other} (differ|different|compare) [from each other]"),
    (COMPARE, "", "how (do|does|did|are|is) {what} (differ|different|compare) (from|to|than|with) {other}"),
    (COMPARE, "", "(what is|what are|what's) [the] (difference|differences|different) between {what} and {other}"),
    (COMPARE, "", "compare {what} (and|with|to) {other}"),
    (MORE, "", "where (BE it|BE there|BE) [the] (more|most) {what}"),
    (MORE, "less", "where (BE it|BE there|BE) [the] (less|least|fewer|fewest) {what}"),
    (MORE, "", "where (BE it|does it get) [the] {quality}"),
    (MORE, "", "(what|which) AREA [of the (city|town|house|building|map)] (has|have) [the] (more|most) {what}"),
    (
        MORE,
        "less",
        "(what|which) AREA [of the (city|town|house|building|map)] (has|have) [the] (fewer|fewest|least) {what}",
    ),
    (REGION, "", "(what is|what's|what was) {what} like"),
    (REGION, "", "(what|which) (kind|sort|type) of AREA (BE|am) (i|we|you|it|this|that|there) [in]"),
    (REGION, "", "(what|which) (kind|sort|type) of AREA BE {what}"),
    (REGION, "", "(summarise|summarize|characterise|characterize) {what}"),
    (REGION, "", "(what|which) (kind|sort|type) of AREA (i|we|you|it|this|that) (BE|am) [in]"),
    (REGION, "", "describe {part}"),
    (ORDER, "", "(which|what) [one|of them|of these] (came|was|were) [SEE] (first|first,|earlier|earlier,) {what}"),
    (ORDER, "", "(which|what) [one|of them|of these] DID YOU SEE (first|first,|earlier|earlier,) {what}"),
    (HOW_OFTEN, "", "how (often|many times) DID YOU [ever|already] SEE {what}"),
    (HOW_OFTEN, "", "how (often|many times) (BE|has|have) {what} [been] SEE"),
    (HOW_MANY, "", "how many {what} DID YOU [ever|already] (SEE|know|know of|remember)"),
    (HOW_MANY, "", "(how many|count|count all|what is the number of) {what} [BE there|BE]"),
    (HOW_MANY, "", "number of {what}"),
    (WHEN, "first", "when DID YOU first SEE {what}"),
    (WHEN, "first", "when DID YOU SEE {what} FIRST"),
    (WHEN, "first", "when BE {what} first SEE"),
    (WHEN, "last", "(when|how long ago|at what time|what time) DID YOU [LAST] SEE {what} [LAST]"),
    (WHEN, "last", "(when|how long ago) (BE|has|have) {what} [LAST] [been] SEE [LAST]"),
    (WHERE, "before", "where DID YOU first SEE {what}"),
    (WHERE, "before", "where DID YOU SEE {what} FIRST"),
    (WHERE, "before", "where (BE|DID|has) [you] [LAST] [SEE] {what} [been|stand|sit|placed|located|kept|lying] BEFORE"),
    (WHERE, "before", "where did {what} (use|used) to (be|stand|sit|lie)"),
    (WHERE, "before", "where BE {what} (moved|taken) from"),
    (WHERE, "before", "what BE the (previous|former|original|old|earlier) (place|location|position|spot) of {what}"),
    (WHERE, "", "where (did|BE|has|have) {what} [been] (go|gone|end up|moved|put|taken) [to]"),
    (WHERE, "", "(where BE|where's) {what} [located|placed|kept|standing|lying] [NOW]"),
    (WHERE, "", "where (DID|would|should|might) YOU [LAST|ever] (SEE|get|buy|look for|expect) [me] {what} [LAST|NOW]"),
    (WHERE, "", "(what is|what's) the [current] (place|location|position|spot) of {what} [NOW]"),
    (WHERE, "", "where {what} BE [NOW]"),
    (IS_THERE, "still", "(is|are) {what} still [there|here|around|in its place|in the same place|where it was]"),
    (IS_THERE, "still", "(is|are) (there still|still) {what}"),
    (IS_THERE, "", "BE there [ever|still|also] {what} [anywhere|somewhere|there|around]"),
    (FIND, "", "(lead|take|guide|bring|direct|point|go|drive|navigate) [me|us] (to|towards) {what}"),
    (
        FIND,
        "",
        "(can|could|would|will) you (lead|take|guide|bring|direct|go|drive|navigate) [me|us] (to|towards) {what}",
    ),
    (FIND, "", "(can|could|would|will) you (find|locate|look for|search for|get|fetch|bring) [me] {what}"),
    (FIND, "", "(find|locate|look for|search for|search|fetch|get|bring|show) [me|us] {what}"),
    (FIND, "", "(i am|i'm) (looking|searching) for {what}"),
    (IS_THERE, "", "DID YOU [ever|already] SEE {what} [anywhere|somewhere|before|yet|at all]"),
    (IS_THERE, "", "(has|was|were|have) {what} [ever] [been] SEE"),
    (IS_THERE, "", "do you (know of|know about|know|have) {what} [anywhere]"),
    (IS_THERE, "", "(does|do) (the house|this house|the building|this place|we|i) have {what}"),
    (
        DESCRIBE,
        "",
        "(what|which) [THINGS] [BE|BE there|can be SEE|DID YOU|DID YOU SEE] [to see|visible|located|standing]",
    ),
    (DESCRIBE, "", "what's [there|standing|lying|located]"),
    (
        DESCRIBE,
        "",
        "(describe|list|show|show me|name|tell me) [everything|what is|what's|what you see|what there is|it]",
    ),
    (DESCRIBE, "", "(describe|list|show me|name) [all|the|all the] (place|THINGS)"),
    (DESCRIBE, "", "(describe|what does) {what} [look like]"),
    (IS_THERE, "", "BE {what} [there|around|in its place]"),
)

# What a preposition says of the place: (relation, pattern); {anchor} is the thing or point that it is relative to.
PLACES: tuple[tuple[str, str], ...] = (
    ("near", "(within|in|in a radius of) {length} (of|from|around) {anchor}"),
    ("near", "(less|no more|not more) than {length} [away] from {anchor}"),
    ("near", "in the (area|vicinity|neighbourhood|neighborhood|surroundings) (of|around|near) {anchor}"),
    ("near", "the (area|vicinity|surroundings|region|space) (of|around|near|by) {anchor}"),
    ("near", "(near|near to|nearby|next to|close to|closest to|nearest to|around|beside|by|at|along with) {anchor}"),
    ("near", "(in front of|behind|left of|right of|adjacent to|surrounding) {anchor}"),
    ("on", "(on|on top of|upon|atop|onto) {anchor}"),
    ("under", "(under|underneath|below|beneath) {anchor}"),
    ("in", "(in|inside|inside of|within) {anchor}"),
)
HERE = (
    "(here|right here|around here|near here|near me|around me|close to me|next to me|nearby|around|near you|around you)"
)
# A part of something bigger: "this part of the city".
PART = r"(?P<what>(?:this |that |the )?(?:part|side|quarter|district) of .+)"
# A comparative without "more": "greener", "the greenest, with lawns".
QUALITY = (
    r"(?P<what>(?!(?:under|over|after|earlier|later|either|other|another|never|ever|rather|further|near)\b)"
    r"\w+(?:er|est)\b.*)"
)
LENGTH = r"(?P<radius>\d+(?:\.\d+)?)\s*(?P<unit>m|cm|km|ft|meters?|metres?|centimet(?:er|re)s?|feet|foot)\b"

_SPECIAL = {"{length}": LENGTH, "{part}": PART, "{quality}": QUALITY}


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the table as a regular expression."""
    return re.compile(_sequence(pattern))


def _sequence(text: str) -> str:
    """Items that follow one another with blanks between them; an optional item takes its blank with it."""
    items = [(_item(item), item.startswith("[")) for item in _split(text, " ")]
    if len(items) > 1 and items[0][1]:
        raise ValueError(f"A pattern cannot begin with something optional: {text!r}.")
    return "".join(
        (f"(?: {body})?" if optional else f" {body}") if number else body
        for number, (body, optional) in enumerate(items)
    )


def _item(item: str) -> str:
    if item[0] in "([":
        return "(?:" + "|".join(_sequence(choice) for choice in _split(item[1:-1], "|")) + ")"
    if item in _SPECIAL:
        return _SPECIAL[item]
    if item[0] == "{":
        return f"(?P<{item[1:-1]}>.+?)"
    return _item(PARTS[item]) if item in PARTS else re.escape(item)


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == separator and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part for part in (*parts, text[start:]) if part]
