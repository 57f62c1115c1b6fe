"""Save what can be saved of a damaged memory, and say what is lost. The damaged folder is kept beside the repaired one;
with --into it stays where it is. A memory that is whole is left alone.

    embodied-mem repair
    embodied-mem repair --into /data/saved
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

if TYPE_CHECKING:
    from embodied_mem.records.repair import RepairReport

HELP = "save what can be saved of a damaged memory"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="a new folder for what is saved")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import existing_folder
    from embodied_mem.records.repair import repair

    report = repair(existing_folder(args), args.into)
    console.result(asdict(report), _lines(report))
    return Exit.OK


def _lines(report: RepairReport) -> Iterator[str]:
    if not report.losses:
        yield "The memory is whole: there was nothing to repair."
        return
    saved = f"{report.entries:,} entries, {report.vectors:,} vectors and {report.blobs:,} clouds and pictures"
    yield f"Saved: {saved}."
    yield from (f"  {loss}" for loss in report.losses)
    if report.backup:
        yield f"The damaged folder is kept as {report.backup}."
