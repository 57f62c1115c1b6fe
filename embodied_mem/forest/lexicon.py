"""Which terms each record speaks of, and how many records speak of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.forest.words import terms
from embodied_mem.records.growable import Growable

_NO_TERMS = np.zeros(0, dtype=np.int32)


class Lexicon:
    """Terms by record number. A term that no record speaks of any more is forgotten, its word too. Not locked."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._words: list[str] = []
        self._free: list[int] = []
        self._of: dict[int, NDArray[np.int32]] = {}
        self.counts = Growable(np.int64)  # records that speak of a term, by its code

    def __len__(self) -> int:
        """How many terms are known, those forgotten included (their counts are 0)."""
        return len(self._words)

    def add(self, seq: int, caption: str, labels: tuple[str, ...] = ()) -> None:
        """The record speaks of these things: the terms of its caption and its detections' labels."""
        said = dict.fromkeys((*terms(caption), *(label.strip().lower() for label in labels)))
        codes = np.array([self._code(term) for term in said], dtype=np.int32)
        self._of[seq] = codes
        self.counts.data[codes] += 1

    def remove(self, seq: int) -> None:
        """The record is gone."""
        codes = self._of.pop(seq, _NO_TERMS)
        self.counts.data[codes] -= 1
        for code in codes[self.counts.data[codes] == 0].tolist():
            del self._codes[self._words[code]]
            self._words[code] = ""
            self._free.append(code)

    def word(self, code: int) -> str:
        return self._words[code]

    def code(self, term: str) -> int | None:
        return self._codes.get(term)

    def of(self, seq: int) -> NDArray[np.int32]:
        """The codes of a record's terms."""
        return self._of.get(seq, _NO_TERMS)

    def said_by(self, seq: int) -> frozenset[str]:
        """The terms of a record."""
        return frozenset(self._words[code] for code in self.of(seq).tolist())

    def count(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """(terms,) how many of these records speak of each term."""
        parts = [self.of(seq) for seq in seqs.tolist()]
        return np.bincount(np.concatenate([_NO_TERMS, *parts]), minlength=len(self))

    def _code(self, term: str) -> int:
        code = self._codes.get(term)
        if code is None:
            if self._free:
                code = self._free.pop()
                self._words[code] = term
            else:
                code = len(self._words)
                self._words.append(term)
                self.counts.extend([0])
            self._codes[term] = code
        return code
