"""Responses -> what `MemoryClient` returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from embodied_mem_msgs.msg import Answer as AnswerMsg
from embodied_mem_msgs.msg import Evidence as EvidenceMsg
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from numpy.typing import ArrayLike

from embodied_mem.nodes.conversions.basics import (
    make_pose,
    ns_to_stamp,
    orientation_of,
    position_of,
    stamp_to_ns,
    vector3,
)
from embodied_mem.nodes.results import QueryResult
from embodied_mem.recall.answer import Answer, Evidence


def evidence_of(message: EvidenceMsg) -> Evidence:
    return Evidence(
        seq=int(message.seq),
        stamp_ns=stamp_to_ns(message.stamp),
        map_id=message.map_id,
        frame_id=message.frame_id,
        sensor_position=position_of(message.pose),
        sensor_orientation=orientation_of(message.pose),
        position=np.array(vector3(message.position)),
        score=message.score,
        age_s=message.age,
        caption=message.caption,
        labels=tuple(message.labels),
    )


def query_result(response: Any) -> QueryResult:
    return QueryResult(
        hits=tuple(evidence_of(hit) for hit in response.hits),
        reason=response.message,
        exact=response.exact,
        explanation=response.explanation,
        model=response.model,
        watermark=int(response.watermark),
    )


def answer_of(message: AnswerMsg) -> Answer:
    placed = bool(message.pose.header.frame_id)
    size = np.array(vector3(message.extent))
    return Answer(
        kind=message.kind,
        found=message.found,
        sentence=message.sentence,
        probability=message.probability,
        position=position_of(message.pose.pose) if placed else None,
        orientation=orientation_of(message.pose.pose) if placed else None,
        extent=size if size.any() else None,
        age_s=message.age,
        map_id=message.map_id,
        frame_id=message.pose.header.frame_id or "map",
        count=message.count,
        interpretation=message.interpretation,
        reason=message.reason,
        exact=message.exact,
        evidence=tuple(evidence_of(item) for item in message.evidence),
    )


def path_msg(stamps_ns: ArrayLike, poses: ArrayLike) -> Path:
    """Stamps (n,) and poses (n, 7) x, y, z, qx, qy, qz, qw."""
    path = Path()
    rows = np.asarray(poses, dtype=np.float64).reshape(-1, 7)
    for stamp, row in zip(np.asarray(stamps_ns, dtype=np.int64).tolist(), rows, strict=True):
        item = PoseStamped(pose=make_pose(row[:3], row[3:]))
        item.header.stamp = ns_to_stamp(stamp)
        path.poses.append(item)
    return path
