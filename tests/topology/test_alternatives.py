"""Alternatives: Yen's against networkx, different ones that share little; and routes in words."""

from __future__ import annotations

from itertools import islice

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, UnreachableError
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.routes import Router, ToLandmark
from embodied_mem.topology.words import in_words, steps
from tests.topology.graphs import plain, random_graph


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_k_shortest_are_those_of_networkx(seed):
    graph = random_graph(seed, junctions=6)
    copy, router = plain(graph), Router(graph, clock=lambda: 0)
    for source, target in np.random.default_rng(seed).integers(0, 20, (3, 2)).tolist():
        if source == target or not nx.has_path(copy, source, target):
            continue
        expected = [
            nx.path_weight(copy, path, "weight")
            for path in islice(nx.shortest_simple_paths(copy, source, target, "weight"), 6)
        ]
        found = router.alternatives(source, target, 6, exact=True)
        assert [route.length for route in found] == pytest.approx(expected, rel=1e-12)
        assert len({tuple(route.places.tolist()) for route in found}) == len(found)
        assert all(len(set(route.places.tolist())) == len(route) for route in found)


def test_places_on_top_of_each_other_are_parted_from_like_others():
    graph = PlaceGraph()
    graph.add_places([(0, 0), (1, 0), (1, 0), (2, 0), (1, 5)])
    graph.add_edges([0, 1, 2, 1, 4], [1, 2, 3, 4, 3])
    with np.errstate(invalid="raise"):
        found = Router(graph).alternatives(0, 3, 3, exact=True)
    assert [route.places.tolist() for route in found] == [[0, 1, 2, 3], [0, 1, 4, 3]]


def ladder() -> PlaceGraph:
    """Three streets of 100 m side by side, 10 m apart, joined at both ends only; places every 10 m."""
    graph = PlaceGraph()
    graph.add_places([(10 * i, 10 * row) for row in range(3) for i in range(11)])
    for row in range(3):
        line = np.arange(11 * row, 11 * row + 11)
        graph.add_edges(np.r_[line[:-1], line[1:]], np.r_[line[1:], line[:-1]])
    ends = np.array([0, 11, 10, 21]), np.array([11, 22, 21, 32])
    graph.add_edges(np.r_[ends[0], ends[1]], np.r_[ends[1], ends[0]])
    return graph


def test_alternatives_share_little_and_are_not_too_long():
    found = Router(ladder()).alternatives(0, 10, 5)
    assert [route.length for route in found] == pytest.approx([100, 120, 140])
    assert not set(found[0].places.tolist()) & set(found[1].places[1:-1].tolist())
    with pytest.raises(BadInputError, match="At least one"):
        Router(ladder()).alternatives(0, 10, 0)
    graph = ladder()
    graph.add_place([0, 99])
    with pytest.raises(UnreachableError):
        Router(graph).alternatives(0, 33)


def crossing() -> PlaceGraph:
    """A street of 40 m eastward to a crossing, from which one leads 30 m north, one 20 m south, one 20 m east."""
    graph = PlaceGraph()
    places = [(x, 0) for x in range(0, 61, 10)] + [(40, y) for y in (10, 20, 30)] + [(40, -10), (40, -20)]
    graph.add_places(places)
    pairs = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (4, 7), (7, 8), (8, 9), (4, 10), (10, 11)])
    graph.add_edges(np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]])
    graph.landmarks.add([4, 4, 9], ["The Pharmacy", "bank", "Fountain"], [0.3, 0.1, 0.0], counts=[3, 1, 1])
    return graph


def test_turns_are_told_with_their_landmarks():
    graph = crossing()
    router = Router(graph)
    assert in_words(graph, router.route(0, 9)) == (
        "Go 40 m, turn left at the pharmacy, go 30 m to the fountain on your right."
    )
    assert in_words(graph, router.route(0, 11)) == "Go 40 m, turn right at the pharmacy, go 20 m."
    assert in_words(graph, router.route(0, 6)) == "Go 60 m."
    assert in_words(graph, router.route(0, 6), heading=np.pi) == "Turn round, go 60 m."
    assert in_words(graph, router.route(0, 6), heading=np.radians(45)) == "Bear right, go 60 m."
    assert in_words(graph, router.route(9, ToLandmark("fountain"))) == "You are there at the fountain."
    assert in_words(graph, router.route(0, ToLandmark("bank"))) == "Go 40 m to the bank ahead of you."


def test_steps_add_up_to_the_route_and_noise_makes_no_turns():
    graph = PlaceGraph()
    rng = np.random.default_rng(2)
    bend = [(5 * i, 0) for i in range(20)] + [(95, 5 * i) for i in range(1, 20)]
    graph.add_places(np.array(bend) + rng.normal(0, 0.4, (39, 2)))
    graph.add_edges(np.arange(38), np.arange(1, 39))
    route = Router(graph).route(0, 38)
    found = steps(graph, route)
    assert len(found) == 2 and found[0].turn == pytest.approx(np.pi / 2, abs=0.4)
    assert sum(step.distance for step in found) == pytest.approx(route.length)
    assert found[-1].place == 38
