"""The forest's page: what it holds is what the forest says, whole and by itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import NotFoundError
from embodied_mem.forest.view import ForestView
from embodied_mem.report.forest_page import forest_page, write_forest_page
from tests.records.builders import memory, observation


@pytest.fixture(scope="module")
def forest() -> ForestView:
    made = memory()
    rng = np.random.default_rng(0)
    for i in range(80):
        caption = ("a pond </script> & trees", "a car in a <garage>")[i % 2]
        made.remember(observation(10.0 * i, [40.0 * (i % 2) + rng.normal(), rng.normal(), 0], f"{caption} {i}"))
    view = ForestView(made)
    view.update()
    return view


def data_of(page: str) -> dict:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_every_node_is_there_with_its_own_records(forest: ForestView) -> None:
    data = data_of(forest_page(forest, "A <memory>"))
    tree = forest.trees[forest.frame_of()]
    nodes = tree.nodes().tolist()
    assert len(data["nodes"]) == len(nodes) and len(data["seqs"]) == len(data["points"]) == 80
    for node, shown in zip(nodes, data["nodes"], strict=True):
        own = data["seqs"][shown["first"] : shown["first"] + shown["records"]]
        assert sorted(own) == sorted(tree.arrays.seqs[tree.leaves_under(node)].tolist())
        assert shown["sentences"] and all(set(item["records"]) <= set(own) for item in shown["sentences"])
        assert shown["name"] and (shown["parent"] >= 0) == (node != tree.root)
    assert [data["captions"][i] for i in range(80)] == [forest.caption_of(seq) for seq in data["seqs"]]


def test_the_page_needs_nothing_else_and_cannot_be_broken_by_captions(forest: ForestView, tmp_path: Path) -> None:
    write_forest_page(forest, tmp_path / "forest.html", "A <memory>")
    page = (tmp_path / "forest.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=|https?://|@import", page)
    assert page.count("</script>") == 2 and "<title>A &lt;memory&gt;</title>" in page and 'role="tree"' in page


def test_a_large_tree_is_cut_below_and_an_empty_one_is_refused(forest: ForestView) -> None:
    page = forest_page(forest, "cut", most=3)
    data = data_of(page)
    assert len(data["nodes"]) == 3 and data["nodes"][0]["records"] == 80 and "3 highest are here" in page
    empty = ForestView(memory())
    empty.update()
    with pytest.raises(NotFoundError):
        forest_page(empty, "none")
