"""Questions about parts of the world: what they are like, how two differ, where there is more of something.

The semantic forest answers; here, words become regions. "Here" and a point are circles, the larger for "this part of
...". A name is where the thing of that name is believed to be; else, what records call by it ("the kitchen").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.describe import compare, describe
from embodied_mem.forest.regions import Described, frame_and_leaves
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.where import named_area, neighbourhood, where_more
from embodied_mem.objects.locate import PRESENT, locate
from embodied_mem.recall import sentences as say
from embodied_mem.recall.answer import Answer, Evidence
from embodied_mem.recall.asked import Asked, evidence_of
from embodied_mem.recall.forests import Forests
from embodied_mem.recall.grammar import Place, Question, area, parse
from embodied_mem.recall.patterns import COMPARE, DESCRIBE, MORE, REGION
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView
from embodied_mem.records.when import parse_when

FloatArray = NDArray[np.float64]
KINDS = (REGION, COMPARE, MORE)
_SURE = 0.9  # captions are what somebody said, and may be wrong
_EVIDENCE = 8
_PART = 8  # of the map's diagonal: the radius of "this part of the city"
_GENERIC = Place("here")


class Regions:
    """Answers questions about regions of one memory."""

    def __init__(self, memory: RecordView, forests: Forests) -> None:
        self._memory, self._forests = memory, forests

    def answer(self, asked: Asked) -> Answer:
        """The answer to a question of one of `KINDS`. Raises BadInputError for the past, and an unknown "here"."""
        forest = self._forest(asked)
        told = self.described(forest, asked)
        if isinstance(told, str):
            return asked.nothing(told, told, _SURE)
        answer = self._as_answer(forest, asked, told)
        if asked.question.kind == REGION and asked.robot is None and _place(asked.question) is _GENERIC:
            return replace(
                answer, reason=f"{answer.reason} Where the robot is was not given: this is of the whole map."
            )
        return answer

    def describe(
        self,
        question: str = "",
        query: Query | None = None,
        other: Query | None = None,
        *,
        robot: FloatArray | None = None,
        now_ns: int | None = None,
        areas: int = 3,
    ) -> Described:
        """What a region (`query`: its filters) is like, or how it differs from another; or the answer to a question.

        robot (3,) metres: where "here" is. Raises BadInputError for a question about something else.
        """
        parsed, now = parse(question) if question.strip() else Question(REGION), now_ns or self._memory.clock()
        if parsed.kind not in (*KINDS, DESCRIBE) and other is None:
            raise BadInputError(
                f"{question!r} does not ask about a region: ask 'what kind of place is this', 'how do X and Y differ', "
                "or 'where is it more ...'; the service ask answers other questions."
            )
        query = query or Query()
        if parsed.when:
            query = replace(query, time=parse_when(parsed.when, now, self._stamp_of))
        asked = Asked(parsed, query, now, robot)
        forest = self._forest(asked)
        if other is not None:
            return compare(forest, query, other)
        told = self.described(forest, asked, areas)
        return Described(False, reason=f"Not found: {told}.") if isinstance(told, str) else told

    def described(self, forest: ForestView, asked: Asked, areas: int = 3) -> Described | str:
        """The answer to a question of `KINDS` in sentences and areas, or why the region is not known."""
        question = asked.question
        if question.kind == COMPARE:
            one, two = (self._query(forest, asked, area(name)) for name in (question.what, question.other))
            for query in (one, two):
                if isinstance(query, str):
                    return query
            return compare(forest, *(query for query in (one, two) if not isinstance(query, str)))
        query = self._query(forest, asked, _place(question))
        if isinstance(query, str):
            return query
        if question.kind == MORE:
            reach = None if question.place is None or query.radius is None else query.radius / 3
            less = question.tense == "less"
            return where_more(forest, question.what, query, reach=reach, areas=areas, less=less)
        return describe(forest, query)

    def named(self, asked: Asked) -> Answer | None:
        """What it is like where records speak of the question's anchor; None when none does."""
        place = asked.question.place
        if place is None or asked.query.as_of not in (None, self._memory.watermark):
            return None
        forest = self._forest(asked)
        region = named_area(forest, place.anchor, self._bare(asked))
        return None if region is None else self._as_answer(forest, asked, describe(forest, region))

    def told(self, asked: Asked) -> Answer | None:
        """What it is like at the point that a question means, in the forest's words; None for the past."""
        point, radius = asked.point()
        if asked.query.as_of not in (None, self._memory.watermark):
            return None
        query = self._bare(asked) if point is None else replace(self._bare(asked), center=point, radius=radius)
        forest = self._forest(asked)
        return self._as_answer(forest, asked, describe(forest, query))

    def _stamp_of(self, seq: int) -> int:
        return self._memory.get(seq).observation.stamp_ns

    # --- from words to regions ---------------------------------------------------------------------------------

    def _forest(self, asked: Asked) -> ForestView:
        if asked.query.as_of not in (None, self._memory.watermark):
            raise BadInputError("Regions are described as memory stands now: leave as_of out.")
        return self._forests.of(self._memory)

    def _bare(self, asked: Asked) -> Query:
        """The question's filters, as memory stands."""
        return replace(asked.query, as_of=None)

    def _query(self, forest: ForestView, asked: Asked, place: Place | None) -> Query | str:
        """The records of a place, or why it is not known."""
        query = self._bare(asked)
        given = query.center is not None or query.box is not None or query.near_record is not None
        if place is None or (place is _GENERIC and (given or asked.robot is None)):
            return query
        if not place.anchor:
            point = asked.robot if place.point is None else np.array(place.point)
            if point is None:
                raise BadInputError("The question says 'here', but where the robot is was not given.")
            radius = place.radius or self._radius(forest, query, place.relation == "part")
            return replace(query, center=point, radius=radius)
        found = locate(self._memory.index, place.anchor, replace(asked.query, time=None)).things
        things = [thing for thing in found if thing.was_there >= PRESENT]
        if things:
            radius = place.radius or self._radius(forest, query, False)
            return replace(query, center=things[0].position, radius=radius)
        region = named_area(forest, place.anchor, query)
        if region is not None and place.radius:
            region = replace(region, radius=place.radius)
        return region or f"I do not know where {say.one(say.quote(place.anchor))} is"

    @staticmethod
    def _radius(forest: ForestView, query: Query, part: bool) -> float:
        with forest.lock:
            region = frame_and_leaves(forest, replace(query, time=None))
            if isinstance(region, str):
                return 1.0
            frame, leaves = region
            return neighbourhood(forest.trees[frame], leaves, *([_PART] if part else []))

    # --- from what is told to an answer ------------------------------------------------------------------------

    def _as_answer(self, forest: ForestView, asked: Asked, told: Described) -> Answer:
        if not told.found:
            return asked.nothing(f"I cannot tell{asked.where_words()}", told.reason, _SURE)
        evidence = self._evidence(asked, told.evidence[:_EVIDENCE])
        summary = told.areas[0].summary
        about = sum(part.summary.records for part in told.areas)
        made = "extractive" if summary.source == "extractive" else f"worded by {summary.source}"
        return Answer(
            kind=asked.question.kind, found=True, sentence=told.text, probability=_SURE,
            position=forest.in_map(summary.center, asked.query.map_id).copy(), extent=summary.high - summary.low,
            age_s=(asked.now - max(part.summary.last_seen for part in told.areas)) * 1e-9,
            frame_id=evidence[0].frame_id if evidence else "map", count=about,
            reason=f"Counted in what {about:,} records say ({made}).", evidence=tuple(evidence),
        )  # fmt: skip

    def _evidence(self, asked: Asked, seqs: Sequence[int]) -> list[Evidence]:
        query = replace(self._bare(asked), time=None, seqs=np.array(seqs, dtype=np.int64), k=max(len(seqs), 1))
        found = {hit.record.seq: hit for hit in asked.search(self._memory, query).hits}
        return [evidence_of(found[seq]) for seq in seqs if seq in found]


def _place(question: Question) -> Place | None:
    """Where a question is about. A "here" that is only implied ("what kind of place is this") is `_GENERIC`."""
    if question.kind in (MORE, DESCRIBE) or question.place is not None:
        return question.place
    if not question.what:
        return _GENERIC
    place = area(question.what)
    implied = place is not None and place.relation == "here" and question.what != "right here"
    return _GENERIC if implied else place
