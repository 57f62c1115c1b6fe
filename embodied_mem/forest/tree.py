"""The semantic forest's tree: a balanced tree of summaries over records, as a structure of arrays.

All leaves (records) lie at the same depth and every node has at most `fan_out` children, as in a B-tree; a node keeps
the sums over its records from which its centroid follows, as in BIRCH (Zhang, Ramakrishnan & Livny, 1996). How a tree
grows and shrinks is in grow.py, how it is searched in retrieve.py.

Sums are float64 over float32 unit vectors. Insertion adds to them; removal makes them again from the children, so that
nothing is left behind of what was removed, and rounding does not add up over a life of changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError

NOTHING = -1
LEVELS = 24  # more than any tree of 2^31 records has
RING = 256  # observations kept by level
ROOT, MADE, FREE, LEAVES, ALIVE = range(5)  # places in `head`
TAU, LOW, HIGH, CUT = range(4)  # places in a row of `scales`
_CAPACITY = 64


class Arrays(NamedTuple):
    """What a tree is made of. L leaves, N nodes, d numbers in a vector, k in a place.

    Leaves
        seqs (L,) record numbers; vectors (L, d) unit, zero without a vector; worded (L,) whether there is one
        codes (L, ceil(d / 8)) the vectors' signs, a bit each
        places (L, k) metres: where a record is for the purpose of growing (see `Growth`); positions (L, 3) metres
        spans (L, 2) ns: first and last seen; above (L,) the node that holds it, or NOTHING
    Nodes
        parents, levels (1 above the leaves), sizes (children); children (N, fan_out + 1): leaves at level 1, else nodes
        counts, worded_counts (N,): records below, and those of them with a vector
        sums (N, d) of their vectors, norms (N,) of these sums; place_sums (N, k)
        middles (N, d) the sums as unit vectors, spots (N, k) mean places: what a descent reads, kept beside the sums
            because half the bytes are half the time in a tree that is larger than the processor's cache
        axes (N, d) a unit vector; angles (N, 2) radians: least and largest angle from it to any vector below;
            aimed (N,) how many vectors there were when the axis was last chosen
        lows, highs (N, 3) the box of the positions; times (N, 2) ns; versions (N,) grow with every change below
    Levels
        seen_distances, seen_cosines, seen_scores (LEVELS, RING), seen (LEVELS, 2); scales (LEVELS, 4): tau, the cosines
            that count as 0 and 1, and the score below which a record does not belong
    """

    seqs: NDArray[np.int64]
    vectors: NDArray[np.float32]
    worded: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    places: NDArray[np.float64]
    positions: NDArray[np.float64]
    spans: NDArray[np.int64]
    above: NDArray[np.int64]
    parents: NDArray[np.int64]
    levels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    children: NDArray[np.int64]
    counts: NDArray[np.int64]
    worded_counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    norms: NDArray[np.float64]
    middles: NDArray[np.float32]
    spots: NDArray[np.float64]
    place_sums: NDArray[np.float64]
    axes: NDArray[np.float32]
    angles: NDArray[np.float64]
    aimed: NDArray[np.int64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    times: NDArray[np.int64]
    versions: NDArray[np.int64]
    free: NDArray[np.int64]
    seen_distances: NDArray[np.float64]
    seen_cosines: NDArray[np.float64]
    seen_scores: NDArray[np.float64]
    seen: NDArray[np.int64]
    scales: NDArray[np.float64]
    head: NDArray[np.int64]


_OF_LEAVES = ("seqs", "vectors", "worded", "codes", "places", "positions", "spans", "above")
_OF_LEVELS = ("seen_distances", "seen_cosines", "seen_scores", "seen", "scales", "head")
_OF_NODES = tuple(name for name in Arrays._fields if name not in (*_OF_LEAVES, *_OF_LEVELS))


class Tree:
    """The structure, and what can be read off it. Not locked: its owner is.

    width   numbers d in a vector; place_width numbers k in a place
    fan_out the most children of a node
    """

    def __init__(self, width: int, place_width: int = 3, fan_out: int = 16) -> None:
        if width < 1 or place_width < 1 or fan_out < 4:
            raise BadInputError(
                f"A tree needs vectors, places and 4 children or more, not {width, place_width, fan_out}."
            )
        self.width, self.place_width, self.fan_out = width, place_width, fan_out
        n, d, k = _CAPACITY, width, place_width
        scales = np.tile([1.0, 0.0, 1.0, -np.inf], (LEVELS, 1))
        self.arrays = Arrays(
            seqs=np.zeros(n, np.int64), vectors=np.zeros((n, d), np.float32), worded=np.zeros(n, np.uint8),
            codes=np.zeros((n, -(-d // 8)), np.uint8),
            places=np.zeros((n, k)), positions=np.zeros((n, 3)), spans=np.zeros((n, 2), np.int64),
            above=np.full(n, NOTHING, np.int64), parents=np.full(n, NOTHING, np.int64), levels=np.zeros(n, np.int64),
            sizes=np.zeros(n, np.int64), children=np.zeros((n, fan_out + 1), np.int64), counts=np.zeros(n, np.int64),
            worded_counts=np.zeros(n, np.int64), sums=np.zeros((n, d)), middles=np.zeros((n, d), np.float32),
            spots=np.zeros((n, k)), norms=np.zeros(n), place_sums=np.zeros((n, k)),
            axes=np.zeros((n, d), np.float32), angles=np.zeros((n, 2)), aimed=np.zeros(n, np.int64),
            lows=np.zeros((n, 3)), highs=np.zeros((n, 3)), times=np.zeros((n, 2), np.int64),
            versions=np.zeros(n, np.int64), free=np.zeros(n, np.int64),
            seen_distances=np.zeros((LEVELS, RING)), seen_cosines=np.zeros((LEVELS, RING)),
            seen_scores=np.zeros((LEVELS, RING)), seen=np.zeros((LEVELS, 2), np.int64), scales=scales,
            head=np.array([NOTHING, 0, 0, 0, 0], np.int64),
        )  # fmt: skip

    def __len__(self) -> int:
        """How many records it holds."""
        return int(self.arrays.head[ALIVE])

    @property
    def root(self) -> int:
        """The root's number, or NOTHING in an empty tree."""
        return int(self.arrays.head[ROOT])

    @property
    def leaf_slots(self) -> int:
        """How many leaves were ever made; those taken out have no node above."""
        return int(self.arrays.head[LEAVES])

    @property
    def depth(self) -> int:
        """Levels of nodes above the leaves."""
        return int(self.arrays.levels[self.root]) if len(self) else 0

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)

    def nodes(self) -> NDArray[np.int64]:
        """Every node, root first, level by level."""
        found, level = [], np.array([self.root] if len(self) else [], dtype=np.int64)
        while len(level):
            found.append(level)
            level = self.children_of(level) if self.arrays.levels[level[0]] > 1 else level[:0]
        return np.concatenate(found) if found else level

    def children_of(self, nodes: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """The children of one node or of several of one level, in order: leaves below level 1, else nodes."""
        some = np.atleast_1d(np.asarray(nodes, dtype=np.int64))
        sizes = self.arrays.sizes[some]
        return self.arrays.children[some][np.arange(self.fan_out + 1) < sizes[:, None]]

    def leaves_under(self, node: int) -> NDArray[np.int64]:
        """The leaves below a node."""
        level = np.array([node], dtype=np.int64)
        for _ in range(int(self.arrays.levels[node])):
            level = self.children_of(level)
        return level

    def ancestors(self, leaf: int) -> list[int]:
        """The nodes above a leaf, nearest first."""
        chain, node = [], int(self.arrays.above[leaf])
        while node != NOTHING:
            chain.append(node)
            node = int(self.arrays.parents[node])
        return chain

    def centroid(self, node: int) -> NDArray[np.float64]:
        """(3,) metres: the mean position of the records below."""
        positions = self.arrays.positions[self.leaves_under(node)]
        return np.asarray(positions.mean(axis=0))

    def leaves(self) -> NDArray[np.int64]:
        """Every leaf, in order of their making."""
        return np.flatnonzero(self.arrays.above[: self.leaf_slots] != NOTHING).astype(np.int64)

    def touch(self, leaf: int, span: tuple[int, int]) -> None:
        """The record was seen over this time (ns); its ancestors' times follow."""
        arrays = self.arrays
        arrays.spans[leaf] = span
        for node in self.ancestors(leaf):
            arrays.times[node] = min(arrays.times[node, 0], span[0]), max(arrays.times[node, 1], span[1])
            arrays.versions[node] += 1

    def reserve(self, leaves: int = 0, nodes: int = 0) -> None:
        """Make room for that many more leaves and nodes, in place."""
        arrays = self.arrays
        for names, used, more in (
            (_OF_LEAVES, self.leaf_slots, leaves), (_OF_NODES, int(arrays.head[MADE]), nodes),
        ):  # fmt: skip
            wanted, room = used + more, len(getattr(arrays, names[0]))
            if wanted > room:
                for name in names:
                    array = getattr(arrays, name)
                    array.resize((max(wanted, room + room // 2), *array.shape[1:]), refcheck=False)

    def copy(self) -> Tree:
        """An independent tree that is the same."""
        twin = Tree.__new__(Tree)
        twin.width, twin.place_width, twin.fan_out = self.width, self.place_width, self.fan_out
        used = {**dict.fromkeys(_OF_LEAVES, self.leaf_slots), **dict.fromkeys(_OF_NODES, int(self.arrays.head[MADE]))}
        twin.arrays = Arrays(*(_copied(array, used.get(name)) for name, array in self.arrays._asdict().items()))
        return twin

    def fingerprint(self) -> str:
        """The same for two trees exactly when they are the same to the last bit, versions aside."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self._parts():
            digest.update(part)
        return digest.hexdigest()

    def _parts(self) -> Iterator[bytes]:
        arrays, nodes, leaves = self.arrays, self.nodes(), self.leaves()
        yield arrays.seqs[leaves].tobytes()
        for name in _OF_LEAVES[1:-1]:
            yield getattr(arrays, name)[leaves].tobytes()
        for node in nodes.tolist():
            below = self.children_of(node)
            yield arrays.seqs[below].tobytes() if arrays.levels[node] == 1 else str(len(below)).encode()
        for name in _OF_NODES:
            if name not in ("parents", "children", "versions", "free"):
                yield getattr(arrays, name)[nodes].tobytes()


def _copied(array: NDArray[Any], used: int | None) -> NDArray[Any]:
    """A copy of the used rows, or of all."""
    return array.copy() if used is None else array[: max(used, 1)].copy()
