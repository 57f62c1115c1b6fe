"""OctoMap's files: what is written is read again, by us and by OctoMap itself."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.octree.octomap import read_octomap, write_octomap
from embodied_mem.octree.tree import Octree, equal
from tests.octree.test_insert import odds_of

EVERYWHERE = ([-np.inf] * 3, [np.inf] * 3)


def _tree(scans: int = 3) -> Octree:
    """A map with pruned leaves of several sizes: a solid cube of 16 voxels, space passed often, lone voxels."""
    tree = Octree(0.1)
    rng = np.random.default_rng(0)
    solid = np.stack(np.meshgrid(*[np.arange(16) * 0.1 + 3.25] * 3), axis=-1).reshape(-1, 3)
    for _ in range(scans):
        tree.insert(solid)
        tree.insert(rng.uniform(-4, 2, (400, 3)), origin=rng.uniform(-1, 1, 3))
    for _ in range(6):
        tree.insert_misses((-0.95, 0.05, 0.05), solid - [6, 2, 3])
    return tree


def test_full_maps_keep_every_log_odds(tmp_path: Path) -> None:
    tree = _tree()
    nodes = write_octomap(tmp_path / "map.ot", tree)
    back = read_octomap(tmp_path / "map.ot")
    assert odds_of(back) == odds_of(tree)
    assert write_octomap(tmp_path / "again.ot", back) == nodes
    assert (tmp_path / "again.ot").read_bytes() == (tmp_path / "map.ot").read_bytes()
    solid = Octree(0.1)
    solid.insert(np.stack(np.meshgrid(*[np.arange(16) * 0.1 + 3.25] * 3), axis=-1).reshape(-1, 3))
    assert write_octomap(tmp_path / "solid.ot", solid) == 13  # levels 16 .. 4: the cube is one leaf


def test_binary_maps_keep_every_state(tmp_path: Path) -> None:
    tree = _tree()
    write_octomap(tmp_path / "map.bt", tree)
    back = read_octomap(tmp_path / "map.bt")
    rules = tree.occupancy.rules()
    expected = {key: rules.highest if odds >= 0 else rules.lowest for key, odds in odds_of(tree).items()}
    assert odds_of(back) == expected
    write_octomap(tmp_path / "again.bt", back)
    assert (tmp_path / "again.bt").read_bytes() == (tmp_path / "map.bt").read_bytes()
    back.insert(np.array([[3.3, 3.3, 3.3]]), origin=(0.05, 0.05, 0.05))  # and it goes on


@pytest.mark.data
def test_a_real_map_is_exported_as_it_came(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "octomap" / "geb079.bt"
    tree = read_octomap(path)
    assert tree.resolution == 0.08
    assert write_octomap(tmp_path / "out.bt", tree) == 532_566
    body = b"\ndata\n"
    assert (tmp_path / "out.bt").read_bytes().split(body, 1)[1] == path.read_bytes().split(body, 1)[1]
    assert equal(read_octomap(tmp_path / "out.bt"), tree)


def test_octomap_itself_reads_what_we_write(tmp_path: Path) -> None:
    pyoctomap = pytest.importorskip("pyoctomap", reason="pyoctomap is not installed: pip install .[bench]")
    tree = _tree()
    write_octomap(tmp_path / "map.bt", tree)
    theirs = pyoctomap.OcTree(0.1)
    assert theirs.readBinary(str(tmp_path / "map.bt"))
    found = tree.box(*EVERYWHERE, occupied_only=False)
    states = tree.state(found.centers)
    for center, state in zip(found.centers[::7], states[::7], strict=True):
        node = theirs.search(center.tolist())
        assert node is not None and theirs.isNodeOccupied(node) == bool(state)


def test_an_empty_map(tmp_path: Path) -> None:
    for name in ("map.bt", "map.ot"):
        assert write_octomap(tmp_path / name, Octree(0.1)) == 0
        assert len(odds_of(read_octomap(tmp_path / name))) == 0


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    for name in ("map.bt", "map.ot"):
        write_octomap(tmp_path / name, _tree())
        data = (tmp_path / name).read_bytes()
        begin = data.index(b"\ndata\n") + 6
        rng = np.random.default_rng(1)
        for end in [begin, begin + 1, len(data) - 1, *rng.integers(begin, len(data), 20).tolist()]:
            (tmp_path / name).write_bytes(data[:end])
            with pytest.raises(StorageError, match="damaged"):
                read_octomap(tmp_path / name)
        for bad in (
            b"",
            b"nonsense",
            data + b"!",
            data.replace(b"id OcTree", b"id ColorOcTree"),
            data.replace(b"res 0.1", b"res x"),
        ):
            (tmp_path / name).write_bytes(bad)
            with pytest.raises(StorageError):
                read_octomap(tmp_path / name)
        noise = bytearray(data)
        for _ in range(60):  # whatever a byte says, nothing breaks
            noise[int(rng.integers(begin, len(data)))] = int(rng.integers(0, 256))
            (tmp_path / name).write_bytes(noise)
            with contextlib.suppress(StorageError, BadInputError):
                read_octomap(tmp_path / name)
    with pytest.raises(NotFoundError):
        read_octomap(tmp_path / "nothing.bt")
    with pytest.raises(BadInputError, match="end in"):
        write_octomap(tmp_path / "map.pcd", Octree(0.1))
    far = Octree(0.1)
    far.insert([[5000.0, 0, 0]])
    with pytest.raises(BadInputError, match="16 bits"):
        write_octomap(tmp_path / "map.bt", far)
