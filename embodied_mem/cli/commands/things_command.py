"""Which things there are, where each is and was, and how sure that is.

embodied-mem things              what is there now, or was last
embodied-mem things mug          of one kind
embodied-mem things --history    with the places before, and since when
embodied-mem things --id 12.0 --history
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

HELP = "which things there are, and where each is and was"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label", nargs="*", help="only this kind of thing; quotes may be left out")
    parser.add_argument("--id", default="", help="only the thing with this id, as the list shows it")
    parser.add_argument("--history", action="store_true", help="tell the places before too")
    parser.add_argument("--map", default="", help="of this map (default: the current one)")
    add_now(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading
    from embodied_mem.cli.shape import thing_lines

    backend = reading(args, console)
    label = " ".join(args.label).strip().lower()
    try:
        told = backend.things(label, id_=args.id, map_id=args.map, now_only=not args.history)
    finally:
        backend.close()
    console.result(told, thing_lines(told))
    return Exit.OK if told["found"] else Exit.NOT_FOUND
