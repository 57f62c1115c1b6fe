"""The place graph: running means, edges that are travelled again, intersections, landmarks, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.topology.graph import FOR_EVER, OPEN, PlaceGraph


def three() -> PlaceGraph:
    graph = PlaceGraph()
    graph.add_places([[0, 0, 0], [3, 4, 0], [0, 9, 0]], map_ids="m")
    return graph


def test_position_and_descriptor_are_running_means():
    rng = np.random.default_rng(1)
    seen = rng.normal(5, 1, (7, 3))
    vectors = rng.normal(0, 1, (7, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = PlaceGraph()
    place = graph.add_place(seen[0], descriptor=vectors[0])
    for i in range(1, 7):
        graph.observe(place, seen[i], descriptor=vectors[i], stamp_ns=10 * i)
    found = graph.place(place)
    np.testing.assert_allclose(found.position, seen.mean(axis=0))
    mean = vectors.sum(axis=0)
    assert found.descriptor is not None
    np.testing.assert_allclose(found.descriptor, mean / np.linalg.norm(mean), atol=1e-6)
    assert found.observed == 7 and found.last_seen_ns == 60


def test_a_place_may_lack_a_descriptor():
    graph = PlaceGraph()
    bare = graph.add_place([0, 0, 0])
    graph.observe(bare, [0, 0, 0], stamp_ns=1)
    assert graph.place(bare).descriptor is None and graph.descriptors() is None
    other = graph.add_place([1, 0, 0], descriptor=[0.0, 1.0])
    third = graph.add_place([2, 0, 0])
    assert graph.place(bare).descriptor is None and graph.place(third).descriptor is None
    descriptor = graph.place(other).descriptor
    assert descriptor is not None and descriptor.tolist() == [0, 1]
    with pytest.raises(BadInputError, match="2 finite numbers"):
        graph.observe(other, [0, 0, 0], descriptor=[1.0, 0.0, 0.0], stamp_ns=1)


def test_an_edge_that_is_given_again_is_travelled_again():
    graph = three()
    graph.add_edges([0, 1, 0], [1, 0, 1], traversals=[1, 2, 3], last_used_ns=[5, 6, 4])
    edge = graph.edge(0, 1)
    assert (edge.length, edge.traversals, edge.last_used_ns, edge.blocked_until_ns) == (5.0, 4, 5, OPEN)
    assert edge.heading == pytest.approx(np.arctan2(4, 3))
    graph.add_edges([0, 1], [1, 2], [7.0, 8.0], last_used_ns=9)
    assert graph.edge(0, 1).traversals == 5 and graph.edge(0, 1).length == 5.0 and graph.edge(0, 1).last_used_ns == 9
    assert graph.edge(1, 2).length == 8.0 and graph.edge_count == 3
    assert graph.neighbours(1) == [0, 2]


def test_removed_edges_are_gone_and_may_come_again():
    graph = three()
    graph.add_edges([0, 1], [1, 2])
    graph.block(0, 1)
    assert graph.edge(0, 1).blocked_until_ns == FOR_EVER
    graph.remove_edge(0, 1)
    assert not graph.blocked(0) and graph.neighbours(0) == [] and graph.edge_count == 1
    with pytest.raises(NotFoundError, match="no edge"):
        graph.edge(0, 1)
    graph.add_edge(0, 1, 6.0)
    assert graph.edge(0, 1).blocked_until_ns == OPEN and graph.edge(0, 1).length == 6.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_bulk_insertion_is_edge_by_edge_insertion(seed):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 6, (20, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    stamps = rng.integers(0, 100, len(pairs))
    one, bulk = PlaceGraph(), PlaceGraph()
    for graph in (one, bulk):
        graph.add_places(np.random.default_rng(0).normal(0, 5, (6, 3)))
    cut = len(pairs) // 2
    for part in (slice(cut), slice(cut, None)):
        bulk.add_edges(pairs[part, 0], pairs[part, 1], last_used_ns=stamps[part])
    for (tail, head), stamp in zip(pairs.tolist(), stamps.tolist(), strict=True):
        one.add_edge(tail, head, last_used_ns=stamp)
    assert one.edge_count == bulk.edge_count == len(np.unique(pairs, axis=0))
    for tail, head in pairs.tolist():
        assert one.edge(tail, head) == bulk.edge(tail, head)


def test_what_cannot_be_an_edge_is_refused_and_changes_nothing():
    graph = three()
    attic = graph.add_place([0, 0, 0], map_id="attic")
    for tails, heads, lengths, why in (
        ([0], [0], None, "itself"),
        ([0], [attic], None, "never mixed"),
        ([0], [1], [np.nan], "finite"),
        ([0], [1], [-1.0], "negative"),
        ([0, 1], [1], [1.0, 2.0, 3.0], "must be 2"),
        ([0.5], [1.5], None, "whole"),
    ):
        with pytest.raises(BadInputError, match=why):
            graph.add_edges(tails, heads, lengths)
    with pytest.raises(NotFoundError, match="no place 9"):
        graph.add_edges([0], [9])
    assert graph.edge_count == 0
    wrong: list[tuple[Any, str]] = [([[np.nan, 0, 0]], "NaN"), ([[1, 2, 3, 4]], "rows of x, y, z"), ("here", "numbers")]
    for positions, why in wrong:
        with pytest.raises(BadInputError, match=why):
            graph.add_places(positions)
    with pytest.raises(BadInputError, match="as many maps"):
        graph.add_places([[0, 0]], map_ids=["a", "b"])
    assert len(graph) == 4


def test_intersections_have_more_than_two_directions():
    graph = PlaceGraph()
    graph.add_places([[0, 0], [10, 0], [10, 1], [-100, 2], [0, 10], [0, -10]])
    # Two edges lead east in nearly the same direction, one west: two exits, also across the seam at pi.
    graph.add_edges([0, 0, 0], [1, 2, 3])
    assert graph.exits()[0] == 2 and not len(graph.intersections())
    graph.add_edge(0, 4)
    assert graph.intersections().tolist() == [0]
    graph.add_edge(0, 5)
    assert graph.exits().tolist() == [4, 0, 0, 0, 0, 0]
    graph.remove_edge(0, 4)
    graph.remove_edge(0, 3)
    assert graph.exits()[0] == 2


def test_landmarks_average_their_bearings_across_the_seam():
    graph = three()
    graph.landmarks.add(
        [0, 0], ["Café  Roma", "café roma"], [np.pi - 0.1, -np.pi + 0.3], stamps_ns=[7, 5], records=[3, 2]
    )
    graph.landmarks.add([0, 1], ["Café Roma", "bench"], distances=[4.0, 2.0], stamps_ns=[6, 1])
    (roma,) = graph.landmarks.of(0)
    assert roma.name == "café roma" and roma.count == 3
    assert roma.bearing == pytest.approx(-np.pi + 0.1) and roma.distance == 4.0
    assert (roma.last_seen_ns, roma.record) == (7, 3)
    assert np.isnan(graph.landmarks.of(1)[0].bearing)
    for names, why in (([" "], "empty"), (["a", "b"], "must be 2")):
        with pytest.raises(BadInputError, match=why):
            graph.landmarks.add([0, 0, 0] if len(names) == 2 else [0], names)


def test_evidence_leads_from_places_to_records_and_back():
    graph = three()
    graph.add_evidence([1, 0, 1], [12, 4, 7])
    assert graph.place(1).records.tolist() == [7, 12]
    assert graph.place_of_record(12) == 1
    with pytest.raises(NotFoundError, match="record 5"):
        graph.place_of_record(5)
