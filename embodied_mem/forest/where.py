"""Where there is more of something: neighbourhoods ranked by how much their records speak of it.

A record speaks of what is asked for by the share of the question's terms that it has, each weighted by how rare it is
(log(1 + records / those that have it)): "brick buildings" is then mostly about brick. A neighbourhood's density is the
mean over its records, drawn towards the mean of all of them as if it had ten typical records more (shrinkage, as in
empirical Bayes, Morris 1983): so few records do not count as many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.errors import BadInputError
from embodied_mem.forest.regions import Area, Described, frame_and_leaves
from embodied_mem.forest.summarise import Sentence, summarise
from embodied_mem.forest.tree import Tree
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.words import terms
from embodied_mem.inference.texts import checked_texts
from embodied_mem.objects.labels import singular
from embodied_mem.records.query import Query

FloatArray = NDArray[np.float64]
_TYPICAL = 10.0  # records' worth of the mean that every neighbourhood is given
_ENOUGH = 10  # records of a neighbourhood that is named
_EVIDENCE = 3
_MOST_AREAS = 50
_CENTERS = 2000  # records around which neighbourhoods are looked at
_FRACTION = 20  # of the region's diagonal, which is a neighbourhood's radius
_LEAST_RADIUS = 3.0  # metres


@dataclass(frozen=True, slots=True, eq=False)
class Meant:
    """What words mean in the terms of memory. names: these terms; shares (n,) in [0, 1]: how much each record is of it.

    speaks (n,) whether a record has any of the terms
    """

    names: tuple[str, ...]
    shares: FloatArray
    speaks: NDArray[np.bool_]


def where_more(
    forest: ForestView,
    what: str,
    query: Query | None = None,
    *,
    reach: float | None = None,
    areas: int = 3,
    less: bool = False,
) -> Described:
    """The neighbourhoods whose records speak most (or least: `less`) of `what`, the first first.

    Neighbourhoods are circles around records (2,000 of them at most) that hold ten records or more.

    what   a thing, or a quality ("greener" is looked for as "green"); reach: the radius in metres, by default a
    twentieth of the region's diagonal. Raises BadInputError for nothing to look for and a radius or count that is none.
    """
    if reach is not None and not reach > 0:
        raise BadInputError(f"The radius of a neighbourhood must be above 0 m, not {reach}.")
    if not 1 <= areas <= _MOST_AREAS:
        raise BadInputError(f"Between 1 and {_MOST_AREAS} areas can be named, not {areas}.")
    with forest.lock:
        region = frame_and_leaves(forest, query)
        if isinstance(region, str):
            return Described(False, reason=region)
        frame, leaves = region
        tree = forest.trees[frame]
        seqs = tree.arrays.seqs[leaves]
        meant = meaning(forest, what, seqs)
        if not meant.names:
            return Described(False, reason=f"Not found: no record speaks of {what!r}.")
        if not meant.speaks.any():
            return Described(False, reason=f"Not found: no record there speaks of {' or '.join(meant.names)}.")
        radius = reach or neighbourhood(tree, leaves)
        found, sentences = [], []
        for members in _richest(tree, leaves, meant.shares, radius, areas, -1 if less else 1):
            own, about = leaves[members], seqs[members[meant.speaks[members]]]
            made = summarise(tree, forest.lexicon, own, tree.leaves(), forest.caption_of, map_id=frame)
            found.append(Area(made, len(about) / len(own), len(about)))
            x, y = forest.in_map(made.center, "" if query is None else query.map_id)[:2]
            text = f"Around ({x:.0f}, {y:.0f}), {len(about)} of {len(own)} records speak of {' or '.join(meant.names)}."
            shown = np.sort(about) if len(about) else np.sort(seqs[members])
            sentences.append(Sentence("where", text, tuple(shown[:_EVIDENCE].tolist())))
    return Described(True, tuple(sentences), areas=tuple(found))


def named_area(forest: ForestView, name: str, query: Query | None = None) -> Query | None:
    """The part of the world that records call by a name ("the kitchen"), as a query; None when none does.

    It is the richest neighbourhood of records that have every term of the name.
    """
    with forest.lock:
        region = frame_and_leaves(forest, query)
        if isinstance(region, str):
            return None
        frame, leaves = region
        tree = forest.trees[frame]
        meant = meaning(forest, name, tree.arrays.seqs[leaves])
        whole = meant.shares >= 0.999
        if not whole.any():
            return None
        radius = neighbourhood(tree, leaves)
        members = _richest(tree, leaves, whole.astype(np.float64), radius, 1, 1, enough=1)[0]
        center = tree.arrays.positions[leaves[members[whole[members]]]].mean(axis=0)
    return replace(query or Query(), center=center, radius=radius, map_id=frame)


def neighbourhood(tree: Tree, leaves: NDArray[np.int64], part: int = _FRACTION) -> float:
    """The radius in metres of what counts as one neighbourhood: a part of the diagonal of where these records are."""
    spread = np.ptp(tree.arrays.positions[leaves], axis=0)
    return max(float(np.linalg.norm(spread)) / part, _LEAST_RADIUS)


def meaning(forest: ForestView, what: str, seqs: NDArray[np.int64]) -> Meant:
    """What these words mean to the records. Raises BadInputError for empty words."""
    known = _terms_meant(forest, what)
    codes = np.array(list(known.values()), dtype=np.int32)
    has = np.array([np.isin(codes, forest.lexicon.of(seq)) for seq in seqs.tolist()], dtype=bool)
    has = has.reshape(len(seqs), len(codes))
    rarity = np.log1p(max(len(forest), 1) / np.maximum(forest.lexicon.counts.data[codes], 1))
    shares = has @ rarity / max(float(rarity.sum()), 1e-12)
    return Meant(tuple(known), np.asarray(shares), np.asarray(has.any(axis=1)))


def _richest(
    tree: Tree,
    leaves: NDArray[np.int64],
    shares: FloatArray,
    radius: float,
    most: int,
    sign: int,
    enough: int = _ENOUGH,
) -> list[NDArray[np.int64]]:
    """Indices into `leaves` of the neighbourhoods with the highest (sign 1) or lowest density, none overlapping."""
    positions = tree.arrays.positions[leaves]
    centers = positions[:: -(-len(leaves) // _CENTERS)]
    near = cKDTree(positions).query_ball_point(centers, radius, return_sorted=True)
    sizes = np.array([len(members) for members in near])
    sums = np.array([shares[members].sum() for members in near])
    density = (sums + _TYPICAL * shares.mean()) / (sizes + _TYPICAL)
    fit = (sizes >= min(enough, int(sizes.max()))) & ((sums > 0) | (sign < 0))
    chosen: list[NDArray[np.int64]] = []
    taken = np.zeros(len(leaves), dtype=bool)
    for i in np.argsort(-sign * density, kind="stable").tolist():
        own = np.array(near[i], dtype=np.int64)
        if fit[i] and not taken[own].any():
            taken[own] = True
            chosen.append(own)
        if len(chosen) == most:
            break
    return chosen


def _terms_meant(forest: ForestView, what: str) -> dict[str, int]:
    """The terms of memory that the words mean, with their codes; of a word's forms, that which most records have."""
    words = checked_texts([what])[0].lower()
    found: dict[str, int] = {}
    for term in (*terms(words), *words.split()):
        codes = {
            form: code for form in (term, *_stems(term)) if form and (code := forest.lexicon.code(form)) is not None
        }
        if codes:
            best = max(codes, key=lambda form: (int(forest.lexicon.counts.data[codes[form]]), form))
            found[best] = codes[best]
    return found


def _stems(word: str) -> tuple[str, ...]:
    """Forms of a word: "trees" of tree, "greener" of green and greenery, "hilliest" of hilly, "biggest" of big."""
    if not re.search(r"(?:er|est)$", word):
        return (singular(word),)
    bare = re.sub(r"er$|est$", "", word)
    return (bare, f"{bare}ery", re.sub(r"i$", "y", bare), re.sub(r"(.)\1$", r"\1", bare), re.sub(r"r$|st$", "", word))
