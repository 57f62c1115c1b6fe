"""Part A of bench/street: after many drives, find the place that a human landmark phrase means.

A question is a phrase of an instruction and where its way starts. An answer is right within 50 m of that way. Every
arm ranks what it holds within 450 m of the start by similarity of names, then by distance; they differ in what they
still hold. Bytes: 40 an entry (position, time, number of its name), the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.street_memory import LEAST_SIMILAR, City, Episode
from embodied_mem.instructions.instruction import Phrase

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ENTRY_BYTES = 40
_REACH_M, _RIGHT_M = 450.0, 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What an arm holds: landmark rows (k,), where they seem to stand (k, 2), and the rows whose names they go by."""

    rows: IntArray
    xy: FloatArray
    names: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """A stream: rows (s,) and positions (s, 2), oldest first."""

    rows: IntArray
    xy: FloatArray


def drive_and_see(city: City, drives: int, seed: int) -> Sightings:
    """Sightings of so many patrols of 200 nodes, as in street_tune.patrolled but kept one by one."""
    from bench.street_memory import Kept, patrol

    rows: list[IntArray] = []
    places: list[FloatArray] = []

    class Recorder(Kept):
        def look(self, city: City, node: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], IntArray]:
            seen, xy = city.perceive(node, rng)
            rows.append(seen)
            places.append(xy)
            return np.zeros(0, bool), seen

    recorder = Recorder.nothing(city)
    visits, rng = np.zeros(len(city.ends), np.int64), np.random.default_rng(seed)
    for _ in range(drives):
        patrol(city, recorder, 200, rng, visits)
    return Sightings(np.concatenate(rows), np.concatenate(places))


def folded(stream: Sightings, chosen: NDArray[np.bool_]) -> Held:
    """Chosen sightings with those of one landmark made into one entry at their mean."""
    rows, back = np.unique(stream.rows[chosen], return_inverse=True)
    counts = np.bincount(back, minlength=len(rows)).astype(np.float64)
    xy = np.stack([np.bincount(back, stream.xy[chosen, k], len(rows)) for k in range(2)], axis=1) / counts[:, None]
    return Held(rows, xy, rows)


def arms(city: City, stream: Sightings, budgets: Sequence[int], rng: np.random.Generator) -> dict[str, Held]:
    """Every arm. Budgets are entries."""
    every = np.ones(len(stream.rows), bool)
    count = np.bincount(stream.rows, minlength=len(city.landmarks))
    last = np.full(len(city.landmarks), -1)
    last[stream.rows] = np.arange(len(stream.rows))
    whole = folded(stream, every)
    named = np.array([bool(name) for name in city.landmarks.names])
    found = {"full log": Held(stream.rows, stream.xy, stream.rows), "ours, all": whole}
    for budget in budgets:
        found[f"ring buffer, {budget}"] = Held(stream.rows[-budget:], stream.xy[-budget:], stream.rows[-budget:])
        orders = {
            "LRU": last[whole.rows],
            "LFU": count[whole.rows],
            # What can be asked for by name first, then what was seen most: unnamed bicycle racks are half of a city.
            "ours": named[whole.rows] * 1e9 + count[whole.rows],
        }
        for name, order in orders.items():
            best = np.argsort(-order, kind="stable")[:budget]
            found[f"{name}, {budget}"] = Held(whole.rows[best], whole.xy[best], whole.rows[best])
    recent = np.zeros(len(stream.rows), bool)
    recent[-32:] = True
    found["short-term memory, 32"] = folded(stream, recent)
    found["shuffled names"] = Held(whole.rows, whole.xy, rng.permutation(whole.rows))
    return found


def questions(episodes: Sequence[Episode]) -> list[tuple[Phrase, Episode]]:
    """Each phrase of each instruction, once."""
    return [(phrase, each) for each in episodes for phrase in dict.fromkeys(each.instruction.phrases)]


def ask(city: City, held: Held, asked: Sequence[tuple[Phrase, Episode]]) -> FloatArray:
    """(q, 2): the rank of the first right answer, and the error of the first answer in metres; inf: none."""
    out = np.full((len(asked), 2), np.inf)
    for i, (phrase, episode) in enumerate(asked):
        way = city.graph.xy[episode.gold]
        near = np.flatnonzero(((held.xy - way[0]) ** 2).sum(axis=1) < _REACH_M**2)
        similar = city.similar(phrase)[held.names[near]]
        near, similar = near[similar >= LEAST_SIMILAR], similar[similar >= LEAST_SIMILAR]
        if not len(near):
            continue
        away = np.linalg.norm(held.xy[near] - way[0], axis=1)
        order = np.lexsort((away, -np.round(similar, 3)))
        errors = np.linalg.norm(held.xy[near[order]][:, None] - way[None], axis=2).min(axis=1)
        out[i, 1] = errors[0]
        right = np.flatnonzero(errors <= _RIGHT_M)
        out[i, 0] = right[0] + 1 if len(right) else np.inf
    return out
