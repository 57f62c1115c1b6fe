"""The semantic forest on 3,313 real captions: how it grows, what it finds, what it says of regions, beside other arms.

All arms use the same encoder, questions and regions (forest_world.py); what an arm can be tuned by is chosen on every
other question, the rest are reported. Captions: CMU-500 street views of the Embodied-RAG authors, MIT.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.forest_growth import scale, structure
from bench.forest_peers import (
    Indices,
    Part,
    Rank,
    communities,
    flat,
    lexical,
    naive,
    reference,
    through_levels,
    through_parts,
)
from bench.forest_regions import (
    KIND,
    SOME,
    Scores,
    common,
    differing,
    from_captions,
    from_forest,
    from_parts,
    greener,
    interval,
    place_by_forest,
    told_by_forest,
)
from bench.forest_street import street
from bench.forest_world import CLASSES, Question, Region, World, data_folder, embedded, load, questions, regions
from bench.harness import Options, Report, parse
from embodied_mem.errors import EmbodiedMemError
from embodied_mem.forest.describe import compare, describe
from embodied_mem.forest.retrieve import Found, Wanted, beam, exact
from embodied_mem.forest.search import Ranking, retrieve
from embodied_mem.forest.sketch import sketch
from embodied_mem.forest.summarise import summarise, verify
from embodied_mem.forest.tree import Tree
from embodied_mem.forest.view import ForestView
from embodied_mem.inference.select import default_embedder
from embodied_mem.records.query import Query

K = 10
SEEDS = {
    "questions": 1,
    "filters": 2,
    "regions": 3,
    "orders": 4,
    "communities": 5,
    "synthetic": 6,
    "bootstrap": 7,
    "street": 8,
}
SHARES = (1.0, 0.2, 0.02, 0.002)
WIDTHS = (1, 2, 4, 8, 16, 32, 64)
CODED = (50, 150, 400)  # records that are read whole, chosen by their codes
_OURS = "forest, vector + words"


def run(options: Options) -> int:
    report = Report("forest", options, seeds=SEEDS, packages=("onnxruntime", "networkx"))
    quick = options.quick
    if not (data_folder() / "streetview_graph.gml").is_file():
        report.bar("build (s)", None, why_open=f"{data_folder()} is not here")
        return report.finish()
    try:
        embedder = default_embedder("minilm" if not quick else "hashing")
    except EmbodiedMemError as error:
        report.bar("build (s)", None, why_open=f"no encoder: {error}")
        return report.finish()
    world = load(embedder, 800 if quick else None)
    why = "a quick run has few captions and an encoder without meaning" if quick else ""
    structure(report, world, SEEDS["orders"])
    memory = world.memory(embedder)
    forest = ForestView(memory)
    forest.update()
    index_of = np.argsort(world.stamps, kind="stable")
    parts = communities(world, embedder, SEEDS["communities"], lambda group: worded(forest, world, group, index_of))
    retrieval(report, world, forest, embedder, parts, index_of, why)
    told(report, world, forest, embedder, parts, index_of, why)
    scale(report, quick, SEEDS["synthetic"])
    street(report, embedder, SEEDS["street"], SEEDS["bootstrap"], quick)
    return report.finish()


# --- finding records -----------------------------------------------------------------------------------------------


def worded(forest: ForestView, world: World, group: Indices, index_of: Indices) -> str:
    """A community's text: the best that we can say of its captions without a model."""
    frame = forest.frame_of()
    tree = forest.trees[frame]
    seqs = np.flatnonzero(np.isin(index_of, group)) + 2
    leaves = np.array([forest.leaf_of(seq)[1] for seq in seqs.tolist()])
    made = summarise(tree, forest.lexicon, leaves, tree.leaves(), forest.caption_of)
    return f"{made.text} Also: {', '.join(made.counts)}."


