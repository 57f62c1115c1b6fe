"""List records, the newest first.

embodied-mem records -n 20 --label mug
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.cli.filters import add_filter_arguments, where_of

HELP = "list records, the newest first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("seqs", nargs="*", type=int, metavar="SEQ", help="only these records")
    parser.add_argument("-n", type=int, default=20, help="how many at most (default 20)")
    add_now(parser)
    add_filter_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading
    from embodied_mem.cli.shape import evidence_lines

    where = where_of(args, seqs=tuple(args.seqs) or None)
    backend = reading(args, console)
    try:
        result = backend.query(None, where, k=args.n, min_score=None, explain=False)
    finally:
        backend.close()
    lines = evidence_lines(result["hits"], limit=args.n) if result["found"] else [result["reason"]]
    console.result({"records": result["hits"], "reason": result["reason"], "watermark": result["watermark"]}, lines)
    return Exit.OK if result["found"] else Exit.NOT_FOUND
