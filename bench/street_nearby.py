"""Short-term memory in the city: how often it knows, whether it says what the long-term store says, and what it costs.

A robot patrols; every fifth frame it is asked for something with a name ("cafe Starbucks") that it saw within the last
six frames, drawn at random. Each question is put to short-term memory of so many records, and to all of them; then a
second time, when nothing is to be taken in any more.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from bench.harness import Report
from bench.street_robot import perceived
from bench.street_tune import data_folder
from embodied_mem.inference.select import default_embedder
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings
from embodied_mem.nodes.stack import OF_THE_STREET
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.tokens.surroundings import Surroundings, SurroundingsSettings
from embodied_mem.topology.view import TopologyView
from sim.street.simulator import load_street

_SEED, _RADIUS_M, _LATELY = 12, 60.0, 6
_CAPACITIES = (16, 64, 256)
_EVERY = 5


def nearby(report: Report, quick: bool) -> None:
    """Add the table."""
    frames = 60 if quick else 600
    memory = RecordMemory.in_memory(default_embedder("auto"))
    places = TopologyView(memory.index)
    arms = {
        capacity: Surroundings(memory, places, SurroundingsSettings(capacity, radius=_RADIUS_M, threshold=0.5))
        for capacity in _CAPACITIES
    }
    rows: dict[int, list[tuple[bool, bool, float, float, float, float]]] = {capacity: [] for capacity in arms}
    world, perceiver = load_street(Path(data_folder()), _SEED, frames), Perceiver(PerceptionSettings(**OF_THE_STREET))
    rng, long_us = np.random.default_rng(_SEED), []
    lately: list[list[str]] = []
    while not world.done:
        frame = world.step()
        memory.remember_many([perceived(perceiver, frame)])
        places.apply(memory.entries(places.watermark + 1, 10))
        lately.append([
            f"{world.landmarks.classes[row]} {world.landmarks.names[row]}".strip()
            for row in frame.sighting.rows if world.landmarks.names[row]
        ])  # fmt: skip
        names = sorted({name for seen in lately[-_LATELY:] for name in seen})
        if frame.index % _EVERY or frame.index < 20 or not names:
            continue
        text, here = str(rng.choice(names)), frame.position
        memory.embed(text)  # cached: what is timed is the search
        _ = places.graph
        begin = time.thread_time()
        best = memory.query(Query(text=text, center=here, radius=_RADIUS_M, k=1, map_id=memory.map_id))
        long_us.append((time.thread_time() - begin) * 1e6)
        for capacity, surroundings in arms.items():
            begin = time.thread_time()
            found = surroundings.recall(text, stamp_ns=frame.stamp_ns, map_id=memory.map_id, position=here)
            spent = (time.thread_time() - begin) * 1e6
            begin = time.thread_time()
            surroundings.recall(text, stamp_ns=frame.stamp_ns, map_id=memory.map_id, position=here)
            again = (time.thread_time() - begin) * 1e6
            top = best.hits[0].score if best.hits else np.nan
            cosine = float(found.cosines[0]) if len(found) else np.nan
            rows[capacity].append((found.source == "short", found.source == "long", cosine, top, spent, again))
    table = []
    for capacity, answers in rows.items():
        hit, long, cosine, best_there, spent, again = np.array(answers, dtype=np.float64).T
        known = hit > 0
        lost = best_there[known] - cosine[known]
        table.append([
            capacity, len(answers), 100 * float(known.mean()), 100 * float(long.mean()),
            100 * float((lost <= 1e-6).mean()) if known.any() else None,
            float(lost.mean()) if known.any() else None,
            *(round(float(np.median(each[known]))) if known.any() else None for each in (spent, again)),
            round(float(np.median(long_us))),
        ])  # fmt: skip
    report.table(
        f"short-term memory on a patrol of {frames} frames: names seen just now, {_RADIUS_M:g} m around",
        ["records held", "questions", "it knew %", "long-term knew %", "as good as long-term %", "cosine lost",
         "us, when it knew", "us, asked again", "us, long-term alone"],
        table,
    )  # fmt: skip
    for capacity, answers in rows.items():
        wrong = sum(not (short or long) and np.isfinite(top) for short, long, _, top, *_ in answers)
        report.bar(f"questions that {capacity} records make unanswerable", wrong, at_most=0)
    memory.close()