def retrieval(
    report: Report, world: World, forest: ForestView, embedder: Any, parts: list[Part], index_of: Indices, why: str
) -> None:
    asked = questions(world, SEEDS["questions"])
    vectors = embedded(embedder, [question.text for question in asked])
    clusters, tops = reference(world, embedder) if len(world) > 3000 else ([], [])
    everything = np.arange(len(world))
    seq_of = np.empty(len(world), np.int64)
    seq_of[index_of] = everything + 2

    def ours(by: str, width: int = 0, full: int = 0) -> Rank:
        def rank(text: str, vector: NDArray[np.float32], allowed: Indices) -> Indices:
            numbers = tuple(seq_of[allowed].tolist()) if len(allowed) < len(world) else None
            query = Query(text=text, seqs=numbers, k=K, min_score=-1.0)
            found = retrieve(forest, query, Ranking(by=by, width=width, full=full), chains=False)
            return index_of[np.array([leaf.seq for leaf in found.leaves], np.int64) - 2]

        return rank

    arms: dict[str, Rank] = {
        "flat, exact": flat(world, K),
        "BM25": lexical(world, K),
        "5 k nearest, then filter": naive(world, K),
        "communities": tuned(world, asked, vectors, [through_parts(world, parts, K, m) for m in (1, 2, 4, 8, 16)]),
    }
    if clusters:
        paths = [through_levels(world, clusters, tops, K, width) for width in (1, 2, 4, 8, 16, 32)]
        arms["reference forest"] = tuned(world, asked, vectors, paths)
    arms |= {"forest, vector": ours("vector"), _OURS: ours("hybrid"), "forest, beam of 16": ours("vector", 16)}
    arms["forest, codes"] = ours("vector", full=CODED[1])
    rng = np.random.default_rng(SEEDS["filters"])
    rows, recalls = [], {}
    for share in SHARES:
        for kind in ("location", "location and time") if share < 1 else ("none",):
            filters = [a_filter(world, question, share, kind, rng) for question in asked]
            size = float(np.mean([len(allowed) for allowed in filters])) / len(world)
            for name, rank in arms.items():
                scores = np.array([
                    scored(world, question, allowed, rank(question.text, vector, allowed))
                    for question, vector, allowed in zip(asked, vectors, filters, strict=True)
                    if not question.tune
                ])  # fmt: skip
                means = scores.mean(axis=0)
                recalls[name, kind, share] = means[1]
                rows.append([kind, round(size, 4), name, *(round(float(value), 3) for value in means)])
    report.table("retrieval", ["filter", "selectivity", "arm", "recall@5", "recall@10", "MRR", "within 50 m"], rows)
    report.note(f"{sum(not q.tune for q in asked)} questions reported, {sum(q.tune for q in asked)} tuned on.")
    report.bar("recall@10 with a 2 % location filter, above 5 k nearest then filter",
               recalls["forest, vector", "location", 0.02] - recalls["5 k nearest, then filter", "location", 0.02],
               at_least=0, why_open=why)  # fmt: skip
    report.bar("recall@10 of vector + words above flat, without a filter",
               recalls[_OURS, "none", 1.0] - recalls["flat, exact", "none", 1.0], at_least=0, why_open=why)  # fmt: skip
    exactness(report, world, forest, vectors, seq_of, why)


def tuned(world: World, asked: list[Question], vectors: NDArray[np.float32], choices: list[Rank]) -> Rank:
    """The choice with the best recall@10 on the tuning questions, without a filter."""

    def recall(rank: Rank) -> float:
        everything = np.arange(len(world))
        return float(np.mean([
            scored(world, question, everything, rank(question.text, vector, everything))[1]
            for question, vector in zip(asked, vectors, strict=True) if question.tune
        ]))  # fmt: skip

    return max(choices, key=recall)


