"""The services of the spatial node about ways: to a goal, to a pose near a thing, as a person describes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from embodied_mem_msgs.srv import FollowInstruction, GoalNear, PlanRoute
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError, UnreachableError
from embodied_mem.geometry import yaw_of
from embodied_mem.instructions.guide import Guidance, guide, understood
from embodied_mem.instructions.problem import Lengths
from embodied_mem.nodes.conversions import places
from embodied_mem.nodes.conversions.basics import make_pose, ns_to_stamp, point
from embodied_mem.nodes.spatial_requests import evidence_of, start_of, view_of
from embodied_mem.recall import going
from embodied_mem.recall.objects import Objects
from embodied_mem.records.query import Query
from embodied_mem.topology.free_paths import FreePath
from embodied_mem.topology.goal_near import NearSettings, Target
from embodied_mem.topology.routes import Route, ToLandmark, ToPosition, along
from embodied_mem.topology.view import ToRecord

if TYPE_CHECKING:
    from embodied_mem.nodes.spatial_node import SpatialNode
    from embodied_mem.nodes.spatial_view import SpatialView
    from embodied_mem.octree.tree import Octree

_MOST_ROUTES = 10
_MOST_DRIVEN = 1000
_EVIDENCE = 3  # newest records of the place where a way ends


class RouteServices:
    """What there is no way to is an answer (`found` is false, with the reason), and no error."""

    def __init__(self, node: SpatialNode) -> None:
        self._node, self._objects = node, Objects()
        node.serve(PlanRoute, "plan_route", self._plan_route)
        node.serve(GoalNear, "goal_near", self._goal_near)
        node.serve(FollowInstruction, "follow_instruction", self._follow_instruction)

    async def _plan_route(self, request: Any, response: Any) -> None:
        view, map_id = await view_of(self._node, request, response)
        goal = places.goal_of(request, map_id)
        if not 1 <= request.routes <= _MOST_ROUTES:
            raise BadInputError(f"{request.routes} routes were asked for: between 1 and {_MOST_ROUTES} can be had.")
        start = ToPosition(start_of(view, request, map_id), map_id)
        space = _space(view, map_id)

        def find() -> tuple[list[Route], list[tuple[FreePath, str]]]:
            going.require_known(view.places, start.position, map_id)
            routes = _routes(view, start, goal, request.routes)
            return routes, [self._path(space, route) for route in routes]

        try:
            routes, paths = await self._node.thought(find)
        except UnreachableError as error:
            response.found, response.reason = False, str(error)
            return
        graph, stamp = view.places.graph, self._node.now_ns()
        response.found, response.reason = True, _why(routes[0], goal) + paths[0][1]
        response.routes = [
            places.route_msg(graph, route, self._node.frame, stamp, path)
            for route, (path, _) in zip(routes, paths, strict=True)
        ]
        response.evidence = evidence_of(view, map_id, _records_of(view, routes[0], goal))

    async def _goal_near(self, request: Any, response: Any) -> None:
        view, map_id = await view_of(self._node, request, response)
        sizes = (
            request.floor, request.robot_radius, request.robot_height, request.sensor_height, request.min_distance,
            request.max_distance,
        )  # fmt: skip
        if not np.isfinite(sizes).all() or not 0 <= request.min_distance < request.max_distance <= 30:
            raise BadInputError(
                "floor, sizes and distances must be finite, and 0 <= min_distance < max_distance <= 30 m; they are "
                f"{', '.join(f'{size:g}' for size in sizes)}."
            )
        settings = NearSettings(
            radius=request.robot_radius, height=request.robot_height, eye=request.sensor_height,
            nearest=request.min_distance, farthest=request.max_distance,
            best=float(np.clip(1.0, request.min_distance, request.max_distance)),
        )  # fmt: skip
        chosen = places.one_of(
            {"label": bool(request.label.strip()), "record": request.record > 0, "position": request.use_position}
        )
        start = start_of(view, request, map_id)
        space = view.occupancy.map(map_id)
        position = places.position_if(request.use_position, request.position, "position")

        def find() -> tuple[going.Sought, going.Going]:
            if chosen == "label":
                sought = going.thing(view, request.label.strip().lower(), map_id, self._objects)
            elif position is not None:
                sought = going.Sought(Target.at(position), "It is the point that was given.")
            else:
                sought = going.shown(view, int(request.record), map_id)
            return sought, going.go_to(space, view.places, sought, start, settings, map_id=map_id, floor=request.floor)

        try:
            sought, found = await self._node.thought(find)
        except UnreachableError as error:
            response.found, response.reason = False, str(error)
            return
        self._fill_goal(view, map_id, response, sought, found)

    async def _follow_instruction(self, request: Any, response: Any) -> None:
        view, map_id = await view_of(self._node, request, response)
        instruction, response.understood = understood(request.text)
        longest = request.max_places
        if not request.min_places <= longest <= _MOST_DRIVEN or longest < 1 or len(request.driven) > _MOST_DRIVEN:
            raise BadInputError(
                f"min_places <= max_places, from 1 to {_MOST_DRIVEN}, and as many points driven at most are wanted."
            )
        driven = np.array([[p.x, p.y, p.z] for p in request.driven]).reshape(-1, 3)
        robot = _pose(view, map_id) if not len(driven) or not request.use_heading else None
        driven = driven if len(driven) or robot is None else robot[0][None]
        heading = request.heading if request.use_heading or robot is None else robot[1]

        space, graph = _space(view, map_id), view.places.graph

        def find() -> tuple[Guidance, Route, tuple[FreePath, str]]:
            found = guide(
                graph, map_id, instruction, driven, heading, now_ns=self._node.now_ns(),
                lengths=Lengths(request.min_places, longest), least_sure=request.least_sure,
            )  # fmt: skip
            route = along(graph, found.places)
            return found, route, self._path(space, route)

        try:
            found, route, (path, unknown) = await self._node.thought(find)
        except UnreachableError as error:
            response.found, response.reason = False, str(error)
            return
        response.found, response.reason, response.confidence = True, found.why + unknown, found.confidence
        response.route = places.route_msg(graph, route, self._node.frame, self._node.now_ns(), path)
        records = graph.place(int(found.places[-1])).records[-_EVIDENCE:]
        response.evidence = evidence_of(view, map_id, records.tolist())

    # --- inside ------------------------------------------------------------------------------------------------

    def _path(self, space: Octree | None, route: Route) -> tuple[FreePath, str]:
        p = self._node.parameters
        return going.path_of(space, route, z_min=p.grid_min_z, z_max=p.grid_max_z, radius=p.robot_radius)

    def _fill_goal(
        self, view: SpatialView, map_id: str, response: Any, sought: going.Sought, found: going.Going
    ) -> None:
        pose, stamp = found.pose, self._node.now_ns()
        response.found = True
        response.reason = f"{sought.why} {found.why}"
        for message in (response.goal, response.target):
            message.header.stamp, message.header.frame_id = ns_to_stamp(stamp), self._node.frame
        response.goal.pose = make_pose(pose.position, pose.orientation)
        response.target.point = point(sought.target.center)
        response.route = places.route_msg(view.places.graph, found.route, self._node.frame, stamp, found.path)
        response.evidence = evidence_of(view, map_id, sought.records)


def _routes(view: SpatialView, start: ToPosition, goal: Any, count: int) -> list[Route]:
    if count == 1 or isinstance(goal, ToLandmark | ToRecord):
        first = view.places.route(start, goal)
        if count == 1:
            return [first]
        goal = int(first.places[-1])
        others = view.places.router.alternatives(start, goal, count)
        return [replace(route, landmark=first.landmark, after=first.after) for route in others]
    return view.places.router.alternatives(start, goal, count)


def _space(view: SpatialView, map_id: str) -> Octree | None:
    """The map of free space, None where there is none yet."""
    try:
        return view.occupancy.map(map_id)
    except NotFoundError:
        return None


def _why(route: Route, goal: Any) -> str:
    if isinstance(goal, ToLandmark):
        choices = {"nearest": "the nearest", "recent": "the one seen last", "often": "the one seen most often"}
        return f"It leads to the place from which {route.landmark!r} was seen, {choices[goal.choice]} by way."
    if route.after > 0.01:
        return f"It leads to the known place nearest to the goal, {route.after:.1f} m from it."
    return "It leads to the place that was asked for."


def _records_of(view: SpatialView, route: Route, goal: Any) -> list[int]:
    """The records that the goal rests on, newest last."""
    if isinstance(goal, ToRecord):
        return [goal.record]
    place = view.places.graph.place(int(route.places[-1]))
    if isinstance(goal, ToLandmark):
        return [landmark.record for landmark in place.landmarks if landmark.name == route.landmark and landmark.record]
    return [int(seq) for seq in place.records[-_EVIDENCE:]]


def _pose(view: SpatialView, map_id: str) -> tuple[NDArray[np.float64], float]:
    """(3,) where the newest record was made, and where the robot looked, radians. Raises NotFoundError."""
    position = going.standing(view, map_id)
    turn = view.query(Query(map_id=map_id, k=1)).hits[0].record.observation.orientation
    return position, float(yaw_of(turn))
