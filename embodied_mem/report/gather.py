"""Fills a report from a memory: path, things, the picture from above, numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from embodied_mem.cli.shape import iso
from embodied_mem.geometry import FloatArray
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query
from embodied_mem.report.ground import ground_of
from embodied_mem.report.model import Report, Thing

_BATCH = 256
_MOST_CLOUDS = 300  # records whose clouds are read for the picture; the others give their depth grids
_PAUSE_NS = 60 * 10**9

Locator = Callable[[RecordMemory, Query], list[Thing]]


def gather(memory: RecordMemory, title: str, *, map_id: str = "", locate: Locator | None = None) -> Report:
    """A report of one map of a memory (default: the current one). Raises UnknownMapError."""
    seqs = memory.select(Query(map_id=map_id))
    report = Report(title)
    report.ground = ground_of(_observations(memory, seqs.tolist()))
    rows = memory.index.table.current_row.data[seqs]
    report.stamps = memory.index.table.first_seen.data[rows].copy()
    positions = memory.index.table.positions.data[rows]
    codes = memory.index.table.codes.data[rows]
    report.strips = _strips(positions, report.stamps, codes)
    if locate is not None:
        report.things = locate(memory, Query(map_id=map_id))
    report.facts = _facts(memory, report, positions)
    return report


def _observations(memory: RecordMemory, seqs: list[int]) -> Iterator[Observation]:
    clouds = len(seqs) <= _MOST_CLOUDS
    for start in range(0, len(seqs), _BATCH):
        for record in memory.records(seqs[start : start + _BATCH], blobs=clouds):
            yield record.observation


def _strips(positions: FloatArray, stamps: np.ndarray, codes: np.ndarray) -> list[FloatArray]:
    """Positions in order of time, cut where the robot or session changes, time pauses, or a step is a leap."""
    if not len(positions):
        return []
    order = np.argsort(stamps, kind="stable")
    places, times, who = positions[order], stamps[order], codes[order]
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    usual = np.median(steps[steps > 0]) if (steps > 0).any() else 1.0
    leap = steps > max(8 * float(usual), 2.0)
    cut = leap | (np.diff(times) > _PAUSE_NS) | (np.diff(who, axis=0) != 0).any(axis=1)
    return np.split(places, np.flatnonzero(cut) + 1)


def _facts(memory: RecordMemory, report: Report, positions: FloatArray) -> list[tuple[str, str]]:
    length = sum(float(np.linalg.norm(np.diff(strip[:, :2], axis=0), axis=1).sum()) for strip in report.strips)
    facts = [("records", f"{len(positions):,}")]
    if length:
        facts.append(("path", f"{length:,.0f} m"))
    if len(report.stamps):
        first, last = int(report.stamps.min()), int(report.stamps.max())
        facts.append(("time", _duration((last - first) * 1e-9)))
        facts.append(("from", iso(first)[:16].replace("T", " ")))
    if report.things:
        facts.append(("things located", f"{len(report.things)}"))
    facts.append(("map", memory.map_id or "none"))
    if memory.index.model:
        facts.append(("vectors", memory.index.model))
    return facts


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
