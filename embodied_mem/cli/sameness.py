"""What `unite` and `part` share: detections on the command line, and saying of them what people know."""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("detections", nargs="+", metavar="RECORD.PLACE", help="a record, and a place in it from 0")


def change(args: argparse.Namespace, console: Console, action: str, what: str) -> int:
    """Carry out "unite" or "part" on the detections named; `what` they are then, in words."""
    from embodied_mem.cli.backend import changing

    backend = changing(args, console)
    try:
        done = backend.change_things(action, tuple(args.detections))
    finally:
        backend.close()
    named = ", ".join(args.detections)
    console.result(done, f"Detections {named} are {what} (command {done['command_seq']}; `undo` takes it back).")
    return Exit.OK
