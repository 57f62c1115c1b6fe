"""A question on its way to its answer: what it is asked against, and what all answers have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.objects.things import Thing
from embodied_mem.recall import sentences as say
from embodied_mem.recall.answer import Answer, Evidence
from embodied_mem.recall.grammar import Question
from embodied_mem.recall.surroundings import NEAR
from embodied_mem.records.query import Hit, Query, SearchResult
from embodied_mem.records.view import RecordView

FloatArray = NDArray[np.float64]
_HERE = 3.0  # metres: "here" without a radius


class Asked:
    """A question with what it is asked against. `robot` (3,) metres: where "here" is; now: ns.

    Raises BadInputError for a position that is none.
    """

    def __init__(self, question: Question, query: Query, now: int, robot: FloatArray | None = None) -> None:
        self.question, self.query, self.now = question, query, now
        self.anchors: list[Thing] | None = None  # once they are known
        self.robot = None if robot is None else np.asarray(robot, dtype=np.float64)
        if self.robot is not None and (self.robot.shape != (3,) or not np.isfinite(self.robot).all()):
            raise BadInputError("The robot's position must be 3 finite numbers; leave it out when it is not known.")

    @property
    def past(self) -> bool:
        """Whether it is about another time than now."""
        return self.query.time is not None

    def point(self) -> tuple[FloatArray | None, float]:
        """The point (3,) that a place means without an anchor, and the radius around it; None without such a place."""
        place = self.question.place
        if place is None or place.anchor:
            return None, 0.0
        if place.point is not None:
            return np.array(place.point), place.radius or NEAR
        if self.robot is None:
            raise BadInputError("The question says 'here', but where the robot is was not given.")
        return self.robot, place.radius or _HERE

    def where_words(self) -> str:
        """ " near the sofa", " here", or nothing."""
        place = self.question.place
        if place is None:
            return ""
        reach = f"within {place.radius:g} m of" if place.radius else place.relation
        if place.relation == "here":
            return " here"
        return f" {reach} {say.the(place.anchor) if place.anchor else say.place(np.array(place.point))}"

    def search(self, memory: RecordView, query: Query) -> SearchResult:
        """The result of a search, with ages that count from when the question is asked."""
        result = memory.query(query)
        aged = [replace(hit, age_s=(self.now - hit.record.last_seen_ns) * 1e-9) for hit in result.hits]
        return replace(result, hits=aged)

    def nothing(self, text: str, reason: str, probability: float) -> Answer:
        """Not found, and why."""
        reason = reason if reason.startswith("Not found") else f"Not found: {reason[:1].lower()}{reason[1:]}"
        return Answer(self.question.kind, False, say.sentence(text), probability, reason=reason)


def evidence_of(hit: Hit, position: FloatArray | None = None, score: float | None = None) -> Evidence:
    """A record as evidence; `position` (3,) and `score` of the thing that it shows, where it shows one."""
    obs = hit.record.observation
    return Evidence(
        seq=hit.record.seq, stamp_ns=obs.stamp_ns, map_id=hit.map_id, frame_id=obs.frame_id,
        sensor_position=obs.position, sensor_orientation=obs.orientation,
        position=hit.position if position is None else position,
        score=hit.score if score is None else score, age_s=hit.age_s, caption=obs.caption,
        labels=tuple(dict.fromkeys(obs.detections.labels)),
    )  # fmt: skip
