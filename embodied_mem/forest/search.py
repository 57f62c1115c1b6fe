"""Retrieval from a forest with the filters of memory's queries: leaves with the summaries above them, and why.

Every filter of `Query` holds exactly. Box, sphere and time prune the tree itself; the others (labels, robot, session,
numbers, coordinates of a map that is moved) are resolved by the record index, and nodes without a record that passes
are never read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.forest.retrieve import FOREVER, Found, Wanted, beam, diverse, exact, fuse
from embodied_mem.forest.sketch import sketch
from embodied_mem.forest.summarise import Summary
from embodied_mem.forest.tree import Tree
from embodied_mem.forest.view import ForestView
from embodied_mem.records.filtering import Filters, resolve
from embodied_mem.records.query import EVERY_MAP, Query

VECTOR, LEXICAL, HYBRID = "vector", "lexical", "hybrid"
_POOL = 5  # times k: what is fused and from which different ones are chosen
_IN_TREE = ("labels", "seqs", "near_record", "robot_id", "session_id")


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """How records are ranked.

    by      "vector", "lexical" (BM25) or "hybrid": both, by reciprocal-rank fusion
    weights of meaning, space and time in the score of the vector ranking; space needs a `point` (3,) metres with a
            `reach` in metres, time a `moment` in ns with a `lapse` in seconds
    width   of a beam; 0: exact
    full    records that are scored in full, chosen by their codes (sketch.py); 0: every one that may be among the best
    trade   below 1: results are made different from each other (maximal marginal relevance)
    """

    by: str = VECTOR
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    point: NDArray[np.float64] | None = None
    reach: float = 100.0
    moment: int | None = None
    lapse: float = 86_400.0
    width: int = 0
    full: int = 0
    trade: float = 1.0

    def __post_init__(self) -> None:
        if self.by not in (VECTOR, LEXICAL, HYBRID):
            raise BadInputError(f"Records are ranked by vector, lexical or hybrid, not by {self.by!r}.")
        if self.width and self.full:
            raise BadInputError("A search has a beam or codes: give a width or `full`, not both.")


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A record that was found. score: of the ranking; why: how it came about; above: summaries, nearest first."""

    seq: int
    score: float
    position: NDArray[np.float64]
    map_id: str
    why: str
    above: tuple[Summary, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """Leaves, best first; `reason` says why there is none. read: nodes and records looked at, of `size`."""

    leaves: tuple[Leaf, ...]
    reason: str = ""
    exact: bool = True
    read: int = 0
    size: int = 0


def retrieve(forest: ForestView, query: Query, ranking: Ranking | None = None, *, chains: bool = True) -> Retrieved:
    """The records that pass the query's filters, ranked by its text or vector; `chains`: with the summaries above.

    Raises BadInputError (no text or vector; the past), UnknownMapError, ModelMismatchError, UnavailableError.
    """
    how = ranking or Ranking()
    if query.text is None and query.vector is None:
        raise BadInputError("Retrieval ranks by a text or a vector: give one of them.")
    if how.by != VECTOR and query.text is None:
        raise BadInputError("Ranking by shared words needs the query's text.")
    if query.as_of is not None or query.as_of_ns is not None:
        raise BadInputError("The forest shows memory as it stands now: ask the records for the past.")
    with forest.lock:
        vector = forest.memory._vector_of(query) if how.by != LEXICAL else None
        pool = query.k if how.by == VECTOR and how.trade == 1 else _POOL * query.k
        parts = [_one_tree(forest, frame, query, how, vector, pool) for frame in _frames(forest, query)]
        ranked = sorted((item for part, _ in parts for item in part), key=lambda item: (-item[1], -item[0]))
        if how.trade < 1:
            ranked = _different(forest, ranked, query.k, how.trade)
        lowest = -np.inf if query.min_score is None or how.by != VECTOR else query.min_score
        chosen = [item for item in ranked[: query.k] if item[3] >= lowest]
        leaves = []
        for seq, score, why, _ in chosen:
            frame, leaf = forest.leaf_of(seq)
            above = tuple(forest.chain(seq)) if chains else ()
            leaves.append(Leaf(seq, score, forest.trees[frame].arrays.positions[leaf].copy(), frame, why, above))
    size = sum(len(tree.nodes()) + len(tree) for tree in forest.trees.values())
    reason = "" if leaves else "Not found: no record passes the filters."
    if not leaves and ranked:
        reason = f"Not found: the best of what passes the filters scores {ranked[0][3]:.2f}, below {lowest:.2f}."
    return Retrieved(tuple(leaves), reason, how.width == 0 and how.full == 0, sum(read for _, read in parts), size)


def passing(forest: ForestView, query: Query) -> dict[str, NDArray[np.int64]]:
    """By frame, the leaves of the records that pass the query's filters, in order of their numbers."""
    with forest.lock:
        filters = _resolved(forest, query)
        with forest.memory.index.lock:
            seqs = np.sort(forest.memory.index.table.seqs.data[filters.select()]).tolist()
        found: dict[str, list[int]] = {}
        for seq in seqs:
            if seq in forest._known:
                frame, leaf = forest.leaf_of(seq)
                found.setdefault(frame, []).append(leaf)
        return {frame: np.array(leaves, dtype=np.int64) for frame, leaves in found.items()}


def _frames(forest: ForestView, query: Query) -> Iterable[str]:
    if query.map_id == EVERY_MAP:
        return [frame for frame, tree in forest.trees.items() if len(tree)]
    name = forest.memory.index.maps.resolve(query.map_id)
    code = forest.memory.index.map_names.find(name)
    frame = forest._frames.get(-1 if code is None else code)
    return [frame.name] if frame is not None and len(forest.trees.get(frame.name, ())) else []


def _one_tree(
    forest: ForestView, frame: str, query: Query, how: Ranking, vector: NDArray[np.float32] | None, pool: int
) -> tuple[list[tuple[int, float, str, float]], int]:
    """(number, score, why, cosine) of the best records of a tree, and how much was read."""
    tree = forest.trees[frame]
    wanted = _wanted(forest, frame, query, how, vector, pool)
    if wanted is None:
        return [], 0
    found: Found | None = None
    if vector is not None and len(vector) == tree.width:
        found = _by_meaning(tree, wanted, how)
    cosines = {} if found is None else dict(zip(found.seqs.tolist(), 2 * found.terms[:, 0] - 1, strict=True))
    if how.by == VECTOR:
        if found is None:
            return [], 0
        ranked = zip(found.seqs.tolist(), found.scores.tolist(), strict=True)
        return [
            (seq, score, f"its meaning scores {cosines[seq]:.2f}", float(cosines[seq])) for seq, score in ranked
        ], found.nodes_read + found.leaves_read
    allowed = np.array([seq for seq in tree.arrays.seqs[passing(forest, query).get(frame, np.zeros(0, np.int64))]])
    words, word_scores = forest.words.rank(query.text or "", pool, allowed.astype(np.int64))
    if how.by == LEXICAL:
        pairs = zip(words.tolist(), word_scores.tolist(), strict=True)
        return [(seq, score, f"its words score {score:.1f}", 1.0) for seq, score in pairs], len(allowed)
    meant = np.zeros(0, np.int64) if found is None else found.seqs
    seqs, scores = fuse(meant, words)
    by_words = {seq: i + 1 for i, seq in enumerate(words.tolist())}
    by_meaning = {seq: i + 1 for i, seq in enumerate(meant.tolist())}
    read = len(allowed) + (0 if found is None else found.nodes_read + found.leaves_read)
    return [
        (seq, score, _ranks(by_meaning.get(seq), by_words.get(seq)), 1.0)
        for seq, score in zip(seqs.tolist(), scores.tolist(), strict=True)
    ], read


def _by_meaning(tree: Tree, wanted: Wanted, how: Ranking) -> Found:
    if how.full:
        return sketch(tree, wanted, max(how.full, wanted.k))
    return beam(tree, wanted, how.width) if how.width else exact(tree, wanted)


def _ranks(meaning: int | None, words: int | None) -> str:
    said = [f"{rank}. by {name}" for name, rank in (("meaning", meaning), ("words", words)) if rank is not None]
    return " and ".join(said)


def _resolved(forest: ForestView, query: Query) -> Filters:
    index = forest.memory.index
    with index.lock:
        return resolve(index, query)


def _wanted(
    forest: ForestView, frame: str, query: Query, how: Ranking, vector: NDArray[np.float32] | None, pool: int
) -> Wanted | None:
    """The query in the terms of a tree; None when nothing can pass."""
    weights = how.weights if vector is not None else (0.0, *how.weights[1:])
    plain = {
        "k": pool, "vector": vector if vector is not None else np.zeros(forest.trees[frame].width, np.float32),
        "point": how.point, "reach": how.reach, "moment": how.moment, "lapse": how.lapse, "weights": weights,
    }  # fmt: skip
    if vector is None:
        plain["weights"] = (1.0, *how.weights[1:])
    wanted = Wanted(**plain)  # type: ignore[arg-type]
    index = forest.memory.index
    filters = _resolved(forest, query)
    one_map = len(filters.into) == 1 and len({int(code) for code, f in forest._frames.items() if f.name == frame}) == 1
    every = query.map_id == EVERY_MAP
    if not any(getattr(query, name) not in (None, "", ()) for name in _IN_TREE) and (every or one_map):
        start = -FOREVER if query.time is None or query.time.start_ns is None else query.time.start_ns
        end = FOREVER if query.time is None or query.time.end_ns is None else query.time.end_ns
        box = (filters.box[0], filters.box[1])
        return replace(wanted, box=box, sphere=filters.sphere, start=start, end=end)
    with index.lock:
        seqs = index.table.seqs.data[filters.select()].tolist()
    leaves = [known.leaf for seq in seqs if (known := forest._known.get(seq)) is not None and known.frame == frame]
    if not leaves:
        return None
    allowed = np.zeros(forest.trees[frame].leaf_slots, dtype=np.bool_)
    allowed[leaves] = True
    return replace(wanted, allowed=allowed)


def _different(
    forest: ForestView, ranked: list[tuple[int, float, str, float]], k: int, trade: float
) -> list[tuple[int, float, str, float]]:
    if not ranked:
        return ranked
    places = [forest.leaf_of(item[0]) for item in ranked]
    vectors = np.array([forest.trees[frame].arrays.vectors[leaf] for frame, leaf in places])
    scores = np.array([item[1] for item in ranked])
    scores = scores / max(float(scores.max()), 1e-12)
    return [ranked[i] for i in diverse(vectors, scores, k, trade).tolist()]
