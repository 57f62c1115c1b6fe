"""Forget records: they leave every answer at once, also those about the past. `undo` brings them back until the log
is compacted.

    embodied-mem forget 17 18
    embodied-mem forget --when "yesterday" --label person --dry-run
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.cli.filters import add_filter_arguments, where_of

HELP = "forget records, by number or by filter"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("seqs", nargs="*", type=int, metavar="SEQ", help="numbers of records")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be forgotten")
    add_now(parser)
    add_filter_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import changing

    where = where_of(args)
    backend = changing(args, console)
    try:
        done = backend.forget(tuple(args.seqs), where, dry_run=args.dry_run)
    finally:
        backend.close()
    count = done["count"]
    records = "1 record" if count == 1 else f"{count} records"
    if args.dry_run:
        text = f"{records} would be forgotten."
    elif not count:
        text = "No record passes the filters: nothing was forgotten."
    else:
        number = done["command_seq"]
        text = f"Forgot {records} (command {number}; `embodied-mem undo {number}` brings them back)."
    console.result(done, text)
    return Exit.OK if count else Exit.NOT_FOUND
