"""How long a frame and a question take with 10,000 things in memory."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench.harness import Report
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View

_SECOND = 1_000_000_000
_LABELS = tuple(f"thing {i}" for i in range(80))


def speed(report: Report) -> None:
    """200 detections a frame among 10,000 known things; CPU time of one thread."""
    quick = report.options.quick
    count, seen, frames = (1000, 50, 20) if quick else (10_000, 200, 150)
    rng = np.random.default_rng(1)
    side = np.sqrt(count) * 0.8
    centers = np.column_stack([rng.uniform(0, side, (count, 2)), rng.uniform(0, 1.5, count)])
    labels = rng.integers(len(_LABELS), size=count)
    memory = RecordMemory.in_memory(None, clock=lambda: 1 << 60)
    view = ObjectView(memory.index)
    stamp = [_SECOND]

    def frame(rows: Any) -> list[Any]:
        stamp[0] += _SECOND
        place = centers[rows].mean(axis=0)
        n = len(rows)
        found = Detections(
            tuple(_LABELS[labels[row]] for row in rows), np.full(n, 0.8), centers[rows] + rng.normal(0, 0.03, (n, 3)),
            np.full((n, 3), 0.2), np.zeros(n),
        )  # fmt: skip
        depth = np.full((24, 32), 6000, np.uint16)
        seeing = View("camera", 1.5, 1.1, 0.1, 6.0, None, "bench", _LABELS, depth)
        turn = rng.uniform(0, np.pi)
        facing = np.array([0, 0, np.sin(turn), np.cos(turn)])
        memory.remember(Observation(stamp[0], place, facing, caption=f"{stamp[0]}", detections=found, view=seeing))
        return memory.entries(memory.watermark, 1)

    order = np.argsort(centers[:, 0] // 4 * 1000 + centers[:, 1])
    for begin in range(0, count, seen):  # every thing twice, so that it is believed in
        for _ in range(2):
            view.apply(frame(order[begin : begin + seen]))
    batches: list[Any] = []

    def prepare() -> None:
        middle = centers[rng.integers(count)]
        batches.append(frame(np.argsort(((centers - middle) ** 2).sum(axis=1))[:seen]))

    words = [_LABELS[int(i)] for i in rng.integers(len(_LABELS), size=frames)]
    updates, questions = [], []
    for turn in range(frames):
        prepare()
        start = time.thread_time()
        view.apply(batches[-1])
        between = time.thread_time()
        view.locate(words[turn], limit=5)
        updates.append(between - start)
        questions.append(time.thread_time() - between)
    update, locate = np.array(updates) * 1e3, np.array(questions) * 1e3
    rows = [
        [name, *(float(np.quantile(each, q)) for q in (0.5, 0.95, 1.0))]
        for name, each in (("update", update), ("locate", locate))
    ]
    report.table(f"{count:,} things, {seen} detections a frame", ["work", "p50 ms", "p95 ms", "max ms"], rows)
    why = "a quick run says nothing about speed" if quick else ""
    report.bar("update p95 (ms)", float(np.quantile(update, 0.95)), at_most=5.0, why_open=why)
    report.bar("locate p95 (ms)", float(np.quantile(locate, 0.95)), at_most=1.0, why_open=why)
