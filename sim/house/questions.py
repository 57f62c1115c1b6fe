"""Questions about a house, made from what really happened in it, each with the judge of its answer.

The same truth and seed give the same questions. A robot can only be asked about what it had a chance to see: things
that were in view, near and large enough for its detector, in at least `_CHANCES` trusted frames of the stay that the
question is about. What the memory made of these frames plays no part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.house import judging
from sim.house.truth import Event, Stay, ThingTruth, TruthLog

Rng = np.random.Generator
Judge = Callable[[Any], bool]

_CHANCES = 3
_NAMED = 3  # things on a piece of furniture, at most, for a question about all of them
MOVED, NOT_FOUND = "moved", "not found"  # subjects that a benchmark counts

# How many questions of each kind are in twenty; the rest are about where things are.
_MIX = (
    ("moved", 3), ("before", 2), ("removed", 1), ("absent", 2), ("is there, no", 1),
    ("is there, yes", 2), ("how many", 2), ("when", 2), ("on", 1), ("where", 4),
)  # fmt: skip

_WHERE = (
    "Where is the {}?", "Find the {}.", "Where can I find the {}?", "What is the location of the {}?",
    "Can you find me the {}?", "Do you know where the {} is?", "Bring me to the {}.",
)  # fmt: skip
_NOW = ("Where is the {} now?", "Where is the {}?", "Find the {}.", "Where can I find the {} now?")
_BEFORE = (
    "Where was the {} before?", "Where was the {} before it was moved?", "What was the previous place of the {}?",
    "Where did the {} use to be?",
)  # fmt: skip
_WHEN = ("When did you last see the {}?", "When was the {} last seen?", "How long ago did you see the {}?")
_HOW_MANY = ("How many {} are there?", "How many {} have you seen?", "Count the {}.")
_IS_THERE = ("Is there {} in the house?", "Have you seen {}?", "Is there {} anywhere?", "Do you know of {}?")
_IS_THERE_ON = ("Is there {} on the {}?", "Have you seen {} on the {}?")
_ON = ("What is on the {}?", "What things are on the {}?", "List everything on the {}.")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """text: as a person asks; kind: how it was made; subject: MOVED, NOT_FOUND or ""; judge: answer -> is it right?"""

    text: str
    kind: str
    expected: str
    judge: Judge
    subject: str = ""


def make_questions(truth: TruthLog, seed: int, count: int = 20) -> list[Question]:
    """`count` questions, in the proportions of `_MIX` as far as the house has what they need, in random order."""
    rng = np.random.default_rng([seed, 0xA5])
    maker = _Maker(truth, rng)
    found: list[Question] = []
    for kind, share in _MIX:
        wanted = max(1, round(share * count / 20))
        found += maker.some(kind, min(wanted, count - len(found)))
    found += maker.some("where", count - len(found))
    found += maker.some("absent", count - len(found))
    return [found[int(i)] for i in rng.permutation(len(found))]


class _Maker:
    """Draws questions, no two about the same thing in the same way."""

    def __init__(self, truth: TruthLog, rng: Rng) -> None:
        self.truth, self.rng = truth, rng
        self.moves = [event for event in truth.events if event.kind == "moved" and self._known_twice(event)]
        self.now = [(thing, stay) for thing, stay in truth.present() if thing.frames_seen(stay) >= _CHANCES]
        self.counts = Counter(thing.label for thing, _ in truth.present())
        self.ever = Counter(thing.label for thing in truth.things.values())
        self._sources: dict[str, Iterator[Question]] = {
            "moved": self._moved(), "before": self._before(), "removed": self._removed(), "absent": self._absent(),
            "is there, no": self._is_not_there(), "is there, yes": self._is_there(), "how many": self._how_many(),
            "when": self._when(), "on": self._on(), "where": self._where(),
        }  # fmt: skip

    def some(self, kind: str, count: int) -> list[Question]:
        source = self._sources[kind]
        return [question for question, _ in zip(source, range(count), strict=False)] if count > 0 else []

    # --- kinds -------------------------------------------------------------------------------------------------

    def _moved(self) -> Iterator[Question]:
        for event in self._shuffled(self.moves):
            stay = self.truth.things[event.id].stays[-1]
            yield self._place("moved", self._say(_NOW, event.label), [stay], MOVED)

    def _before(self) -> Iterator[Question]:
        for event in self._shuffled(self.moves):
            stay = self.truth.things[event.id].stays[-2]
            yield self._place("before", self._say(_BEFORE, event.label), [stay], MOVED)

    def _removed(self) -> Iterator[Question]:
        """A thing that was taken away, and the robot looked at its empty place afterwards."""
        for event in self._shuffled([event for event in self.truth.events if event.kind == "removed"]):
            if self.counts[event.label] == 0 and self._looked_again(event):
                text = self._say(_WHERE, event.label)
                yield Question(text, "removed", "not found: it was taken away", judging.not_found, NOT_FOUND)

    def _absent(self) -> Iterator[Question]:
        for label in self._shuffled([label for label in self.truth.vocabulary if not self.ever[label]]):
            text = self._say(_WHERE, label)
            yield Question(text, "absent", "not found: there is none", judging.not_found, NOT_FOUND)

    def _is_not_there(self) -> Iterator[Question]:
        for label in self._shuffled([label for label in self.truth.vocabulary if not self.ever[label]]):
            text = self._say(_IS_THERE, _one(label))
            yield Question(text, "is there, no", "no", judging.not_found, NOT_FOUND)

    def _is_there(self) -> Iterator[Question]:
        on = [(thing, stay) for thing, stay in self.now if self.counts[stay.support] == 1 and not thing.furniture]
        for thing, stay in self._shuffled(on):
            text = self._say(_IS_THERE_ON, _one(thing.label), stay.support)
            stays = [stay for other, stay in self.truth.present() if other.label == thing.label]
            judge = judging.at_any(stays)
            yield Question(text, "is there, yes", f"yes, at {_point(stay)}", judge)

    def _how_many(self) -> Iterator[Question]:
        seen = Counter(thing.label for thing, _ in self.now)
        several = [label for label, n in self.counts.items() if seen[label] == n > 1]
        single = [label for label, n in self.counts.items() if seen[label] == n == 1]
        for label in [*self._shuffled(several), *self._shuffled(single)]:
            count = self.counts[label]
            yield Question(self._say(_HOW_MANY, _plural(label)), "how many", str(count), judging.counts(count))

    def _when(self) -> Iterator[Question]:
        single = [thing for thing, _ in self.now if self.ever[thing.label] == 1 and not thing.furniture]
        for thing in self._shuffled(single):
            ago = (self.truth.end_ns - thing.seen_ns[-1]) * 1e-9
            judge = judging.seen_before(self.truth.end_ns, np.array(thing.seen_ns))
            yield Question(self._say(_WHEN, thing.label), "when", f"{ago:.0f} s ago", judge)

    def _on(self) -> Iterator[Question]:
        known = {thing.id for thing, _ in self.now}
        for piece, stay in self._shuffled([(t, s) for t, s in self.now if t.furniture and self.counts[t.label] == 1]):
            on = [(t, s) for t, s in self.truth.present() if s.support == piece.label]
            if not 0 < len(on) <= _NAMED or not known.issuperset(thing.id for thing, _ in on):
                continue
            labels = {thing.label for thing, _ in on}
            near = labels | {t.label for t, s in self.truth.present() if judging.gap(s, stay) < judging.BESIDE}
            judge = judging.names(labels, near, self.truth.vocabulary)
            yield Question(self._say(_ON, piece.label), "on", ", ".join(sorted(labels)), judge)

    def _where(self) -> Iterator[Question]:
        still = {event.id for event in self.truth.events}
        single = [(t, s) for t, s in self.now if self.ever[t.label] == 1 and t.id not in still]
        small = [pair for pair in single if not pair[0].furniture]
        large = [pair for pair in single if pair[0].furniture]
        for thing, stay in [*self._shuffled(small)[:3], *self._shuffled(large)[:1], *self._shuffled(single)]:
            yield self._place("where", self._say(_WHERE, thing.label), [stay])

    # --- parts -------------------------------------------------------------------------------------------------

    def _place(self, kind: str, text: str, stays: list[Stay], subject: str = "") -> Question:
        return Question(text, kind, f"at {_point(stays[0])}", judging.at_any(stays), subject)

    def _known_twice(self, event: Event) -> bool:
        """The thing was seen where it was and where it is, and no other of its label can be meant."""
        thing = self.truth.things[event.id]
        if len(thing.stays) < 2 or len(self.truth.labelled(event.label)) > 1:
            return False
        return all(thing.frames_seen(stay) >= _CHANCES for stay in thing.stays[-2:])

    def _looked_again(self, event: Event) -> bool:
        """The robot came as near to the empty place, and saw as much there, as when it saw the thing."""
        thing = self.truth.things[event.id]
        gone = thing.stays[-1]
        reach = max(thing.seen_distance, default=0.0)
        near = [
            other for other, stay in self.truth.present()
            if np.linalg.norm(np.subtract(stay.center, gone.center)) < 0.8 or other.label == gone.support
        ]  # fmt: skip
        again = {
            stamp
            for other in near
            for stamp, distance in zip(other.seen_ns, other.seen_distance, strict=True)
            if stamp > event.stamp_ns and distance <= reach
        }
        return thing.frames_seen(gone) >= _CHANCES and len(again) >= _CHANCES

    def _say(self, phrases: tuple[str, ...], *words: str) -> str:
        return phrases[int(self.rng.integers(len(phrases)))].format(*words)

    def _shuffled(self, items: list[Any]) -> list[Any]:
        return [items[int(i)] for i in self.rng.permutation(len(items))]


def _point(stay: Stay) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in stay.center) + f"), in the {stay.room}"


def _one(label: str) -> str:
    return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


def _plural(label: str) -> str:
    if label.endswith("f"):
        return f"{label[:-1]}ves"
    return label + ("es" if label.endswith(("s", "x", "ch", "sh")) else "s")


__all__ = ["MOVED", "NOT_FOUND", "Question", "ThingTruth", "make_questions"]
