"""Files: the same content gives the same bytes, and a damaged page is never believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.octree.find import PAGE
from embodied_mem.octree.tree import Octree, equal

RESOLUTION = 0.1


def _tree(seed: int = 0, scans: int = 4) -> Octree:
    tree = Octree(RESOLUTION)
    rng = np.random.default_rng(seed)
    for number in range(scans):
        origin = rng.uniform(-1, 1, 3)
        tree.insert(rng.uniform(-6, 6, (900, 3)), origin=origin, stamp_ns=10 + number, record=number + 1)
    return tree


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    tree, other = _tree(), _tree()
    other.insert(np.full((1, 3), 30.05), stamp_ns=99, record=50)  # a detour that leaves nothing
    other.clear([29, 29, 29], [31, 31, 31])
    tree.save(tmp_path / "one", watermark=12, meta={"map": "home"})
    other.save(tmp_path / "other", watermark=12, meta={"map": "home"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    opened = Octree.open(tmp_path / "one")
    assert (opened.watermark, opened.meta, len(opened), opened.blocks) == (12, {"map": "home"}, len(tree), tree.blocks)
    assert equal(opened, tree) and not equal(tree, _tree(1))
    opened.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "one").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["again", "one", "other"]


def test_a_mapped_map_can_be_written_to_and_its_file_stays(tmp_path: Path) -> None:
    tree = _tree()
    tree.save(tmp_path / "tree")
    before = (tmp_path / "tree").read_bytes()
    opened = Octree.open(tmp_path / "tree")
    more = np.random.default_rng(9).uniform(-6, 6, (500, 3))
    for grown in (tree, opened):
        grown.insert(more, origin=(0.5, 0.5, 0.5), stamp_ns=70, record=9)
        grown.clear((-1, -1, -1), (0, 2, 2))
        grown.forget_records([2])
    assert equal(tree, opened)
    assert (tmp_path / "tree").read_bytes() == before


def test_an_empty_map(tmp_path: Path) -> None:
    Octree(RESOLUTION).save(tmp_path / "tree", watermark=3)
    opened = Octree.open(tmp_path / "tree")
    assert (len(opened), opened.blocks, opened.watermark) == (0, 0, 3)
    assert opened.state(np.zeros((1, 3))).tolist() == [-1]
    opened.insert(np.zeros((1, 3)))
    assert len(opened) == 1


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    """Not by opening, which reads only the index, but before any answer rests on it."""
    tree = _tree()
    tree.save(tmp_path / "tree")
    data = (tmp_path / "tree").read_bytes()
    points = tree.box([-np.inf] * 3, [np.inf] * 3, occupied_only=False).centers
    rng = np.random.default_rng(4)
    for page in range(len(data) // PAGE):
        damaged = bytearray(data)
        place = page * PAGE + (int(rng.integers(0, 60)) if page < 3 else 40)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(StorageError, match=r"rebuild|no octree"):
            Octree.open(tmp_path / "damaged").log_odds(points)
        with pytest.raises(StorageError, match=r"rebuild|no octree"):
            Octree.open(tmp_path / "damaged").insert(points)


def test_what_does_not_rest_on_a_damaged_page_is_still_answered(tmp_path: Path) -> None:
    tree = _tree(scans=8)
    tree.save(tmp_path / "tree")
    data = bytearray((tmp_path / "tree").read_bytes())
    assert tree.blocks > 512
    data[4 * PAGE + 100] ^= 255  # after header, scans and index: the second page of blocks
    (tmp_path / "tree").write_bytes(data)
    opened = Octree.open(tmp_path / "tree")
    points = np.random.default_rng(0).uniform(-6, 6, (200, 3))
    answered = refused = 0
    for point in points:
        opened = Octree.open(tmp_path / "tree")
        try:
            assert opened.state([point]) == tree.state([point])
            answered += 1
        except StorageError:
            refused += 1
            with pytest.raises(StorageError):  # once it is known to be damaged it is not asked again
                opened.state(points[:1])
    assert answered > 0 and refused > 0


@pytest.mark.parametrize("size", [0, 5, PAGE - 1, PAGE, 3 * PAGE, -PAGE, -1])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    _tree().save(tmp_path / "tree")
    data = (tmp_path / "tree").read_bytes()
    (tmp_path / "tree").write_bytes(data[:size])
    with pytest.raises(StorageError):
        Octree.open(tmp_path / "tree")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no octree"):
        Octree.open(tmp_path / "nothing")
    with pytest.raises(StorageError):
        Octree.open(tmp_path)
    with pytest.raises(StorageError, match="could not be written"):
        _tree().save(tmp_path / "no folder" / "tree")
