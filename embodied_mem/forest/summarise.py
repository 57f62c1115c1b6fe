"""A summary of some records in one to three sentences, each of which rests on records that can be named.

Extractive and deterministic: what most of the records speak of; what is special here, by class-based TF-IDF against the
records around (as in BERTopic, Grootendorst 2022: a term's share here times log(1 + records around / those of them that
speak of it)); and the most central caption's first sentence. Nothing is said that no record says, and every number can
be counted again (`verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.forest.lexicon import Lexicon
from embodied_mem.forest.tree import Tree
from embodied_mem.forest.words import first_sentence

MOSTLY, SPECIAL, TYPICAL, MODEL = "mostly", "special", "typical", "model"
_NAMED = 8  # terms in "mostly"
_SET_APART = 5  # terms in "special"
_SHARE = 0.1  # of the records must speak of a term that is named
_LIFT = 1.5  # how much more often than around a special term is spoken of
_EVIDENCE = 3  # records named for a term
_NAME = 3  # terms in a name


@dataclass(frozen=True, slots=True)
class Claim:
    """`count` of the summary's records speak of `term`; `evidence`: the numbers of some of them."""

    term: str
    count: int
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """kind: mostly, special, typical or model; evidence: the records that it rests on, those of its claims included."""

    kind: str
    text: str
    evidence: tuple[int, ...]
    claims: tuple[Claim, ...] = ()


class Worded:
    """Something that is said in sentences, each of which can be checked."""

    __slots__ = ()
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def evidence(self) -> tuple[int, ...]:
        """Every record that a sentence rests on, once."""
        return tuple(dict.fromkeys(seq for sentence in self.sentences for seq in sentence.evidence))


@dataclass(frozen=True, slots=True, eq=False)
class Summary(Worded):
    """What some records say together.

    name       a few words; sentences: one to three
    counts     how many records speak of each of the commonest terms
    records    how many there are; center (3,), low and high (3,) metres: their mean position and their box
    first_seen, last_seen  ns; map_id: whose coordinates these are
    source     "extractive", or the name of the model whose sentences were checked
    """

    name: str
    sentences: tuple[Sentence, ...]
    counts: Mapping[str, int]
    records: int
    center: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    first_seen: int
    last_seen: int
    map_id: str = ""
    source: str = "extractive"
    node: int = -1
    children: tuple[int, ...] = field(default=())

    def staleness_s(self, now_ns: int) -> float:
        """Seconds since the newest of its records was seen."""
        return (now_ns - self.last_seen) * 1e-9


def summarise(
    tree: Tree,
    lexicon: Lexicon,
    leaves: NDArray[np.int64],
    around: NDArray[np.int64] | None,
    caption_of: Callable[[int], str],
    *,
    map_id: str = "",
    node: int = -1,
) -> Summary:
    """Summarise the records `leaves` (at least one); `around`: the leaves that they are set apart from, or None.

    caption_of gives the caption of a record's number.
    """
    arrays, n = tree.arrays, len(leaves)
    leaves = leaves[np.argsort(arrays.seqs[leaves])]
    central = _by_centrality(tree, leaves)
    counts = lexicon.count(arrays.seqs[leaves])
    common = _common(lexicon, counts, n)
    special = []
    if around is not None and len(around) > n:
        special = _special(lexicon, counts, n, lexicon.count(arrays.seqs[around]), len(around))
    sentences = []
    for kind, codes in ((MOSTLY, common), (SPECIAL, special)):
        claims = tuple(_claim(tree, lexicon, central, code, int(counts[code])) for code in codes)
        if claims:
            sentences.append(_told(kind, claims, n))
    quoted = _typical(tree, central, caption_of)
    if quoted is not None:
        sentences.append(quoted)
    if not sentences:
        sentences.append(Sentence(TYPICAL, f"{_records(n)} without words.", tuple(arrays.seqs[leaves[:1]].tolist())))
    top = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], lexicon.word(code)))[:30]
    return Summary(
        name=", ".join(lexicon.word(code) for code in [*special, *common][:_NAME]) or f"{_records(n)}",
        sentences=tuple(sentences),
        counts={lexicon.word(code): int(counts[code]) for code in top},
        records=n,
        center=arrays.positions[leaves].mean(axis=0),
        low=arrays.positions[leaves].min(axis=0),
        high=arrays.positions[leaves].max(axis=0),
        first_seen=int(arrays.spans[leaves, 0].min()),
        last_seen=int(arrays.spans[leaves, 1].max()),
        map_id=map_id,
        node=node,
    )


