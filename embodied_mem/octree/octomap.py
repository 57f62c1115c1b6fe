"""OctoMap's files, .bt (occupied or free) and .ot (log-odds), in and out.

After A. Hornung et al., "OctoMap: an efficient probabilistic 3D mapping framework based on octrees", Autonomous Robots
2013, and the files that its library writes: a text header, then the nodes depth first. In .bt a node is 16 bits, two
for each of its eight children: 0 unknown, 1 free, 2 occupied, 3 a node of its own. In .ot it is its log-odds, float32,
and one bit a child. Sixteen levels: keys of 16 bits, 3.2 km to either side at 0.1 m. A leaf above the lowest level
stands for all voxels in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.octree.arrays import KEY
from embodied_mem.octree.content import Content
from embodied_mem.octree.morton import HALF, decode
from embodied_mem.octree.occupancy import OccupancyModel
from embodied_mem.octree.octomap_nodes import DEPTH, block_odds, leaves_of, nodes_of, spread_leaves
from embodied_mem.octree.tree import Octree
from embodied_mem.records.files import write_atomically

LARGEST = 1 << 31  # voxels that a file may stand for when its leaves are taken apart

_BINARY, _FULL = b"# Octomap OcTree binary file", b"# Octomap OcTree file"


def read_octomap(path: Path | str, occupancy: OccupancyModel | None = None) -> Octree:
    """The map in a .bt or .ot file. Of .bt occupied voxels have the upper clamp's log-odds and free ones the lower's.

    Raises NotFoundError, StorageError for a file that is cut short or not OctoMap's, BadInputError for one too large.
    """
    file, model = Path(path), occupancy or OccupancyModel()
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no map at {file}.") from error
    except OSError as error:
        raise StorageError(f"{file} could not be read: {error.strerror or error}.") from error
    binary, resolution, count, begin = _header(file, data)
    rules = model.rules()
    body = np.frombuffer(data, np.uint8, offset=begin).copy()
    corners, levels, odds, nodes = leaves_of(body, count, binary, rules.lowest, rules.highest)
    if nodes != count:
        raise StorageError(f"{file} is damaged: its header promises {count} nodes, and {max(nodes, 0)} can be read.")
    volume = int((8.0 ** levels.astype(np.float64)).sum())
    if volume > LARGEST:
        raise BadInputError(f"{file} stands for {volume} voxels at {resolution} m: that is more than a map may hold.")
    keys, values, marks = spread_leaves(corners, levels, odds)
    rows, links = block_odds(keys, values, marks, rules)
    none = np.zeros(1, np.int64)
    return Octree.from_arrays(Content(rows, links, none, none), resolution, model)


def write_octomap(path: Path | str, tree: Octree) -> int:
    """Write a map as .bt or .ot, whichever the name ends in, as OctoMap's library would after pruning.

    Returns how many nodes were written. What OctoMap has no place for (times, records) is left out.
    Raises BadInputError for another ending or a map that reaches beyond 2^15 voxels, StorageError.
    """
    file = Path(path)
    if file.suffix not in (".bt", ".ot"):
        raise BadInputError(f"OctoMap's files end in .bt or .ot, not in {file.suffix!r}.")
    content = tree.to_arrays()
    offset = (HALF - (1 << (DEPTH - 1))) >> 2  # between our block keys and theirs
    blocks = decode(content.rows[:, KEY]) - offset
    if len(blocks) and (blocks.min() < 0 or blocks.max() >= 1 << (DEPTH - 2)):
        raise BadInputError("OctoMap's keys have 16 bits: this map reaches beyond 32,768 voxels from its origin.")
    binary = file.suffix == ".bt"
    nodes, body = nodes_of(content.rows, content.links, blocks, binary, tree.occupancy.rules())
    first = _BINARY if binary else _FULL
    note = b"# (feel free to add / change comments, but leave the first line as it is!)\n"
    header = first + b"\n" + note + f"id OcTree\nsize {nodes}\nres {tree.resolution:g}\ndata\n".encode()
    try:
        write_atomically(file, header + body)
    except OSError as error:
        raise StorageError(f"The map could not be written to {file}: {error.strerror or error}.") from error
    return nodes


def _header(file: Path, data: bytes) -> tuple[bool, float, int, int]:
    """Whether it is binary, the resolution, how many nodes, and where they begin."""
    binary = data.startswith(_BINARY)
    end = data.find(b"\ndata\n")
    if not (binary or data.startswith(_FULL)) or end < 0:
        raise StorageError(f"{file} is no OctoMap file: these begin with {_BINARY.decode()!r} or {_FULL.decode()!r}.")
    words = [line.split() for line in data[:end].decode("latin-1").splitlines() if not line.startswith("#")]
    facts = {line[0]: line[1] for line in words if len(line) == 2}
    try:
        kind, resolution, count = facts["id"], float(facts["res"]), int(facts["size"])
    except (KeyError, ValueError) as error:
        raise StorageError(f"{file} has a header without id, size or res.") from error
    if kind != "OcTree":
        raise StorageError(f"{file} holds a {kind}; only plain OcTrees are read.")
    if not 0 < resolution < np.inf or count < 0:
        raise StorageError(f"{file} has a resolution of {resolution} m and {count} nodes.")
    return binary, resolution, count, end + len(b"\ndata\n")
