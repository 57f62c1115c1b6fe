"""The street graph, the navigator's rules, what is perceived, and the street as a running world."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings
from embodied_mem.nodes.stack import OF_THE_STREET
from embodied_mem.nodes.sync import PoseSample
from sim.street.data import street_folder
from sim.street.graph import heading_of_yaw, load_touchdown, local_metres, yaw_of_heading
from sim.street.landmarks import Eyes, Landmarks, Noise, load_landmarks, positions_of
from sim.street.navigator import NO_LINK, Action, Navigator, State
from sim.street.simulator import StreetSimulator, caption_of, load_street

DATA = Path(os.environ.get("EMBODIED_MEM_DATA", "../shared/data")) / "touchdown"
STEP = 0.0001  # degrees of latitude: 11.1 m

# A crossing c with arms n, e, s, w, each arm two nodes long; n2 is a dead end like the other outer nodes.
CROSS = {"n": (1, 0, 0), "e": (0, 1, 90), "s": (-1, 0, 180), "w": (0, -1, 270)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "graph").mkdir()
    (tmp_path / "osm").mkdir()
    nodes, links = ["c,0,40.75,-73.99"], []
    for arm, (north, east, heading) in CROSS.items():
        for k in (1, 2, 3):
            nodes.append(f"{arm}{k},0,{40.75 + k * north * STEP},{-73.99 + k * east * STEP}")
            inner = "c" if k == 1 else f"{arm}{k - 1}"
            links += [f"{inner},{heading},{arm}{k}", f"{arm}{k},{(heading + 180) % 360},{inner}"]
    (tmp_path / "graph" / "nodes.txt").write_text("\n".join(nodes) + "\n")
    (tmp_path / "graph" / "links.txt").write_text("\n".join(links) + "\n")
    rows = ["osm_id,fclass,name,lon,lat", f'1,cafe,"Joe\'s, Coffee",-73.99,{40.75 + STEP}', "2,re,,-73.99,40.75"]
    rows.append(f"3,fire_station,Engine 7,{-73.99 + 50 * STEP},40.75")
    (tmp_path / "osm" / "poi_2017.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def graph(folder):
    return load_touchdown(folder)


def state(graph, name, heading):
    return State(graph.number[name], heading)


def test_the_frame_is_metric_east_and_north(graph):
    xy = graph.xy - graph.xy[graph.number["c"]]
    assert xy[graph.number["n1"]] == pytest.approx([0, 11.1], abs=0.05)
    assert xy[graph.number["e1"]] == pytest.approx([8.44, 0], abs=0.05)
    assert graph.degrees[graph.number["c"]] == 4 and len(graph.links) == 24
    assert local_metres([0.0, 0.001], [0.0, 0.0]) == pytest.approx([111.32, 0], abs=0.01)


def test_headings_and_yaws():
    assert yaw_of_heading([0, 90, 180, 270]) == pytest.approx([np.pi / 2, 0, -np.pi / 2, np.pi])
    assert heading_of_yaw(yaw_of_heading(np.arange(360))) == pytest.approx(np.arange(360))


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("nodes.txt", "c,0,40.75\n", "4 fields"),
        ("nodes.txt", "c,0,nan,1\n", "finite"),
        ("nodes.txt", "c,0,x,1\n", "no number"),
        ("links.txt", "c,0,nowhere\n", "nowhere"),
        ("nodes.txt", "c,0,1,1\nc,0,1,1\n", "twice"),
    ],
)
def test_broken_files_are_refused(folder, file, text, error):
    (folder / "graph" / file).write_text(text)
    with pytest.raises(BadInputError, match=error):
        load_touchdown(folder)


def test_a_missing_folder_says_so(tmp_path):
    with pytest.raises(NotFoundError, match="graph"):
        load_touchdown(tmp_path)


def test_forward_goes_along_the_heading_and_turns_least(graph):
    navigator = Navigator(graph)
    assert navigator.step(state(graph, "s1", 0), Action.FORWARD) == state(graph, "c", 0)
    assert navigator.step(state(graph, "c", 90), Action.FORWARD) == state(graph, "e1", 90)


def test_forward_without_a_link_stays_and_takes_the_nearest_heading(graph):
    navigator = Navigator(graph)
    assert navigator.link(state(graph, "c", 10)) == NO_LINK
    assert navigator.step(state(graph, "c", 10), Action.FORWARD) == state(graph, "c", 0)


def test_left_and_right_take_the_next_link(graph):
    navigator, at = Navigator(graph), state(graph, "c", 0)
    assert navigator.step(at, Action.LEFT) == state(graph, "c", 270)
    assert navigator.step(at, Action.RIGHT) == state(graph, "c", 90)
    assert navigator.step(state(graph, "n1", 0), Action.LEFT) == state(graph, "n1", 180)
    assert navigator.step(at, Action.STOP) == at


def test_the_border_cannot_be_entered(graph):
    navigator, at = Navigator(graph), state(graph, "n2", 0)
    assert navigator.step(at, Action.FORWARD) == at
    with pytest.raises(BadInputError, match="may take"):
        navigator.actions(at, graph.number["n3"])
    assert navigator.step(state(graph, "n3", 180), Action.LEFT) == state(graph, "n3", 180)
    assert navigator.actions(state(graph, "n3", 180), graph.number["n2"]) == [Action.FORWARD]


def test_actions_are_the_fewest(graph):
    navigator = Navigator(graph)
    assert navigator.actions(state(graph, "c", 0), graph.number["w1"]) == [Action.LEFT, Action.FORWARD]
    assert navigator.actions(state(graph, "c", 0), graph.number["e1"]) == [Action.RIGHT, Action.FORWARD]
    assert len(navigator.actions(state(graph, "c", 0), graph.number["s1"])) == 3


def test_landmarks_are_read_with_quotes_and_broken_classes(folder, graph):
    found = load_landmarks(folder, graph)
    assert found.names == ("Joe's, Coffee", "", "Engine 7")
    assert found.classes == ("cafe", "", "fire station")
    assert found.xy[0] == pytest.approx(graph.xy[graph.number["n1"]], abs=0.01)


def test_what_is_perceived_stands_within_reach(folder, graph):
    quiet = Noise(0.0, 0.0, 0.0)
    at = graph.xy[graph.number["s1"]]
    seen = Eyes(load_landmarks(folder, graph), quiet).look(at, float(yaw_of_heading(90)))
    assert seen.rows.tolist() == [1, 0]  # nearest first; the third is 400 m away
    assert seen.bearings == pytest.approx([np.pi / 2, np.pi / 2])  # to the left of a robot that looks east
    assert positions_of(seen, at, 0.0) == pytest.approx(load_landmarks(folder, graph).xy[[1, 0]], abs=0.05)
    assert not len(Eyes(load_landmarks(folder, graph), Noise(dropout=1.0)).look(at, 0.0))


def test_dropout_is_the_share_that_a_look_misses():
    many = Landmarks(np.arange(4000), ("",) * 4000, ("",) * 4000, np.zeros((4000, 2)))
    seen = Eyes(many, Noise(dropout=0.3), seed=1).look(np.zeros(2), 0.0)
    assert 0.66 < len(seen) / 4000 < 0.74


def test_the_world_is_repeatable_and_ends(folder):
    def whole(seed):
        world = load_street(folder, seed, nodes=12)
        frames = []
        while not world.done:
            frames.append(world.step())
        with pytest.raises(BadInputError, match="over"):
            world.step()
        return [(f.node, f.heading, f.caption) for f in frames]

    assert whole(3) == whole(3) and len(whole(3)) == 12
    assert any(a != b for a, b in zip(whole(3), whole(4), strict=True))


def test_the_patrol_obeys_the_graph(folder):
    world = load_street(folder, 1, nodes=60)
    nodes = [world.step().node for _ in range(60)]
    links = {tuple(link) for link in world.graph.links.tolist()}
    assert all(pair in links for pair in itertools.pairwise(nodes))
    assert len(set(nodes)) >= 8  # it gets around
    assert all(world.graph.degrees[node] >= 2 for node in nodes)


def test_boxes_and_depth_lie_where_the_landmark_is(folder, graph):
    world = StreetSimulator(
        graph, load_landmarks(folder, graph), noise=Noise(0.0, 0.0, 0.0), start=graph.number["s1"], nodes=1
    )
    assert world.state.heading == 0  # the first link of s1 in the file
    frame = world.step()
    assert frame.boxes.labels == ("landmark",)  # the nearer one hides the farther one
    box = frame.boxes.boxes[0]
    assert (box[0] + box[2]) / 2 == pytest.approx(frame.camera.cx, abs=1)
    assert (box[2] - box[0]) * 11.1 / frame.camera.fx == pytest.approx(4.0, abs=0.1)
    assert frame.depth[80, 160] == pytest.approx(11.1, abs=0.1)
    assert frame.caption == "landmark, 11 m ahead; cafe Joe's, Coffee, 22 m ahead"
    assert caption_of(world.landmarks, Eyes(world.landmarks, Noise(1.0)).look(np.zeros(2), 0.0)).startswith("a street")


def test_what_has_a_name_is_read_and_lifted_to_where_it_stands(folder, graph):
    """As a record: what the street's settings of perception make of a frame."""
    world = StreetSimulator(
        graph, load_landmarks(folder, graph), noise=Noise(0.0, 0.0, 0.0), start=graph.number["c"], nodes=1
    )
    frame = world.step()
    robot = PoseSample(1, np.array([*frame.base[:2], 0]), quaternion_from_yaw(frame.base[2]), None, "map")
    perceiver = Perceiver(PerceptionSettings(**OF_THE_STREET))
    seen = perceiver.camera(
        1, frame.rgb, frame.depth, frame.camera, robot, frame.boxes, frame.detector, frame.classes, frame.caption
    )
    assert (
        seen is not None and set(seen.detections.labels) == {"cafe", "joe's, coffee"} and seen.caption == frame.caption
    )
    assert "joe's, coffee" not in seen.view.classes and "cafe" in seen.view.classes
    for center in seen.detections.centers:
        assert center[:2] == pytest.approx(world.landmarks.xy[0], abs=0.5) and abs(center[2] - 1.5) < 0.5


def test_missing_data_is_said_with_what_to_do(tmp_path, folder, monkeypatch):
    monkeypatch.delenv("EMBODIED_MEM_DATA", raising=False)
    with pytest.raises(NotFoundError, match="set EMBODIED_MEM_DATA"):
        street_folder()
    with pytest.raises(NotFoundError, match=r"nodes\.txt is missing"):
        street_folder(tmp_path / "nowhere")
    (tmp_path / "touchdown").symlink_to(folder)
    monkeypatch.setenv("EMBODIED_MEM_DATA", str(tmp_path))
    assert street_folder() == tmp_path / "touchdown"


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the Touchdown data is not at {DATA}: set EMBODIED_MEM_DATA")
def test_the_city_is_as_described():
    graph = load_touchdown(DATA)
    assert len(graph) == 29_641 and len(graph.links) == 61_319
    assert int((graph.degrees > 2).sum()) == 1_371
    assert 9.4 < graph.lengths.mean() < 9.6
    assert len(load_landmarks(DATA, graph)) == 3_749 and len(load_landmarks(DATA, graph, 2013)) == 2_321
