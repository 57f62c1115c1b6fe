"""How trees grow, for bench/forest: times, shape, purity, and what becomes of them with many records."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.forest_world import World
from bench.harness import Report
from embodied_mem.forest.batch import build
from embodied_mem.forest.bm25 import BM25
from embodied_mem.forest.grow import Growth
from embodied_mem.forest.lexicon import Lexicon
from embodied_mem.forest.tree import Tree


def structure(report: Report, world: World, seed: int) -> None:
    """Build and insertion times, shape, and purity of the incremental tree against the batch one."""
    n, seqs = len(world), np.arange(len(world))
    warm = Growth(Tree(world.vectors.shape[1]))
    warm.add(seqs[:100], world.vectors[:100], world.positions[:100])
    build(seqs[:100], world.vectors[:100], world.positions[:100])
    begin = time.thread_time()
    tree = Tree(world.vectors.shape[1])
    Growth(tree).add(seqs, world.vectors, world.positions)
    grown_s = time.thread_time() - begin
    begin = time.process_time()
    batch = build(seqs, world.vectors, world.positions)
    batch_s = time.process_time() - begin
    single = insertion_times(world)
    report.bar("build (s), one by one", grown_s, at_most=5)
    report.bar("build (s), batch", batch_s, at_most=5)
    report.bar("one insertion with its terms (ms, median)", float(np.median(single)) * 1e3, at_most=3)
    rng = np.random.default_rng(seed)
    rows, gaps = [], []
    labels = classes_for_purity(world)
    for order_name, order in [("file", seqs), *((f"shuffled {i}", rng.permutation(n)) for i in range(1, 5))]:
        some = Tree(world.vectors.shape[1])
        Growth(some).add(order, world.vectors[order], world.positions[order])
        own = [purity(some, each) for each in labels.values()]
        base = [purity(batch, each) for each in labels.values()]
        gaps.append(own[-1] - base[-1])
        rows.append([order_name, *(round(value, 3) for pair in zip(own, base, strict=True) for value in pair)])
    columns = ["order", *(f"{name}, {which}" for name in labels for which in ("one by one", "batch"))]
    report.table("dendrogram purity", columns, rows)
    report.bar("purity of kind x place below the batch tree's (mean of 5 orders)", -float(np.mean(gaps)), at_most=0.02)
    shapes: list[list[Any]] = []
    for name, some in (("one by one", tree), ("batch", batch)):
        nodes, arrays = some.nodes(), some.arrays
        share = float(arrays.counts[some.children_of(some.root)].max() / n)
        sizes = arrays.sizes[nodes]
        shapes.append(
            [name, len(nodes), some.depth, int(sizes.min()), round(float(sizes.mean()), 1), int(sizes.max()), share]
        )
    report.table(
        "shape", ["tree", "nodes", "depth", "least children", "mean", "most", "largest share at the root"], shapes
    )
    report.table("extent by level (m, median diagonal)", ["level", "nodes", "m"], extents(tree))
    report.bar("one-child nodes", int((tree.arrays.sizes[tree.nodes()] == 1).sum()), at_most=0)
    report.bar("most children of a node", shapes[0][5], at_most=16)
    report.bar("depth against log3(n)", tree.depth, at_most=float(np.log(n) / np.log(3)))
    report.bar("largest child share at the root", shapes[0][6], at_most=0.5)


def insertion_times(world: World) -> NDArray[np.float64]:
    """CPU seconds of each insertion into a forest with its lexicon, embedding excluded."""
    growth, lexicon, words = Growth(Tree(world.vectors.shape[1])), Lexicon(), BM25()
    out = np.empty(len(world))
    for i, obs in enumerate(world.observations):
        begin = time.thread_time()
        growth.add([i], world.vectors[i : i + 1], world.positions[i : i + 1])
        lexicon.add(i, obs.caption)
        words.add(i, obs.caption)
        out[i] = time.thread_time() - begin
    return out


def extents(tree: Tree) -> list[list[Any]]:
    nodes, arrays = tree.nodes(), tree.arrays
    rows = []
    for level in range(1, tree.depth + 1):
        some = nodes[arrays.levels[nodes] == level]
        diagonals = np.linalg.norm((arrays.highs - arrays.lows)[some], axis=1)
        rows.append([level, len(some), round(float(np.median(diagonals)))])
    return rows


def classes_for_purity(world: World) -> dict[str, NDArray[np.int64]]:
    """By rules: what kind of scene a caption is of (its rarest class), in which cell of 250 m, and both."""
    rarity = world.spoken.sum(axis=0)
    kind = np.array([np.argmin(np.where(row, rarity, len(world) + 1)) for row in world.spoken])
    cell = np.unique((world.positions[:, :2] // 250).astype(int), axis=0, return_inverse=True)[1].ravel()
    both = np.unique(np.column_stack([kind, cell]), axis=0, return_inverse=True)[1].ravel()
    return {"kind": kind, "place": cell, "kind x place": both}


def purity(tree: Tree, labels: NDArray[np.int64]) -> float:
    """Dendrogram purity (Heller & Ghahramani 2005): over pairs of one class, the class's share below their join."""
    arrays, total, pairs = tree.arrays, 0.0, 0.0
    histograms: dict[int, NDArray[np.float64]] = {}
    one_hot = np.eye(int(labels.max()) + 1)
    for node in tree.nodes()[::-1].tolist():
        children = tree.children_of(node)
        if arrays.levels[node] == 1:
            parts = one_hot[labels[arrays.seqs[children]]]
        else:
            parts = np.array([histograms.pop(child) for child in children.tolist()])
        own = histograms[node] = parts.sum(axis=0)
        joined = (own**2 - (parts**2).sum(axis=0)) / 2
        total += float((joined * own).sum() / own.sum())
        pairs += float(joined.sum())
    return total / max(pairs, 1)


def scale(report: Report, quick: bool, seed: int) -> None:
    """Insertion time, memory and restart time as synthetic records grow in number."""
    rng = np.random.default_rng(seed)
    sizes = (1_000, 5_000) if quick else (1_000, 10_000, 100_000)
    topics = rng.normal(size=(500, 384)).astype(np.float32)
    tree, rows, done = Tree(384), [], 0
    growth = Growth(tree)
    for size in sizes:
        pick = rng.integers(500, size=size - done)
        vectors = topics[pick] + rng.normal(size=(size - done, 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        places = np.column_stack([rng.uniform(0, 30 * np.sqrt(size), (size - done, 2)), np.zeros(size - done)])
        bulk = max(size - done - 500, 0)
        growth.add(np.arange(done, done + bulk), vectors[:bulk], places[:bulk])
        seconds = []
        for i in range(bulk, size - done):
            begin = time.thread_time()
            growth.add([done + i], vectors[i : i + 1], places[i : i + 1])
            seconds.append(time.thread_time() - begin)
        done = size
        begin = time.thread_time()
        arrays = tree.arrays
        again = Growth(Tree(384))
        again.add(arrays.seqs[:done], arrays.vectors[:done], arrays.places[:done])
        rows.append(
            [size, float(np.median(seconds)) * 1e6, tree.depth, tree.nbytes / 2**20, time.thread_time() - begin]
        )
    report.table("synthetic records", ["records", "insertion (µs, median)", "depth", "MB", "grown anew (s)"], rows)
    growth_ratio = rows[-1][1] / rows[0][1]
    bar = float(np.log(sizes[-1]) / np.log(sizes[0]))
    report.bar(f"insertion at {sizes[-1]:,} against {sizes[0]:,} records, over log n", growth_ratio / bar, at_most=1,
               why_open="timings need the full sizes" if quick else "")  # fmt: skip
