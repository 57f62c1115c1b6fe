"""The forest in the streets of Manhattan, for bench/forest, with OpenStreetMap as the truth.

A robot has looked around at nodes outside of the evaluation area and said what it saw (sim/street: a fifth of what
is there is missed). Needs ("where could I buy medicine near here") are asked at random nodes; what serves a need is a
class of the map, by its definition there. An answer is right when such a thing stands within 50 m of it. "What kind of
area is this" is right about a class when that makes up a tenth or more of what the map has there.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bench.forest_peers import Indices, Part, Rank, communities, flat, lexical, naive
from bench.forest_regions import KIND, SOME, Scores, _chosen, _score, interval
from bench.forest_world import Region, World, embedded
from bench.harness import Report
from embodied_mem.errors import EmbodiedMemError
from embodied_mem.forest.describe import describe
from embodied_mem.forest.search import Ranking, retrieve
from embodied_mem.forest.summarise import summarise
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.words import terms
from embodied_mem.inference.protocols import Embedder
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query
from sim.street.data import street_folder
from sim.street.graph import load_touchdown
from sim.street.landmarks import Eyes, Landmarks, load_landmarks
from sim.street.simulator import caption_of

FloatArray = NDArray[np.float64]
NEAR, RIGHT, COMMON, K = 400.0, 50.0, 0.1, 10  # metres; metres; share; results
NEEDS = (
    ("Where could I buy medicine near here?", ("pharmacy",)), ("Where can I withdraw cash?", ("atm", "bank")),
    ("Where can I get an espresso?", ("cafe",)), ("Somewhere for a sit-down dinner?", ("restaurant",)),
    ("Where can I grab a quick burger?", ("fast food",)), ("Where could we drink a beer tonight?", ("bar", "pub")),
    ("Where can I drop off a letter?", ("post box", "post office")), ("Where could I watch a play?", ("theatre",)),
    ("Where can I watch a movie?", ("cinema",)), ("Where do I leave my car?", ("parking",)),
    ("Where can I lock my bike?", ("bicycle parking",)), ("Where can I hire a bike?", ("bicycle rental",)),
    ("Where could I pray?", ("place of worship",)), ("Where do children learn?", ("school",)),
    ("Where can I see a doctor?", ("doctors", "hospital", "clinic")), ("Where can I borrow a novel?", ("library",)),
    ("Where do students go to lectures?", ("university", "college")),
    ("Where are the firefighters?", ("fire station",)),
    ("Where can I go dancing?", ("nightclub",)), ("Where can I sit down outside?", ("bench",)),
)  # fmt: skip


def street(report: Report, embedder: Embedder, seed: int, bootstrap: int, quick: bool) -> None:
    """Both kinds of questions, every arm; where the data is not here, the bars say so."""
    bars = ("street world: needs answered above {} (lower end of the 95 % interval)",
            "street world, what kind of area: {} above {} (lower end of the 95 % interval)")  # fmt: skip
    try:
        folder = street_folder()
    except EmbodiedMemError as error:
        report.bar(bars[0].format("flat top-k"), None, why_open=str(error))
        return
    world, marks, spoken = seen(folder, embedder, seed, 200 if quick else 1500)
    why = "a quick run has few places and an encoder without meaning" if quick else ""
    memory = world.memory(embedder)
    forest = ForestView(memory)
    forest.update()
    _needs(report, world, marks, embedder, forest, (seed, bootstrap), bars[0], why)
    _areas(report, world, marks, spoken, embedder, forest, (seed, bootstrap), bars[1], why)


def seen(folder: Path, embedder: Embedder, seed: int, count: int) -> tuple[World, Landmarks, NDArray[np.bool_]]:
    """The city as the robot told it from `count` nodes; (n, classes) which classes each caption names in its words."""
    graph = load_touchdown(folder)
    marks, rng = load_landmarks(folder, graph), np.random.default_rng(seed)
    eyes = Eyes(marks, seed=seed)
    polygon = graph.to_xy(np.array(_polygon(folder))[:, ::-1])
    outside = np.flatnonzero(~_inside(polygon, graph.xy))
    nodes = rng.choice(outside, 4 * count, replace=False)
    seen_there = [(node, sighting) for node in nodes.tolist() if len(sighting := eyes.look(graph.xy[node], 0.0))][
        :count
    ]
    kinds = sorted(set(marks.classes) - {""})
    rules = [re.compile(rf"\b{re.escape(kind)}\b") for kind in kinds]
    observations = []
    for i, (node, sighting) in enumerate(seen_there):
        place = np.append(graph.xy[node], 0.0)
        observations.append(
            Observation((i + 1) * 10**9, place, np.array([0, 0, 0, 1.0]), "map", caption=caption_of(marks, sighting))
        )
    captions = [obs.caption for obs in observations]
    spoken = np.array([[bool(rule.search(caption.lower())) for rule in rules] for caption in captions])
    world = World(
        observations, [caption.lower() for caption in captions], np.array([obs.position for obs in observations]),
        np.array([obs.stamp_ns for obs in observations]), embedded(embedder, captions), spoken, embedder.name,
    )  # fmt: skip
    return world, marks, spoken


def _polygon(folder: Path) -> Any:
    text = next((folder / "graph").glob("bbox*")).read_text(encoding="utf-8")
    return ast.literal_eval(text.split("=", 1)[1].strip().splitlines()[0])


def _inside(polygon: FloatArray, points: FloatArray) -> NDArray[np.bool_]:
    """(n,) which points (n, 2) lie in a polygon (m, 2), by crossings of a ray along x."""
    inside = np.zeros(len(points), bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y1 > points[:, 1]) != (y2 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (points[:, 0] < (x2 - x1) * (points[:, 1] - y1) / (y2 - y1) + x1)
    return inside


# --- needs -----------------------------------------------------------------------------------------------------------


def _needs(
    report: Report, world: World, marks: Landmarks, embedder: Embedder, forest: ForestView, seeds: tuple[int, int],
    bar: str, why: str,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seeds[0])
    vectors = embedded(embedder, [need for need, _ in NEEDS])

    def ours(by: str) -> Rank:
        def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
            query = Query(text=text, seqs=tuple((allowed + 2).tolist()), k=K, min_score=-1.0)
            return np.array([leaf.seq - 2 for leaf in retrieve(forest, query, Ranking(by=by), chains=False).leaves])

        return rank

    def anything(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
        return rng.permutation(allowed)[:K]

    arms: dict[str, Rank] = {
        "chance": anything, "flat top-k": flat(world, K), "BM25": lexical(world, K),
        "5 k nearest, then filter": naive(world, K), "forest, vector": ours("vector"),
        "forest, vector + words": ours("hybrid"),
    }  # fmt: skip
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for (need, classes), vector in zip(NEEDS, vectors, strict=True):
        right = cKDTree(marks.xy[[i for i, name in enumerate(marks.classes) if name in classes]])
        served = right.query(world.positions[:, :2])[0] <= RIGHT
        for here in rng.choice(len(world), 15, replace=False).tolist():
            near = np.flatnonzero(np.linalg.norm(world.positions - world.positions[here], axis=1) <= NEAR)
            if not served[near].any():
                continue
            for name, rank in arms.items():
                found = rank(need, vector, near)
                hits = served[found] if len(found) else np.zeros(1, bool)
                first = 1 / (1 + int(np.argmax(hits))) if hits.any() else 0.0
                scores[name].append((float(hits[0]), first))
    rows = []
    measured = {name: np.array(values) for name, values in scores.items()}
    for name, values in measured.items():
        mean, low, high = interval(values[:, 0], seeds[1])
        rows.append([name, f"{mean:.3f} [{low:.3f}, {high:.3f}]", round(float(values[:, 1].mean()), 3)])
    report.table("street world: needs near here", ["arm", "first answer right [95 % interval]", "MRR"], rows)
    report.note(f"{len(measured['chance'])} needs were asked in the street world.")
    for name in ("flat top-k", "BM25", "5 k nearest, then filter"):
        _, low, _ = interval(measured["forest, vector + words"][:, 0] - measured[name][:, 0], seeds[1])
        report.bar(bar.format(name), low, at_least=0, why_open=why)


# --- areas -----------------------------------------------------------------------------------------------------------


def _areas(
    report: Report, world: World, marks: Landmarks, spoken: NDArray[np.bool_], embedder: Embedder, forest: ForestView,
    seeds: tuple[int, int], bar: str, why: str,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seeds[0] + 1)
    kinds = sorted(set(marks.classes) - {""})
    code = {name: i for i, name in enumerate(kinds)}
    areas: list[Region] = []
    true: list[FloatArray] = []
    while len(areas) < (20 if why else 120):
        center, radius = world.positions[rng.integers(len(world))], float(rng.uniform(80, 250))
        inside = np.flatnonzero(np.linalg.norm(world.positions - center, axis=1) <= radius)
        there = [code[marks.classes[i]] for i in cKDTree(marks.xy).query_ball_point(center[:2], radius)
                 if marks.classes[i]]  # fmt: skip
        if len(inside) >= 5 and len(there) >= 10:
            areas.append(Region(center, radius, inside, len(areas) % 2 == 1))
            true.append(np.bincount(there, minlength=len(kinds)) / len(there))
    shares, tune = np.array(true), np.array([area.tune for area in areas])
    kind = embedded(embedder, [KIND])[0]
    parts = communities(world, embedder, seeds[0], lambda group: _worded(forest, group))
    # Pairs of neighbouring words are terms; a class of one word is a term itself.
    term_of = {i: next((term for term in terms(name) if len(name.split()) == len(term.split())), name) for i, name in
               enumerate(kinds)}  # fmt: skip

    def by_forest(area: Region) -> FloatArray:
        summary = describe(forest, Query(center=area.center, radius=area.radius)).areas[0].summary
        counted = {claim.term: claim.count for sentence in summary.sentences for claim in sentence.claims}
        said = {**summary.counts, **counted}
        return np.array([said.get(term_of[i], 0) / summary.records for i in range(len(kinds))])

    def by_search(rank: Rank) -> Any:
        def believed(area: Region) -> FloatArray:
            found = rank(KIND, kind, area.inside)
            return np.asarray(spoken[found if len(found) else area.inside[:SOME]].mean(axis=0))

        return believed

    arms = {"forest": by_forest, "flat top-k": by_search(flat(world, SOME)), "BM25": by_search(lexical(world, SOME)),
            "communities": lambda area: _told(parts, area, kinds)}  # fmt: skip
    results: dict[str, tuple[Scores, float]] = {}
    for name, arm in arms.items():
        believed = np.array([arm(area) for area in areas])
        results[name] = _chosen(lambda level, held=believed: _score(held >= level, shares * (shares >= COMMON)), tune)  # type: ignore[misc]
    rows = []
    for name, (scores, level) in results.items():
        spans = [interval(getattr(scores, measured), seeds[1]) for measured in ("coverage", "precision")]
        rows.append([name, level, *(f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in spans)])
        for measured in ("coverage", "precision"):
            if name != "forest":
                ours = getattr(results["forest"][0], measured)
                _, low, _ = interval(ours - getattr(scores, measured), seeds[1])
                report.bar(bar.format(measured, name), low, at_least=0, why_open=why)
    report.table("street world: what kind of area is this", ["arm", "threshold", "coverage", "precision"], rows)


def _worded(forest: ForestView, group: Indices) -> str:
    tree = forest.trees[forest.frame_of()]
    leaves = np.array([forest.leaf_of(int(i) + 2)[1] for i in group])
    made = summarise(tree, forest.lexicon, leaves, tree.leaves(), forest.caption_of)
    return f"{made.text} Also: {', '.join(made.counts)}."


def _told(parts: list[Part], area: Region, kinds: list[str]) -> FloatArray:
    """Which classes the text of the part names that has most in common with the area."""

    def overlap(part: Part) -> float:
        both = len(np.intersect1d(part.members, area.inside))
        return both / max(len(part.members) + len(area.inside) - both, 1)

    text = max(parts, key=overlap).text.lower()
    return np.array([float(bool(re.search(rf"\b{re.escape(kind)}\b", text))) for kind in kinds])
