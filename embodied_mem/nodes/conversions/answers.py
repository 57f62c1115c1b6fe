"""Search results and answers -> messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from embodied_mem_msgs.msg import Answer as AnswerMsg
from embodied_mem_msgs.msg import Evidence as EvidenceMsg
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions.basics import (
    extent,
    make_pose,
    ns_to_stamp,
    orientation_of,
    point,
    position_of,
)
from embodied_mem.recall.answer import Answer, Evidence
from embodied_mem.records.query import Hit, SearchResult

_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def fill_query_response(response: Any, result: SearchResult) -> None:
    """A Query response; the reason of a "not found" is its message."""
    response.found = result.found
    response.exact = result.exact
    response.message = result.reason
    response.hits = [evidence_of_hit(hit) for hit in result.hits]
    response.model = result.model
    response.watermark = result.watermark
    response.explanation = result.explanation


def evidence_of_hit(hit: Hit) -> EvidenceMsg:
    obs = hit.record.observation
    return EvidenceMsg(
        seq=hit.record.seq,
        stamp=ns_to_stamp(obs.stamp_ns),
        map_id=hit.map_id,
        frame_id=obs.frame_id,
        pose=make_pose(obs.position, obs.orientation),
        position=point(hit.position),
        score=hit.score,
        age=hit.age_s,
        caption=obs.caption,
        labels=list(obs.detections.labels),
    )


def answer_to_msg(answer: Answer, stamp_ns: int) -> AnswerMsg:
    """An answer given at `stamp_ns`. Without a place, the pose's frame_id stays empty."""
    message = AnswerMsg(
        kind=answer.kind,
        found=answer.found,
        sentence=answer.sentence,
        probability=float(answer.probability),
        age=float(answer.age_s),
        map_id=answer.map_id,
        count=answer.count,
        interpretation=answer.interpretation,
        reason=answer.reason,
        exact=answer.exact,
        evidence=[_evidence(item) for item in answer.evidence],
    )
    message.pose.header.stamp = ns_to_stamp(stamp_ns)
    if answer.position is not None:
        message.pose.header.frame_id = answer.frame_id
        turn = _UPRIGHT if answer.orientation is None else answer.orientation
        message.pose.pose = make_pose(answer.position, turn)
    if answer.extent is not None:
        message.extent = extent(answer.extent)
    return message


def robot_of(message: PoseStamped, frames: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Where the asker is: position (3,) and orientation (4,); None when it does not say. `frames`: those of a map."""
    if not message.header.frame_id:
        return None
    if message.header.frame_id not in frames:
        raise BadInputError(
            f"The robot's pose is in the frame {message.header.frame_id!r}, which is not a map's "
            f"(known: {', '.join(frames)}): transform it first, or leave its frame_id empty."
        )
    position, orientation = position_of(message.pose), orientation_of(message.pose)
    if not np.isfinite([*position, *orientation]).all():
        raise BadInputError("The robot's pose holds NaN or infinity: leave its frame_id empty when it is not known.")
    return position, orientation


def _evidence(item: Evidence) -> EvidenceMsg:
    return EvidenceMsg(
        seq=item.seq,
        stamp=ns_to_stamp(item.stamp_ns),
        map_id=item.map_id,
        frame_id=item.frame_id,
        pose=make_pose(item.sensor_position, item.sensor_orientation),
        position=point(item.position),
        score=float(item.score),
        age=float(item.age_s),
        caption=item.caption,
        labels=list(item.labels),
    )
