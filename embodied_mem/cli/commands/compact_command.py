"""Erase what was forgotten from every file, for good: texts, vectors, detections, clouds, pictures. Then `undo` cannot
bring it back. It can be interrupted: the next compaction goes on where it stopped. Running nodes go on meanwhile.

    embodied-mem compact
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

HELP = "erase what was forgotten from every file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import changing

    backend = changing(args, console)
    try:
        done = backend.compact(console)
    finally:
        backend.close()
    console.result(done, done["message"])
    return Exit.OK
