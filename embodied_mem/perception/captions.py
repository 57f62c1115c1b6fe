"""A caption from detections: deterministic, in words that a sentence embedder knows."""

from __future__ import annotations

from collections import Counter

import numpy as np

from embodied_mem.records.observation import Detections

_NUMBERS = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MIN_SCORE = 0.35
_BROADER = 1.5  # how much more ground than a thing that stands on it a support covers, seen from one side
_MOST = 10  # kinds of things named
_PLURALS = {"mouse": "mice", "person": "people", "knife": "knives", "shelf": "shelves", "bookshelf": "bookshelves"}
_ALWAYS_PLURAL = ("scissors", "skis", "shoes", "keys", "glasses")


def caption_of(found: Detections, min_score: float = _MIN_SCORE, *, stacked: bool = True) -> str:
    """ "I see a mug on a table, two chairs and a laptop."; "" when nothing scores above `min_score`.

    What is on what is read off the 3-D boxes: its bottom near the other's top, its centre above the other. Without
    `stacked`, for a map whose z axis may be no height, nothing is said of it.
    """
    kept = [i for i in np.argsort(-found.scores, kind="stable") if found.scores[i] >= min_score]
    if not kept:
        return ""
    below = {i: _support(found, i, kept) if stacked else -1 for i in kept}
    phrases = Counter((found.labels[i], found.labels[below[i]] if below[i] >= 0 else "") for i in kept)
    supports = {found.labels[j] for j in below.values() if j >= 0}
    words = [
        f"{_counted(label, count)}{f' on {_article(under)}' if under else ''}"
        for (label, under), count in phrases.most_common()
        if under or label not in supports
    ][:_MOST]
    return f"I see {_joined(words)}."


def plural(label: str) -> str:
    """The plural of an English noun, near enough for captions."""
    if label in _PLURALS or label in _ALWAYS_PLURAL:
        return _PLURALS.get(label, label)
    if label.endswith(("s", "sh", "ch", "x")):
        return f"{label}es"
    if label.endswith("y") and label[-2:-1] not in "aeiou":
        return f"{label[:-1]}ies"
    return f"{label}s"


def _support(found: Detections, i: int, kept: list[int]) -> int:
    """Which of the kept boxes carries box i, or -1."""
    bottom = found.centers[i, 2] - found.sizes[i, 2] / 2
    ground = found.sizes[:, :2].prod(axis=1)
    best: tuple[float, int] | None = None
    for j in kept:
        if j == i or found.labels[j] == found.labels[i] or ground[j] < _BROADER * ground[i]:
            continue
        top = found.centers[j, 2] + found.sizes[j, 2] / 2
        inside = np.abs(found.centers[i, :2] - found.centers[j, :2]) <= found.sizes[j, :2] / 2 + 0.05
        gap = abs(bottom - top)
        if inside.all() and gap < 0.1 and (best is None or gap < best[0]):
            best = (gap, j)
    return -1 if best is None else best[1]


def _article(label: str) -> str:
    if label in _ALWAYS_PLURAL:
        return f"some {label}"
    return f"{'an' if label[:1] in 'aeiou' else 'a'} {label}"


def _counted(label: str, count: int) -> str:
    if count == 1:
        return _article(label)
    return f"{_NUMBERS[count] if count < len(_NUMBERS) else count} {plural(label)}"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
