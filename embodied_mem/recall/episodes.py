"""Typed questions to episodic memory (srv/RecallEpisode): which is asked, and the answer with its evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.episodes.view import EpisodeView, Recalled
from embodied_mem.errors import BadInputError
from embodied_mem.recall import moments
from embodied_mem.recall import sentences as say
from embodied_mem.records.query import Hit, Query
from embodied_mem.records.view import RecordView

HAPPENED, DURING, AROUND, FIRST, HOW_OFTEN, LAST = range(6)
_MOST = 1000


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeQuestion:
    """As srv/RecallEpisode says. position (3,) metres or None; times in ns, None = open."""

    kind: int
    now_ns: int
    map_id: str = ""
    position: NDArray[np.float64] | None = None
    place: int = -1
    visits_ago: int = 0
    start_ns: int | None = None
    end_ns: int | None = None
    record: int = 0
    steps: int = 2
    things: tuple[str, ...] = ()
    k: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeAnswer:
    """hits, weights and surprise of equal length, best first; place -1 without one; count -1 unless it was asked."""

    found: bool
    sentence: str
    reason: str
    probability: float
    hits: tuple[Hit, ...]
    weights: tuple[float, ...]
    surprise: tuple[float, ...]
    place: int
    count: int
    retained: int
    seen: int
    map_id: str


class Episodes:
    """Answers typed questions from a memory of records and the episodic memory of it."""

    def __init__(self, memory: RecordView, view: EpisodeView) -> None:
        self._memory, self._view = memory, view

    def answer(self, asked: EpisodeQuestion) -> EpisodeAnswer:
        """Raises BadInputError, NotFoundError (place, record), UnknownMapError, ModelMismatchError."""
        if not 1 <= asked.k <= _MOST or asked.steps > _MOST:
            raise BadInputError(f"k must be between 1 and {_MOST}, and steps at most {_MOST}.")
        map_id = self._memory.index.maps.resolve(asked.map_id)
        if asked.kind in (FIRST, HOW_OFTEN, LAST):
            return self._told(asked, map_id)
        if asked.kind == HAPPENED:
            place = asked.place
            if asked.position is not None:
                place = self._view.place_at(asked.position, map_id)
            found = self._view.happened(place, asked.visits_ago, k=asked.k)
        elif asked.kind == DURING:
            end = asked.now_ns + 1 if asked.end_ns is None else asked.end_ns
            found = self._view.during(asked.start_ns or 0, end, map_id, k=asked.k)
        elif asked.kind == AROUND:
            found = self._view.around(asked.record, asked.steps)
        else:
            raise BadInputError(f"There is no question of kind {asked.kind}: they go from {HAPPENED} to {LAST}.")
        return self._recalled(asked, found, map_id)

    def _recalled(self, asked: EpisodeQuestion, found: Recalled, map_id: str) -> EpisodeAnswer:
        hits = self._hits(found.seqs.tolist(), asked.now_ns, map_id)
        facts = {
            int(seq): (float(weight), float(surprise))
            for seq, weight, surprise in zip(found.seqs, found.weights, found.surprise, strict=True)
        }
        enough = bool(hits) and found.probability >= moments.ENOUGH
        reason = found.reason
        if hits and not enough:
            reason = f"Not found: these are the moments with probability {found.probability:.2f} only."
        said = " ".join(
            dict.fromkeys(say.quote(hit.record.observation.caption or "(nothing said)") for hit in hits[:3])
        )
        sentence = f"I saw: {said}" if enough else "I do not remember"
        return EpisodeAnswer(
            enough, say.sentence(sentence), reason, found.probability, hits,
            tuple(facts[hit.record.seq][0] for hit in hits), tuple(facts[hit.record.seq][1] for hit in hits),
            int(found.places[0]) if found.found else -1, -1, len(self._view.memory), self._view.came, map_id,
        )  # fmt: skip

    def _told(self, asked: EpisodeQuestion, map_id: str) -> EpisodeAnswer:
        query = Query(map_id=map_id)
        things = tuple(thing.strip().lower() for thing in asked.things)
        if asked.kind == FIRST:
            told = moments.first(self._view, self._memory, things, query, asked.now_ns)
        else:
            if len(things) != 1 or not things[0]:
                raise BadInputError(f"One thing is needed for this question; {len(things)} were given.")
            tell = moments.often if asked.kind == HOW_OFTEN else moments.last
            told = tell(self._view, self._memory, things[0], query, asked.now_ns)
        hits = self._hits(list(told.seqs[: asked.k]), asked.now_ns, map_id)
        surprise = self._view.surprise_of(np.array([hit.record.seq for hit in hits], dtype=np.int64))
        return EpisodeAnswer(
            told.found, told.sentence, told.reason, told.probability, hits, (1.0,) * len(hits),
            tuple(surprise.tolist()), -1, told.count if asked.kind == HOW_OFTEN else -1, len(self._view.memory),
            self._view.came, map_id,
        )  # fmt: skip

    def _hits(self, seqs: list[int], now_ns: int, map_id: str) -> tuple[Hit, ...]:
        if not seqs:
            return ()
        found = self._memory.query(Query(seqs=np.array(seqs, dtype=np.int64), map_id=map_id, k=len(seqs)))
        by_number = {hit.record.seq: hit for hit in found.hits}
        return tuple(by_number[seq] for seq in seqs if seq in by_number)
