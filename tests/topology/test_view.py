"""The view of the log: whatever happens, the live graph is the one that a rebuild from entry 1 makes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError, NotFoundError, UnreachableError
from embodied_mem.records.commands import BlockWay, MergePlaces, from_json, to_json
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.entry import Kind
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.memory import RecordMemory
from embodied_mem.topology.exchange import to_arrays
from embodied_mem.topology.places import PlaceSettings
from embodied_mem.topology.routes import ToLandmark
from embodied_mem.topology.view import TopologyView, ToRecord
from tests.records.builders import START, Clock, detections, memory, observation
from tests.topology.log_lives import SETTINGS, begin, rebuilt


def equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            equal(value, other[name])
        elif name in ("maps", "names") or value is None:
            assert value == other[name], name
        else:
            np.testing.assert_array_equal(value, other[name], err_msg=name)


def follow(life_memory: RecordMemory) -> TopologyView:
    view = TopologyView(life_memory.index, SETTINGS, clock=lambda: 0, every=7)
    life_memory.subscribe(view.apply)
    return view


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), every=st.sampled_from([1, 3, 20]))
def test_a_live_graph_is_a_rebuilt_one_whatever_happened(seed, every):
    life = begin(None, seed)
    view = follow(life.memory)
    for number in range(80):
        life.step()
        if number % every == 0:
            assert len(view.graph) >= 0  # so that it is made from every state, not only from the last
    assert view.watermark == life.memory.watermark
    equal(to_arrays(view.graph), to_arrays(rebuilt(life.memory).graph))


def walk(*stops, memory_=None, start: float = 0.0, captions="the hall"):
    """A memory of a walk in a straight line between stops (x, y, z), an observation each metre and second."""
    memory_ = memory_ or memory()
    seqs, now = [], start
    for source, target in pairwise(stops):
        steps = int(np.ceil(np.linalg.norm(np.subtract(target, source))))
        for share in np.arange(1, steps + 1) / steps:
            now += 1.0
            where = np.array(source) + share * np.subtract(target, source)
            words = captions(where) if callable(captions) else captions
            seqs.append(memory_.remember(observation(now, where, f"{words}")).seq)
    return memory_, seqs


def viewed(memory_: RecordMemory, **changes) -> TopologyView:
    view = TopologyView(memory_.index, PlaceSettings(**{"near": 2.0, "reach": 2.0, **changes}), clock=lambda: 0)
    view.apply(memory_.entries(1, 10**6))
    memory_.subscribe(view.apply)
    return view


def test_a_walk_becomes_places_and_edges_both_ways():
    memory_, seqs = walk((0, 0, 0), (12, 0, 0))
    view = viewed(memory_)
    graph = view.graph
    assert len(graph) == 4 and graph.edge_count == 6
    np.testing.assert_allclose(graph.positions.data[:, 0], [2, 5, 8, 11])
    assert graph.edge(0, 1).traversals == 1 and graph.edge(1, 0).traversals == 0
    assert graph.edge(0, 1).last_used_ns == memory_.get(seqs[3]).observation.stamp_ns
    assert graph.place(1).records.tolist() == seqs[3:6]
    assert viewed(memory_, two_way=False).graph.edge_count == 3


def test_look_alike_corners_three_kilometres_apart_stay_two():
    memory_, _ = walk((0, 0, 0), (1, 0, 0), (0, 0, 0))
    walk((3000, 0, 0), (3001, 0, 0), memory_=memory_, start=100.0)
    view = viewed(memory_, near=5.0, reach=20.0, alike=0.5)
    assert len(view.graph) == 2 and view.graph.edge_count == 0
    assert not view.proposals(within=100.0, alike=0.5)


def test_a_merge_is_logged_and_undone_exactly():
    # Round a block and back with some metres of drift: the corner is seen again, and made anew.
    def said(where):
        return "the corner shop" if np.hypot(*where[:2]) < 7 else "zebras zigzag" if where[0] > 15 else "my jazz kiosk"

    memory_, _ = walk((0, 0, 0), (30, 0, 0), (30, 30, 0), (0, 30, 0), (0, 3.5, 0), captions=said)
    view = viewed(memory_)
    before = to_arrays(view.graph)
    closures = view.proposals(within=5.0, alike=0.95)
    assert closures and closures[0].distance < 5.0
    number = memory_.change_places(MergePlaces(closures[0].records))
    assert len(view.graph) == len(before["positions"]) - 1
    a, b = (view.graph.place_of_record(record) for record in closures[0].records)
    both = np.isin(before["evidence"][:, 0], closures[0].places)
    assert a == b and view.graph.place(a).records.tolist() == np.sort(before["evidence"][both, 1]).tolist()
    assert len(view.graph.neighbours(a)) >= 2
    equal(to_arrays(view.graph), to_arrays(viewed(memory_).graph))
    memory_.undo(number)
    equal(to_arrays(view.graph), before)
    memory_.undo(number + 1)  # the undo
    assert len(view.graph) == len(before["positions"]) - 1


def test_a_block_closes_a_way_until_its_time():
    memory_, seqs = walk((0, 0, 0), (12, 0, 0))
    view = viewed(memory_)
    memory_.change_places(BlockWay((seqs[0], seqs[4]), until_ns=50, both_ways=False))
    with pytest.raises(UnreachableError, match="blocked"):
        view.route(0, 3, now_ns=49)
    assert view.route(3, 0, now_ns=49).length == pytest.approx(9) and view.route(
        0, 3, now_ns=50
    ).length == pytest.approx(9)
    memory_.undo()
    assert view.route(0, 3, now_ns=49).length == pytest.approx(9)
    for wrong in (MergePlaces((seqs[0],)), MergePlaces((seqs[0], seqs[0])), BlockWay((2, 2), 5)):
        with pytest.raises(BadInputError, match="two places"):
            memory_.change_places(wrong)
    with pytest.raises(NotFoundError):
        memory_.change_places(MergePlaces((seqs[0], 999)))


def test_routes_to_records_and_their_detections():
    memory_, seqs = walk((0, 0, 0), (12, 0, 0))
    mug = memory_.remember(observation(60, (12, 1, 0), "x", detections=detections(["mug"], [(12, 2.5, 0.5)]))).seq
    view = viewed(memory_)
    route = view.route(ToRecord(seqs[0]), ToRecord(mug, 0))
    assert route.places[-1] == view.graph.place_of_record(mug) and route.places[0] == 0
    last = view.graph.positions.data[route.places[-1]]
    assert route.after == pytest.approx(np.linalg.norm([12, 2.5, 0.5] - last))
    with pytest.raises(BadInputError, match="1 detections, none 1"):
        view.route(0, ToRecord(mug, 1))
    memory_.forget([mug])
    with pytest.raises(NotFoundError, match="forgotten"):
        view.route(0, ToRecord(mug))


def test_landmarks_are_what_was_detected_or_named_and_vanish_when_forgotten(tmp_path):
    memory_ = RecordMemory.open(tmp_path, clock=Clock())
    things = detections(["Chair", "chair", "lamp"], [(3, 0, 0), (0, 2, 0), (-1, 0, 0)])
    seq = memory_.remember(observation(-9, (0, 0, 0), "People at Joe's Pizza. Nice", detections=things)).seq
    memory_.remember(observation(-5, (9, 0, 0), "a wall"))
    view = viewed(memory_)
    found = {mark.name: mark for mark in view.graph.landmarks.of(0)}
    assert found.keys() == {"chair", "lamp", "joe's pizza"}
    assert (
        found["chair"].count == 1
        and found["chair"].bearing == pytest.approx(np.pi / 2)
        and found["chair"].distance == 2
    )
    assert view.route(1, ToLandmark("joe's pizza")).places.tolist() == [1, 0]
    memory_.correct(seq, labels=("chair", "stool", "lamp"))
    assert {mark.name for mark in view.graph.landmarks.of(0)} == {"chair", "stool", "lamp", "joe's pizza"}
    memory_.correct(seq, caption="a quiet corner")
    assert "joe's pizza" not in view.graph.landmarks.names.all()
    memory_.forget([seq])
    assert len(view.graph) == 1 and not len(view.graph.landmarks)
    Compaction(memory_).run()
    assert "joe's pizza" not in repr(vars(view._sightings))
    memory_.close()


def test_commands_survive_the_log_and_reopening(tmp_path):
    for command in (MergePlaces((3, 9)), BlockWay((4, 5), 2**63 - 1, False)):
        assert from_json(to_json(command)) == command
    life = begin(str(tmp_path), 5)
    for _ in range(60):
        life.step()
    expected = to_arrays(follow_from_start(life.memory).graph)
    life.memory.close()
    again = RecordMemory.open(tmp_path, life.memory.embedder, clock=Clock())
    equal(to_arrays(follow_from_start(again).graph), expected)
    again.close()


def follow_from_start(memory_: RecordMemory) -> TopologyView:
    view = TopologyView(memory_.index, SETTINGS, clock=lambda: 0)
    view.apply(memory_.entries(1, 10**6))
    return view


def test_vectors_that_come_late_and_repetitions_are_taken_in():
    memory_ = memory()
    seqs = [memory_.remember(observation(i, (3.0 * i, 0, 0), "the hall")).seq for i in range(4)]
    entries = memory_.entries(1, 100)
    index = RecordIndex()
    index.apply(entries)
    view = TopologyView(index, PlaceSettings(near=2.0, reach=20.0, alike=0.9), clock=lambda: 0)
    view.apply(entries)
    assert len(view.graph) == 4  # without vectors, space alone
    vectors = np.array([memory_.index.vector_of(seq) for seq in seqs], dtype=np.float32)
    index.set_vectors(np.array(seqs[:2]), vectors[:2], "letters")
    assert len(view.graph) == 3
    index.set_vectors(np.array(seqs[2:]), vectors[2:], "letters")
    assert len(view.graph) == 1  # one long hall
    memory_.remember(observation(9, (9.0, 0, 0), "the hall"))  # folded into the last
    again = memory_.entries(index.watermark + 1, 100)
    assert again[0].kind is Kind.SEEN_AGAIN
    index.apply(again)
    view.apply(again)
    assert view.graph.place(0).last_seen_ns == START + 9 * 10**9
    index.replace_vectors(np.array(seqs), np.eye(4, dtype=np.float32), "another model")
    assert len(view.graph) == 4
