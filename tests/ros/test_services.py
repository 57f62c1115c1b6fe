"""What changes memory and what is asked of it, through the services; a node's error is the caller's error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from embodied_mem_msgs.msg import AnswerStamped, MapIdentity
from embodied_mem_msgs.srv import Ask, Correct, Forget, Locate, ReAnchor, SetMap, Undo
from embodied_mem_msgs.srv import Query as QuerySrv
from geometry_msgs.msg import Point
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from embodied_mem import errors
from embodied_mem.nodes import qos
from embodied_mem.nodes.client import MemoryClient
from embodied_mem.nodes.conversions.results import path_msg
from embodied_mem.records.observation import View
from embodied_mem.records.query import TimeRange
from tests.ros.conftest import Pair
from tests.ros.graph import until
from tests.ros.samples import SECOND, now_ns, seen, things

KNOWS = View("camera", 1.2, 0.9, 0.1, 6.0, detector="test", classes=("cup", "sofa", "kettle"))


def test_a_query_ranks_by_meaning_and_says_what_it_rests_on(pair: Pair) -> None:
    pair.client.remember(seen("a bicycle in the hall", (7, 1, 1)))
    wanted = pair.client.remember(seen("a yellow teapot on the shelf", (3, 4, 1)))

    found = pair.client.query("yellow teapot", k=5, explain=True)

    best = found.hits[0]
    assert best.seq == wanted.seq and best.caption == "a yellow teapot on the shelf"
    assert best.sensor_position.tolist() == [3, 4, 1] and 0 <= best.age_s < 60
    assert found.exact and found.model == pair.record.memory.index.model and found.watermark >= wanted.seq
    assert f"records: {len(pair.record.memory.index)}" in found.explanation
    assert pair.client.query("xylophone zeppelin", k=3).reason.startswith("Not found: ")


def test_every_filter_restricts(pair: Pair) -> None:
    start = now_ns()
    near = pair.client.remember(seen("one", (100, 0, 0), detections=things(("kettle",), (100, 0, 1)))).seq
    far = pair.client.remember(seen("two", (200, 0, 0), robot_id="other", detections=things(("cup",), (200, 0, 1)))).seq

    def seqs(**restrictions: Any) -> list[int]:
        return sorted(hit.seq for hit in pair.client.query(k=50, **restrictions).hits)

    here = (np.array([99.0, -1, -1]), np.array([101.0, 1, 2]))
    assert seqs(box=here) == [near]
    assert seqs(center=np.array([200.0, 0, 0]), radius=5.0) == [far]
    assert seqs(near_record=near, radius=150.0, time=TimeRange(start, None)) == [near, far]
    assert seqs(labels=("kettle",), time=TimeRange(start, None)) == [near]
    assert seqs(robot_id="other") == [far]
    assert seqs(session_id="session-1", seqs=(near, far)) == [near, far]
    assert seqs(time=TimeRange(start, now_ns())) == [near, far]
    assert seqs(when=f"after record {near}") == [far]
    assert seqs(when="last 5 min", seqs=(far,)) == [far]
    assert seqs(as_of=near, seqs=(near, far)) == [near]


def test_a_vector_ranks_too_and_another_model_is_refused(pair: Pair) -> None:
    seq = pair.client.remember(seen("a green umbrella")).seq
    vector = pair.record.memory.index.vector_of(seq)
    model = pair.record.memory.index.model
    assert pair.client.query(vector=vector, vector_model=model, k=1).hits[0].score == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(errors.ModelMismatchError, match="another-model"):
        pair.client.query(vector=vector, vector_model="another-model")
    with pytest.raises(errors.ModelMismatchError, match="numbers"):
        pair.client.query(vector=vector[:7], vector_model=model)


def test_a_client_finds_what_it_wrote_at_once(pair: Pair) -> None:
    for number in range(5):
        admitted = pair.client.remember(seen(f"unmistakable gadget {number}"), durable=bool(number % 2))
        assert pair.client.query(seqs=(admitted.seq,)).hits[0].caption == f"unmistakable gadget {number}"


def test_locate_and_ask_answer_with_place_evidence_and_a_marker(pair: Pair) -> None:
    told = pair.graph.inbox(AnswerStamped, "answers", qos.ANSWERS)
    markers = pair.graph.inbox(MarkerArray, "recall/markers", qos.MARKERS)
    until(lambda: pair.recall._markers.get_subscription_count() and pair.recall._answers.get_subscription_count(), "us")
    for step in range(3):
        pair.client.remember(
            seen("a sofa", (10, 0.2 * step, 1), view=KNOWS, detections=things(("sofa",), (12, 0, 0.4)))
        )

    located = pair.client.locate("sofa")
    answer = pair.client.ask("Where is the sofa?")
    count = pair.client.ask("how many sofas are there?")

    for each in (located, answer):
        assert each.found and each.probability > 0.5 and each.map_id == "default" and each.frame_id == "map"
        assert each.position is not None and np.allclose(each.position, (12, 0, 0.4), atol=0.05)
        assert len(each.evidence) == 3 and all("sofa" in item.labels for item in each.evidence)
    assert count.count == 1
    assert told.wait(lambda message: message.question == "Where is the sofa?").answer.sentence == answer.sentence
    shown = markers.wait(lambda message: any(marker.text == answer.sentence for marker in message.markers))
    assert any(marker.ns == "evidence" and len(marker.points) == 6 for marker in shown.markers)


def test_what_was_never_seen_is_not_found_with_a_reason(pair: Pair) -> None:
    answer = pair.client.ask("where is the giraffe?")
    assert not answer.found and answer.position is None and answer.reason.startswith("Not found")
    assert not pair.client.locate("giraffe").found


def test_correct_forget_and_undo(pair: Pair) -> None:
    seq = pair.client.remember(seen("a read mug", (1, 1, 1), detections=things(("cup",), (1, 1, 1)))).seq

    command = pair.client.correct(seq, caption="a red mug", position=(2, 2, 2), labels=("mug",))
    pair.events.wait(lambda message: message.type == "corrected" and message.seq == command)
    (hit,) = pair.client.query(seqs=(seq,)).hits
    assert hit.caption == "a red mug" and hit.sensor_position.tolist() == [2, 2, 2] and hit.labels == ("mug",)

    assert pair.client.undo(command) == command
    assert pair.client.query(seqs=(seq,)).hits[0].caption == "a read mug"

    assert pair.client.forget((seq,), dry_run=True) == 1
    assert pair.client.query(seqs=(seq,)).found
    assert pair.client.forget((seq,)) == 1
    assert not pair.client.query(seqs=(seq,)).found
    assert pair.client.undo() > command
    assert pair.client.query(seqs=(seq,)).found


def test_forget_by_filter_takes_only_what_passes(pair: Pair) -> None:
    keep = pair.client.remember(seen("keep", (300, 0, 0))).seq
    lose = pair.client.remember(seen("lose", (310, 0, 0))).seq
    assert pair.client.forget(center=np.array([310.0, 0, 0]), radius=1.0) == 1
    assert [hit.seq for hit in pair.client.query(seqs=(keep, lose)).hits] == [keep]
    assert pair.client.forget(center=np.array([999.0, 0, 0]), radius=1.0) == 0


def test_a_new_map_hides_the_old_ones_coordinates_until_a_transform_is_known(pair: Pair) -> None:
    maps = pair.graph.inbox(MapIdentity, "current_map", qos.LATCHED)
    old = pair.client.remember(seen("in the old map", (5, 0, 0))).seq
    shift = np.eye(4)
    shift[0, 3] = 100.0
    try:
        assert pair.client.set_map("attic") == "default"
        maps.wait(lambda message: message.map_id == "attic")
        box = (np.array([4.0, -1, -1]), np.array([6.0, 1, 1]))
        assert not pair.client.query(box=box).found
        with pytest.raises(errors.UnknownMapError, match="no transform"):
            pair.client.query(box=box, map_id="default")
        assert pair.client.set_map("cellar", parent="default", transform=shift) == "attic"
        new = pair.client.remember(seen("in the new map", (-95, 0, 0))).seq  # (5, 0, 0) in the old one
        found = {hit.seq: hit for hit in pair.client.query(box=box, map_id="default", k=50).hits}
        assert old in found and found[new].position.tolist() == pytest.approx([5, 0, 0])
        with pytest.raises(errors.UnknownMapError, match="nowhere"):
            pair.client.query(map_id="nowhere")
        with pytest.raises(errors.UnknownMapError, match="nowhere"):
            pair.client.set_map("shed", parent="nowhere", transform=shift)
    finally:
        pair.client.set_map("default")


def test_re_anchoring_moves_a_maps_records_along_the_corrected_trajectory(pair: Pair) -> None:
    pair.client.set_map("loop")
    try:
        stamp = now_ns()
        seq = pair.client.remember(seen("half-way", (1, 0, 0), stamp_ns=stamp)).seq
        stamps = [stamp - SECOND, stamp + SECOND]
        before = [[0, 0, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 0, 1]]
        after = [[0, 0, 0, 0, 0, 0, 1], [2, 2, 0, 0, 0, 0, 1]]
        assert pair.client.re_anchor("loop", stamps, before, after) == 1
        assert pair.client.query(seqs=(seq,)).hits[0].sensor_position.tolist() == pytest.approx([1, 1, 0])
    finally:
        pair.client.set_map("default")


def _query(**fields: Any) -> Any:
    request = QuerySrv.Request()
    for name, value in fields.items():
        target = request.filter if hasattr(request.filter, name) else request
        setattr(target, name, value)
    return QuerySrv, "query", request


def _ask(question: str = "where is the cup?", frame: str = "", **fields: Any) -> Any:
    request = Ask.Request(question=question, **fields)
    request.robot.header.frame_id = frame
    return Ask, "ask", request


NAN = float("nan")
BAD = {
    "k of zero": (_query(k=0), errors.BadInputError, "k must be"),
    "k of a million": (_query(k=1_000_000), errors.BadInputError, "k "),
    "k above the node's own": (_query(k=5000), errors.BadInputError, "max_k"),
    "a text of blanks": (_query(text="  "), errors.BadInputError, "empty"),
    "text and vector": (_query(text="cup", vector=[1.0]), errors.BadInputError, "not both"),
    "a vector with NaN": (_query(vector=[NAN, 1.0], vector_model="x"), errors.BadInputError, "finite"),
    "a vector without its model": (_query(vector=[1.0]), errors.BadInputError, "model"),
    "min_score NaN": (_query(text="cup", min_score=NAN), errors.BadInputError, "min_score"),
    "min_score of 3": (_query(text="cup", min_score=3.0), errors.BadInputError, "min_score"),
    "an inverted box": (
        _query(use_box=True, box_min=Point(x=1.0), box_max=Point(x=-1.0)), errors.BadInputError, "inverted"),
    "a box with NaN": (_query(use_box=True, box_min=Point(x=NAN)), errors.BadInputError, "NaN"),
    "a radius with NaN": (_query(radius=NAN), errors.BadInputError, "radius"),
    "a negative radius": (_query(radius=-1.0), errors.BadInputError, "radius"),
    "a centre at infinity": (_query(radius=1.0, center=Point(y=float("inf"))), errors.BadInputError, "finite"),
    "an empty label": (_query(labels=[""]), errors.BadInputError, "label"),
    "an unknown map": (_query(map_id="mars"), errors.UnknownMapError, "mars"),
    "every map with a box": (_query(map_id="*", use_box=True), errors.BadInputError, "one map"),
    "words that are no time": (_query(when="when pigs fly"), errors.BadInputError, "pigs"),
    "before a record that is not there": (_query(when="before record 999999"), errors.NotFoundError, "999999"),
    "near a record that is not there": (_query(near_record=999999), errors.NotFoundError, "999999"),
    "an entry that is not there": (_query(read_to=10**6), errors.UnavailableError, "1000000 was not read"),
    "an empty question": (_ask(""), errors.BadInputError, "empty"),
    "a question of blanks": (_ask(" \n"), errors.BadInputError, "empty"),
    "a question about an unknown map": (_ask(map_id="mars"), errors.UnknownMapError, "mars"),
    "a robot in an unknown frame": (_ask(frame="base_link"), errors.BadInputError, "base_link"),
    "here without a robot": (_ask("what is here?"), errors.BadInputError, "here"),
    "locating nothing": ((Locate, "locate", Locate.Request(label=" ")), errors.BadInputError, "empty"),
    "correcting nothing": ((Correct, "correct", Correct.Request(seq=1)), errors.BadInputError, "fields"),
    "correcting an unknown field": (
        (Correct, "correct", Correct.Request(seq=1, fields=["colour"])), errors.BadInputError, "colour"),
    "correcting what is not there": (
        (Correct, "correct", Correct.Request(seq=999999, fields=["caption"], caption="x")),
        errors.NotFoundError, "999999"),
    "a correction to an empty caption": (
        (Correct, "correct", Correct.Request(seq=1, fields=["caption"])), errors.BadInputError, "empty"),
    "a correction to no rotation": (
        (Correct, "correct", Correct.Request(seq=2, fields=["pose"], pose=path_msg(
            [0], [[0, 0, 0, 0, 0, 0, 0]]).poses[0].pose)), errors.BadInputError, "quaternion"),
    "forgetting with an empty filter": ((Forget, "forget", Forget.Request()), errors.BadInputError, "everything"),
    "forgetting what is not there": (
        (Forget, "forget", Forget.Request(seqs=[999999])), errors.NotFoundError, "999999"),
    "trying to forget what is not there": (
        (Forget, "forget", Forget.Request(seqs=[999999], dry_run=True)), errors.NotFoundError, "999999"),
    "undoing what was never done": (
        (Undo, "undo", Undo.Request(command_seq=999999)), errors.NotFoundError, "999999"),
    "a map without a name": ((SetMap, "set_map", SetMap.Request()), errors.BadInputError, "map"),
    "a parent without a transform": (
        (SetMap, "set_map", SetMap.Request(map_id="a", parent_map_id="default")), errors.BadInputError, "transform"),
    "re-anchoring an unknown map": (
        (ReAnchor, "re_anchor", ReAnchor.Request(map_id="mars")), errors.UnknownMapError, "mars"),
    "re-anchoring without a path": (
        (ReAnchor, "re_anchor", ReAnchor.Request(map_id="default")), errors.BadInputError, "poses"),
    "re-anchoring paths that differ": (
        (ReAnchor, "re_anchor", ReAnchor.Request(
            map_id="default", before=path_msg([1, 2], [[0, 0, 0, 0, 0, 0, 1]] * 2))), errors.BadInputError, "pose"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_a_sentence_is_counted_and_loses_nothing(pair: Pair, name: str) -> None:
    (kind, service, request), error, words = BAD[name]
    pair.client.remember(seen("there is something in memory", detections=things(("cup",), (0, 0, 1))))
    node = pair.recall if service in ("query", "locate", "ask") else pair.record
    counted, watermark = node.counters[f"{service}_refused"], pair.record.memory.watermark

    with pytest.raises(error, match=words) as caught:
        pair.client.call(kind, service, request, timeout_s=6.0)

    sentence = str(caught.value)
    assert type(caught.value) is error and len(sentence.split()) > 4 and sentence.endswith((".", "?")), sentence
    assert node.counters[f"{service}_refused"] > counted and not node.counters["faults_failed"]
    assert pair.record.memory.watermark == watermark


def test_a_service_that_nobody_serves_is_named_in_time(pair: Pair) -> None:
    node = Node("lost", context=pair.graph.context)
    lost = MemoryClient("/nowhere", node=node, timeout_s=0.3)
    with pytest.raises(errors.UnavailableError, match="/nowhere/query"):
        lost.query("anything")
    lost.close()
    node.destroy_node()


@pytest.mark.parametrize(
    ("what", "fields", "says"),
    [
        (None, {}, "a caption or an Observation, not a NoneType"),
        ("a mug", {"position": (1.0, 2.0)}, "position must be 3 numbers"),
        ("a mug", {"position": "here"}, "position must be 3 numbers"),
        ("a mug", {"orientation": (0.0, 0.0, 1.0)}, "orientation must be 4 numbers"),
        ("half a \ud800 pair", {}, "cannot be sent"),
    ],
)
def test_the_client_refuses_what_it_cannot_send(pair: Pair, what: Any, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.BadInputError, match=says):
        pair.client.remember(what, **fields)
