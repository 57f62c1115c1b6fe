"""Take back a correction, a forgetting, a change of map. An undo can be undone.

embodied-mem undo        the newest command
embodied-mem undo 42     command 42
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import BadInputError

HELP = "take a command back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "command_seq", nargs="?", type=int, metavar="SEQ", help="the command's number (default: the newest)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import changing

    if args.command_seq is not None and args.command_seq < 1:
        raise BadInputError(f"A command's number is 1 or more, not {args.command_seq}.")
    backend = changing(args, console)
    try:
        done = backend.undo(args.command_seq)
    finally:
        backend.close()
    console.result(done, f"Command {done['undone']} was taken back (by command {done['undo_seq']}).")
    return Exit.OK
