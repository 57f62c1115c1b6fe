"""Import captions with positions (GML, JSON lines, CSV), or records that were exported (JSON lines, MCAP).

    embodied-mem import streetview.gml --map campus --origin 40.4427 -79.9431
    embodied-mem import captions.csv
    embodied-mem import memory.jsonl

CSV and JSON lines need a caption and a position (x, y, z in metres, or lat and lon); a time is optional. Latitudes and
longitudes become metres east and north of the origin, as what is asked with --near: files of one map need one origin.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
    parser.add_argument(
        "--origin",
        nargs=2,
        type=float,
        metavar=("LAT", "LON"),
        help="where the map's x = y = 0 is, degrees, for latitudes and longitudes (default: the middle of the file)",
    )
    parser.add_argument("--robot", default="", metavar="ID", help="whose observations these are")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.ingest import ingest
    from embodied_mem.cli.sinks import sink_for

    path: Path = args.file.expanduser()
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.")
    found = _read(path, args)
    sink = sink_for(args, console)
    try:
        tally = ingest((_named(obs, args) for obs in found.observations), sink, console, "importing", found.total)
    finally:
        sink.close()
    for where, why in found.unreadable:
        tally.refused["unreadable"] += 1
        tally.examples.setdefault("unreadable", f"{where}: {why}")
    lines = tally.lines()
    if found.origin is not None:
        lat, lon = found.origin
        lines.append(f"  Positions are metres east and north of latitude {lat:.6f}, longitude {lon:.6f}.")
    console.result({"file": str(path), "origin": found.origin, **tally.shape()}, lines)
    return Exit.OK if tally.admitted or tally.folded or not tally.total else Exit.ERROR


def _named(obs: Observation, args: argparse.Namespace) -> Observation:
    return replace(obs, map_id=args.map or obs.map_id, robot_id=args.robot or obs.robot_id)


@dataclass(frozen=True)
class _Found:
    """What a file holds: how many observations (None: unknown), what of it cannot be read as (where, why), and the
    latitude and longitude of the map's origin (None: the file is in metres).
    """

    observations: Iterator[Observation]
    total: int | None = None
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    origin: tuple[float, float] | None = None


def _read(path: Path, args: argparse.Namespace) -> _Found:
    from embodied_mem.exchange.jsonl import is_records_file, read_records

    if path.suffix.lower() == ".mcap":
        from embodied_mem.exchange.mcap_file import read_mcap

        return _Found(record.observation for record in read_mcap(path))
    if is_records_file(path):
        return _Found(record.observation for record in read_records(path))
    from embodied_mem.perception.readers.captions import CaptionFile

    captions = CaptionFile(path, args.map, tuple(args.origin) if args.origin else None)
    lon, lat = captions.origin
    # In order of time, as memory judges lateness; files are often in another order.
    ordered = iter(sorted(captions, key=lambda obs: obs.stamp_ns))
    return _Found(ordered, len(captions), captions.refused, (lat, lon) if captions.geographic else None)
