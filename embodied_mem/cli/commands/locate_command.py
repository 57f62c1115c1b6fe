"""Where is the thing with this label, as far as memory knows?

embodied-mem locate mug --near 1 2 0 --radius 5
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.cli.filters import add_filter_arguments, where_of
from embodied_mem.errors import BadInputError

HELP = "where is the thing with this label?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("thing", nargs="+", help="its label as the detector writes it; quotes may be left out")
    add_now(parser)
    add_filter_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading
    from embodied_mem.cli.shape import answer_lines

    label = " ".join(args.thing).strip().lower()
    if not label:
        raise BadInputError("Locate what? Give a label such as mug.")
    where = where_of(args)
    backend = reading(args, console)
    try:
        answer = backend.locate(label, where)
    finally:
        backend.close()
    console.result({"label": label, **answer}, answer_lines(answer))
    return Exit.OK if answer["found"] else Exit.NOT_FOUND
