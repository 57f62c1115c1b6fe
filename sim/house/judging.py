"""Whether an answer is right, measured against what really is the case in the house."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.perception.captions import plural
from sim.house.truth import Stay

Judge = Callable[[Any], bool]

CLOSE = 0.25  # metres beyond the sides of the true box, in the plane
LEVEL = 0.35  # metres above or below it
BESIDE = 0.5  # metres from furniture within which naming a thing as being on it is forgiven
_LATE_NS = 5_000_000_000


def not_found(answer: Any) -> bool:
    """The memory says that it does not know of such a thing, and gives no place."""
    return not answer.found and answer.position is None and bool(answer.reason)


def at_any(stays: list[Stay]) -> Judge:
    """It is at one of these places, with records that show it."""

    def judge(answer: Any) -> bool:
        if not answer.found or answer.position is None or not answer.evidence:
            return False
        return any(_is_at(np.asarray(answer.position, dtype=np.float64), stay) for stay in stays)

    return judge


def counts(count: int) -> Judge:
    """It says this number."""
    return lambda answer: bool(answer.count == count)


def seen_before(end_ns: int, seen_ns: NDArray[np.int64]) -> Judge:
    """It gives the time at which the thing was last in view, up to five seconds: detectors miss single frames."""

    def judge(answer: Any) -> bool:
        if not answer.found or not np.isfinite(answer.age_s):
            return False
        said = end_ns - answer.age_s * 1e9
        return bool(seen_ns[-1] - _LATE_NS <= said <= seen_ns[-1] + 1_000_000_000)

    return judge


def names(expected: Iterable[str], allowed: Iterable[str], vocabulary: Iterable[str]) -> Judge:
    """It names every expected label, and none of the vocabulary but the allowed ones."""
    expected, allowed = set(expected), set(allowed)
    words = {form: label for label in vocabulary for form in (label, plural(label))}
    pattern = re.compile(r"\b(" + "|".join(sorted(map(re.escape, words), key=len, reverse=True)) + r")\b")

    def judge(answer: Any) -> bool:
        said = re.split(r" (?:on|near) the ", answer.sentence.lower())[0]
        named = {words[form] for form in pattern.findall(said)}
        return bool(answer.found) and expected <= named <= allowed

    return judge


def gap(one: Stay, other: Stay) -> float:
    """Metres between the boxes of two stays, in the plane."""
    apart = np.abs(np.subtract(one.center, other.center)) - np.add(one.size, other.size) / 2
    return float(np.linalg.norm(np.maximum(apart[:2], 0)))


def _is_at(position: NDArray[np.float64], stay: Stay) -> bool:
    away = np.maximum(np.abs(position - stay.center) - np.asarray(stay.size) / 2, 0)
    return bool(np.hypot(away[0], away[1]) <= CLOSE and away[2] <= LEVEL)
