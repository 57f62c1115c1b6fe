"""One description, one memory and the way driven so far, as the arrays that the search works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.instructions.alignment import align, candidates, expected_features
from embodied_mem.instructions.instruction import Instruction, Phrase
from embodied_mem.instructions.memory import RouteMemory, Streets
from embodied_mem.instructions.ways import shapes, sights, ways

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

_ON_THE_WAY = (20.0, 55.0)  # metres: a landmark is passed where it is nearer than the first, not beyond the second
_AT_THE_END = (12.0, 40.0)


@dataclass(frozen=True, slots=True)
class Lengths:
    """The prior on the length of a way: none outside `shortest` to `longest` links is meant, all others alike.

    clause: links that a way needs for each further junction that its description speaks of.
    """

    shortest: int = 34
    longest: int = 44
    clause: float = 9.0


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """See `ways` and `alignment` for the arrays."""

    streets: Streets
    links: IntArray
    driven: int
    bearings: FloatArray
    spans: IntArray
    kinds: IntArray
    sides: IntArray
    phrase_of: IntArray
    seen: FloatArray
    stop: int
    stop_seen: FloatArray
    lengths: Lengths

    @classmethod
    def of(
        cls,
        instruction: Instruction,
        memory: RouteMemory,
        driven: IntArray,
        lengths: Lengths,
        streets: Streets | None = None,
    ) -> Problem:
        """driven: the nodes where the robot was, the start first; at least two, since it starts along a link."""
        s = streets or memory.streets()
        links = ways(s.first, s.ends, s.explored, driven, lengths.longest)
        bearings, spans = shapes(s.first, s.ends, s.xy, s.explored, links)
        clauses = instruction.clauses
        phrases = [phrase for clause in clauses for phrase in clause.phrases]
        seen = _seen(phrases, memory, s, links, bearings, *_ON_THE_WAY)
        ending = _seen(list(instruction.stop_phrases), memory, s, links, bearings, *_AT_THE_END)
        return cls(
            streets=s,
            links=links,
            driven=len(driven) - 1,
            bearings=bearings,
            spans=spans,
            kinds=np.array([clause.kind for clause in clauses], dtype=np.int32),
            sides=np.array([clause.side for clause in clauses], dtype=np.int32),
            phrase_of=np.cumsum([0, *(len(clause.phrases) for clause in clauses)]).astype(np.int32),
            seen=seen,
            stop=int(instruction.stop),
            stop_seen=ending.sum(axis=0) if len(ending) else np.zeros((len(links), 3)),
            lengths=lengths,
        )

    def solve(self, weights: FloatArray) -> Solution:
        """Score every candidate under `weights` (FEATURES,)."""
        s, n = self.streets, self.lengths
        best, before, how = align(
            s.first, self.links, self.bearings, self.spans, self.kinds, self.sides, self.phrase_of, self.seen, weights
        )
        scores, done = candidates(
            s.first, s.explored, self.links, self.spans, self.driven, best, self.kinds, self.stop, self.stop_seen,
            n.shortest, n.longest, n.clause, weights,
        )  # fmt: skip
        return Solution(scores, done, before, how)

    def features(self, solution: Solution, shares: FloatArray) -> FloatArray:
        """(FEATURES,) the features of the candidates, each weighted with its share (e, 2)."""
        s, n = self.streets, self.lengths
        return np.asarray(
            expected_features(
                s.first, s.explored, self.links, self.spans, solution.before, solution.how, self.kinds, self.phrase_of,
                self.seen, self.stop, self.stop_seen, 0.5 * (n.shortest + n.longest), n.clause, solution.done, shares,
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """scores (e, 2) of stopping at the end of each link and of going on beyond it; the rest traces them back."""

    scores: FloatArray
    done: IntArray
    before: IntArray
    how: IntArray

    def probabilities(self) -> FloatArray:
        """(e, 2) the softmax of the scores; all zero when there is nothing to aim at."""
        top = self.scores.max(initial=-np.inf)
        if not np.isfinite(top):
            return np.zeros_like(self.scores)
        odds = np.exp(self.scores - top)
        return np.asarray(odds / odds.sum())


def _seen(
    phrases: list[Phrase],
    memory: RouteMemory,
    streets: Streets,
    links: IntArray,
    bearings: FloatArray,
    near: float,
    far: float,
) -> FloatArray:
    """(p, e, 3): see `ways.sights`."""
    if not phrases:
        return np.zeros((0, len(links), 3))
    places = [memory.named(phrase) for phrase in phrases]
    counts = np.array([len(found) for found in places])
    # By chance a node has about k * 20 of the explored nodes' share within sight of a match.
    chance = np.clip(20.0 * counts / max(1, int(streets.explored.sum())), 1e-4, 1.0)
    return np.asarray(
        sights(
            streets.xy, links, bearings,
            np.concatenate([found.xy for found in places]),
            np.concatenate([found.similarity for found in places]),
            np.repeat(np.arange(len(phrases)), counts).astype(np.int32),
            np.array([phrase.side for phrase in phrases], dtype=np.int32),
            np.clip(-np.log(chance) / 9.0, 0.0, 1.0), near, far,
        )
    )  # fmt: skip