def verify(summary: Summary, said_by: Mapping[int, frozenset[str]], captions: Mapping[int, str]) -> list[str]:
    """What is wrong with a summary, in words; nothing when every sentence can be verified.

    said_by, captions: the terms and the caption of every record that the summary is about.
    """
    wrong = []
    if not summary.sentences:
        wrong.append("It says nothing.")
    for sentence in summary.sentences:
        if not sentence.evidence or not set(sentence.evidence) <= said_by.keys():
            wrong.append(f"{sentence.text!r} rests on records that are not among its own.")
            continue
        for claim in sentence.claims:
            count = sum(claim.term in said for said in said_by.values())
            if count != claim.count:
                wrong.append(f"{claim.term!r} is said by {count} records, not by {claim.count}.")
            if not claim.evidence or not all(claim.term in said_by.get(seq, ()) for seq in claim.evidence):
                wrong.append(f"The evidence for {claim.term!r} does not speak of it.")
            if not set(claim.evidence) <= set(sentence.evidence):
                wrong.append(f"{claim.term!r} rests on records that its sentence does not name.")
        if sentence.kind == TYPICAL and not any(
            first_sentence(captions[seq]) in sentence.text for seq in sentence.evidence
        ):
            wrong.append(f"{sentence.text!r} is no record's words.")
    return wrong


def _by_centrality(tree: Tree, leaves: NDArray[np.int64]) -> NDArray[np.int64]:
    """The leaves, the most central in meaning first (in place, where none has a vector)."""
    arrays = tree.arrays
    vectors = arrays.vectors[leaves].astype(np.float64)
    worded = arrays.worded[leaves] != 0
    if worded.any():
        score = np.where(worded, vectors @ vectors.sum(axis=0), -np.inf)
    else:
        score = -((arrays.places[leaves] - arrays.places[leaves].mean(axis=0)) ** 2).sum(axis=1)
    return leaves[np.argsort(-score, kind="stable")]


def _common(lexicon: Lexicon, counts: NDArray[np.int64], n: int) -> list[int]:
    """What most records speak of; a pair of words rather than one of them where nearly all of those say the pair."""
    order = sorted(np.flatnonzero(counts >= max(_SHARE * n, 1)).tolist(), key=lambda c: (-counts[c], lexicon.word(c)))
    return _without_parts(lexicon, counts, order, _NAMED)


def _special(lexicon: Lexicon, counts: NDArray[np.int64], n: int, around: NDArray[np.int64], others: int) -> list[int]:
    share, usual = counts / n, around[: len(counts)] / others
    codes = np.flatnonzero((counts >= max(_SHARE * n, 2)) & (share >= _LIFT * usual))
    score = share[codes] * np.log1p(others / np.maximum(around[codes], 1))
    order = [code for _, _, code in sorted(zip(-score, map(lexicon.word, codes.tolist()), codes.tolist(), strict=True))]
    return _without_parts(lexicon, counts, order, _SET_APART)


def _without_parts(lexicon: Lexicon, counts: NDArray[np.int64], order: Sequence[int], most: int) -> list[int]:
    """The first terms, of which no two share a word."""
    chosen: list[int] = []
    for code in order:
        words = set(lexicon.word(code).strip('"').split())
        clash = [other for other in chosen if words & set(lexicon.word(other).strip('"').split())]
        if not clash:
            chosen.append(code)
        elif len(clash) == 1 and len(words) > 1 and counts[code] >= 0.8 * counts[clash[0]]:
            chosen[chosen.index(clash[0])] = code
        if len(chosen) == most:
            break
    return chosen


def _claim(tree: Tree, lexicon: Lexicon, central: NDArray[np.int64], code: int, count: int) -> Claim:
    chosen: list[int] = []
    for seq in tree.arrays.seqs[central].tolist():
        if code in lexicon.of(seq):
            chosen.append(seq)
            if len(chosen) == _EVIDENCE:
                break
    return Claim(lexicon.word(code), count, tuple(chosen))


def _told(kind: str, claims: tuple[Claim, ...], n: int) -> Sentence:
    evidence = tuple(dict.fromkeys(seq for claim in claims for seq in claim.evidence))
    if n == 1:
        listed = ", ".join(claim.term for claim in claims)
        return Sentence(kind, f"One record, of {listed}.", evidence, claims)
    listed = ", ".join(f"{claim.term} ({claim.count})" for claim in claims)
    start = f"{_records(n)} speak of" if kind == MOSTLY else "More than around here, they speak of"
    return Sentence(kind, f"{start} {listed}.", evidence, claims)


def _typical(tree: Tree, central: NDArray[np.int64], caption_of: Callable[[int], str]) -> Sentence | None:
    for seq in tree.arrays.seqs[central].tolist():
        caption = caption_of(seq)
        if caption.strip():
            return Sentence(TYPICAL, f'Typical: "{first_sentence(caption)}"', (seq,))
    return None


def _records(n: int) -> str:
    return "1 record" if n == 1 else f"{n:,} records"
