"""Where to go to see a thing: from a target in memory's words to a pose that a robot can reach, and the way there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError, UnreachableError
from embodied_mem.octree.view import OccupancyView
from embodied_mem.recall.objects import Finder, Objects
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView
from embodied_mem.topology.free_paths import FreePath, through_free_space
from embodied_mem.topology.goal_near import Entrance, FreeSpace, GoalNear, NearPose, NearSettings, Target, entrances
from embodied_mem.topology.routes import Route, ToPosition
from embodied_mem.topology.view import TopologyView

FloatArray = NDArray[np.float64]
_MOST_EVIDENCE = 5
_BATCH = 1000  # entries read at once
_FAR = 25.0  # metres from the nearest place, from where nobody knows a way


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """A target, why it is there, and the records that say so."""

    target: Target
    why: str
    records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Going:
    """A pose near the target, and the way to the place from which it is reached (None: it is reached directly).

    path  from the start over the route's places to the pose, along free space
    """

    pose: NearPose
    route: Route | None
    path: FreePath

    @property
    def why(self) -> str:
        """What speaks for the pose."""
        return (
            f"From {self.pose.distance:.1f} m away {100 * self.pose.seen:.0f} % of it is in view, with "
            f"{self.pose.clearance:.2f} m of room, {self.pose.way:.1f} m to go."
        )


def explored(memory: RecordMemory) -> tuple[OccupancyView, TopologyView]:
    """The maps and the places of a memory, made now from its log: some seconds for an hour's clouds."""
    space, places = OccupancyView(memory.index), TopologyView(memory.index, clock=memory.clock)
    first = 1
    while entries := memory.entries(first, _BATCH):
        space.apply(entries)
        places.apply(entries)
        first = entries[-1].seq + 1
    space.catch_up(lambda first, limit: memory.entries(first, limit, blobs=True))
    return space, places


def thing(view: RecordView, label: str, map_id: str, objects: Objects | None = None) -> Sought:
    """Where memory believes that a thing is. Raises NotFoundError with what is known instead.

    objects: where the view of things is kept; without one, the thing is gathered from detections
    """
    found = Finder(view, objects).locate(label, Query(map_id=map_id))
    if not found.labels:
        raise NotFoundError(f"Nothing called {label!r} was ever detected.")
    if not found.here:
        gone = found.gone
        raise NotFoundError(
            f"No {label} is believed to be there now: "
            + (f"the last one was gone from ({_xy(gone[0].position)})." if gone else "what was detected is too little.")
        )
    best = found.here[0]
    why = f"The {label} is believed to be at ({_xy(best.position)}) with probability {best.present:.2f}."
    return Sought(Target.at(best.position, best.extent), why, best.evidence[:_MOST_EVIDENCE])


def shown(view: RecordView, record: int, map_id: str) -> Sought:
    """What a record shows: its surest detection, else where it was made. Raises NotFoundError, BadInputError."""
    obs = view.get(record).observation
    if obs.map_id != map_id:
        raise BadInputError(f"Record {record} is of the map {obs.map_id!r}, not of {map_id!r}.")
    if not len(obs.detections):
        return Sought(Target.at(obs.position), f"Record {record} was made there.", (record,))
    i = int(np.argmax(obs.detections.scores))
    box = Target.at(obs.detections.centers[i], obs.detections.sizes[i], float(obs.detections.yaws[i]))
    return Sought(box, f"Record {record} shows a {obs.detections.labels[i]} there.", (record,))


def standing(view: RecordView, map_id: str) -> FloatArray:
    """(3,) where the newest record of a map was made. Raises NotFoundError."""
    hits = view.query(Query(map_id=map_id, k=1)).hits
    if not hits:
        raise NotFoundError(f"There is no record of the map {map_id!r} yet, so nobody knows where the robot is.")
    return np.array(hits[0].record.observation.position)


def require_known(places: TopologyView, start: FloatArray, map_id: str) -> None:
    """Raise UnreachableError when a start (3,) is so far from every known place that no way from it is known."""
    graph = places.graph
    mine = graph.in_map(map_id)
    if not len(mine):
        return
    gap = float(np.linalg.norm(graph.positions.data[mine] - start, axis=1).min())
    if gap > _FAR:
        raise UnreachableError(f"The start is {gap:,.0f} m from the nearest place that is known.", "unknown_start")


def go_to(
    space: FreeSpace, places: TopologyView, sought: Sought, start: FloatArray, settings: NearSettings, *,
    map_id: str, floor: float = 0.0,
) -> Going:  # fmt: skip
    """The best pose for seeing what is sought, for a robot at start (3,). Raises UnreachableError with the reason."""
    router = places.router
    graph = router.graph
    mine = graph.in_map(map_id)
    doors = [Entrance(start)]
    if len(mine):
        require_known(places, start, map_id)
        ways = router.distances(ToPosition(start, map_id))[mine]
        doors += entrances(graph.positions.data[mine], ways, sought.target)
    pose = GoalNear(space, settings).find(sought.target, doors, floor=floor)
    route = None
    if len(mine):
        with suppress(UnreachableError):  # then it is reached through free space alone
            route = router.route(ToPosition(start, map_id), ToPosition(pose.position, map_id))
    between = np.zeros((0, 3)) if route is None else route.points
    path = through_free_space(
        space, np.vstack([start, between, pose.position]), z_min=floor + settings.step, z_max=floor + settings.height,
        radius=settings.radius,
    )  # fmt: skip
    return Going(pose, route, path)


def path_of(
    space: FreeSpace | None, route: Route, *, z_min: float, z_max: float, radius: float
) -> tuple[FreePath, str]:
    """The path of a route along what is free between two heights, and a sentence about what of it is not known to be.

    space: None where nobody has looked; then places are joined by straight lines.
    """
    if space is None:
        return FreePath(
            route.points, np.zeros(max(len(route) - 1, 0), dtype=bool)
        ), " Nobody has looked for free space."
    path = through_free_space(space, route.points, z_min=z_min, z_max=z_max, radius=radius)
    unknown = int((~path.free).sum())
    if not unknown:
        return path, ""
    return path, f" {unknown} of its {len(path.free)} lines are not known to be free."


def _xy(center: FloatArray) -> str:
    return ", ".join(f"{value:.1f}" for value in center[:2])
