"""Places, edges and routes -> messages; requests about them -> goals."""

from __future__ import annotations

from typing import Any

import numpy as np
from embodied_mem_msgs.msg import Edge as EdgeMsg
from embodied_mem_msgs.msg import Place as PlaceMsg
from embodied_mem_msgs.msg import Route as RouteMsg
from embodied_mem_msgs.msg import TopologyGraph
from embodied_mem_msgs.srv import PlanRoute
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from numpy.typing import NDArray
from std_msgs.msg import Header

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions.basics import make_pose, ns_to_stamp, point, typed_array, vector3
from embodied_mem.topology.free_paths import FreePath
from embodied_mem.topology.graph import FOR_EVER, OPEN, Edge, Place, PlaceGraph
from embodied_mem.topology.routes import Route, ToLandmark, ToPosition, orientations_along
from embodied_mem.topology.view import ToRecord
from embodied_mem.topology.words import in_words

_MOST_RECORDS = 10  # told of a place
_CHOICES = {
    PlanRoute.Request.NEAREST: "nearest", PlanRoute.Request.MOST_RECENT: "recent", PlanRoute.Request.MOST_SEEN: "often",
}  # fmt: skip


def goal_of(request: Any, map_id: str) -> int | ToPosition | ToLandmark | ToRecord:
    """The goal of a PlanRoute request. Raises BadInputError unless it names exactly one."""
    named = {
        "goal_place": request.goal_place >= 0, "goal_record": request.goal_record > 0,
        "goal_landmark": bool(request.goal_landmark.strip()), "goal_position": request.use_goal_position,
    }  # fmt: skip
    chosen = one_of(named)
    if chosen == "goal_place":
        return int(request.goal_place)
    if chosen == "goal_record":
        return ToRecord(int(request.goal_record))
    if chosen == "goal_position":
        position = position_if(True, request.goal_position, "goal_position")
        assert position is not None
        return ToPosition(position, map_id)
    if request.choice not in _CHOICES:
        raise BadInputError(f"PlanRoute's choice is {request.choice}: NEAREST (0), MOST_RECENT (1) or MOST_SEEN (2).")
    return ToLandmark(request.goal_landmark, _CHOICES[request.choice])  # type: ignore[arg-type]


def one_of(named: dict[str, bool]) -> str:
    """The one name that is set. Raises BadInputError when none is, or several."""
    chosen = [name for name, is_set in named.items() if is_set]
    if len(chosen) != 1:
        raise BadInputError(
            f"Set exactly one of {', '.join(named)}; {'none is' if not chosen else ' and '.join(chosen) + ' are'} set."
        )
    return chosen[0]


def route_msg(
    graph: PlaceGraph, route: Route | None, frame: str, stamp_ns: int, path: FreePath | None = None
) -> RouteMsg:
    """A route, and what to do on it in words. `path`: as it is driven; else straight from place to place."""
    line = path.points if path is not None else route.points if route is not None else np.zeros((0, 3))
    message = RouteMsg(path=Path(header=Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame)))
    message.path.poses = [
        PoseStamped(header=message.path.header, pose=make_pose(position, turn))
        for position, turn in zip(line, orientations_along(line)[: len(line)], strict=True)
    ]
    message.length = path.length if path is not None else route.length if route is not None else 0.0
    if route is not None:
        message.places, message.instructions = typed_array("q", route.places), in_words(graph, route)
    return message


def place_msg(place: Place, score: float = 0.0) -> PlaceMsg:
    seen = sorted(place.landmarks, key=lambda landmark: -landmark.count)
    return PlaceMsg(
        id=place.id,
        position=point(place.position),
        visits=place.visits,
        observed=place.observed,
        last_seen=ns_to_stamp(place.last_seen_ns),
        landmarks=[landmark.name for landmark in seen],
        bearings=typed_array("f", [landmark.bearing for landmark in seen]),
        sightings=[landmark.count for landmark in seen],
        records=typed_array("Q", place.records[-_MOST_RECORDS:]),
        score=score,
    )


def edge_msg(edge: Edge, now_ns: int) -> EdgeMsg:
    blocked = edge.blocked_until_ns > now_ns
    ends = blocked and edge.blocked_until_ns not in (FOR_EVER, OPEN)
    return EdgeMsg(
        tail=edge.tail,
        head=edge.head,
        length=edge.length,
        traversals=edge.traversals,
        last_used=ns_to_stamp(edge.last_used_ns),
        blocked=blocked,
        blocked_until=ns_to_stamp(edge.blocked_until_ns if ends else 0),
    )


def graph_msg(graph: PlaceGraph, map_id: str, watermark: int, frame: str, stamp_ns: int) -> TopologyGraph:
    """The places of one map and the edges between them."""
    places = graph.in_map(map_id)
    inside = np.zeros(len(graph), dtype=bool)
    inside[places] = True
    rows = graph.edge_rows()
    rows = rows[inside[graph.tails.data[rows]] & inside[graph.heads.data[rows]]]
    ends = zip(graph.tails.data[rows].tolist(), graph.heads.data[rows].tolist(), strict=True)
    return TopologyGraph(
        header=Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame),
        map_id=map_id,
        places=[place_msg(graph.place(int(place))) for place in places],
        edges=[edge_msg(graph.edge(tail, head), stamp_ns) for tail, head in ends],
        watermark=watermark,
    )


def position_if(use: bool, field: Any, name: str) -> NDArray[np.float64] | None:
    """A point of a request, None when it is not used. Raises BadInputError for one that is not finite."""
    if not use:
        return None
    position = np.array(vector3(field))
    if not np.isfinite(position).all():
        raise BadInputError(f"{name} holds NaN or infinity.")
    return position
