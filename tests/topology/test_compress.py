"""Compression against networkx: ways between the places that stay, at any time; and what became of the others."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.topology.compress import compress
from embodied_mem.topology.graph import PlaceGraph
from tests.topology.graphs import plain, random_graph


def distances(graph: nx.DiGraph) -> dict[int, dict[int, float]]:
    return {a: dict(found) for a, found in nx.all_pairs_dijkstra_path_length(graph, weight="weight")}


def check_ways(graph: PlaceGraph, stretch: float, keep: list[int], now_ns: int) -> None:
    """Between any two kept places: a way exactly when there was one, and not too long."""
    made = compress(graph, stretch=stretch, keep=keep)
    assert set(keep) <= set(made.kept.tolist())
    np.testing.assert_array_equal(made.graph.positions.data, graph.positions.data[made.kept])
    before, after = distances(plain(graph, now_ns)), distances(plain(made.graph, now_ns))
    for i, a in enumerate(made.kept.tolist()):
        for j, b in enumerate(made.kept.tolist()):
            assert (b in before[a]) == (j in after[i])
            if b in before[a]:
                assert before[a][b] * (1 - 1e-9) <= after[i][j] <= stretch * before[a][b] * (1 + 1e-9) + 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), stretch=st.sampled_from([1.0, 1.3, 3.0]))
def test_ways_are_stretched_no_more_than_asked(seed, stretch):
    rng = np.random.default_rng(seed)
    graph = random_graph(seed, junctions=10)
    check_ways(graph, stretch, rng.integers(0, len(graph), 3).tolist(), 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_is_blocked_the_bound_holds_at_any_time(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(seed, junctions=10)
    for row in rng.choice(graph.edge_rows(), 4, replace=False).tolist():
        graph.block(int(graph.tails.data[row]), int(graph.heads.data[row]), int(rng.integers(1, 100)))
    for now in (0, 50, 100):
        check_ways(graph, 2.0, [], now)


def street() -> PlaceGraph:
    """Twelve places in a row, 10 m apart, there and back."""
    graph = PlaceGraph()
    graph.add_places(
        [(10 * i, 0) for i in range(12)], descriptors=np.eye(12), visits=np.arange(12), last_seen_ns=range(12)
    )
    graph.add_edges(np.r_[0:11, 1:12], np.r_[1:12, 0:11], traversals=np.r_[5:16, 1:12])
    graph.add_evidence([0, 4, 7, 11], [1, 2, 3, 4])
    graph.landmarks.add([0, 4, 7], ["door", "bench", "door"], [0.5, 0.25, -1.0], counts=[1, 2, 3])
    return graph


def test_a_street_is_its_two_ends_and_what_was_known_is_told_of_the_nearer():
    made = compress(street())
    assert made.kept.tolist() == [0, 11] and made.place_of.tolist() == [0] * 6 + [1] * 6
    assert made.away.tolist() == [0, 10, 20, 30, 40, 50, 50, 40, 30, 20, 10, 0]
    there = made.graph.edge(0, 1)
    assert (there.length, there.heading, there.traversals) == (110.0, 0.0, 5) and made.graph.edge(1, 0).traversals == 1
    first, second = made.graph.place(0), made.graph.place(1)
    assert (first.visits, second.visits, first.last_seen_ns) == (15, 51, 5)
    assert first.records.tolist() == [1, 2] and second.records.tolist() == [3, 4]
    assert [(seen.name, seen.count) for seen in first.landmarks] == [("bench", 2), ("door", 1)]
    assert np.isnan(first.landmarks[0].bearing) and first.landmarks[1].bearing == pytest.approx(0.5)
    assert first.descriptor is not None
    np.testing.assert_allclose(first.descriptor, np.r_[np.ones(6), np.zeros(6)] / 6**0.5, atol=1e-6)
    assert compress(street(), keep=[3, 4]).kept.tolist() == [0, 3, 4, 11]


def test_a_city_needs_fewer_places_when_ways_may_be_longer():
    graph, side = PlaceGraph(), 8
    graph.add_places([(10 * i, 10 * j) for i in range(side) for j in range(side)])
    number = np.arange(side * side).reshape(side, side)
    a = np.r_[number[:, :-1].ravel(), number[:-1].ravel()]
    b = np.r_[number[:, 1:].ravel(), number[1:].ravel()]
    graph.add_edges(np.r_[a, b], np.r_[b, a])
    sizes = [len(compress(graph, stretch=stretch).kept) for stretch in (1.0, 3.0, 9.0)]
    assert side * side > sizes[0] > sizes[1] > sizes[2] >= 4


def test_refusals_and_what_is_empty():
    for wrong in (0.9, np.nan, np.inf):
        with pytest.raises(BadInputError, match="at least 1"):
            compress(street(), stretch=wrong)
    with pytest.raises(NotFoundError, match="0 to 11"):
        compress(street(), keep=[12])
    empty = compress(PlaceGraph())
    assert not len(empty.graph) and not len(empty.place_of)
    alone = PlaceGraph()
    alone.add_places([[0, 0], [1, 1]])
    assert compress(alone).kept.tolist() == [0, 1] and compress(alone).graph.edge_count == 0
