"""The folder that a demo leaves: page, picture, .rrd, MCAP, answers, and the memory itself."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied_mem.cli.console import finite
from embodied_mem.cli.demo.run import Drive
from embodied_mem.errors import BadInputError, StorageError, UnavailableError
from embodied_mem.exchange.output import whole_file
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Record
from embodied_mem.report.gather import gather, size_of
from embodied_mem.report.located import located_things
from embodied_mem.report.model import Asked, Event, Report
from embodied_mem.report.page import write_page
from embodied_mem.report.picture import write_picture
from embodied_mem.report.ways import way_to_answer

if TYPE_CHECKING:
    from sim.house.truth import TruthLog

_MARK = "demo.json"  # says that a folder is a demo's, so that the next demo may replace it
_BATCH = 128
# Numbers in a heartbeat that count no event.
_UNTOLD = {"pid", "started", "watermark", "log_watermark", "caught_up", "progress", "done"}


def prepare(folder: Path, seed: int) -> None:
    """An empty folder for a demo; an earlier demo's is replaced. BadInputError for a folder with other things."""
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; --out names a folder.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / _MARK).is_file():
            raise BadInputError(f"{folder} holds other things than a demo: name another folder with --out.")
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).write_text(json.dumps({"seed": seed}) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be written ({error.strerror}).") from error


def write_outcome(folder: Path, seed: int, driven: Drive, truth: TruthLog, asked: list[Asked]) -> Report:
    """Write everything; returns the report. What needs a package that is not installed is left out."""
    began = time.monotonic()
    memory = RecordMemory.open(folder / "memory", read_only=True)
    try:
        report = gather(memory, f"House {seed}", locate=located_things)
        report.asked = asked
        report.way = way_to_answer(memory, asked)
        report.events = [Event(event.stamp_ns, event.sentence) for event in truth.events]
        report.counters = _counters(driven)
        report.subtitle = _subtitle(truth, driven)
        report.facts.insert(1, ("camera frames", f"{driven.frames:,}"))
        report.facts.append(("log on disk", f"{size_of(folder / 'memory') / 1e6:.1f} MB"))
        report.files = _write_exchange(folder, memory, asked)
    finally:
        memory.close()
    _optional(lambda: write_picture(report, folder / "map.png"))
    _write_answers(folder / "answers.json", seed, report)
    report.phases = [*driven.phases, ("write the report", time.monotonic() - began)]
    write_page(report, folder / "index.html")
    return report


def _write_exchange(folder: Path, memory: RecordMemory, asked: list[Asked]) -> list[tuple[str, str]]:
    from embodied_mem.exchange.mcap_file import write_mcap
    from embodied_mem.exchange.rerun_file import write_rrd

    files = [("map.png", "the map as a picture"), ("answers.json", "questions and answers for machines")]
    answers = [{"question": item.question, "right": item.right, **item.answer} for item in asked]
    if _optional(lambda: write_rrd(_records(memory), folder / "memory.rrd", answers)):
        files.append(("memory.rrd", "for the Rerun viewer: rerun memory.rrd"))
    if _optional(lambda: write_mcap(_records(memory), folder / "memory.mcap")):
        files.append(("memory.mcap", "for Foxglove; embodied-mem replay reads it back"))
    files.append(("memory", 'the memory itself: embodied-mem ask --memory memory "..."'))
    files.append(("logs", "what the nodes said"))
    return files


def _optional(write: Callable[[], Any]) -> bool:
    """Whether it could be written: a missing optional package is no reason to lose the rest."""
    try:
        write()
    except UnavailableError:
        return False
    return True


def _records(memory: RecordMemory) -> Iterator[Record]:
    from embodied_mem.records.query import Query

    seqs = memory.select(Query(map_id="*")).tolist()
    for start in range(0, len(seqs), _BATCH):
        yield from memory.records(seqs[start : start + _BATCH], blobs=True)


def _write_answers(path: Path, seed: int, report: Report) -> None:
    rows = [
        {
            "question": item.question,
            "kind": item.kind,
            "expected": item.expected,
            "right": item.right,
            "milliseconds": item.milliseconds,
            "answer": item.answer,
        }
        for item in report.asked
    ]
    tree = {"seed": seed, "right": report.right, "asked": len(report.asked), "questions": rows}
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(finite(tree), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _counters(driven: Drive) -> list[tuple[str, int]]:
    found = []
    for node, values in sorted(driven.health.items()):
        for name, value in sorted(values.items()):
            if name not in _UNTOLD and value.isdecimal() and int(value):
                found.append((f"{node}: {name.replace('_', ' ')}", int(value)))
    found += [(f"{name}: started again", count) for name, count in sorted(driven.restarts.items()) if count]
    return found


def _subtitle(truth: TruthLog, driven: Drive) -> str:
    moved = [event.sentence for event in truth.events]
    words = f"Half-way, behind the robot's back: {'; '.join(moved)}." if moved else ""
    if driven.killed:
        words += f" Killed on the way and started again: {', '.join(driven.killed)}."
    return words.strip()
