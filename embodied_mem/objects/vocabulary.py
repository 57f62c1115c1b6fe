"""The labels of a memory as numbers, and which of them name the same kind in the words of one detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.labels import can_hold, same_kind

IntArray = NDArray[np.int64]
_RIGHT, _ALIKE = 0.9, 10  # how often a detector names the kind right, and how many others it may confuse it with


class Vocabulary:
    """Numbers labels in order of appearance; nothing may depend on which number a label has."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.holding: list[bool] = []  # whether things may be shut inside
        self.vote = float(np.log(_RIGHT / ((1 - _RIGHT) / _ALIKE)))  # what a detection says for its label
        self._codes: dict[str, int] = {}
        self._kinds: dict[str, int] = {}
        self._tables: dict[tuple[str, ...] | None, tuple[IntArray, NDArray[np.bool_]]] = {}

    def codes(self, labels: tuple[str, ...]) -> list[int]:
        """The numbers of labels, new ones where they have none yet."""
        for label in labels:
            if label not in self._codes:
                self._codes[label] = len(self.names)
                self.names.append(label)
                self.holding.append(can_hold(label))
        return [self._codes[label] for label in labels]

    def find(self, label: str) -> int | None:
        """The number of a label, or None."""
        return self._codes.get(label)

    def of_detector(self, classes: tuple[str, ...] | None) -> tuple[IntArray, NDArray[np.bool_]]:
        """For each label its kind as a number, and whether the detector can find it; None: there was no detector.

        Synonyms are one kind, except where the detector has classes for both: then it tells them apart.
        """
        kinds, able = self._tables.get(classes, (np.zeros(0, np.int64), np.zeros(0, bool)))
        if len(kinds) < len(self.names):
            known = [_kind(name, classes or ()) for name in self.names]
            found = {_kind(name, classes or ()) for name in classes or ()}
            kinds = np.array([self._kinds.setdefault(kind, len(self._kinds)) for kind in known], dtype=np.int64)
            able = np.array([kind in found for kind in known], dtype=bool)
            self._tables[classes] = kinds, able
        return kinds, able


def _kind(label: str, classes: tuple[str, ...]) -> str:
    group = same_kind(label)
    told_apart = sum(name in classes for name in group) > 1 and label in classes
    return label if told_apart else f"{group[0]} and the like"
