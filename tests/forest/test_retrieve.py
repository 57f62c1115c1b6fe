"""Retrieval through the tree is that of scoring every record, under every filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.forest.bm25 import BM25
from embodied_mem.forest.grow import Growth
from embodied_mem.forest.retrieve import FOREVER, Wanted, beam, diverse, exact, fuse
from embodied_mem.forest.search import Ranking, retrieve
from embodied_mem.forest.sketch import sketch
from embodied_mem.forest.tree import Tree
from embodied_mem.forest.view import ForestView
from embodied_mem.records.query import Query, TimeRange
from tests.forest.test_view import remember
from tests.forest.trees import world
from tests.records.builders import SECOND, START, memory


def grown(n: int = 400, seed: int = 0) -> Tree:
    vectors, places, _ = world(n, seed=seed)
    vectors[::50] = 0  # without words
    vectors[1::40] = vectors[1]  # the same words
    growth = Growth(Tree(16))
    spans = np.column_stack([np.arange(n), np.arange(n) + 3]) * SECOND
    leaves = growth.add(np.arange(1, n + 1), vectors, places, spans=spans)
    for leaf in leaves[::7].tolist():
        growth.remove(leaf)
    return growth.tree


TREE = grown()


def flat(tree: Tree, w: Wanted) -> list[tuple[float, int]]:
    """Every record scored, in plain Python."""
    found = []
    shares = np.array(w.shares) / sum(w.shares)
    for leaf in tree.leaves().tolist():
        a = tree.arrays
        position, (first, last) = a.positions[leaf], a.spans[leaf]
        if w.allowed is not None and not w.allowed[leaf]:
            continue
        if first >= w.end or last < w.start or (shares[0] and not a.worded[leaf]):
            continue
        if w.box is not None and ((position < w.box[0]) | (position > w.box[1])).any():
            continue
        if w.sphere is not None and ((position - w.sphere[:3]) ** 2).sum() > w.sphere[3] ** 2:
            continue
        terms = [
            0.0 if not shares[0] else (1 + float(a.vectors[leaf].astype(float) @ np.asarray(w.vector, float))) / 2,
            0.0 if not shares[1] else float(np.exp(-np.linalg.norm(position - w.point) / w.reach)),
            0.0 if not shares[2] else float(np.exp(-abs(last - w.moment) / (w.lapse * 1e9))),
        ]
        assert all(0 <= term <= 1 + 1e-9 for term in terms)
        found.append((float(shares @ terms), int(a.seqs[leaf])))
    return sorted(found, key=lambda item: (-round(item[0], 12), -item[1]))[: w.k]


def a_search(data) -> Wanted:
    """Any search of TREE."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    vector = rng.normal(size=16)
    if data.draw(st.booleans()):
        vector = TREE.arrays.vectors[rng.integers(400)].astype(float) + 0.1 * vector
    unit = np.asarray(vector / np.linalg.norm(vector), np.float32)
    low = rng.uniform(-10, 80, 3) * [1, 0, 0] - [0, 5, 1]
    return Wanted(
        k=data.draw(st.sampled_from((1, 3, 10, 500))),
        vector=unit,
        point=rng.uniform(0, 80, 3) if data.draw(st.booleans()) else None,
        reach=data.draw(st.sampled_from((0.5, 10.0))),
        moment=int(rng.integers(400) * SECOND) if data.draw(st.booleans()) else None,
        lapse=50.0,
        weights=data.draw(st.sampled_from(((1, 1, 1), (1, 0, 0), (1, 5, 0.1)))),
        box=(low, low + np.array([30, 10, 2])) if data.draw(st.booleans()) else None,
        sphere=np.append(rng.uniform(0, 80, 3) * [1, 0, 0], 15.0) if data.draw(st.booleans()) else None,
        start=int(rng.integers(300)) * SECOND if data.draw(st.booleans()) else -FOREVER,
        end=int(rng.integers(301, 500)) * SECOND if data.draw(st.booleans()) else FOREVER,
        allowed=rng.random(400) < 0.3 if data.draw(st.booleans()) else None,
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_best_first_equals_scoring_every_record(data):
    wanted = a_search(data)
    found, expected = exact(TREE, wanted), flat(TREE, wanted)
    assert found.exact and found.seqs.tolist() == [seq for _, seq in expected]
    np.testing.assert_allclose(found.scores, [score for score, _ in expected], atol=1e-12)
    wide = beam(TREE, wanted, 1000)
    assert wide.seqs.tolist() == found.seqs.tolist() and not wide.exact


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_codes_choose_whom_to_score_and_filters_hold(data):
    tree, w = TREE, a_search(data)
    passing = flat(tree, replace(w, k=10_000))
    everything = sketch(tree, w, 10_000)
    assert everything.exact and everything.codes_read == len(passing)
    np.testing.assert_allclose(everything.scores, [score for score, _ in flat(tree, w)], atol=1e-9)
    some = sketch(tree, w, w.k)
    scores = {seq: score for score, seq in passing}
    assert len(some.seqs) == min(w.k, len(passing)) and some.leaves_read <= w.k
    np.testing.assert_allclose(some.scores, [scores[seq] for seq in some.seqs.tolist()], atol=1e-9)


def test_codes_find_nearly_all_of_the_best():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(3000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    growth = Growth(Tree(64))
    growth.add(np.arange(3000), vectors, rng.uniform(0, 100, (3000, 3)))
    hits = [
        len({*exact(growth.tree, w).seqs.tolist()} & {*sketch(growth.tree, w, 300).seqs.tolist()})
        for w in (Wanted(k=10, vector=vectors[i]) for i in range(20))
    ]
    assert np.mean(hits) > 8.5
    with pytest.raises(BadInputError, match="cannot be chosen"):
        sketch(growth.tree, Wanted(k=10, vector=vectors[0]), 9)
    with pytest.raises(BadInputError, match="vectors"):
        sketch(growth.tree, Wanted(k=1, point=np.zeros(3)), 9)
    assert not len(sketch(Tree(4), Wanted(k=1, vector=np.ones(4, np.float32)), 9).leaves)


def test_nodes_that_cannot_win_are_not_read():
    tree = grown()
    near = Wanted(k=3, point=tree.arrays.positions[tree.leaves()[5]], reach=1.0)
    assert exact(tree, near).leaves_read < 0.3 * len(tree)
    inside = Wanted(k=3, vector=tree.arrays.vectors[2], box=(np.array([-9.0, -9, -1]), np.array([9.0, 9, 1])))
    assert exact(tree, inside).nodes_read < 0.6 * len(tree.nodes())


def test_a_wider_beam_reads_more_and_misses_less():
    tree = grown()
    vectors, _, _ = world(400, seed=9)
    hits, read = [], []
    for width in (1, 4, 16):
        pairs = [(beam(tree, Wanted(vector=v), width), exact(tree, Wanted(vector=v))) for v in vectors[:30]]
        hits.append(np.mean([len(set(b.seqs) & set(e.seqs)) / 10 for b, e in pairs]))
        read.append(np.mean([b.leaves_read for b, _ in pairs]))
    assert hits == sorted(hits) and read == sorted(read) and hits[-1] > hits[0] and read[0] < 0.2 * len(tree)


def test_an_empty_tree_finds_nothing_and_malformed_searches_are_refused():
    assert not len(exact(Tree(16), Wanted(vector=np.eye(16, dtype=np.float32)[0])).seqs)
    with pytest.raises(BadInputError, match="Nothing to rank by"):
        Wanted()
    with pytest.raises(BadInputError, match="finite"):
        Wanted(vector=np.full(16, np.nan))
    with pytest.raises(BadInputError, match="16 numbers"):
        exact(grown(), Wanted(vector=np.ones(3, np.float32)))
    with pytest.raises(BadInputError, match="1 node"):
        beam(grown(), Wanted(vector=np.ones(16, np.float32)), 0)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_filters_of_memory_hold_in_the_forest_as_in_the_index(data):
    forest, mem = _forest()
    text = data.draw(st.sampled_from(("a mug", "parked cars", "trees in the park", "library")))
    query = Query(
        text=text, min_score=-1.0, k=data.draw(st.sampled_from((1, 5, 20))),
        map_id=data.draw(st.sampled_from(("", "*", "default", "yard"))),
        labels=data.draw(st.sampled_from(((), ("mug",), ("sofa",)))),
        time=data.draw(st.sampled_from((None, TimeRange(START + 600 * SECOND, START + 2500 * SECOND)))),
        robot_id=data.draw(st.sampled_from(("", "robot", "nobody"))),
        seqs=data.draw(st.sampled_from((None, tuple(range(3, 60, 2))))),
    )  # fmt: skip
    if query.map_id != "*" and data.draw(st.booleans()):
        query = Query(**{**_fields(query), "center": np.array([3.0, 1.0, 0.0]), "radius": 12.0})
    hits = mem.query(query).hits
    found = retrieve(forest, query, chains=False)
    # The index ranks equal scores by version, the forest by number.
    scores = {hit.record.seq: hit.score for hit in hits}
    assert sorted(round(s, 9) for s in scores.values()) == sorted(round(2 * leaf.score - 1, 9) for leaf in found.leaves)
    worst = min(scores.values(), default=0.0)
    for leaf in found.leaves:
        assert leaf.seq in scores or abs(2 * leaf.score - 1 - worst) < 1e-9
    assert bool(found.reason) == (not hits)


_MADE = None


def _forest():
    """A memory of two connected maps with corrections and forgetting, and its forest, not settled."""
    global _MADE
    if _MADE is None:
        mem = memory()
        forest = ForestView(mem)
        seqs = remember(mem, 60)
        turn = np.eye(4)
        turn[:3, 3] = 4.0, 1.0, 0.0
        mem.set_map("yard", parent="default", transform=turn)
        seqs += remember(mem, 40, seed=5)
        forest.update()
        mem.forget(seqs[4:9])
        mem.correct(seqs[20], caption="a green sofa in the library", position=(1, 1, 0))
        forest.update()
        _MADE = forest, mem
    return _MADE


def _fields(query: Query) -> dict:
    return {name: getattr(query, name) for name in query.__slots__}


def test_a_found_record_comes_with_its_summaries_and_why():
    forest, _ = _forest()
    found = retrieve(forest, Query(text="parked cars by a wall", k=3), Ranking(by="hybrid"))
    assert found.leaves and all("cars" in forest.caption_of(leaf.seq) for leaf in found.leaves)
    for leaf in found.leaves:
        assert "by words" in leaf.why
        assert leaf.above and leaf.above[-1].records == len(forest.trees[leaf.map_id])
    lexical = retrieve(forest, Query(text="library", k=5), Ranking(by="lexical"))
    assert {"library" in forest.caption_of(leaf.seq).lower() for leaf in lexical.leaves} == {True}
    nothing = retrieve(forest, Query(text="mug", seqs=(1,)))
    assert not nothing.leaves and nothing.reason.startswith("Not found")
    with pytest.raises(BadInputError, match="as it stands now"):
        retrieve(forest, Query(text="mug", as_of=3))


def test_different_results_are_less_alike_than_the_best():
    forest, _ = _forest()
    query = Query(text="a red mug on a wooden table", k=5)
    captions = [
        {forest.caption_of(leaf.seq)[:9] for leaf in retrieve(forest, query, Ranking(trade=trade)).leaves}
        for trade in (1.0, 0.3)
    ]
    assert len(captions[1]) > len(captions[0])


def test_fusion_by_hand():
    items, scores = fuse(np.array([7, 3]), np.array([3, 9]), constant=60)
    assert items.tolist() == [3, 7, 9]
    np.testing.assert_allclose(scores, [1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_diversity_by_hand():
    rows = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert diverse(rows, np.array([1.0, 0.9, 0.5]), 2, 1.0).tolist() == [0, 1]
    assert diverse(rows, np.array([1.0, 0.9, 0.5]), 2, 0.5).tolist() == [0, 2]


def test_bm25_by_the_formula_and_without_what_was_removed():
    bm = BM25()
    texts = {1: "red mug red table", 2: "blue mug", 3: "a tree"}
    for number, text in texts.items():
        bm.add(number, text)
    numbers, scores = bm.rank("where is a red mug?", 5)
    assert numbers.tolist() == [1, 2]
    idf = {"red": np.log(1 + 2.5 / 1.5), "mug": np.log(1 + 1.5 / 2.5)}
    long = 1.2 * (1 - 0.75 + 0.75 * 4 / (7 / 3))
    expected = idf["red"] * 2 * 2.2 / (2 + long) + idf["mug"] * 2.2 / (1 + long)
    np.testing.assert_allclose(scores[0], expected)
    assert bm.rank("mug", 5, np.array([2]))[0].tolist() == [2]
    bm.remove(1)
    assert bm.rank("red mug", 5)[0].tolist() == [2] and "red" not in bm._postings
