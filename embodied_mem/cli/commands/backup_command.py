"""Back a memory up into a new folder, also while nodes write it: the log as it stands, with its clouds and pictures.
Restoring is using that folder: --memory FOLDER.

    embodied-mem backup /media/stick/memory-of-monday
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from embodied_mem.cli.console import Bar, Console
from embodied_mem.cli.exits import Exit

HELP = "back a memory up, also while nodes write it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder for the backup")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import existing_folder
    from embodied_mem.records.backup import backup

    bars: dict[str, Bar] = {}
    shown = 0

    def progress(doing: str, done: int, total: int) -> None:
        nonlocal shown
        if doing not in bars:
            for bar in bars.values():
                bar.close()
            bars[doing], shown = console.bar(total, doing, ""), 0
        bars[doing].update(done - shown)
        shown = done

    try:
        report = backup(existing_folder(args), args.folder, progress)
    finally:
        for bar in bars.values():
            bar.close()
    lines = [
        f"Backed up to {args.folder}: the log up to number {report.watermark:,}, {report.blobs:,} clouds and pictures."
    ]
    lines += [f"  {problem}" for problem in report.problems]
    console.result({"folder": str(args.folder), **asdict(report)}, lines)
    return Exit.STORAGE if report.problems else Exit.OK
