"""Questions in words about order and number in time: "which came first, a or b?", "how often did you see it?".

They are answered from an episodic memory of all records, made when one is asked (episodes/view.py).
"""

from __future__ import annotations

from dataclasses import replace

from embodied_mem.episodes.memory import BYTES
from embodied_mem.episodes.view import EpisodeView
from embodied_mem.errors import BadInputError
from embodied_mem.recall import moments
from embodied_mem.recall.answer import Answer, Evidence
from embodied_mem.recall.asked import Asked, evidence_of
from embodied_mem.recall.patterns import HOW_OFTEN, ORDER
from embodied_mem.records.query import EVERY_MAP
from embodied_mem.records.view import RecordView

KINDS = (ORDER, HOW_OFTEN)
_EVIDENCE = 5  # records named


class InTime:
    """Answers from one memory."""

    def __init__(self, memory: RecordView) -> None:
        self._memory = memory

    def answer(self, asked: Asked) -> Answer:
        """Raises BadInputError for order without two things, for every map at once, and for places near a thing."""
        query = asked.query
        if query.map_id == EVERY_MAP:
            raise BadInputError("Order and number in time are asked of one map: name it, or leave it out.")
        point, radius = asked.point()
        if point is not None:
            query = replace(query, center=point, radius=radius)
        elif asked.question.place is not None:
            raise BadInputError(
                "Order and number in time can be asked of a point or of 'here', not of what is near a thing."
            )
        room = (len(self._memory.index.table.live) + 1) * BYTES / 1e6  # nothing has to be forgotten for one question
        view = EpisodeView(self._memory.index, budget_mb=room, rule="fifo")
        if asked.question.kind == ORDER:
            things = moments.two_things(asked.question.what)
            told = moments.first(view, self._memory, things, query, asked.now)
        else:
            told = moments.often(view, self._memory, asked.question.what, query, asked.now)
        evidence = self._evidence(asked, told.seqs[:_EVIDENCE])
        return Answer(
            kind=asked.question.kind, found=told.found, sentence=told.sentence, probability=told.probability,
            position=evidence[0].position if evidence and told.found else None, count=told.count, reason=told.reason,
            age_s=evidence[0].age_s if evidence else float("nan"), evidence=evidence,
            frame_id=evidence[0].frame_id if evidence else "map",
        )  # fmt: skip

    def _evidence(self, asked: Asked, seqs: tuple[int, ...]) -> tuple[Evidence, ...]:
        if not seqs:
            return ()
        found = asked.search(self._memory, replace(asked.query, time=None, seqs=seqs, k=len(seqs)))
        hits = {hit.record.seq: hit for hit in found.hits}
        return tuple(evidence_of(hits[seq]) for seq in seqs if seq in hits)
