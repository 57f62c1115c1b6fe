"""Questions about regions: what each arm claims, and how much of that is so.

Truth is the share of a region's captions that speak of a class. A claim says that a class is common (a quarter of the
captions or more), or that one region has more of it than another (by 0.2 or more). Coverage weighs what is claimed of
what is so; precision is what is so of what is claimed. Each arm's threshold is chosen on the tuning regions by F1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.forest_peers import Indices, Part, Rank
from bench.forest_world import CLASSES, RULES, Region, World, classes_of
from embodied_mem.forest.describe import answer, compare, describe
from embodied_mem.forest.view import ForestView
from embodied_mem.records.query import Query

FloatArray = NDArray[np.float64]
COMMON, MORE, SOME = 0.25, 0.2, 10  # share; difference; captions that a top-k arm reads
KIND = "What kind of place is this?"
Shares = Callable[[Region], FloatArray]  # (classes,) the share of a region that an arm believes to be of a class


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """(regions,) coverage and precision of one arm; NaN where it claims nothing, in precision."""

    coverage: FloatArray
    precision: FloatArray


def truth(world: World, inside: Indices) -> FloatArray:
    return np.asarray(world.spoken[inside].mean(axis=0))


def from_captions(world: World, rank: Rank, vector: NDArray[np.float32]) -> Shares:
    """What the captions say that a search for the question brings, as shares of them."""
    return lambda region: np.asarray(world.spoken[_some(rank(KIND, vector, region.inside), region)].mean(axis=0))


def _some(found: Indices, region: Region) -> Indices:
    """A search that shares no word with the captions brings none: then the first of the region."""
    return found if len(found) else region.inside[:SOME]


def from_parts(parts: list[Part]) -> Shares:
    """What the text of the part says that has most in common with the region."""

    def shares(region: Region) -> FloatArray:
        def overlap(part: Part) -> float:
            both = len(np.intersect1d(part.members, region.inside))
            return both / max(len(part.members) + len(region.inside) - both, 1)

        return classes_of(max(parts, key=overlap).text).astype(np.float64)

    return shares


def from_forest(forest: ForestView) -> Shares:
    """What our summary counts: the largest share of a term that is of a class."""

    def shares(region: Region) -> FloatArray:
        summary = describe(forest, _query(region)).areas[0].summary
        counted = {claim.term: claim.count for sentence in summary.sentences for claim in sentence.claims}
        return term_shares({**summary.counts, **counted}, summary.records)

    return shares


def term_shares(counts: dict[str, int], n: int) -> FloatArray:
    out = np.zeros(len(RULES))
    for term, count in counts.items():
        for i, (_, rule) in enumerate(RULES):
            if rule.search(term):
                out[i] = max(out[i], count / n)
    return out


def common(world: World, arm: Shares, regions: list[Region]) -> tuple[Scores, float]:
    """Scores on the reported regions of "what kind of place is this", and the threshold that tuning chose."""
    believed = np.array([arm(region) for region in regions])
    true = np.array([truth(world, region.inside) for region in regions])
    tune = np.array([region.tune for region in regions])
    return _chosen(lambda level: _score(believed >= level, true * (true >= COMMON)), tune)


def differing(
    world: World, arm: Shares, pairs: list[tuple[Region, Region]], told: Callable[[Region, Region], FloatArray] | None
) -> tuple[Scores, float]:
    """The same of "how do these two areas differ"; `told`: signed claims of an arm that compares by itself."""
    true = np.array([truth(world, one.inside) - truth(world, two.inside) for one, two in pairs])
    believed = np.array([told(one, two) if told else arm(one) - arm(two) for one, two in pairs])
    tune = np.array([one.tune for one, _ in pairs])
    both = np.concatenate([true * (true >= MORE), -true * (true <= -MORE)], axis=1)
    return _chosen(lambda level: _score(np.concatenate([believed >= level, believed <= -level], axis=1), both), tune)


def told_by_forest(forest: ForestView) -> Callable[[Region, Region], FloatArray]:
    """The difference in share of each class that our comparison claims."""

    def told(one: Region, two: Region) -> FloatArray:
        found = compare(forest, _query(one), _query(two))
        out = np.zeros(len(RULES))
        for sentence in found.sentences:
            side = 0 if sentence.text.startswith("The first") else 1
            here, there = (len(one.inside), len(two.inside))[:: 1 - 2 * side]
            for claim in sentence.claims:
                against = _against(sentence.text, claim.term)
                gain = claim.count / here - against / max(there, 1)
                for i, (_, rule) in enumerate(RULES):
                    if rule.search(claim.term) and gain > abs(out[i]):
                        out[i] = gain * (1 - 2 * side)
        return out

    return told


def _against(text: str, term: str) -> int:
    """The other side's count, as the sentence states it."""
    part = text.split(f"{term} (", 1)[1].split(")", 1)[0]
    return int(part.split("against ")[1].split(" ")[0].replace(",", ""))


def greener(
    world: World, place_of: Callable[[str, str, NDArray[np.float32]], FloatArray | None], vectors: FloatArray
) -> FloatArray:
    """(questions,) for "where is it more ...": the percentile of the class's density within 100 m of the answer."""
    near = [np.flatnonzero(np.linalg.norm(world.positions - p, axis=1) <= 100) for p in world.positions[::10]]
    out = []
    for i, (name, _, question) in enumerate(CLASSES):
        if not question:
            continue
        densities = np.array([world.spoken[rows, i].mean() for rows in near])
        place = place_of(name, question, np.asarray(vectors[i], np.float32))
        if place is None:
            out.append(0.0)
            continue
        here = np.flatnonzero(np.linalg.norm(world.positions - place, axis=1) <= 100)
        density = world.spoken[here, i].mean() if len(here) else 0.0
        out.append(float((densities < density).mean() + 0.5 * (densities == density).mean()))
    return np.array(out)


def place_by_forest(forest: ForestView) -> Callable[[str, str, NDArray[np.float32]], FloatArray | None]:
    def place(name: str, question: str, vector: NDArray[np.float32]) -> FloatArray | None:
        found = answer(forest, question)
        return found.areas[0].summary.center if found.found else None

    return place


def interval(values: FloatArray, seed: int, rounds: int = 2000) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval (percentile) over questions."""
    kept = values[~np.isnan(values)]
    picks = np.random.default_rng(seed).integers(len(kept), size=(rounds, len(kept)))
    low, high = np.quantile(kept[picks].mean(axis=1), (0.025, 0.975))
    return float(kept.mean()), float(low), float(high)


def _query(region: Region) -> Query:
    return Query(center=region.center, radius=region.radius)


def _score(claimed: NDArray[np.bool_], weights: FloatArray) -> Scores:
    total = weights.sum(axis=1)
    coverage = np.where(total > 0, (claimed * weights).sum(axis=1) / np.maximum(total, 1e-12), np.nan)
    made = claimed.sum(axis=1)
    precision = np.where(made > 0, (claimed & (weights > 0)).sum(axis=1) / np.maximum(made, 1), 0.0)
    return Scores(coverage, precision)


def _chosen(score: Callable[[float], Scores], tune: NDArray[np.bool_]) -> tuple[Scores, float]:
    def f1(level: float) -> float:
        scores = score(level)
        coverage, precision = (float(np.nanmean(each[tune])) for each in (scores.coverage, scores.precision))
        return float(2 * coverage * precision / max(coverage + precision, 1e-12))

    best = max((0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6), key=f1)
    scores = score(best)
    return Scores(scores.coverage[~tune], scores.precision[~tune]), best
