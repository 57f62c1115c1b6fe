"""An immutable picture of a place graph for searching: rows, chains, costs, and which arcs are blocked until when."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.errors import NotFoundError, UnknownMapError
from embodied_mem.topology.arrays import FloatArray, IntArray
from embodied_mem.topology.chains import Chains, costs_of_chains, find_chains, route_on_chains
from embodied_mem.topology.graph import OPEN, PlaceGraph
from embodied_mem.topology.search import Rows, a_star, dijkstra

_NEVER_MORE = 1 - 1e-9  # of the heuristic: rounding must not make it too large
_NO_COST = np.zeros(1)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Arrays by arc (m,): `tails`, `costs` in metres, `headings`, `blocked_until` in ns.

    blockable   the arcs that have a block, over or not
    scale   the least length of an edge over its distance, at most 1: what makes the heuristic admissible
    """

    version: int
    rows: Rows
    tails: NDArray[np.int32]
    costs: FloatArray
    headings: FloatArray
    blocked_until: IntArray
    blockable: IntArray
    scale: float
    chains: Chains
    chain_costs: FloatArray
    map_codes: NDArray[np.int32]
    maps: tuple[str, ...]
    _trees: dict[int, tuple[cKDTree, IntArray]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: PlaceGraph) -> Snapshot:
        """The graph as it is now; nothing that is done to it later shows."""
        edges = graph.edge_rows()
        edges = edges[np.argsort(graph.tails.data[edges].astype(np.int64) << 32 | graph.heads.data[edges])]
        tails, heads = graph.tails.data[edges], graph.heads.data[edges]
        xyz = graph.positions.data.copy()
        costs = graph.lengths.data[edges]
        distances = np.linalg.norm(xyz[heads] - xyz[tails], axis=1)
        apart = distances > 0
        scale = min(1.0, float((costs[apart] / distances[apart]).min(initial=1.0))) * _NEVER_MORE
        rows = Rows(np.searchsorted(tails, np.arange(len(xyz) + 1)).astype(np.int32), heads, xyz)
        until = graph.blocked_until.data[edges]
        chains = find_chains(rows)
        return cls(
            graph.version, rows, tails, costs, graph.headings.data[edges], until, np.flatnonzero(until != OPEN), scale,
            chains, costs_of_chains(chains, costs), graph.map_codes.data.copy(), tuple(graph.maps.all()),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows.xyz)

    def closed(self, now_ns: int) -> IntArray:
        """The arcs that are blocked at a time."""
        return self.blockable[self.blocked_until[self.blockable] > now_ns]

    def priced(self, factors: FloatArray | None, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Costs of arcs (m,), times `factors` >= 1 if given, infinite where blocked at a time; and those of chains."""
        closed = self.closed(now_ns)
        if factors is None and not len(closed):
            return self.costs, self.chain_costs
        if factors is None:
            costs = self.costs.copy()
        else:
            costs = np.full(len(self.costs), np.inf)  # an infinite factor closes an arc of no length too
            np.multiply(self.costs, factors, out=costs, where=factors < np.inf)
        costs[closed] = np.inf
        return costs, costs_of_chains(self.chains, costs)

    def between(
        self, source: int, target: int, now_ns: int, factors: FloatArray | None = None
    ) -> tuple[float, NDArray[np.int32]]:
        """The cheapest way between two places: its cost (infinite: none) and its arcs."""
        costs, chain_costs = self.priced(factors, now_ns)
        goal = self.rows.xyz[target : target + 1]
        cost, arcs, _ = route_on_chains(self.chains, chain_costs, costs, goal, self.scale, source, target)
        return cost, arcs

    def to_any(self, source: int, targets: IntArray, now_ns: int) -> tuple[float, int, NDArray[np.int32]]:
        """The cheapest way to the nearest of places (k,): its cost, which (-1: none can be reached), and the arcs."""
        costs, _ = self.priced(None, now_ns)
        goals = self.rows.xyz[targets] if len(targets) <= 8 else np.zeros((0, 3))
        cost, chosen, arcs, _ = a_star(
            self.rows, costs, goals, self.scale, np.array([source], np.int32), _NO_COST,
            targets.astype(np.int32), np.zeros(len(targets)), np.inf,
        )  # fmt: skip
        return cost, chosen, arcs

    def distances(self, source: int, now_ns: int, limit: float = np.inf) -> FloatArray:
        """(n,) metres from a place to every other; infinite where there is no way, or none shorter than `limit`."""
        return dijkstra(self.rows, self.priced(None, now_ns)[0], source, limit)[0]

    def only_map(self) -> str:
        """The map of every place. UnknownMapError when there are several or none."""
        used = np.unique(self.map_codes)
        if len(used) != 1:
            raise UnknownMapError(f"A position needs a map: places are in {len(used)}, name one of them.")
        return self.maps[int(used[0])]

    def nearest(self, position: FloatArray, map_id: str | None = None, k: int = 1) -> tuple[IntArray, FloatArray]:
        """The k places of a map nearest to (3,) metres, and how far they are. UnknownMapError, NotFoundError."""
        name = self.only_map() if map_id is None else map_id
        if name not in self.maps:
            raise UnknownMapError(f"No place is in the map {name!r}; known are: {', '.join(self.maps) or 'none yet'}.")
        code = self.maps.index(name)
        if code not in self._trees:
            members = np.flatnonzero(self.map_codes == code)
            self._trees[code] = cKDTree(self.rows.xyz[members]), members
        tree, members = self._trees[code]
        if not len(members):
            raise NotFoundError(f"There is no place in the map {name!r} yet.")
        far, which = tree.query(position, k=min(k, len(members)))
        return members[np.atleast_1d(which)], np.atleast_1d(far)
