"""How answers are put into words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.perception.captions import plural

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def ago(seconds: float) -> str:
    """ "just now", "40 s ago", "5 minutes ago", "3 hours ago", "2 days ago"."""
    if seconds < -2:
        return "later than now, by this clock"
    if seconds < 2:
        return "just now"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "minute"), (172800, 3600, "hour"), (np.inf, 86400, "day")):
        if seconds < limit:
            count = round(seconds / unit)
            return f"{count} s ago" if name == "s" else f"{count} {name}{'s' if count != 1 else ''} ago"
    return "long ago"


def place(position: NDArray[np.float64]) -> str:
    """ "(1.2, 3.4, 0.8)", metres."""
    return "(" + ", ".join(f"{value:.1f}" for value in position + 0.0) + ")"


def the(word: str) -> str:
    return f"the {word}"


def one(word: str) -> str:
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"


def counted(count: int, word: str) -> str:
    """ "no mug", "one mug", "three mugs"."""
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} {word if count in (0, 1) else plural(word)}"


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def quote(caption: str) -> str:
    """A caption, cut at a word where it is long."""
    return caption if len(caption) <= 160 else caption[:157].rsplit(" ", 1)[0] + "..."
