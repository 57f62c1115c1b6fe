"""Questions about order and number in time, answered from episodic memory: which came first, how often, when last.

What a record shows is found first, exactly: by its detections where a label is known, else by what its caption means.
Then the moments that memory still holds say what came when, and what was forgotten lowers the probability
(episodes/order.py). Below `ENOUGH` nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from embodied_mem.episodes.order import Sightings, came_first, how_often, last_at
from embodied_mem.episodes.view import EpisodeView
from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.objects.labels import meant
from embodied_mem.recall import sentences as say
from embodied_mem.recall.grammar import bare
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView

ENOUGH = 0.6  # probability below which memory abstains
_SURE = 0.97  # nothing that was perceived is surer
_DOUBT = 0.5  # detections with lower scores are believed in less
_LIKE, _WIDTH = 0.42, 0.05  # cosine at which a caption is as likely to show the thing as not, and the logistic's width
_MOST = 10_000  # records that are looked at by meaning


@dataclass(frozen=True, slots=True)
class Told:
    """An answer in words, with the records (first the one that decides) and the probability that it is true."""

    found: bool
    sentence: str
    probability: float
    seqs: tuple[int, ...] = ()
    count: int = -1
    reason: str = ""


def first(view: EpisodeView, memory: RecordView, things: tuple[str, ...], query: Query, now_ns: int) -> Told:
    """Which of two things was seen first. Raises BadInputError unless there are two of them."""
    if len(things) != 2 or not all(thing.strip() for thing in things):
        raise BadInputError(
            "Two things are needed to say which came first: ask 'which came first, the mug or the cup?'."
        )
    seen, seqs, stamps = zip(*(_sightings(view, memory, thing, query) for thing in things), strict=True)
    for thing, sightings in zip(things, seen, strict=True):
        if sightings.ever < 0.5:
            reason = f"Not found: no moment in memory shows {say.one(thing)}."
            return Told(False, say.sentence(f"I have not seen {say.one(thing)}"), 1 - sightings.ever, reason=reason)
    ahead, behind, _ = came_first(*seen)
    winner = 0 if ahead >= behind else 1
    at = [int(sightings.first_at().argmax()) for sightings in seen]
    records = tuple(int(seqs[i][at[i]]) for i in (winner, 1 - winner))
    sure = min(max(ahead, behind), _SURE)
    if sure < ENOUGH:
        text = f"I cannot tell whether {say.the(things[0])} or {say.the(things[1])} came first"
        return Told(False, say.sentence(text), sure, records, reason=_unsure(sure, seen[0]))
    when = [say.ago((now_ns - int(stamps[i][at[i]])) * 1e-9) for i in (winner, 1 - winner)]
    text = f"{say.the(things[winner])} came first: seen {when[0]}, {say.the(things[1 - winner])} {when[1]}"
    return Told(True, say.sentence(text), sure, records)


def often(view: EpisodeView, memory: RecordView, thing: str, query: Query, now_ns: int) -> Told:
    """On how many visits a thing was seen."""
    sightings, seqs, _ = _sightings(view, memory, thing, query)
    count, sure = how_often(sightings)
    likely = seqs[sightings.shows >= 0.5]
    records = tuple(likely[::-1].tolist())
    if sure < ENOUGH:
        text = f"I cannot tell how often I saw {say.the(thing)}; on {_times(count)} as far as I remember"
        return Told(False, say.sentence(text), min(sure, _SURE), records, count, _unsure(sure, sightings))
    if not count:
        text = say.sentence(f"I have not seen {say.one(thing)}")
        return Told(False, text, min(sure, _SURE), (), 0, "Not found: no moment in memory shows it.")
    return Told(True, say.sentence(f"I saw {say.the(thing)} on {_times(count)}"), min(sure, _SURE), records, count)


def last(view: EpisodeView, memory: RecordView, thing: str, query: Query, now_ns: int) -> Told:
    """When a thing was last seen."""
    sightings, seqs, stamps = _sightings(view, memory, thing, query)
    at, sure = last_at(sightings)
    if at < 0:
        reason = "Not found: no moment in memory shows it."
        return Told(False, say.sentence(f"I have not seen {say.one(thing)}"), 1 - sightings.ever, reason=reason)
    ago = say.ago((now_ns - int(stamps[at])) * 1e-9)
    if sure < ENOUGH:
        text = f"I cannot tell when I last saw {say.the(thing)}; {ago} as far as I remember"
        return Told(False, say.sentence(text), min(sure, _SURE), (int(seqs[at]),), reason=_unsure(sure, sightings))
    return Told(True, say.sentence(f"I last saw {say.the(thing)} {ago}"), min(sure, _SURE), (int(seqs[at]),))


KINDS: dict[str, Callable[[EpisodeView, RecordView, str, Query, int], Told]] = {"how_often": often, "last": last}


def two_things(phrase: str) -> tuple[str, ...]:
    """The things of "the mug or the cup"."""
    return tuple(bare(part) for part in re.split(r",? or |, ", phrase) if bare(part))


def shows(memory: RecordView, thing: str, query: Query) -> dict[int, float]:
    """The probability that a record shows a thing, of those that may, among the records that the query leaves."""
    index = memory.index
    labels = meant(thing, index.labels_seen.all(), index.views(query).class_sets)
    if labels:
        table = index.detections(labels, query)
        found: dict[int, float] = {}
        for seq, score in zip(table.seq.tolist(), table.score.tolist(), strict=True):
            found[seq] = max(found.get(seq, 0.0), _SURE * min(score / _DOUBT, 1.0))
        return found
    try:
        hits = memory.query(replace(query, text=thing, k=_MOST, min_score=0.0)).hits
    except UnavailableError:
        return {}
    return {hit.record.seq: float(_SURE / (1 + np.exp(-(hit.score - _LIKE) / _WIDTH))) for hit in hits}


# --- inside ------------------------------------------------------------------------------------------------------


def _sightings(view: EpisodeView, memory: RecordView, thing: str, query: Query):  # type: ignore[no-untyped-def]
    return view.sightings(shows(memory, thing, query), query.map_id)


def _unsure(sure: float, seen: Sightings) -> str:
    lost = f"; {seen.missing} stays were forgotten, for want of room" if seen.missing else ""
    return f"Not found: it would be right with probability {sure:.2f} only{lost}."


def _times(count: int) -> str:
    return "one visit" if count == 1 else f"{count} visits"
