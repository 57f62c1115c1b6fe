"""Names in captions: "Two people in front of Bank of America" names one landmark. No model, the same every time."""

from __future__ import annotations

import re

_WORD = r"[A-Z0-9][\w'’&.-]*"
_RUN = re.compile(rf"{_WORD}(?:\s+(?:(?:of|and|the|de|la|&)\s+)*{_WORD})*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_COMMON = (
    "a an the i it its he she we they you there here this that these those in on at of to from with by near next some "
    "one two three four five six seven eight nine ten no my our his her their is are was were and or but behind before "
    "after under over left right north south east west today yesterday monday tuesday wednesday thursday friday "
    "saturday sunday"
)
_NO_NAMES = frozenset(_COMMON.split())


def names_in(caption: str) -> tuple[str, ...]:
    """The proper names of an English text, lower case, each once: runs of capitalised words.

    The first word of a sentence is capitalised anyway, so it counts only where a name goes on after it.
    """
    found: dict[str, None] = {}
    for sentence in _SENTENCE.split(caption):
        for run in _RUN.finditer(sentence):
            words = run.group().strip(".'’&-").split()
            first = run.start() == 0
            while words and words[0].lower() in _NO_NAMES:
                words, first = words[1:], False
            if not words or (first and len(words) == 1) or not any(word[0].isalpha() for word in words):
                continue
            found[" ".join(words).lower()] = None
    return tuple(found)
