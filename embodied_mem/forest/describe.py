"""Questions about regions and the whole, answered from the records that stand there, with evidence.

"What kind of place is this", "where is it greener", "how do these two areas differ". A region is whatever the filters
of a query leave. Counts are of records that speak of something: what is not spoken of is not claimed, and where
nothing can be said, the answer is "not found" and why.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.regions import Area, Described, frame_and_leaves
from embodied_mem.forest.summarise import Claim, Sentence, summarise
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.where import where_more
from embodied_mem.inference.texts import checked_texts
from embodied_mem.records.query import Query

FloatArray = NDArray[np.float64]
_FEW = 10  # differences told for each side
_SURE = 1.96  # standard errors
_PRIOR = 100.0  # records' worth of prior, spread over terms as memory has them
_EVIDENCE = 3

_WHERE_MORE = re.compile(r"^where (?:is|are|does|do) (?:it|there|things|places)?\s*(?:the )?(?P<what>.+)$")
_MORE = re.compile(r"^(?P<way>most|more|least|less|fewer|fewest)\s+(?P<what>.+)$")
_LESS = ("least", "less", "fewer", "fewest")


def describe(forest: ForestView, query: Query | None = None) -> Described:
    """What kind of place the query's region is, set apart from the rest of its map.

    Raises what the query's filters do (UnknownMapError, BadInputError for the past).
    """
    with forest.lock:
        region = frame_and_leaves(forest, query)
        if isinstance(region, str):
            return Described(False, reason=region)
        frame, leaves = region
        tree = forest.trees[frame]
        made = summarise(tree, forest.lexicon, leaves, tree.leaves(), forest.caption_of, map_id=frame)
        return Described(True, made.sentences, areas=(Area(made, 1.0, made.records),))


def compare(forest: ForestView, one: Query, two: Query) -> Described:
    """How two regions differ: what is spoken of surely more often in the one than in the other.

    By log-odds with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008), beyond 1.96 standard errors.
    """
    with forest.lock:
        parts = [frame_and_leaves(forest, query) for query in (one, two)]
        for name, part in zip(("first", "second"), parts, strict=True):
            if isinstance(part, str):
                return Described(False, reason=f"{part} This is so of the {name} area.")
        (frame, left), (other_frame, right) = [part for part in parts if not isinstance(part, str)]
        trees = forest.trees[frame], forest.trees[other_frame]
        seqs = [np.sort(tree.arrays.seqs[leaves]) for tree, leaves in zip(trees, (left, right), strict=True)]
        counts = [forest.lexicon.count(numbers).astype(np.float64) for numbers in seqs]
        scores = _differing(counts[0], counts[1], len(left), len(right), forest)
        sentences = []
        for side, name in enumerate(("first", "second")):
            sign = 1 - 2 * side
            order = np.argsort(-sign * scores, kind="stable")
            codes = [c for c in order[: 20 * _FEW].tolist() if sign * scores[c] > _SURE]
            if told := _told(forest, name, _unlike(forest, codes), seqs[side], seqs[1 - side]):
                sentences.append(told)
        areas = tuple(
            Area(summarise(tree, forest.lexicon, leaves, None, forest.caption_of, map_id=tree_frame), 1.0, len(leaves))
            for tree, leaves, tree_frame in zip(trees, (left, right), (frame, other_frame), strict=True)
        )
    if not sentences:
        sizes = f"{len(left)} and {len(right)} records"
        return Described(
            False, reason=f"Not found: {sizes} do not surely differ in anything they speak of.", areas=areas
        )
    return Described(True, tuple(sentences), areas=areas)


def answer(
    forest: ForestView, question: str, region: Query | None = None, other: Query | None = None, *, areas: int = 3
) -> Described:
    """The answer to a question in words about a region (default: the current map), and another to compare it with.

    Raises BadInputError for an empty question, and for a comparison without another region.
    """
    words = checked_texts([question])[0].lower().rstrip("?.! ")
    if re.search(r"\b(?:differ|difference|compare|different)\b", words):
        if region is None or other is None:
            raise BadInputError("A comparison needs two areas: give both.")
        return compare(forest, region, other)
    match = _WHERE_MORE.match(words)
    if match is not None:
        more = _MORE.match(match["what"])
        what, less = (more["what"], more["way"] in _LESS) if more else (match["what"], False)
        return where_more(forest, what, region, areas=areas, less=less)
    return describe(forest, region)


def _differing(one: FloatArray, two: FloatArray, n: int, m: int, forest: ForestView) -> FloatArray:
    """(terms,) by how many standard errors a term is likelier in the first region."""
    everywhere = forest.lexicon.counts.data[: len(one)].astype(np.float64)
    share = everywhere / max(len(forest), 1)
    weight = min(_PRIOR, n, m)
    a, b = one + weight * share + 1e-2, two + weight * share + 1e-2
    odds = np.log(a / (n + weight + 0.02 - a)) - np.log(b / (m + weight + 0.02 - b))
    return np.asarray(np.where(one + two > 0, odds / np.sqrt(1 / a + 1 / b), 0.0))


def _unlike(forest: ForestView, codes: list[int]) -> list[int]:
    """The first few, none of which shares a word with one before."""
    chosen: list[int] = []
    used: set[str] = set()
    for code in codes:
        words = set(forest.lexicon.word(code).strip('"').split())
        if not words & used:
            chosen.append(code)
            used |= words
        if len(chosen) == _FEW:
            break
    return chosen


def _told(
    forest: ForestView, name: str, codes: list[int], here: NDArray[np.int64], there: NDArray[np.int64]
) -> Sentence | None:
    if not codes:
        return None
    counts, others = forest.lexicon.count(here), forest.lexicon.count(there)
    claims = tuple(
        Claim(
            forest.lexicon.word(code), int(counts[code]),
            tuple([seq for seq in here.tolist() if code in forest.lexicon.of(seq)][:_EVIDENCE]),
        )
        for code in codes
    )  # fmt: skip
    listed = ", ".join(
        f"{claim.term} ({claim.count} of {len(here)}, against {int(others[code])} of {len(there)})"
        for claim, code in zip(claims, codes, strict=True)
    )
    evidence = tuple(dict.fromkeys(seq for claim in claims for seq in claim.evidence))
    return Sentence("more", f"The {name} area has more {listed}.", evidence, claims)
