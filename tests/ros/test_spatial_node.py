"""The spatial node over real DDS: maps from clouds, ways between places, poses near things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import TopologyGraph
from embodied_mem_msgs.srv import CastRays, GoalNear, NearestObstacle, PlanRoute, QueryVolume, RecallPlace
from geometry_msgs.msg import Point
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import PointCloud2

from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.record_node import RecordNode
from embodied_mem.nodes.spatial_node import SpatialNode
from embodied_mem.octree.tree import Octree, equal
from embodied_mem.octree.view import OccupancyView
from tests.rooms import BOX_HIGH, BOX_LOW, MUG, sweep
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, until
from tests.ros.samples import seen, things

TALL = 1.2


@dataclass
class Robot:
    """A robot that has driven through the room, and the nodes that remember it."""

    graph: Graph
    record: Any
    spatial: Any
    client: MemoryClient

    def ask(self, kind: Any, name: str, **fields: Any) -> Any:
        request = kind.Request(read_to=self.client.wrote, **fields)
        return self.client.call(kind, name, request)


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    with Graph() as graph:
        record = graph.up(RecordNode, {"memory": str(tmp_path_factory.mktemp("memory")), **SMALL})
        spatial = graph.up(SpatialNode, {"place_distance": 1.0, "checkpoints": False, **SMALL})
        client = graph.client()
        for x in np.arange(0.0, 8.1, 1.0):
            position = np.array([x, -0.5, TALL])
            found = things(("mug",), [MUG]) if x == 3.0 else things((), np.zeros((0, 3)))
            caption = "a mug on a crate" if x == 3.0 else f"a bare wall at {x:g}"
            client.remember(seen(caption, position, cloud=sweep(position), detections=found, sensor_id="lidar"))
        yield Robot(graph, record, spatial, client)


def test_what_stands_there_is_occupied_and_the_way_there_free(robot: Robot) -> None:
    found = robot.ask(
        QueryVolume, "query_volume", box_min=Point(x=3.5, y=0.3, z=0.3), box_max=Point(x=5.0, y=1.5, z=1.5)
    )
    centers = np.array(found.centers).reshape(-1, 3)
    assert len(centers) > 50 and (centers > BOX_LOW - 0.15).all() and (centers < BOX_HIGH + 0.15).all()
    assert min(found.occupancy) >= 0.5 and found.size == pytest.approx(0.1)
    assert set(found.records) <= set(range(2, 11)) and found.map_id == "default" and found.frame_id == "map"
    coarse = robot.ask(
        QueryVolume, "query_volume", box_min=Point(x=3.5, y=0.3, z=0.3), box_max=Point(x=5.0, y=1.5, z=1.5), level=2
    )
    assert 0 < len(coarse.occupancy) < len(found.occupancy) / 4 and coarse.size == pytest.approx(0.4)


def test_rays_end_at_what_they_meet(robot: Robot) -> None:
    found = robot.ask(
        CastRays, "cast_rays", origins=[4.3, -0.5, 0.5], directions=[0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0],
        max_ranges=[5.0, 0.5, 5.0],
    )  # fmt: skip
    kinds = CastRays.Response
    assert list(found.states) == [kinds.HIT, kinds.FREE, kinds.FREE]
    assert found.distances[0] == pytest.approx(1.1, abs=0.11)
    assert np.array(found.ends).reshape(-1, 3)[1] == pytest.approx([4.3, -1.0, 0.5])


def test_the_nearest_obstacle_is_told_or_that_there_is_none(robot: Robot) -> None:
    found = robot.ask(NearestObstacle, "nearest_obstacle", points=[4.3, 0.2, 0.5, 1.0, 0.0, 1.2], max_distance=0.8)
    assert list(found.found) == [True, False]
    assert found.distances[0] == pytest.approx(0.45, abs=0.1) and np.isinf(found.distances[1])


def test_a_route_follows_the_places_that_were_driven(robot: Robot) -> None:
    found = robot.ask(PlanRoute, "plan_route", goal_landmark="mug", use_start=True, start=Point(x=0.0, y=-0.5, z=TALL))
    assert found.found, found.reason
    route = found.routes[0]
    last = route.path.poses[-1].pose.position
    assert 2.0 <= route.length <= 4.0 and abs(last.x - 3.0) <= 1.0
    assert route.path.header.frame_id == "map" and "m" in route.instructions
    assert found.evidence[0].caption == "a mug on a crate"
    back = robot.ask(PlanRoute, "plan_route", use_goal_position=True, goal_position=Point(x=0.0, y=-0.5, z=TALL))
    assert back.found and 6.0 <= back.routes[0].length <= 9.0, "it starts where the newest record was made"


def test_places_are_recalled_by_what_is_seen_or_said_there(robot: Robot) -> None:
    seen_there = robot.ask(RecallPlace, "recall_place", landmark="mug")
    assert len(seen_there.places) == 1 and abs(seen_there.places[0].position.x - 3) <= 1
    said = robot.ask(RecallPlace, "recall_place", text="a mug on a crate", k=1)
    assert said.places[0].id == seen_there.places[0].id and said.places[0].score > 0.9
    near = robot.ask(RecallPlace, "recall_place", use_position=True, position=Point(x=7.9, y=-0.5, z=TALL), k=1)
    assert near.places[0].position.x > 7 and list(near.places[0].records)
    none = robot.ask(RecallPlace, "recall_place", landmark="unicorn")
    assert not none.found and none.reason.startswith("Not found") and not none.places


def test_a_goal_near_a_thing_is_free_and_in_view(robot: Robot) -> None:
    found = robot.ask(GoalNear, "goal_near", label="mug", floor=0.0, sensor_height=TALL)
    assert found.found, found.reason
    pose = found.goal.pose
    spot = np.array([pose.position.x, pose.position.y])
    gap = np.maximum(np.maximum(BOX_LOW[:2] - spot, spot - BOX_HIGH[:2]), 0)
    assert np.hypot(*gap) >= 0.2 and (np.abs(spot[1]) < 1.8), "the robot fits there"
    toward = MUG[:2] - spot
    assert 2 * np.arctan2(pose.orientation.z, pose.orientation.w) == pytest.approx(np.arctan2(toward[1], toward[0]))
    assert found.evidence and found.evidence[0].seq and found.target.point.x == pytest.approx(4.3, abs=0.01)
    unknown = robot.ask(GoalNear, "goal_near", use_position=True, position=Point(x=50.0, y=50.0))
    assert not unknown.found and "known to be free" in unknown.reason


def test_from_far_away_nobody_knows_a_way(robot: Robot) -> None:
    far = Point(x=5000.0, y=0.0, z=0.0)
    for kind, name, fields in (
        (PlanRoute, "plan_route", {"goal_landmark": "mug"}),
        (GoalNear, "goal_near", {"label": "mug"}),
    ):
        found = robot.ask(kind, name, use_start=True, start=far, **fields)
        assert not found.found and "m from the nearest place" in found.reason


def test_the_length_of_a_direction_says_nothing(robot: Robot) -> None:
    found = robot.ask(
        CastRays, "cast_rays", origins=[4.3, -0.5, 0.5], directions=[0.0, 1e300, 0.0, 0.0, 1e-320, 0.0],
        max_ranges=[5.0],
    )  # fmt: skip
    assert list(found.states) == [CastRays.Response.HIT] * 2
    assert found.distances[0] == found.distances[1] == pytest.approx(1.1, abs=0.11)


def test_what_cannot_be_answered_is_said_in_a_sentence(robot: Robot) -> None:
    with pytest.raises(UnknownMapError, match="attic"):
        robot.ask(CastRays, "cast_rays", origins=[0.0] * 3, directions=[1.0, 0, 0], max_ranges=[1.0], map_id="attic")
    with pytest.raises(BadInputError, match="x, y and z"):
        robot.ask(NearestObstacle, "nearest_obstacle", points=[1.0, 2.0])
    with pytest.raises(BadInputError, match="finite"):
        robot.ask(NearestObstacle, "nearest_obstacle", points=[1.0, 2.0, float("nan")])
    with pytest.raises(BadInputError, match="over the limit"):
        robot.ask(
            QueryVolume, "query_volume", box_min=Point(x=-9.0, y=-9.0, z=-9.0), box_max=Point(x=9.0, y=9.0, z=9.0),
            with_free=True, limit=10,
        )  # fmt: skip
    with pytest.raises(BadInputError, match="outside of the map"):
        robot.ask(CastRays, "cast_rays", origins=[1e300, 0.0, 0.0], directions=[1.0, 0, 0], max_ranges=[1.0])
    with pytest.raises(BadInputError, match="floor"):
        robot.ask(GoalNear, "goal_near", label="mug", floor=float("nan"))
    with pytest.raises(BadInputError, match="goal_position"):
        robot.ask(PlanRoute, "plan_route", use_goal_position=True, goal_position=Point(x=float("nan")))
    with pytest.raises(BadInputError, match="exactly one"):
        robot.ask(PlanRoute, "plan_route")
    with pytest.raises(NotFoundError, match="unicorn"):
        robot.ask(GoalNear, "goal_near", label="unicorn")


def test_who_looks_gets_the_grid_the_voxels_and_the_places(robot: Robot) -> None:
    grids = robot.graph.inbox(OccupancyGrid, "occupancy_grid", qos.LATCHED)
    clouds = robot.graph.inbox(PointCloud2, "occupied_voxels", qos.LATCHED)
    graphs = robot.graph.inbox(TopologyGraph, "topology", qos.LATCHED)
    until(lambda: grids.messages and clouds.messages and graphs.messages, "everything was published")
    grid = grids.messages[-1]
    cells = np.array(grid.data, dtype=np.int8).reshape(grid.info.height, grid.info.width)

    def at(x: float, y: float) -> int:
        origin = grid.info.origin.position
        return int(cells[int((y - origin.y) / grid.info.resolution), int((x - origin.x) / grid.info.resolution)])

    assert at(4.05, 0.75) == 100 and at(1.05, 0.05) == 0 and grid.header.frame_id == "map"
    assert clouds.messages[-1].width > 1000 and graphs.messages[-1].map_id == "default"
    assert len(graphs.messages[-1].places) >= 5 and graphs.messages[-1].edges


def test_a_late_start_and_a_forgotten_record_give_the_map_of_a_rebuild(graph: Graph, tmp_path: Path) -> None:
    record = graph.up(RecordNode, {"memory": str(tmp_path / "memory"), **SMALL})
    client = graph.client()
    seqs = []
    for x in (0.0, 2.0, 6.0):
        position = np.array([x, 0.0, TALL])
        seqs.append(client.remember(seen("a room", position, cloud=sweep(position)[::7], sensor_id="lidar")).seq)
    spatial = graph.up(SpatialNode, {"memory": str(tmp_path / "memory")})
    until(lambda: spatial._log.follower.caught_up and not spatial._log.view.occupancy.behind, "the log was read")
    assert equal(spatial._log.view.occupancy.map("default"), _rebuilt(record.memory))

    client.forget((seqs[1],))
    request = NearestObstacle.Request(points=[0.0, 0.0, 1.0], read_to=client.wrote)
    client.call(NearestObstacle, "nearest_obstacle", request)
    assert equal(spatial._log.view.occupancy.map("default"), _rebuilt(record.memory))
    client.undo()
    request.read_to = client.wrote
    client.call(NearestObstacle, "nearest_obstacle", request)
    assert equal(spatial._log.view.occupancy.map("default"), _rebuilt(record.memory))


def _rebuilt(memory: Any) -> Octree:
    view = OccupancyView(memory.index)
    view.apply(memory.entries(1, 1000))
    view.catch_up(lambda first, limit: memory.entries(first, limit, blobs=True))
    return view.map("default")
