"""Answers from captions: for what no detector has a label for, and for robots whose perception only speaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied_mem.errors import UnavailableError
from embodied_mem.forest.bm25 import BM25
from embodied_mem.forest.retrieve import fuse
from embodied_mem.objects.labels import singular
from embodied_mem.recall import sentences as say
from embodied_mem.recall.answer import Answer
from embodied_mem.recall.asked import Asked, evidence_of
from embodied_mem.recall.patterns import DESCRIBE, HOW_MANY, SEARCH
from embodied_mem.records.query import Hit
from embodied_mem.records.view import RecordView

_EVIDENCE = 5  # records named
_POOL = 200  # captions closest in meaning, of which the one that shares most words is taken
_QUOTED = 3  # captions in one sentence
_LOOKED_AT = 100  # records, the newest, of which different captions are taken
_TRUSTED = 0.5
_WIDTH = 0.05  # of the logistic curve around the threshold
_CEILING = 0.9  # the meaning of a caption is never surer


class Captions:
    """Searches one memory's captions.

    threshold  cosine at which a caption is as likely to be the answer as not; semantic search is trusted by a logistic
               curve around it
    """

    def __init__(self, memory: RecordView, threshold: float) -> None:
        self._memory, self._threshold = memory, threshold

    def by_meaning(self, asked: Asked) -> Answer:
        """The caption that is closest in meaning and words, of those that are close enough in meaning."""
        q = asked.question
        what = singular(q.what) if q.kind == HOW_MANY else q.what
        words = " ".join(part for part in (what, q.place.anchor if q.place else "") if part)
        if not words:
            return self.told(asked)
        missing = _missing(asked, words)
        by_text = replace(asked.query, text=words, k=_POOL, min_score=-1.0)
        point, radius = asked.point()
        if point is not None:
            by_text = replace(by_text, center=point, radius=radius)
        try:
            result = asked.search(self._memory, by_text)
        except UnavailableError as error:
            return asked.nothing(missing, str(error), _CEILING)
        hits = [hit for hit in result.hits if self._trust(hit.score) >= _TRUSTED and not _detected_other(hit, words)]
        if not hits:
            best = f"; the closest caption scores {result.hits[0].score:.2f}" if result.hits else ""
            return asked.nothing(missing, result.reason or f"No caption is close enough to {words!r}{best}.", _CEILING)
        hits = _by_words_too(hits, words)[:_EVIDENCE]
        hit = hits[0]
        said = say.quote(hit.record.observation.caption)
        text = f"the best match for {words!r} is at {say.place(hit.position)}, {say.ago(hit.age_s)}: {said}"
        counting = " Captions cannot be counted." if q.kind == HOW_MANY else ""
        return Answer(
            kind=q.kind, found=True, sentence=say.sentence(text), probability=self._trust(hit.score),
            position=hit.position, age_s=hit.age_s, frame_id=hit.record.observation.frame_id,
            reason=f"Found by the meaning and words of captions, score {hit.score:.2f}.{counting}", exact=result.exact,
            evidence=tuple(evidence_of(hit) for hit in hits),
        )  # fmt: skip

    def told(self, asked: Asked) -> Answer:
        """What captions say of a place or a time: the newest different ones."""
        point, radius = asked.point()
        query = replace(asked.query, k=_LOOKED_AT)
        if point is not None:
            query = replace(query, center=point, radius=radius)
        hits = [hit for hit in asked.search(self._memory, query).hits if hit.record.observation.caption]
        if not hits:
            return asked.nothing(f"I know of nothing{asked.where_words()}", "Nothing was perceived there.", _CEILING)
        newest = list({hit.record.observation.caption: hit for hit in reversed(hits)}.values())[::-1]
        said = " ".join(say.quote(hit.record.observation.caption) for hit in newest[:_QUOTED])
        more = f" And {len(newest) - _QUOTED} more." if len(newest) > _QUOTED else ""
        return Answer(
            kind=asked.question.kind, found=True, sentence=f"I saw{asked.where_words()}: {said}{more}",
            probability=_CEILING, age_s=newest[0].age_s, frame_id=newest[0].record.observation.frame_id,
            reason="These captions were made there; no thing was detected.", count=len(newest),
            evidence=tuple(evidence_of(hit) for hit in newest[:_EVIDENCE]),
        )  # fmt: skip

    def _trust(self, score: float) -> float:
        return float(_CEILING / (1 + np.exp(-(score - self._threshold) / _WIDTH)))


def _by_words_too(hits: list[Hit], words: str) -> list[Hit]:
    """Hits, which are in the order of meaning, ranked by the words that they share with the question as well."""
    shared = BM25()
    for number, hit in enumerate(hits):
        shared.add(number, hit.record.observation.caption)
    # Of equal ones the higher number comes first in a fusion: numbers are turned round to keep the order of meaning.
    last = len(hits) - 1
    order, _ = fuse(np.arange(last, -1, -1), last - shared.rank(words, len(hits))[0])
    return [hits[last - number] for number in order.tolist()]


def _missing(asked: Asked, words: str) -> str:
    """What is said when no caption is close enough."""
    if asked.question.kind == SEARCH:
        return f"I do not understand {say.quote(repr(words))}, and no caption is like it; ask where, when or how many"
    if asked.question.kind == DESCRIBE:
        return f"I do not know where {say.one(say.quote(words))} is"
    return f"I have not seen {say.one(say.quote(words))}"


def _detected_other(hit: Hit, words: str) -> bool:
    """Whether the caption was made from detections: what those do not name was not seen, however alike the words."""
    labels = hit.record.observation.detections.labels
    return bool(labels) and not any(label in words for label in labels)
