"""Questions about regions and the whole, answered from the records that stand there, with evidence.

"What kind of place is this", "where is it greener", "how do these two areas differ". A region is whatever the filters
of a query leave. Counts are of records that speak of something: what is not spoken of is not claimed, and where
nothing can be said, the answer is "not found" and why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.errors import BadInputError
from embodied_mem.forest.search import passing
from embodied_mem.forest.summarise import Claim, Sentence, Summary, Worded, summarise
from embodied_mem.forest.tree import Tree
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.words import terms
from embodied_mem.inference.texts import checked_texts
from embodied_mem.objects.labels import singular
from embodied_mem.records.query import EVERY_MAP, Query

FloatArray = NDArray[np.float64]
_FEW = 10  # differences told for each side
_SURE = 1.96  # standard errors
_PRIOR = 100.0  # records' worth of prior, spread over terms as memory has them
_EVIDENCE = 3
_AREAS = 3  # areas named in "where is it more"
_ENOUGH = 10  # records of an area that is named

_WHERE_MORE = re.compile(r"^where (?:is|are|does|do) (?:it|there|things|places)?\s*(?:the )?(?P<what>.+)$")
_MORE = re.compile(r"^(?:most|more|least|less)\s+(?P<what>.+)$")


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A part of the world in an answer: its summary, where its middle is and how much of it is about what was asked."""

    summary: Summary
    share: float
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Described(Worded):
    """found False: nothing can be said, `reason` says why. evidence: numbers of records behind the sentences."""

    found: bool
    sentences: tuple[Sentence, ...] = ()
    reason: str = ""
    areas: tuple[Area, ...] = ()


def describe(forest: ForestView, query: Query | None = None) -> Described:
    """What kind of place the query's region is, set apart from the rest of its map.

    Raises what the query's filters do (UnknownMapError, BadInputError for the past).
    """
    with forest.lock:
        region = _region(forest, query)
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
        parts = [_region(forest, query) for query in (one, two)]
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


def where_more(forest: ForestView, what: str, query: Query | None = None, *, reach: float | None = None) -> Described:
    """The neighbourhoods in which the largest share of records speaks of `what`, the first first.

    Neighbourhoods are circles around the centres of the tree's lowest nodes. They are ranked by the lower end of the
    share's 95 % interval, so that few records do not count as many.

    what   a thing, or a quality ("greener" is looked for as "green"); reach: the radius in metres, by default a
    twentieth of the region's diagonal. Raises BadInputError for nothing to look for and a radius that is none.
    """
    if reach is not None and not reach > 0:
        raise BadInputError(f"The radius of a neighbourhood must be above 0 m, not {reach}.")
    with forest.lock:
        wanted = _meant(forest, what)
        if not wanted:
            return Described(False, reason=f"Not found: no record speaks of {what!r}.")
        region = _region(forest, query)
        if isinstance(region, str):
            return Described(False, reason=region)
        frame, leaves = region
        tree = forest.trees[frame]
        codes = np.array(sorted(wanted.values()))
        seqs = tree.arrays.seqs[leaves]
        speaks = np.array([bool(np.isin(forest.lexicon.of(seq), codes).any()) for seq in seqs.tolist()])
        if not speaks.any():
            return Described(False, reason=f"Not found: no record there speaks of {', '.join(wanted)}.")
        positions = tree.arrays.positions[leaves]
        radius = reach or max(float(np.linalg.norm(np.ptp(positions, axis=0))) / 20, 1.0)
        areas, sentences = [], []
        for members in _richest(tree, leaves, speaks, radius):
            own = leaves[members]
            made = summarise(tree, forest.lexicon, own, tree.leaves(), forest.caption_of, map_id=frame)
            about = seqs[members[speaks[members]]]
            areas.append(Area(made, len(about) / len(own), len(about)))
            x, y = made.center[:2]
            said = " or ".join(wanted)
            text = f"Around ({x:.0f}, {y:.0f}), {len(about)} of {len(own)} records speak of {said}."
            sentences.append(Sentence("where", text, tuple(np.sort(about)[:_EVIDENCE].tolist())))
    return Described(True, tuple(sentences), areas=tuple(areas))


def answer(forest: ForestView, question: str, region: Query | None = None, other: Query | None = None) -> Described:
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
        return where_more(forest, more["what"] if more else match["what"], region)
    return describe(forest, region)


def _region(forest: ForestView, query: Query | None) -> tuple[str, NDArray[np.int64]] | str:
    """The frame and leaves of a region, or why there is none."""
    if query is not None and (query.as_of is not None or query.as_of_ns is not None):
        raise BadInputError("The forest shows memory as it stands now: ask the records for the past.")
    if query is not None and query.map_id == EVERY_MAP:
        raise BadInputError("A region lies in one map: name it.")
    found = passing(forest, Query() if query is None else replace(query, text=None, vector=None))
    if not found:
        return "Not found: no record passes the filters."
    frame = max(found, key=lambda name: len(found[name]))
    return frame, found[frame]


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


def _richest(
    tree: Tree, leaves: NDArray[np.int64], speaks: NDArray[np.bool_], radius: float
) -> list[NDArray[np.int64]]:
    """Indices into `leaves` of the neighbourhoods with the largest share, none of which overlaps one before it."""
    positions, bottoms = tree.arrays.positions[leaves], tree.arrays.above[leaves]
    nodes, owner = np.unique(bottoms, return_inverse=True)
    counts = np.bincount(owner)
    centers = np.column_stack([np.bincount(owner, positions[:, axis]) / counts for axis in range(3)])
    near = cKDTree(positions).query_ball_point(centers, radius)
    enough = min(_ENOUGH, max(map(len, near)))
    scored = []
    for number, members in enumerate(near):
        own = np.array(sorted(members), dtype=np.int64)
        if len(own) >= enough and speaks[own].any():
            scored.append((-_wilson(int(speaks[own].sum()), len(own)), int(nodes[number]), own))
    chosen: list[NDArray[np.int64]] = []
    taken = np.zeros(len(leaves), dtype=bool)
    for _, _, own in sorted(scored, key=lambda item: item[:2]):
        if not taken[own].any():
            taken[own] = True
            chosen.append(own)
        if len(chosen) == _AREAS:
            break
    return chosen


def _wilson(count: int, n: int) -> float:
    """The lower end of a share's 95 % interval (Wilson 1927)."""
    p, z2 = count / n, _SURE**2
    return float((p + z2 / (2 * n) - _SURE * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n))


def _meant(forest: ForestView, what: str) -> dict[str, int]:
    """The terms of memory that the words mean, with their codes: as they are, or without a comparative's ending."""
    words = checked_texts([what])[0].lower()
    found: dict[str, int] = {}
    for term in (*terms(words), *words.split()):
        stems = (term, singular(term), re.sub(r"i?er$|i?est$", "", term), re.sub(r"ier$|iest$", "y", term))
        for stem in (
            *stems,
            re.sub(r"(.)\1er$|(.)\2est$", r"\1\2", term),
            re.sub(r"r$|st$", "", term),
            f"{stems[2]}ery",
        ):
            code = forest.lexicon.code(stem)
            if stem and code is not None:
                found[stem] = code
    return found
