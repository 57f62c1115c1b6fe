"""A report holds what memory holds: the map, the path, the things, the answers, right and wrong."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from embodied_mem.cli.shape import hit_shape
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.report.gather import gather
from embodied_mem.report.ground import ground_of
from embodied_mem.report.map_view import map_svg
from embodied_mem.report.model import Asked, Event, Report, Thing
from embodied_mem.report.page import page_of, write_page
from embodied_mem.report.ways import way_to_answer
from tests.report.room import HIGH, LOW, START_NS, THINGS, memory, observations
from tests.rooms import MUG, sweep
from tests.ros.samples import seen


def located(mem: RecordMemory, query: Query) -> list[Thing]:
    made = []
    for label, place in THINGS.items():
        seqs = tuple(hit.record.seq for hit in mem.query(Query(labels=(label,), k=50)).hits)
        made.append(Thing(label, place, (0.3, 0.3, 0.3), 0.9, "observed", seqs, START_NS))
    return made


@pytest.fixture
def report() -> Report:
    mem = memory()
    made = gather(mem, "A <room>", locate=located)
    hits = [hit_shape(hit) for hit in mem.query(Query(labels=("lamp",), k=3)).hits]
    answer = {"found": True, "sentence": "The lamp is at (5.5, 0.5).", "probability": 0.93, "reason": "seen often"}
    answer |= {"pose": {"position": list(THINGS["lamp"])}, "evidence": hits, "age_s": 3.0, "map_id": "room"}
    nothing = {"found": False, "sentence": "", "probability": 0.8, "reason": "No unicorn was ever seen."}
    nothing |= {"pose": None, "evidence": [], "age_s": None, "map_id": "room"}
    made.asked = [
        Asked("where is the lamp?", answer, "where", "(5.5, 0.5)", True, 7.5),
        Asked("is there a <unicorn>?", nothing, "is_there", "no", False, 3.5),
    ]
    made.events = [Event(START_NS + 20 * 10**9, "the mug was moved")]
    made.phases = [("explore", 60.0), ("ask", 2.0)]
    made.counters = [("refused: uncertain_pose", 3)]
    return made


def test_the_ground_is_the_room():
    ground = ground_of(observations())
    assert ground is not None
    np.testing.assert_allclose(ground.low, LOW[:2], atol=0.1)
    np.testing.assert_allclose(ground.high, HIGH[:2], atol=0.1)
    rows, cols = ground.walls.shape
    border = np.ones((rows, cols), dtype=bool)
    border[3:-3, 3:-3] = False
    assert ground.walls[border].mean() > 10 * ground.walls[~border].mean()
    assert ground.floor.mean() > 0.6


def test_without_depth_there_is_no_ground():
    mem = RecordMemory.in_memory(HashingEmbedder())
    assert ground_of([]) is None
    empty = gather(mem, "nothing yet")
    assert empty.ground is None and page_of(empty)


def test_the_path_is_cut_at_leaps():
    mem = memory(10)
    (strip,) = gather(mem, "x").strips
    assert len(strip) == 10
    assert np.linalg.norm(np.diff(strip, axis=0), axis=1).max() < 2.0


def test_the_map_is_valid_svg_with_everything(report: Report):
    root = ElementTree.fromstring(map_svg(report).replace("href=", "xlink_href="))
    texts = [element.text for element in root.iter("text")]
    assert {"mug", "chair", "lamp"} <= set(texts)
    answers = [element for element in root.iter("g") if element.get("class") == "answer"]
    assert [element.get("data-question") for element in answers] == ["1"]
    sights = [element for element in answers[0].iter("line")]
    assert len(sights) == len(report.asked[0].answer["evidence"])
    width, height = (float(value) for value in root.get("viewBox", "").split()[2:])
    for path in root.iter("polyline"):
        for pair in path.get("points", "").split():
            x, y = (float(value) for value in pair.split(","))
            assert 0 <= x <= width and 0 <= y <= height


def test_the_page_says_it_all(report: Report, tmp_path: Path):
    write_page(report, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for words in ("A &lt;room&gt;", "1/2", "The lamp is at (5.5, 0.5).", "is there a &lt;unicorn&gt;?", "expected: no"):
        assert words in page, words
    assert "No unicorn was ever seen." in page and "uncertain_pose" in page and "the mug was moved" in page
    assert page.count('class="mark right"') == page.count('class="mark wrong"') == 1
    for record in report.asked[0].answer["evidence"]:
        assert re.search(rf'class="record" title="[^"]*">{record["seq"]}<', page)


def test_the_page_needs_nothing_else(report: Report):
    page = page_of(report)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(address.startswith("data:") for address in loaded)
    assert "http://" not in page and "https://" not in page


def test_the_picture(report: Report, tmp_path: Path):
    pytest.importorskip("matplotlib")
    from embodied_mem.report.picture import write_picture

    write_picture(report, tmp_path / "map.png")
    data = (tmp_path / "map.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 10_000


def test_extent_holds_everything(report: Report):
    low, high = report.extent()
    assert (low < LOW[:2]).all() and (high > HIGH[:2]).all()
    assert (high - low < 8).all()


def test_the_way_to_an_answer_is_drawn(tmp_path: Path):
    mem = RecordMemory.in_memory(HashingEmbedder())
    for x in range(6):
        position = np.array([x, -0.5, 1.2])
        mem.remember(seen(f"stop {x}", position, cloud=sweep(position), sensor_id="lidar"))
    answer = {"found": True, "kind": "where", "map_id": "default", "sentence": "The mug is there.", "reason": ""}
    answer |= {"pose": {"position": MUG.tolist()}, "extent": [0.1, 0.1, 0.1], "evidence": [], "probability": 0.9}
    asked = [Asked("is it?", {**answer, "kind": "is_there"}), Asked("where is the mug?", answer)]
    way = way_to_answer(mem, asked)
    assert way is not None and way.number == 2
    assert way.points[0] == pytest.approx([5, -0.5, 1.2]), "it begins where the robot is"
    toward = MUG[:2] - way.points[-1, :2]
    assert way.heading == pytest.approx(np.arctan2(toward[1], toward[0])) and np.hypot(*toward) < 2.7
    drawn = Report("way", strips=[way.points], way=way)
    assert 'class="way"' in map_svg(drawn) and "answer 2" in map_svg(drawn)
    assert way_to_answer(mem, asked[:1]) is None
    assert way_to_answer(RecordMemory.in_memory(HashingEmbedder()), asked) is None
