"""Filter and Query requests <-> `records.query.Query`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from embodied_mem_msgs.msg import Filter as FilterMsg
from embodied_mem_msgs.srv import Query as QuerySrv

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions.basics import ns_to_stamp, numbers, point, stamp_to_ns, typed_array, vector3
from embodied_mem.records.query import Query, TimeRange
from embodied_mem.records.when import parse_when

StampOf = Callable[[int], int]


def query_from_request(request: Any, now_ns: int, stamp_of: StampOf) -> Query:
    """A Query request. `stamp_of` gives the stamp of a record's number, for times such as "before record 12".

    Raises BadInputError, and what `stamp_of` raises.
    """
    if np.isnan(request.min_score):
        raise BadInputError("min_score is NaN: it is a cosine between -1 and 1; 0 means the configured threshold.")
    return Query(
        text=request.text or None,
        vector=numbers(request.vector, "<f4") if len(request.vector) else None,
        vector_model=request.vector_model,
        k=int(request.k),
        min_score=float(request.min_score) or None,
        explain=request.explain,
        **_restrictions(request.filter, now_ns, stamp_of),
    )


def query_from_filter(msg: FilterMsg, now_ns: int, stamp_of: StampOf) -> Query:
    """A query that only restricts. Raises BadInputError, and what `stamp_of` raises."""
    return Query(**_restrictions(msg, now_ns, stamp_of))


def is_empty(msg: FilterMsg) -> bool:
    """Whether a filter restricts nothing but the map."""
    bare = FilterMsg(map_id=msg.map_id)
    return bool(msg == bare)


def request_from_query(query: Query, when: str = "") -> Any:
    """A Query request; `when` are words for a time, in place of `query.time`."""
    request = QuerySrv.Request(
        text=query.text or "",
        vector_model=query.vector_model,
        k=query.k,
        min_score=0.0 if query.min_score is None else float(query.min_score) or 1e-6,
        explain=query.explain,
        filter=filter_from_query(query, when),
    )
    if query.vector is not None:
        request.vector = typed_array("f", query.vector)
    return request


def filter_from_query(query: Query, when: str = "") -> FilterMsg:
    """The restrictions of a query; `when` are words for a time, in place of `query.time`."""
    msg = FilterMsg(
        when=when,
        labels=list(query.labels),
        robot_id=query.robot_id,
        session_id=query.session_id,
        map_id=query.map_id,
        as_of=query.as_of or 0,
        near_record=query.near_record or 0,
        radius=float(query.radius or 0.0),
    )
    if query.seqs is not None:
        msg.seqs = typed_array("Q", query.seqs)
    if query.box is not None:
        msg.use_box, msg.box_min, msg.box_max = True, point(query.box[0]), point(query.box[1])
    if query.center is not None:
        msg.center = point(query.center)
    if query.time is not None:
        msg.start = ns_to_stamp(query.time.start_ns or 0)
        msg.end = ns_to_stamp(query.time.end_ns or 0)
    if query.as_of_ns is not None:
        msg.as_of_time = ns_to_stamp(query.as_of_ns)
    return msg


def _restrictions(msg: FilterMsg, now_ns: int, stamp_of: StampOf) -> dict[str, Any]:
    if np.isnan(msg.radius) or msg.radius < 0:
        raise BadInputError(f"The filter's radius must be above 0 m, or 0 for none; it is {msg.radius}.")
    near = int(msg.near_record) or None
    around = msg.radius > 0 and near is None
    as_of_ns = stamp_to_ns(msg.as_of_time)
    return {
        "seqs": numbers(msg.seqs, "<u8").astype(np.int64) if len(msg.seqs) else None,
        "box": (np.array(vector3(msg.box_min)), np.array(vector3(msg.box_max))) if msg.use_box else None,
        "center": np.array(vector3(msg.center)) if around else None,
        "radius": msg.radius or None,
        "near_record": near,
        "time": _time(msg, now_ns, stamp_of),
        "labels": tuple(msg.labels),
        "robot_id": msg.robot_id,
        "session_id": msg.session_id,
        "map_id": msg.map_id,
        "as_of": int(msg.as_of) or None,
        "as_of_ns": as_of_ns or None,
    }


def _time(msg: FilterMsg, now_ns: int, stamp_of: StampOf) -> TimeRange | None:
    start, end = stamp_to_ns(msg.start) or None, stamp_to_ns(msg.end) or None
    if not msg.when:
        return TimeRange(start, end) if start is not None or end is not None else None
    if start is not None or end is not None:
        raise BadInputError("The filter gives a time both in words (`when`) and as stamps: leave one out.")
    return parse_when(msg.when, now_ns, stamp_of)
