"""Import captions with positions (GML, JSON lines, CSV), or records that were exported (JSON lines, MCAP).

    embodied-mem import streetview.gml --map campus
    embodied-mem import captions.csv
    embodied-mem import memory.jsonl

CSV and JSON lines need a caption and a position (x, y, z in metres, or lat and lon); a time is optional.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import NotFoundError

if TYPE_CHECKING:
    from embodied_mem.records.observation import Observation

HELP = "import captions with positions, or exported records"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a .gml, .jsonl, .csv or .mcap file")
    parser.add_argument(
        "--map",
        default="",
        metavar="ID",
        help="the map that the positions are in (default: the file's, or the current one)",
    )
    parser.add_argument("--robot", default="", metavar="ID", help="whose observations these are")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.ingest import ingest
    from embodied_mem.cli.sinks import sink_for

    path: Path = args.file.expanduser()
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.")
    observations, total, unreadable = _observations(path, args.map)
    sink = sink_for(args, console)
    try:
        tally = ingest((_named(obs, args) for obs in observations), sink, console, "importing", total)
    finally:
        sink.close()
    for where, why in unreadable:
        tally.refused["unreadable"] += 1
        tally.examples.setdefault("unreadable", f"{where}: {why}")
    console.result({"file": str(path), **tally.shape()}, tally.lines())
    return Exit.OK if tally.admitted or tally.folded or not tally.total else Exit.ERROR


def _named(obs: Observation, args: argparse.Namespace) -> Observation:
    return replace(obs, map_id=args.map or obs.map_id, robot_id=args.robot or obs.robot_id)


def _observations(path: Path, map_id: str) -> tuple[Iterator[Observation], int | None, list[tuple[str, str]]]:
    """The observations of a file, how many, and what of it cannot be read: (where, why)."""
    from embodied_mem.exchange.jsonl import is_records_file, read_records

    if path.suffix.lower() == ".mcap":
        from embodied_mem.exchange.mcap_file import read_mcap

        return (record.observation for record in read_mcap(path)), None, []
    if is_records_file(path):
        return (record.observation for record in read_records(path)), None, []
    from embodied_mem.perception.readers.captions import CaptionFile

    captions = CaptionFile(path, map_id)
    # In order of time, as memory judges lateness; files are often in another order.
    return iter(sorted(captions, key=lambda obs: obs.stamp_ns)), len(captions), captions.refused
