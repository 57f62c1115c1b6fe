"""Where places are made: the compiled loop against the rule written plainly, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.topology.assemble import assemble
from embodied_mem.topology.closures import proposals
from embodied_mem.topology.exchange import to_arrays
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.names import names_in
from embodied_mem.topology.places import Merges, PlaceBuilder, PlaceSettings

SETTINGS = PlaceSettings(near=2.0, reach=6.0, alike=0.8, height=1.0)


def plainly(positions, descriptors, maps, streams, rule: PlaceSettings) -> list[int]:
    """The rule of places.py, word for word, over every place each time."""
    anchors: list = []
    sums: list = []
    of_map: list = []
    current: dict = {}
    out: list[int] = []
    for position, descriptor, in_map, stream in zip(positions, descriptors, maps, streams, strict=True):

        def far(place, position=position, in_map=in_map):
            off = position - anchors[place]
            return np.hypot(*off[:2]) if of_map[place] == in_map and abs(off[2]) <= rule.height else np.inf

        def likeness(place, descriptor=descriptor):
            size = np.linalg.norm(descriptor) * np.linalg.norm(sums[place])
            return float(descriptor @ sums[place]) / size if size else -1.0

        known = range(len(anchors))
        if stream in current and far(current[stream]) <= rule.near:
            here = current[stream]
        elif any(far(place) <= rule.near for place in known):
            here = min(known, key=far)
        else:
            alike = [place for place in known if far(place) <= rule.reach and likeness(place) >= rule.alike]
            here = max(alike, key=likeness) if alike and descriptor.any() else len(anchors)
        if here == len(anchors):
            anchors.append(position)
            of_map.append(in_map)
            sums.append(np.zeros(len(descriptor)))
        sums[here] = sums[here] + descriptor
        current[stream] = here
        out.append(here)
    return out


def made_up(seed: int, n: int = 80):
    rng = np.random.default_rng(seed)
    positions = np.cumsum(rng.normal(0, 1.2, (n, 3)) * (1, 1, 0.1), axis=0) + rng.choice([0.0, 3.0], (n, 1)) * (0, 0, 1)
    looks = rng.normal(0, 1, (4, 5))
    descriptors = looks[rng.integers(0, 4, n)] + rng.normal(0, 0.1, (n, 5))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    descriptors[rng.random(n) < 0.2] = 0.0
    maps = rng.choice(["a", "b"], n, p=[0.8, 0.2]).tolist()
    streams = [("r", str(code)) for code in rng.integers(0, 2, n)]
    return positions, descriptors.astype(np.float32), maps, streams


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.integers(1, 90), every=st.sampled_from([5, 1000]))
def test_places_are_made_by_the_rule_however_observations_are_batched(seed, batch, every):
    positions, descriptors, maps, streams = made_up(seed)
    builder = PlaceBuilder(SETTINGS, every=every)
    for start in range(0, len(positions), batch):
        part = slice(start, start + batch)
        builder.observe(
            positions[part], np.arange(len(positions))[part], descriptors=descriptors[part], maps=maps[part],
            streams=streams[part],
        )  # fmt: skip
    expected = plainly(positions, descriptors.astype(np.float64), maps, streams, SETTINGS)
    assert builder.places.data.tolist() == expected


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 80))
def test_going_back_and_on_again_changes_nothing(seed, cut):
    positions, descriptors, maps, streams = made_up(seed)
    builder = PlaceBuilder(SETTINGS, every=9)

    def give(start: int) -> None:
        builder.observe(
            positions[start:], np.arange(len(positions))[start:], descriptors=descriptors[start:], maps=maps[start:],
            streams=streams[start:],
        )  # fmt: skip

    give(0)
    before = to_arrays(assemble(builder, np.arange(builder.place_count))[0])
    kept = builder.rewind(cut)
    assert kept <= cut and (cut < 9 or cut - kept < 9 or len(positions) - kept > 8 * 9) and len(builder) == kept
    give(kept)
    for name, value in to_arrays(assemble(builder, np.arange(builder.place_count))[0]).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, before[name])


def test_descriptors_may_begin_late():
    builder = PlaceBuilder(SETTINGS, every=2)
    builder.observe(np.zeros((4, 3)), range(4))
    builder.observe([[5.0, 0, 0], [9.0, 0, 0]], [4, 5], descriptors=[[1, 0], [1, 0]])
    assert builder.places.data.tolist() == [0, 0, 0, 0, 1, 1]
    assert builder.rewind(3) == 2
    builder.observe([[5.0, 0, 0]], [4], descriptors=[[1, 0]])
    assert builder.places.data.tolist() == [0, 0, 1]
    with pytest.raises(BadInputError, match="2 numbers"):
        builder.observe([[5.0, 0, 0]], [4], descriptors=[[1, 0, 0]])


def test_jumps_and_pauses_make_no_edges():
    builder = PlaceBuilder(PlaceSettings(near=2.0, reach=2.0, longest_step=4.0, longest_gap_s=10.0))
    seconds = np.array([0, 1, 2, 30, 31])
    builder.observe([[0, 0], [3, 0], [9, 0], [12, 0], [15, 0]], seconds * 10**9, streams=("r", "s"))
    builder.observe([[15, 3]], [32 * 10**9], streams=("other", "s"))
    graph, _ = assemble(builder, np.arange(6))
    edges = graph.edge_rows()
    travelled = graph.traversals.data[edges] > 0
    pairs = np.column_stack([graph.tails.data[edges], graph.heads.data[edges]])[travelled]
    assert pairs.tolist() == [[0, 1], [3, 4]]
    assert graph.visits.data.tolist() == [1] * 6


def test_merges_are_taken_back_in_any_order():
    merges = Merges()
    first, second, third = merges.merge(4, 2), merges.merge(2, 0), merges.merge(3, 4)
    assert merges.roots(5).tolist() == [0, 1, 0, 0, 0]
    merges.undo(second)
    assert merges.roots(5).tolist() == [0, 1, 2, 2, 2]
    merges.undo(first)
    assert merges.roots(5).tolist() == [0, 1, 2, 3, 3]
    merges.undo(third)
    assert merges.roots(5).tolist() == list(range(5))
    for wrong in (first, 7, -1):
        with pytest.raises(NotFoundError):
            merges.undo(wrong)
    with pytest.raises(BadInputError, match="two different"):
        merges.merge(3, 3)


def test_merged_places_are_the_mean_of_what_was_seen_and_lose_their_inner_edges():
    builder = PlaceBuilder(PlaceSettings(near=2.0, reach=2.0))
    builder.observe([[0, 0], [3, 0], [6, 0], [7, 0], [3, 0]], np.arange(5), records=[1, 2, 3, 4, 5])
    graph, number = assemble(builder, np.array([0, 1, 1]))
    assert number.tolist() == [0, 1, 1] and len(graph) == 2
    np.testing.assert_allclose(graph.positions.data, np.array([(0, 0, 0), ((3 + 6 + 7 + 3) / 4, 0, 0)]))
    assert graph.visits.data.tolist() == [1, 1] and graph.observed.data.tolist() == [1, 4]
    assert graph.place(1).records.tolist() == [2, 3, 4, 5]
    assert graph.edge_count == 2


def loop(apart: float = 3.0) -> PlaceGraph:
    """A round of 12 places of 10 m each whose last stands some metres from the first and looks like it."""
    graph = PlaceGraph()
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = 20 * np.column_stack([np.cos(angles), np.sin(angles)])
    circle[-1] = circle[0] + (0, -apart)
    looks = np.eye(12)
    looks[-1] = looks[0]
    graph.add_places(circle, descriptors=looks)
    graph.add_edges(np.arange(11), np.arange(1, 12))
    graph.add_evidence(np.arange(12), 100 + np.arange(12))
    return graph


def test_loop_closures_are_near_alike_and_far_by_way():
    (closure,) = proposals(loop(), within=5.0, alike=0.9)
    assert closure.places == (0, 11) and closure.records == (100, 111) and closure.distance == pytest.approx(3.0)
    assert not proposals(loop(), within=2.0, alike=0.9)
    assert not proposals(loop(3000.0), within=5.0, alike=0.9)
    known = loop()
    known.add_edge(11, 0)
    assert not proposals(known, within=5.0, alike=0.9)
    unlike = loop()
    assert unlike.descriptor_sums is not None
    unlike.descriptor_sums.data[11] = np.eye(12)[5]
    assert not proposals(unlike, within=5.0, alike=0.9)


def test_bad_settings_are_refused():
    changes: list[dict] = [
        {"near": 0.0},
        {"near": 3.0, "reach": 2.0},
        {"height": 0.0},
        {"alike": 1.5},
        {"longest_gap_s": 0.0},
    ]
    for wrong in changes:
        with pytest.raises(BadInputError):
            PlaceSettings(**wrong)


def test_names_in_captions():
    assert names_in("Two people in front of Bank of America, left of Joe's Pizza.") == (
        "bank of america",
        "joe's pizza",
    )
    assert names_in("A red door. The CVS Pharmacy is closed. Nice") == ("cvs pharmacy",)
    assert names_in("I see a mug on a table, two chairs and a laptop.") == ()
    assert names_in("Street with cars") == () and names_in("") == ()
    assert names_in("Whole Foods on the right; 3 bikes") == ("whole foods",)
