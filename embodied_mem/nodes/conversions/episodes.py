"""RecallEpisode: requests -> questions, answers -> responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions.answers import evidence_of_hit
from embodied_mem.nodes.conversions.basics import stamp_to_ns
from embodied_mem.nodes.conversions.places import position_if
from embodied_mem.recall.episodes import EpisodeAnswer, EpisodeQuestion
from embodied_mem.records.when import parse_when


def asked_of(request: Any, now_ns: int, stamp_of: Callable[[int], int]) -> EpisodeQuestion:
    """The question of a request. Raises BadInputError, and for words about time what `parse_when` raises."""
    start, end = stamp_to_ns(request.start) or None, stamp_to_ns(request.end) or None
    if request.when.strip():
        if start is not None or end is not None:
            raise BadInputError("Give either words (when) or an absolute time (start, end), not both.")
        time = parse_when(request.when, now_ns, stamp_of)
        start, end = time.start_ns, time.end_ns
    return EpisodeQuestion(
        kind=int(request.kind), now_ns=now_ns, map_id=request.map_id,
        position=position_if(request.use_position, request.position, "position"), place=int(request.place),
        visits_ago=int(request.visits_ago), start_ns=start, end_ns=end, record=int(request.record),
        steps=int(request.steps), things=tuple(request.things), k=int(request.k),
    )  # fmt: skip


def fill_recalled(response: Any, answer: EpisodeAnswer) -> None:
    """All of a response but the frame and the watermark."""
    response.found, response.reason, response.sentence = answer.found, answer.reason, answer.sentence
    response.probability, response.count, response.place = answer.probability, answer.count, answer.place
    response.evidence = [evidence_of_hit(hit) for hit in answer.hits]
    response.weights, response.surprise = list(answer.weights), list(answer.surprise)
    response.retained, response.seen, response.map_id = answer.retained, answer.seen, answer.map_id
