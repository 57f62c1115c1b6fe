"""Check a memory folder: every entry's checksum, every cloud and picture, every vector, the numbering. Changes nothing.

Works while nodes write. Exit code 5 when something is damaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

if TYPE_CHECKING:
    from embodied_mem.records.check import CheckReport

HELP = "check the log's integrity"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import existing_folder
    from embodied_mem.records.check import check

    report = check(existing_folder(args))
    console.result({"whole": report.whole, **asdict(report)}, _lines(report))
    return Exit.OK if report.whole else Exit.STORAGE


def _lines(report: CheckReport) -> Iterator[str]:
    read = f"{report.entries:,} entries, {report.vectors:,} vectors and {report.blobs:,} clouds read"
    yield f"{read}: {'all whole' if report.whole else f'{len(report.problems)} problems'}."
    yield from (f"  {problem}" for problem in report.problems)
