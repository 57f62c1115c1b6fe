"""Routes between places: to a place, a position, or a landmark by its name; and alternatives to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, NotFoundError, UnreachableError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.topology.alternatives import alternatives, k_shortest
from embodied_mem.topology.arrays import FloatArray, IntArray, points
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.snapshot import Snapshot

Choice = Literal["nearest", "recent", "often"]


@dataclass(frozen=True, slots=True)
class ToLandmark:
    """A landmark by its name, at the place that is nearest by way, or saw it most recently, or most often."""

    name: str
    choice: Choice = "nearest"


@dataclass(frozen=True, slots=True, eq=False)
class ToPosition:
    """A point (3,) metres of a map (None: the only one there is): the route leads to the place nearest to it."""

    position: FloatArray
    map_id: str | None = None


Goal: TypeAlias = "int | ToPosition | ToLandmark"


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """places (k,) from start to goal; lengths, headings (k - 1,) of the edges between: metres, radians.

    points (k, 3)     where the places are, in the map `map_id`
    before, after     metres from the start to the first place, and from the last place to the goal, as the crow flies
    landmark          the name that was the goal, or ""
    """

    places: IntArray
    lengths: FloatArray
    headings: FloatArray
    points: FloatArray
    map_id: str
    before: float = 0.0
    after: float = 0.0
    landmark: str = ""

    @property
    def length(self) -> float:
        """Metres along the edges."""
        return float(self.lengths.sum())

    def __len__(self) -> int:
        return len(self.places)

    @property
    def orientations(self) -> FloatArray:
        """(k, 4) quaternions x, y, z, w: at each place toward the next, at the last as on the way to it."""
        return orientations_along(self.points)


def orientations_along(line: FloatArray) -> FloatArray:
    """(k, 4) quaternions x, y, z, w for points (k, 3): at each toward the next, at the last as on the way to it."""
    steps = np.diff(line[:, :2], axis=0)
    yaws = np.arctan2(steps[:, 1], steps[:, 0])
    return quaternion_from_yaw(np.append(yaws, yaws[-1:]) if len(yaws) else np.zeros(1))


def along(graph: PlaceGraph, places: ArrayLike) -> Route:
    """The route over these places (k,) of one map, k >= 1. Two that no edge joins are joined by a straight line.

    Raises NotFoundError for places that there are not, BadInputError for none.
    """
    nodes = np.atleast_1d(np.asarray(places, dtype=np.int64))
    if not len(nodes):
        raise BadInputError("A route leads over at least one place.")
    if nodes.min() < 0 or nodes.max() >= len(graph):
        raise NotFoundError(f"There is no place {nodes.min()} or {nodes.max()}: the last one is {len(graph) - 1}.")
    where = graph.positions.data[nodes]
    steps = np.diff(where, axis=0)
    lengths, headings = np.linalg.norm(steps, axis=1), np.arctan2(steps[:, 1], steps[:, 0])
    for i, (tail, head) in enumerate(zip(nodes[:-1].tolist(), nodes[1:].tolist(), strict=True)):
        if graph.network.has_edge(tail, head):
            edge = graph.edge(tail, head)
            lengths[i], headings[i] = edge.length, edge.heading
    return Route(nodes, lengths, headings, where, graph.maps[int(graph.map_codes.data[nodes[0]])])


@dataclass(eq=False)
class Router:
    """Plans on a snapshot of a graph, taken anew when the graph has changed. Safe for many threads beside one writer.

    clock  () -> ns, ROS time: which blocks still stand
    """

    graph: PlaceGraph
    clock: Callable[[], int] = time.time_ns
    _snapshot: Snapshot | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def snapshot(self) -> Snapshot:
        """The graph as it is now."""
        with self._lock:
            if self._snapshot is None or self._snapshot.version != self.graph.version:
                self._snapshot = Snapshot.of(self.graph)
            return self._snapshot

    def route(self, start: int | ToPosition, goal: Goal, *, now_ns: int | None = None) -> Route:
        """The shortest route that no block closes.

        Raises UnreachableError with the reason, NotFoundError for unknown places and names, UnknownMapError.
        """
        snapshot, now = self.snapshot, self._now(now_ns)
        source, before = self._place(snapshot, start)
        if isinstance(goal, ToLandmark):
            return self._to_landmark(snapshot, source, before, goal, now)
        target, after = self._place(snapshot, goal)
        self._check_maps(snapshot, source, target)
        cost, arcs = snapshot.between(source, target, now)
        if not np.isfinite(cost):
            raise self._unreachable(snapshot, source, target, now)
        return self._made(snapshot, source, arcs, before=before, after=after)

    def alternatives(
        self, start: int | ToPosition, goal: int | ToPosition, k: int = 3, *, now_ns: int | None = None,
        exact: bool = False,
    ) -> list[Route]:  # fmt: skip
        """Up to k routes, the shortest first: ones that share little, or (`exact`) the k shortest (alternatives.py).

        Raises as `route` does.
        """
        if k < 1:
            raise BadInputError(f"At least one route must be asked for, not {k}.")
        shortest = self.route(start, goal, now_ns=now_ns)
        snapshot, now = self.snapshot, self._now(now_ns)
        source, target = int(shortest.places[0]), int(shortest.places[-1])
        ways = (k_shortest if exact else alternatives)(snapshot, source, target, k, now)
        return [self._made(snapshot, source, arcs, before=shortest.before, after=shortest.after) for _, arcs in ways]

    def distances(self, start: int | ToPosition, *, now_ns: int | None = None, limit: float = np.inf) -> FloatArray:
        """(places,) metres from a place to every other; infinite beyond `limit`, or where there is no way."""
        snapshot = self.snapshot
        return snapshot.distances(self._place(snapshot, start)[0], self._now(now_ns), limit)

    def nearest_place(self, position: FloatArray, map_id: str | None = None) -> int:
        """The place nearest to (3,) metres as the crow flies."""
        return self._place(self.snapshot, ToPosition(position, map_id))[0]

    # --- inside ------------------------------------------------------------------------------------------------

    def _now(self, now_ns: int | None) -> int:
        return self.clock() if now_ns is None else now_ns

    def _place(self, snapshot: Snapshot, where: int | ToPosition) -> tuple[int, float]:
        """A place, and how far it is from where it was looked for."""
        if isinstance(where, ToPosition):
            found, far = snapshot.nearest(points(where.position, "position")[0], where.map_id)
            return int(found[0]), float(far[0])
        if isinstance(where, bool) or not isinstance(where, int | np.integer):
            raise BadInputError(f"A route's ends are places, positions or landmarks, not {where!r}.")
        if not 0 <= where < len(snapshot):
            raise NotFoundError(f"There is no place {where}: places are numbered from 0 to {len(snapshot) - 1}.")
        return int(where), 0.0

    def _to_landmark(self, snapshot: Snapshot, source: int, before: float, goal: ToLandmark, now: int) -> Route:
        table = self.graph.landmarks
        rows = table.rows_named(goal.name)
        place = table.place.data[rows].astype(np.int64)
        rows = rows[snapshot.map_codes[place] == snapshot.map_codes[source]]
        if not len(rows):
            here = snapshot.maps[snapshot.map_codes[source]]
            raise UnreachableError(f"{goal.name!r} was only seen in other maps than {here!r}.", "other_map")
        place = table.place.data[rows].astype(np.int64)
        names = [table.names[int(code)] for code in table.name.data[rows]]
        if goal.choice == "nearest":
            cost, chosen, arcs = snapshot.to_any(source, place, now)
        elif goal.choice in ("recent", "often"):
            worth = table.last_seen.data[rows] if goal.choice == "recent" else table.count.data[rows]
            chosen = int(np.lexsort((place, -worth))[0])
            cost, arcs = snapshot.between(source, int(place[chosen]), now)
        else:
            raise BadInputError(f"A landmark is chosen by 'nearest', 'recent' or 'often', not {goal.choice!r}.")
        if not np.isfinite(cost):
            raise self._unreachable(snapshot, source, int(place[max(chosen, 0)]), now)
        return self._made(snapshot, source, arcs, before=before, landmark=names[chosen])

    def _made(
        self, snapshot: Snapshot, source: int, arcs: NDArray[np.int32], *, before: float = 0.0, after: float = 0.0,
        landmark: str = "",
    ) -> Route:  # fmt: skip
        places = np.concatenate([[source], snapshot.rows.heads[arcs]]).astype(np.int64)
        return Route(
            places, snapshot.costs[arcs], snapshot.headings[arcs], snapshot.rows.xyz[places],
            snapshot.maps[snapshot.map_codes[source]], before, after, landmark,
        )  # fmt: skip

    @staticmethod
    def _check_maps(snapshot: Snapshot, source: int, target: int) -> None:
        ours, theirs = (snapshot.maps[snapshot.map_codes[place]] for place in (source, target))
        if ours != theirs:
            raise UnreachableError(
                f"Place {source} is in the map {ours!r} and place {target} in {theirs!r}: no route leads between maps.",
                "other_map",
            )

    @staticmethod
    def _unreachable(snapshot: Snapshot, source: int, target: int, now: int) -> UnreachableError:
        """Why there is no way: only blocked edges lead there, or none at all."""
        closed = snapshot.closed(now)
        if len(closed) and np.isfinite(snapshot.between(source, target, int(snapshot.blocked_until.max()))[0]):
            return UnreachableError(
                f"Every way from place {source} to place {target} is blocked ({len(closed)} edges are).", "blocked"
            )
        return UnreachableError(f"No edges lead from place {source} to place {target}.", "no_way")