def a_filter(world: World, question: Question, share: float, kind: str, rng: np.random.Generator) -> Indices:
    """The captions that pass a filter around one that answers the question: about `share` of all."""
    if share == 1:
        return np.arange(len(world))
    anchor = int(rng.choice(question.relevant))
    count = max(round(share * len(world)), 1)
    allowed = np.arange(len(world))
    if kind != "location":
        span = max(round(np.sqrt(share) * len(world)), count)
        near_in_time = np.argsort(np.abs(world.stamps - world.stamps[anchor]), kind="stable")
        far = abs(int(world.stamps[near_in_time[span - 1]] - world.stamps[anchor]))
        allowed = np.flatnonzero(np.abs(world.stamps - world.stamps[anchor]) <= far)
    away = np.linalg.norm(world.positions[allowed] - world.positions[anchor], axis=1)
    return allowed[away <= np.sort(away)[min(count, len(away)) - 1]]


def scored(world: World, question: Question, allowed: Indices, found: Indices) -> tuple[float, float, float, float]:
    """recall@5 and @10 (of what could be found), reciprocal rank, and whether the first is within 50 m of an answer."""
    right = question.relevant[np.isin(question.relevant, allowed)]
    hits = np.isin(found, right)
    recall = [float(hits[:k].sum() / min(k, len(right))) for k in (5, 10)]
    first = 1 / (1 + int(np.argmax(hits))) if hits.any() else 0.0
    near = 0.0
    if len(found):
        near = float(np.linalg.norm(world.positions[right] - world.positions[found[0]], axis=1).min() <= 50)
    return recall[0], recall[1], first, near


def exactness(
    report: Report, world: World, forest: ForestView, vectors: NDArray[np.float32], seq_of: Indices, why: str
) -> None:
    tree = forest.trees[forest.frame_of()]
    size = len(tree.nodes()) + len(tree)
    rng = np.random.default_rng(SEEDS["filters"])
    wrong, seconds = 0, []
    read: dict[str, list[float]] = {"meaning": [], "meaning and space": [], "within 100 m": []}
    curve: dict[int, list[tuple[float, float]]] = {width: [] for width in WIDTHS}
    coded: dict[int, list[tuple[float, float]]] = {full: [] for full in CODED}
    for vector in vectors:
        spot = world.positions[rng.integers(len(world))]
        cases = {
            "meaning": Wanted(k=K, vector=vector),
            "meaning and space": Wanted(k=K, vector=vector, point=spot, reach=100.0),
            "within 100 m": Wanted(k=K, vector=vector, sphere=np.append(spot, 100.0)),
        }
        scores = (1 + np.clip(world.vectors.astype(np.float64) @ vector.astype(np.float64), -1, 1)) / 2
        away = np.linalg.norm(world.positions - spot, axis=1)
        expected = {
            "meaning": scores, "meaning and space": (scores + np.exp(-away / 100.0)) / 2,
            "within 100 m": np.where(away <= 100, scores, -np.inf),
        }  # fmt: skip
        for name, wanted in cases.items():
            found = exact(tree, wanted)
            read[name].append((found.nodes_read + found.leaves_read) / size)
            best = np.lexsort((-seq_of, -expected[name]))[:K]
            best = best[np.isfinite(expected[name][best])]
            wrong += not np.allclose(found.scores, expected[name][best], atol=1e-9)
        nearest = set(exact(tree, cases["meaning"]).seqs.tolist())
        for width in WIDTHS:
            quick = beam(tree, cases["meaning"], width)
            hit = len(nearest & set(quick.seqs.tolist())) / len(nearest)
            curve[width].append((hit, (quick.nodes_read + quick.leaves_read) / size))
        for full in CODED:
            guessed = sketch(tree, cases["meaning"], full)
            hit = len(nearest & set(guessed.seqs.tolist())) / len(nearest)
            coded[full].append((hit, in_bytes(tree, guessed) / in_bytes(tree, None)))
        query = Query(vector=vector, vector_model=world.model, k=K, min_score=-1.0)
        begin = time.thread_time()
        retrieve(forest, query, chains=False)
        seconds.append(time.thread_time() - begin)
    report.bar("exact searches that differ from the flat scan", wrong, at_most=0)
    shares = [[name, *np.round(np.quantile(values, (0.5, 0.95)), 3).tolist()] for name, values in read.items()]
    report.table("read by exact search (share of nodes and records)", ["search", "median", "p95"], shares)
    means = {width: np.mean(pairs, axis=0) for width, pairs in curve.items()}
    rows = [[width, round(float(mean[0]), 3), round(float(mean[1]), 3)] for width, mean in means.items()]
    report.table("beam: recall@10 of the exact result, share read", ["width", "recall", "read"], rows)
    judged = {full: np.mean(pairs, axis=0) for full, pairs in coded.items()}
    rows = [[full, round(float(mean[0]), 3), round(float(mean[1]), 3)] for full, mean in judged.items()]
    columns = ["read whole", "recall", "read"]
    report.table("codes: recall@10 of the exact result, share of the bytes read", columns, rows)
    little = [float(mean[0]) for mean in judged.values() if mean[1] < 0.1]
    report.bar("recall by codes that reads < 10 % of the bytes", max(little, default=0.0), at_least=0.9, why_open=why)
    under = [float(mean[0]) for mean in means.values() if mean[1] < 0.1]
    report.bar("recall of a beam that reads < 10 %", max(under, default=0.0), at_least=0.9, why_open=why)
    report.bar("retrieval p95 (ms CPU, without a model)", float(np.quantile(seconds, 0.95)) * 1e3, at_most=5)


