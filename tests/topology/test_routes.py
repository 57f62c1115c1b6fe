"""Routes: exact against networkx on random graphs, blocks, goals of every kind, and reasons when there is none."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, NotFoundError, UnknownMapError, UnreachableError
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.routes import Route, Router, ToLandmark, ToPosition
from tests.topology.graphs import plain, random_graph


def cost_or_none(copy: nx.DiGraph, source: int, target: int) -> float | None:
    try:
        return float(nx.dijkstra_path_length(copy, source, target))
    except nx.NetworkXNoPath:
        return None


def check(graph: PlaceGraph, route: Route, source: int, target: int, copy: nx.DiGraph) -> None:
    """The route begins and ends where it should, and goes over edges that are there and open."""
    assert route.places[0] == source and route.places[-1] == target
    assert len(route.lengths) == len(route.headings) == len(route.places) - 1
    for tail, head, length in zip(route.places, route.places[1:], route.lengths, strict=False):
        assert copy[int(tail)][int(head)]["weight"] == length
    np.testing.assert_array_equal(route.points, graph.positions.data[route.places])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), blocks=st.integers(0, 6))
def test_shortest_routes_are_those_of_networkx(seed, blocks):
    graph = random_graph(seed)
    rng = np.random.default_rng(seed)
    for row in rng.choice(len(graph.tails), blocks):
        graph.block(int(graph.tails.data[row]), int(graph.heads.data[row]), int(rng.integers(-5, 6)))
    copy, router = plain(graph, 0), Router(graph, clock=lambda: 0)
    for source, target in rng.integers(0, len(graph), (25, 2)).tolist():
        expected = cost_or_none(copy, source, target)
        if expected is None:
            with pytest.raises(UnreachableError):
                router.route(source, target)
            continue
        route = router.route(source, target)
        assert route.length == pytest.approx(expected, rel=1e-12)
        check(graph, route, source, target, copy)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_edges_shorter_than_their_distance_mislead_no_search(seed):
    graph = random_graph(seed, detour=-0.9)
    copy, router = plain(graph), Router(graph, clock=lambda: 0)
    for source, target in np.random.default_rng(seed).integers(0, len(graph), (10, 2)).tolist():
        expected = cost_or_none(copy, source, target)
        if expected is not None:
            assert router.route(source, target).length == pytest.approx(expected, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.sampled_from([np.inf, 60.0]))
def test_distances_to_all(seed, limit):
    graph = random_graph(seed)
    found = Router(graph, clock=lambda: 0).distances(0, limit=limit)
    expected = nx.single_source_dijkstra_path_length(plain(graph), 0)
    for place in range(len(graph)):
        far = expected.get(place, np.inf)
        assert found[place] == pytest.approx(far if far < limit else np.inf, rel=1e-12)


def square() -> PlaceGraph:
    """Places 0 .. 3 at the corners of a square of 10 m, anticlockwise from the origin, two-way; 4 stands alone."""
    graph = PlaceGraph()
    graph.add_places([[0, 0], [10, 0], [10, 10], [0, 10], [50, 50]], map_ids="yard")
    graph.add_edges([0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3])
    return graph


def test_a_block_ends_when_its_time_is_over():
    graph = square()
    graph.block(0, 1, until_ns=100)
    router = Router(graph, clock=lambda: 99)
    assert router.route(0, 1).places.tolist() == [0, 3, 2, 1]
    assert [(edge.tail, edge.head) for edge in graph.blocked(99)] == [(0, 1)] and not graph.blocked(100)
    assert router.route(0, 1, now_ns=100).places.tolist() == [0, 1]
    assert router.route(1, 0).places.tolist() == [1, 0]  # the other direction was never blocked
    graph.unblock(0, 1)
    assert router.route(0, 1).places.tolist() == [0, 1]


def test_why_a_goal_cannot_be_reached():
    graph = square()
    router = Router(graph, clock=lambda: 0)
    with pytest.raises(UnreachableError, match="No edges lead") as refusal:
        router.route(0, 4)
    assert refusal.value.reason == "no_way"
    graph.block(0, 1)
    graph.block(0, 3)
    with pytest.raises(UnreachableError, match="blocked") as refusal:
        router.route(0, 2)
    assert refusal.value.reason == "blocked"
    attic = graph.add_place([0, 0], map_id="attic")
    with pytest.raises(UnreachableError, match="between maps") as refusal:
        router.route(0, attic)
    assert refusal.value.reason == "other_map"
    for wrong in (99, -1):
        with pytest.raises(NotFoundError, match="no place"):
            router.route(0, wrong)
    with pytest.raises(BadInputError, match="places, positions or landmarks"):
        router.route(0, "the pharmacy")  # type: ignore[arg-type]


def test_positions_are_ends_at_their_nearest_places():
    graph = square()
    router = Router(graph)
    route = router.route(ToPosition(np.array([1.0, -1.0, 0.0])), ToPosition(np.array([9.0, 12.0, 0.0])))
    assert route.places[[0, -1]].tolist() == [0, 2]
    assert route.before == pytest.approx(np.sqrt(2)) and route.after == pytest.approx(np.sqrt(5))
    graph.add_place([9, 12], map_id="attic")
    with pytest.raises(UnknownMapError, match="needs a map"):
        router.route(0, ToPosition(np.array([9.0, 12.0, 0.0])))
    assert router.route(0, ToPosition(np.array([9.0, 12.0]), "yard")).places[-1] == 2
    with pytest.raises(UnknownMapError, match="cellar"):
        router.route(0, ToPosition(np.zeros(3), "cellar"))
    with pytest.raises(BadInputError, match="NaN"):
        router.route(0, ToPosition(np.array([np.nan, 0, 0]), "yard"))


def test_landmarks_nearest_most_recent_most_often():
    graph = square()
    graph.landmarks.add([1, 2, 2, 3], ["CVS Pharmacy"] * 4, stamps_ns=[5, 1, 2, 9])
    graph.landmarks.add([4], ["Fountain"])
    router = Router(graph)
    assert router.route(0, ToLandmark("the pharmacy")).places[-1] in (1, 3)
    assert router.route(2, ToLandmark("cvs  pharmacy")).places.tolist() == [2]
    assert router.route(0, ToLandmark("pharmacy", "recent")).places[-1] == 3
    assert router.route(0, ToLandmark("pharmacy", "often")).places[-1] == 2
    assert router.route(0, ToLandmark("pharmacy")).landmark == "cvs pharmacy"
    with pytest.raises(NotFoundError, match="similar: cvs pharmacy"):
        router.route(0, ToLandmark("old pharmacy"))
    with pytest.raises(UnreachableError):
        router.route(0, ToLandmark("fountain"))


def test_a_snapshot_shows_nothing_that_is_done_later():
    graph = square()
    router = Router(graph)
    before = router.snapshot
    graph.remove_edge(0, 1)
    assert np.isfinite(before.between(0, 1, 0)[0]) and len(before.between(0, 1, 0)[1]) == 1
    assert router.route(0, 1).places.tolist() == [0, 3, 2, 1]


def test_poses_of_a_path_look_toward_the_next():
    route = Router(square()).route(0, 2)
    assert route.orientations.shape == (3, 4)
    yaws = 2 * np.arctan2(route.orientations[:, 2], route.orientations[:, 3])
    expected = [0, np.pi / 2, np.pi / 2] if route.places[1] == 1 else [np.pi / 2, 0, 0]
    np.testing.assert_allclose(yaws, expected, atol=1e-12)
