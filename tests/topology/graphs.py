"""Random place graphs with chains, junctions, dead ends, rings and one-way edges, and a plain copy of each."""

from __future__ import annotations

import networkx as nx
import numpy as np

from embodied_mem.topology.graph import PlaceGraph


def random_graph(seed: int, junctions: int = 8, *, one_way: float = 0.2, detour: float = 0.5) -> PlaceGraph:
    """Junctions with chains of 0 to 5 places between some of them, some edges in one direction only, and a ring apart.

    detour   how much longer than their distance edges are, at most, as a share; negative: shorter
    """
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-50, 50, (junctions, 3)) * (1, 1, 0.05)
    positions, pairs = list(corners), []
    for _ in range(int(1.6 * junctions)):
        a, b = rng.choice(junctions, 2, replace=False)
        chain = [int(a)]
        for share in np.linspace(0, 1, rng.integers(0, 6) + 2)[1:-1]:
            positions.append(corners[a] + share * (corners[b] - corners[a]) + rng.normal(0, 1, 3))
            chain.append(len(positions) - 1)
        pairs += list(zip(chain, [*chain[1:], int(b)], strict=True))
    for length in rng.integers(0, 4, 3):  # dead ends
        at = int(rng.integers(len(positions)))
        for _ in range(length):
            positions.append(positions[at] + rng.normal(0, 3, 3))
            pairs.append((at, len(positions) - 1))
            at = len(positions) - 1
    ring = list(range(len(positions), len(positions) + int(rng.integers(3, 6))))
    positions += [np.array([200.0, 0, 0]) + rng.normal(0, 5, 3) for _ in ring]
    pairs += list(zip(ring, ring[1:] + ring[:1], strict=True))
    edges = [pair for a, b in pairs for pair in ((a, b), (b, a)) if rng.random() > one_way / 2]
    graph = PlaceGraph()
    graph.add_places(positions, map_ids="m")
    tails, heads = np.array(edges).T
    straight = np.linalg.norm(np.array(positions)[heads] - np.array(positions)[tails], axis=1)
    graph.add_edges(tails, heads, straight * (1 + detour * rng.random(len(edges))))
    return graph


def plain(graph: PlaceGraph, now_ns: int = 0) -> nx.DiGraph:
    """The same graph with what is blocked left out, made without anything that is under test here."""
    copy = nx.DiGraph()
    copy.add_nodes_from(range(len(graph)))
    for row in np.flatnonzero(graph.alive.data & (graph.blocked_until.data <= now_ns)):
        copy.add_edge(int(graph.tails.data[row]), int(graph.heads.data[row]), weight=float(graph.lengths.data[row]))
    return copy