def in_bytes(tree: Tree, found: Found | None) -> int:
    """What a search by codes reads: codes, whole vectors, and boxes of nodes; None: every vector and every axis."""
    whole = tree.arrays.vectors.itemsize * tree.width
    if found is None:
        return whole * (len(tree) + len(tree.nodes()))
    return found.codes_read * tree.arrays.codes.shape[1] + found.leaves_read * whole + found.nodes_read * 64


# --- regions -------------------------------------------------------------------------------------------------------


def told(
    report: Report, world: World, forest: ForestView, embedder: Any, parts: list[Part], index_of: Indices, why: str
) -> None:
    some = regions(world, 40 if why else 120, SEEDS["regions"])
    pairs = [(one, two) for one, two in zip(some[::1], some[2:], strict=False) if one.tune == two.tune]
    pairs = [pair for pair in pairs if np.linalg.norm(pair[0].center - pair[1].center) > 300]
    kind = embedded(embedder, [KIND])[0]
    arms: dict[str, Callable[[Region], NDArray[np.float64]]] = {
        "forest": from_forest(forest),
        "flat top-k": from_captions(world, flat(world, SOME), kind),
        "BM25": from_captions(world, lexical(world, SOME), kind),
        "communities": from_parts(parts),
    }
    clusters = reference(world, embedder)[0] if len(world) > 3000 else []
    if clusters:
        arms["reference forest"] = from_parts(clusters)
    rows = []
    for question, results in (
        ("what kind of place is this", {name: common(world, arm, some) for name, arm in arms.items()}),
        ("how do these two areas differ", {
            name: differing(world, arm, pairs, told_by_forest(forest) if name == "forest" else None)
            for name, arm in arms.items()
        }),
    ):  # fmt: skip
        ours = results["forest"][0]
        for name, (scores, level) in results.items():
            row: list[Any] = [question, name, level]
            for measured in ("coverage", "precision"):
                mean, low, high = interval(getattr(scores, measured), SEEDS["bootstrap"])
                row += [f"{mean:.3f} [{low:.3f}, {high:.3f}]"]
            rows.append(row)
            if name != "forest":
                _wins(report, question, name, ours, scores, why)
    report.table("regions", ["question", "arm", "threshold", "coverage", "precision"], rows)
    where(report, world, forest, embedder, parts, clusters, why)
    verified(report, forest, some, pairs)


