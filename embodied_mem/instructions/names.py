"""Which remembered names a phrase may mean: cosine of character trigrams, weighted by their rarity (tf-idf).

Trigrams rather than words, since people write "Joes Pizza" for "Joe's Pizza" and "T-Mobile" for "T Mobile".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embodied_mem.errors import BadInputError
from embodied_mem.instructions.instruction import Phrase

FloatArray = NDArray[np.float64]
_WORDS = re.compile(r"[a-z0-9]+")


class NameIndex:
    """Names and classes of n landmarks, a row each; equal ones may stand there many times."""

    def __init__(self, names: Sequence[str], classes: Sequence[str]) -> None:
        """Raises BadInputError when there are not as many names as classes."""
        if len(names) != len(classes):
            raise BadInputError(f"{len(names)} names and {len(classes)} classes do not go together.")
        self._pairs: dict[tuple[str, str], int] = {}
        self._of_row = np.array([self._number(pair) for pair in zip(names, classes, strict=True)], dtype=np.int64)
        self._grams: dict[str, int] = {}
        self._sorts = np.array([sort for _, sort in self._pairs], dtype=object)
        bare = [_grams(name) for name, _ in self._pairs]
        full = [_grams(f"{name} {sort}") if name else [] for name, sort in self._pairs]
        counts = self._counts([*bare, *full], grow=True)
        present = np.asarray((counts[: len(bare)] > 0).sum(axis=0)).ravel()
        self._rarity = np.log((1 + len(bare)) / (0.5 + present))
        self._rows = _unit(counts, self._rarity)

    def __len__(self) -> int:
        return len(self._of_row)

    def similarity(self, phrase: Phrase) -> FloatArray:
        """(n,) 0..1. A phrase that names a class is wholly similar to whatever is of this class."""
        query = _unit(self._counts([_grams(phrase.text)]), self._rarity)
        found = np.asarray((self._rows @ query.T).todense()).ravel()
        best = np.maximum(found[: len(self._pairs)], found[len(self._pairs) :])
        if phrase.sort:
            best = np.maximum(best, (self._sorts == phrase.sort).astype(np.float64))
        return np.asarray(best[self._of_row])

    def _number(self, pair: tuple[str, str]) -> int:
        return self._pairs.setdefault(pair, len(self._pairs))

    def _counts(self, documents: list[list[str]], grow: bool = False) -> csr_matrix:
        if grow:
            for document in documents:
                for gram in document:
                    self._grams.setdefault(gram, len(self._grams))
        known = [[self._grams[gram] for gram in document if gram in self._grams] for document in documents]
        starts = np.concatenate([[0], np.cumsum([len(numbers) for numbers in known])])
        columns = np.concatenate([np.array(numbers, dtype=np.int64) for numbers in known] or [np.zeros(0, np.int64)])
        matrix = csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(documents), len(self._grams)))
        matrix.sum_duplicates()
        return matrix


def _grams(text: str) -> list[str]:
    plain = text.lower().replace("'", "").replace("’", "")
    return [f" {word} "[i : i + 3] for word in _WORDS.findall(plain) for i in range(max(1, len(word)))]


def _unit(counts: csr_matrix, rarity: FloatArray) -> csr_matrix:
    weighted = counts.multiply(rarity[None, :]).tocsr()
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return weighted.multiply(1 / np.maximum(norms, 1e-12)[:, None]).tocsr()
