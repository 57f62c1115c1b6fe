"""A text embedder without a model: hashed words and character n-grams (the "hashing trick" of Weinberger et al., 2009).

It knows no meaning, only shared words and parts of words: "chair" is close to "chairs" and to "two chairs at a table",
not to "seat". For machines where no model is installed, and for tests. Its vectors are the same, to the last bit, on
every machine: all sums are of small integers, which are exact in any order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.inference.texts import checked_texts

_WORD = re.compile(r"\w+")
# Words that nearly every caption and question has: they say little about what is meant.
_COMMON = frozenset(
    "a about also an and are as at be been by can could did do does for from had has have here how i if in is it its "  # noqa: SIM905
    "me my of on or please saw see seen some tell that the then there these they this those to was were what when "
    "where which who will with you your".split()
)
_WORD_WEIGHT = 8
_GRAM_WEIGHT = 2
_COMMON_WEIGHT = 1
_GRAM_LENGTHS = (3, 4, 5)
_START, _END = ord("^"), ord("$")  # mark where a word begins and ends; no word has them
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class HashingEmbedder:
    """Signed feature hashing of words and of their character n-grams; deterministic, stateless, thread safe."""

    def __init__(self, dim: int = 384, seed: int = 0) -> None:
        """dim numbers a vector; vectors of two seeds have different names and are never compared."""
        if dim < 8:
            raise ValueError(f"A hashing embedder needs at least 8 dimensions, not {dim}.")
        self._dim = dim
        self._seed = seed

    @property
    def name(self) -> str:
        return f"hashing-{self._dim}-v1" + (f"-seed{self._seed}" if self._seed else "")

    @property
    def dim(self) -> int:
        return self._dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, L2 normalised. Raises BadInputError for an empty text."""
        cleaned = checked_texts(texts)
        hashes, rows, weights = _features(cleaned, self._seed)
        columns = (hashes % np.uint64(self._dim)).astype(np.int64)
        signs = 1.0 - 2.0 * (hashes >> np.uint64(63)).astype(np.float64)
        sums = np.bincount(rows * self._dim + columns, signs * weights, minlength=len(cleaned) * self._dim)
        vectors = sums.reshape(len(cleaned), self._dim)
        vectors[~vectors.any(axis=1), 0] = 1.0  # every feature of a tiny text may cancel another
        squares = np.einsum("ij,ij->i", vectors, vectors)
        return (vectors / np.sqrt(squares)[:, None]).astype(np.float32)


def _words(text: str) -> list[str]:
    """Lower-case words without accents; a text without any (punctuation, symbols) is one word."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    return _WORD.findall(plain) or [plain or text]


def _features(texts: list[str], seed: int) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]:
    """Hash, row and weight of every feature of every text."""
    words, rows = [], []
    for row, text in enumerate(texts):
        found = _words(text)
        words += found
        rows += [row] * len(found)
    lengths = np.array([len(word) for word in words], dtype=np.int64) + 2
    stops = np.cumsum(lengths)
    starts = stops - lengths
    chars = np.empty(int(lengths.sum()), dtype=np.uint64)
    inner = np.ones(len(chars), dtype=bool)
    inner[starts] = inner[stops - 1] = False
    chars[starts], chars[stops - 1] = _START, _END
    chars[inner] = np.frombuffer("".join(words).encode("utf-32-le"), dtype="<u4")

    common = np.array([word in _COMMON for word in words], dtype=bool)
    word_rows = np.array(rows, dtype=np.int64)
    hashes = [_mixed(_word_hashes(chars, starts, lengths), seed)]
    feature_rows = [word_rows]
    weights = [np.where(common, _COMMON_WEIGHT, _WORD_WEIGHT).astype(np.float64)]
    owner = np.repeat(np.arange(len(words)), lengths)
    for size in _GRAM_LENGTHS:
        # An n-gram begins wherever that many characters of its word are left; of function words none counts.
        left = stops[owner] - np.arange(len(chars))
        begins = np.flatnonzero((left >= size) & ~common[owner])
        value = np.full(len(begins), size, dtype=np.uint64)
        for offset in range(size):
            value = _step(value, chars[begins + offset])
        hashes.append(_mixed(value, seed))
        feature_rows.append(word_rows[owner[begins]])
        weights.append(np.full(len(begins), _GRAM_WEIGHT, dtype=np.float64))
    return np.concatenate(hashes), np.concatenate(feature_rows), np.concatenate(weights)


def _word_hashes(
    chars: NDArray[np.uint64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """A hash of each whole word: all words at once, one character position after the other."""
    value = np.zeros(len(starts), dtype=np.uint64)
    order = np.argsort(-lengths, kind="stable")
    alive = np.searchsorted(-lengths[order], -np.arange(int(lengths.max(initial=0))), side="left")
    for position, count in enumerate(alive):
        rows = order[:count]
        value[rows] = _step(value[rows], chars[starts[rows] + position])
    return value


def _step(value: NDArray[np.uint64], char: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (value ^ char) * _MULTIPLIER + (value >> np.uint64(29))


def _mixed(value: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Spread every bit over all others (the finaliser of splitmix64), so that any of them can choose place and sign."""
    value = value + np.uint64((seed * 0xD1342543DE82EF95 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