def _wins(report: Report, question: str, name: str, ours: Scores, theirs: Scores, why: str) -> None:
    for measured in ("coverage", "precision"):
        _, low, _ = interval(getattr(ours, measured) - getattr(theirs, measured), SEEDS["bootstrap"])
        title = f"{question}: {measured} above {name} (lower end of the 95 % interval)"
        report.bar(title, low, at_least=0, why_open=why)


def where(
    report: Report, world: World, forest: ForestView, embedder: Any, parts: list[Part], clusters: list[Part], why: str
) -> None:
    asked = [question or "where?" for _, _, question in CLASSES]
    vectors = np.asarray(embedded(embedder, asked), np.float64)
    everything = np.arange(len(world))

    def first(rank: Rank) -> Callable[[str, str, NDArray[np.float32]], NDArray[np.float64] | None]:
        def place(name: str, question: str, vector: NDArray[np.float32]) -> NDArray[np.float64] | None:
            found = rank(question, vector, everything)
            return np.median(world.positions[found], axis=0) if len(found) else None

        return place

    def best(some: list[Part]) -> Callable[[str, str, NDArray[np.float32]], NDArray[np.float64] | None]:
        some = [part for part in some if 10 <= len(part.members) < 0.5 * len(world)]

        def place(name: str, question: str, vector: NDArray[np.float32]) -> NDArray[np.float64] | None:
            return world.positions[max(some, key=lambda part: float(part.vector @ vector)).members].mean(axis=0)

        return place

    arms = {
        "forest": place_by_forest(forest),
        "flat top-1": first(flat(world, 1)),
        "flat top-k, middle": first(flat(world, SOME)),
        "BM25": first(lexical(world, 1)),
        "communities": best(parts),
    }
    if clusters:
        arms["reference forest"] = best(clusters)
    scores = {name: greener(world, place, vectors) for name, place in arms.items()}
    rows = []
    for name, values in scores.items():
        mean, low, high = interval(values, SEEDS["bootstrap"])
        rows.append([name, f"{mean:.3f} [{low:.3f}, {high:.3f}]"])
        if name != "forest":
            _, low, _ = interval(scores["forest"] - values, SEEDS["bootstrap"])
            title = f"where is it more: above {name} (lower end of the 95 % interval)"
            report.bar(title, low, at_least=0, why_open=why)
    report.table("where is it more: percentile of the density at the answer", ["arm", "mean [95 % interval]"], rows)


def verified(report: Report, forest: ForestView, some: list[Region], pairs: list[tuple[Region, Region]]) -> None:
    frame = forest.frame_of()
    tree = forest.trees[frame]
    wrong = sentences = 0
    told_of = [forest.summary(frame, node) for node in tree.nodes().tolist()]
    members = [tree.arrays.seqs[tree.leaves_under(node)].tolist() for node in tree.nodes().tolist()]
    for region in some:
        query = Query(center=region.center, radius=region.radius)
        told_of.append(describe(forest, query).areas[0].summary)
        members.append(forest.memory.index.matching(query).tolist())
    for summary, seqs in zip(told_of, members, strict=True):
        said = {seq: forest.lexicon.said_by(seq) for seq in seqs}
        captions = {seq: forest.caption_of(seq) for seq in summary.evidence}
        sentences += len(summary.sentences)
        wrong += len(verify(summary, said, captions))
    for one, two in pairs:
        queries = [Query(center=region.center, radius=region.radius) for region in (one, two)]
        for sentence in compare(forest, *queries).sentences:
            sentences += 1
            for claim in sentence.claims:
                wrong += not all(claim.term in forest.lexicon.said_by(seq) for seq in claim.evidence)
    report.note(f"{sentences:,} sentences were checked against their evidence.")
    report.bar("sentences verified from their evidence (%)", 100 * (1 - wrong / max(sentences, 1)), at_least=100)
    report.figures["calls of a model per 1,000 records, every node worded"] = round(
        1000 * len(tree.nodes()) / len(tree)
    )


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
