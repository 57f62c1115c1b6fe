"""The live forest is the one that a rebuild from the log makes, whatever commands came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import NotFoundError
from embodied_mem.forest.summarise import verify
from embodied_mem.forest.view import ForestView
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.view import RecordView
from tests.forest.trees import check
from tests.records.builders import SECOND, START, detections, memory, observation

CAPTIONS = (
    "a red mug on a wooden table", "two parked cars by a brick wall", "a long corridor with doors",
    "trees and a pond in the park", "a bus stop with a bench", 'a sign reads "Library"',
)  # fmt: skip


def remember(mem: RecordMemory, n: int, seed: int = 0) -> list[int]:
    rng = np.random.default_rng(seed)
    seqs = []
    for i in range(n):
        place = np.append(rng.integers(-20, 20, 2), 0.0)
        caption = f"{CAPTIONS[rng.integers(len(CAPTIONS))]} number {chr(97 + i % 26)}{chr(97 + i // 26)}x"
        found = detections(["mug"]) if i % 5 == 0 else detections([])
        stamp = (mem.index.watermark + 1) * 30.0
        seqs.append(mem.remember(observation(stamp, place, caption, detections=found)).seq)
    return seqs


def rebuilt(mem: RecordMemory) -> ForestView:
    """From the log alone: another view that reads every entry from the first."""
    copy = RecordView(mem.embedder)
    copy.apply(mem.entries(1, 10_000))
    forest = ForestView(copy)
    forest.update()
    assert forest.settled
    return forest


def check_forest(forest: ForestView, mem: RecordMemory) -> None:
    standing = {seq for seq in range(1, mem.watermark + 1) if _stands(mem, seq)}
    assert {int(tree.arrays.seqs[leaf]) for tree in forest.trees.values() for leaf in tree.leaves()} == standing
    for tree in forest.trees.values():
        check(tree)
    assert all(len(forest.words._words[seq]) for seq in standing)


def _stands(mem: RecordMemory, seq: int) -> bool:
    try:
        mem.get(seq)
    except NotFoundError:
        return False
    return True


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_after_any_commands_the_live_forest_equals_a_rebuild(data):
    mem = memory()
    forest = ForestView(mem)
    seqs = remember(mem, 30)
    forest.update()
    for _ in range(data.draw(st.integers(1, 12))):
        standing = [seq for seq in seqs if _stands(mem, seq)]
        what = data.draw(st.sampled_from(("remember", "forget", "correct", "move", "undo", "map", "anchor", "again")))
        if what == "remember":
            seqs += remember(mem, data.draw(st.integers(1, 4)), seed=len(seqs))
        elif what == "forget" and standing:
            mem.forget(data.draw(st.lists(st.sampled_from(standing), min_size=1, max_size=4, unique=True)))
        elif what == "correct" and standing:
            mem.correct(data.draw(st.sampled_from(standing)), caption=data.draw(st.sampled_from(CAPTIONS)))
        elif what == "move" and standing:
            mem.correct(data.draw(st.sampled_from(standing)), position=(9.0, data.draw(st.integers(-9, 9)), 0.0))
        elif what == "undo":
            _try(mem.undo)
        elif what == "map":
            turn = np.eye(4)
            turn[0, 3] = 100.0
            linked = data.draw(st.booleans())
            name = data.draw(st.sampled_from(("cellar", "attic")))
            mem.set_map(name, parent="default" if linked else "", transform=turn if linked else None)
        elif what == "anchor":
            pose = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
            mem.reanchor(mem.maps[0], [START], [pose], [(float(data.draw(st.integers(-9, 9))), *pose[1:])])
        elif what == "again" and standing[-1:] == seqs[-1:]:
            obs = mem.get(standing[-1]).observation
            mem.remember(observation((obs.stamp_ns - START) / SECOND + 1, obs.position, obs.caption,
                                     detections=obs.detections))  # fmt: skip
        if data.draw(st.booleans()):
            forest.update()
            check_forest(forest, mem)
    forest.update()
    check_forest(forest, mem)
    forest.settle()
    assert forest.settled and forest.fingerprint() == rebuilt(mem).fingerprint()


def _try(call) -> None:
    try:
        call()
    except (NotFoundError, ValueError):
        return


def test_a_forest_that_follows_one_by_one_equals_one_that_reads_all_at_once():
    mem = memory()
    forest = ForestView(mem)
    for i in range(40):
        remember(mem, 1, seed=i)
        assert forest.update() == 1
    assert forest.settled and forest.fingerprint() == rebuilt(mem).fingerprint()


def test_forgotten_words_are_nowhere_in_the_forest():
    mem = memory()
    forest = ForestView(mem)
    remember(mem, 40)
    secret = mem.remember(observation(5000, (1, 1, 0), "the unmistakable zweihaender of Bob")).seq
    forest.update()
    frame, _ = forest.leaf_of(secret)
    told = [forest.summary(frame, node) for node in forest.trees[frame].nodes().tolist()]
    assert any("zweihaender" in summary.text + str(summary.counts) for summary in told)
    mem.forget([secret])
    forest.update()
    for _ in range(2):
        told = [forest.summary(frame, node) for node in forest.trees[frame].nodes().tolist()]
        assert not any("zweihaender" in f"{s.text} {s.name} {s.counts}" or secret in s.evidence for s in told)
        assert forest.lexicon.code("zweihaender") is None and "zweihaender" not in forest.lexicon._words
        assert "zweihaender" not in forest.words._postings
        forest.settle()
    with pytest.raises(NotFoundError, match="forgotten"):
        forest.leaf_of(secret)


def test_every_sentence_of_every_summary_can_be_verified():
    mem = memory()
    forest = ForestView(mem)
    remember(mem, 120)
    forest.update()
    frame = forest.frame_of()
    tree = forest.trees[frame]
    for node in tree.nodes().tolist():
        seqs = tree.arrays.seqs[tree.leaves_under(node)].tolist()
        said = {seq: forest.lexicon.said_by(seq) for seq in seqs}
        captions = {seq: forest.caption_of(seq) for seq in seqs}
        summary = forest.summary(frame, node)
        assert 1 <= len(summary.sentences) <= 3 and not verify(summary, said, captions)
        assert summary.records == len(seqs)


def test_a_summary_is_kept_until_something_below_it_or_beside_it_changes():
    mem = memory()
    forest = ForestView(mem)
    remember(mem, 300)
    forest.update()
    frame = forest.frame_of()
    nodes = forest.trees[frame].nodes().tolist()
    assert forest.stale(frame) == nodes
    first = [forest.summary(frame, node) for node in nodes]
    assert not forest.stale(frame)
    assert all(forest.summary(frame, node) is made for node, made in zip(nodes, first, strict=True))
    remember(mem, 1, seed=99)
    forest.update()
    assert forest.trees[frame].root in forest.stale(frame) and len(forest.stale(frame)) < len(
        forest.trees[frame].nodes()
    )


def test_maps_without_a_known_transform_have_trees_of_their_own():
    mem = memory()
    remember(mem, 20)
    mem.set_map("cellar")
    remember(mem, 20, seed=1)
    forest = ForestView(mem)
    forest.update()
    assert {name: len(tree) for name, tree in forest.trees.items()} == {"default": 20, "cellar": 20}
    with pytest.raises(NotFoundError, match="attic"):
        forest.frame_of("attic")


def test_without_an_embedder_the_forest_grows_by_place():
    view = RecordView()
    mem = memory()
    remember(mem, 40)
    bare = [entry for entry in mem.log.read(1, 1000)]
    view.apply(bare)
    forest = ForestView(view)
    assert forest.update() == 40
    check(forest.trees["default"])
    assert forest.summary("default", forest.trees["default"].root).records == 40


def test_vectors_that_come_late_are_taken_in():
    mem = memory()
    remember(mem, 40)
    view = RecordView()
    view.apply(list(mem.log.read(1, 1000)))
    forest = ForestView(view)
    forest.update()
    view.embedder = mem.embedder
    view.embed_texts([(seq, forest.caption_of(seq)) for seq in sorted(forest._known)])
    assert forest.update() == 40
    forest.settle()
    assert forest.fingerprint() == rebuilt(mem).fingerprint()
