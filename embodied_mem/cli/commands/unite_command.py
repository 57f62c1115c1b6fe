"""Say that detections are of one thing, wherever it was: memory took one thing for two.

embodied-mem unite 12.0 40.2     record 12's first detection, and record 40's third

An id that `things` shows is one of the thing's detections. `undo` takes the command back.
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

HELP = "say that detections are of one thing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("detections", nargs="+", metavar="RECORD.PLACE", help="a record, and a place in it from 0")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import changing

    backend = changing(args, console)
    try:
        done = backend.change_things("unite", tuple(args.detections))
    finally:
        backend.close()
    named = ", ".join(args.detections)
    console.result(done, f"Detections {named} are of one thing (command {done['command_seq']}; `undo` takes it back).")
    return Exit.OK
