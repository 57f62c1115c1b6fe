"""The other arms of bench/forest, each in its best form: its one parameter is chosen on the tuning questions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bench.forest_world import World, data_folder, embedded
from embodied_mem.forest.bm25 import BM25
from embodied_mem.inference.protocols import Embedder

Indices = NDArray[np.int64]
Rank = Callable[[str, NDArray[np.float32], Indices], Indices]  # question, its vector, what passes the filter -> best


@dataclass(frozen=True, eq=False)
class Part:
    """A cluster with a text about it: members are captions' indices."""

    text: str
    members: Indices
    vector: NDArray[np.float32]
    children: tuple[int, ...] = ()


def flat(world: World, k: int) -> Rank:
    """Filter, then score every one."""

    def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
        return by_cosine(world, vector, allowed, k)

    return rank


def naive(world: World, k: int) -> Rank:
    """The 5 k nearest of all, then the filter: what peers do."""

    def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
        nearest = by_cosine(world, vector, np.arange(len(world)), 5 * k)
        return nearest[np.isin(nearest, allowed)][:k]

    return rank


def lexical(world: World, k: int) -> Rank:
    """Filter, then BM25."""
    index = BM25()
    for i, obs in enumerate(world.observations):
        index.add(i, obs.caption)

    def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
        return index.rank(text, k, allowed)[0]

    return rank


def by_cosine(world: World, vector: NDArray[np.float32], allowed: Indices, k: int) -> Indices:
    scores = world.vectors[allowed].astype(np.float64) @ vector.astype(np.float64)
    return np.asarray(allowed[np.lexsort((-allowed, -scores))[:k]])


def through_parts(world: World, parts: list[Part], k: int, most: int) -> Rank:
    """The best `most` parts by their texts; then their members that pass, by cosine (GraphRAG's local form)."""
    vectors = np.array([part.vector for part in parts])

    def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
        best = np.argsort(-(vectors @ vector), kind="stable")[:most]
        inside = np.unique(np.concatenate([parts[i].members for i in best.tolist()]))
        return by_cosine(world, vector, allowed[np.isin(allowed, inside)], k)

    return rank


def through_levels(world: World, parts: list[Part], tops: list[int], k: int, width: int) -> Rank:
    """The authors' descent: from the top the best nodes of each level, by their summaries, down to the captions.

    Their scorer is a language model that picks one node a level on several paths; the encoder stands in for it, with
    `width` paths.
    """

    def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
        level, leaves = tops, [np.zeros(0, np.int64)]
        while level:
            level = sorted(level, key=lambda i: -float(parts[i].vector @ vector))[:width]
            leaves += [parts[i].members for i in level if not parts[i].children]
            level = [child for i in level for child in parts[i].children]
        return by_cosine(world, vector, allowed[np.isin(allowed, np.unique(np.concatenate(leaves)))], k)

    return rank


def communities(world: World, embedder: Embedder, seed: int, describe: Callable[[Indices], str]) -> list[Part]:
    """Louvain communities of the graph of neighbours in place, weighted by the cosine; `describe` words each."""
    pairs = cKDTree(world.positions).query(world.positions, k=min(11, len(world)))[1]
    graph: Any = nx.Graph()
    for i, near in enumerate(pairs.tolist()):
        for j in near[1:]:
            graph.add_edge(i, j, weight=max(float(world.vectors[i] @ world.vectors[j]), 0.01))
    groups = [np.array(sorted(group)) for group in nx.community.louvain_communities(graph, seed=seed, resolution=4.0)]
    texts = [describe(group) for group in groups]
    vectors = embedded(embedder, texts)
    return [Part(text, group, vector) for text, group, vector in zip(texts, groups, vectors, strict=True)]


def reference(world: World, embedder: Embedder) -> tuple[list[Part], list[int]]:
    """The authors' forest: its clusters with their summaries and relationships, and which are at the top."""
    text = (data_folder() / "reference_forest.gml").read_text(encoding="utf-8")
    blocks = re.split(r"\n  node \[", text.split("\n  edge [")[0])[1:]
    clusters: list[tuple[str, int, list[str], str]] = []
    leaves: dict[str, int] = {}
    for block in blocks:
        label = _field(block, "label")
        if _field(block, "type") != "cluster":
            leaves[label] = len(leaves)
            continue
        words = [
            _field(block, "name"),
            _field(block, "summary"),
            *re.findall(r'\n    relationships "([^_"][^"]*)"', block),
        ]
        level = int(re.findall(r"\n    level (\d+)", block)[0])
        clusters.append((label, level, re.findall(r'\n    members "([^"]*)"', block), ". ".join(words)))
    number = {label: i for i, (label, _, _, _) in enumerate(clusters)}
    members: dict[str, Indices] = {}
    for label, _, names, _ in sorted(clusters, key=lambda cluster: cluster[1]):
        own = [
            members[name] if name in members else np.array([leaves[name]])
            for name in names
            if name in members or name in leaves
        ]
        members[label] = np.unique(np.concatenate(own)) if own else np.zeros(0, np.int64)
    vectors = embedded(embedder, [words for _, _, _, words in clusters])
    parts = [
        Part(words, members[label], vectors[i], tuple(number[name] for name in names if name in number))
        for i, (label, _, names, words) in enumerate(clusters)
    ]
    top = max(level for _, level, _, _ in clusters)
    return parts, [number[label] for label, level, _, _ in clusters if level == top]


def _field(block: str, name: str) -> str:
    found = re.findall(rf'\n    {name} "([^"]*)"', block)
    return found[0] if found else ""
