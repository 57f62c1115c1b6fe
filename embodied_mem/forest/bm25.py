"""Ranking by shared words: Okapi BM25 (Robertson & Zaragoza 2009) over texts that come and go."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.labels import singular

_WORD = re.compile(r"\w+")
_SATURATION, _LENGTH = 1.2, 0.75  # k1 and b
# Words of questions, which say nothing of what is looked for.
_COMMON = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "to",
        "for",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "there",
        "it",
        "its",
        "this",
        "that",
        "with",
        "by",
        "from",
        "as",
        "me",
        "my",
        "i",
        "you",
        "we",
        "us",
        "where",
        "what",
        "which",
        "who",
        "when",
        "how",
        "can",
        "could",
        "find",
        "show",
        "locate",
        "nearest",
        "closest",
        "nearby",
        "get",
        "lead",
        "take",
        "near",
        "do",
        "does",
    ]
)


class BM25:
    """Texts by number. Not locked: its owner is."""

    def __init__(self) -> None:
        self._postings: dict[str, dict[int, int]] = {}  # word -> number -> how often
        self._lengths: dict[int, int] = {}
        self._words: dict[int, tuple[str, ...]] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, number: int, text: str) -> None:
        """The text of a number that has none yet."""
        counts = Counter(words(text))
        self._lengths[number] = sum(counts.values())
        self._words[number] = tuple(counts)
        self._total += self._lengths[number]
        for word, count in counts.items():
            self._postings.setdefault(word, {})[number] = count

    def remove(self, number: int) -> None:
        """Forget a text, and the words that only it had."""
        self._total -= self._lengths.pop(number, 0)
        for word in self._words.pop(number, ()):
            del self._postings[word][number]
            if not self._postings[word]:
                del self._postings[word]

    def rank(
        self, query: str, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k best numbers (of `allowed`, when given) and their scores, best first; only those that share a word.

        Of equal ones the higher number comes first.
        """
        scores: dict[int, float] = {}
        typical = self._total / max(len(self), 1)
        for word in dict.fromkeys(words(query)):
            postings = self._postings.get(word, {})
            rarity = math.log(1 + (len(self) - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, count in postings.items():
                length = 1 - _LENGTH + _LENGTH * self._lengths[number] / typical
                gain = rarity * count * (_SATURATION + 1) / (count + _SATURATION * length)
                scores[number] = scores.get(number, 0.0) + gain
        numbers = np.fromiter(scores.keys(), np.int64, len(scores))
        values = np.fromiter(scores.values(), np.float64, len(scores))
        if allowed is not None:
            kept = np.isin(numbers, allowed)
            numbers, values = numbers[kept], values[kept]
        order = np.lexsort((-numbers, -values))[:k]
        return numbers[order], values[order]


def words(text: str) -> Iterable[str]:
    """The words of a text in the singular, without the commonest."""
    return (_normal(word) for word in _WORD.findall(text.lower()) if word not in _COMMON)


@lru_cache(maxsize=50_000)
def _normal(word: str) -> str:
    return singular(word)
