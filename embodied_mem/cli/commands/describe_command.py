"""What a part of the world is like, how two parts differ, or where there is more of something.

embodied-mem describe                                            the whole map
embodied-mem describe "what is the kitchen like?"
embodied-mem describe --near 3 4 0 --radius 5 --when "this morning"
embodied-mem describe --near 3 4 0 --radius 5 --against 20 4 0
embodied-mem describe "where are there more trees?" --areas 5
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.cli.filters import add_filter_arguments, where_of
from embodied_mem.cli.shape import Shape, evidence_lines, place_words
from embodied_mem.errors import BadInputError

_SHOWN = 12  # numbers of records in a line
HELP = "what a place is like, how two differ, where there is more"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("question", nargs="*", help="in words; without it, the region that the filters leave is described")
    add("--at", nargs=3, type=float, metavar=("X", "Y", "Z"), help='where "here" is, metres')
    add(
        "--against",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="compare the region of --near and --radius with that around this point",
    )
    add("--areas", type=int, default=3, metavar="N", help='so many at most for "where is it more" (default 3)')
    add_filter_arguments(parser)
    add_now(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading

    where = where_of(args)
    if args.against is not None and (where.near is None or where.radius is None):
        raise BadInputError("--against compares with the region of --near and --radius: give both.")
    question = " ".join(args.question).strip()
    against = None if args.against is None else tuple(args.against)
    robot = None if args.at is None else tuple(args.at)
    backend = reading(args, console)
    try:
        told = backend.describe(question, where, against=against, robot=robot, areas=args.areas)
    finally:
        backend.close()
    console.result({"question": question, **told}, _lines(told))
    return Exit.OK if told["found"] else Exit.NOT_FOUND


def _lines(told: Shape) -> Iterator[str]:
    if not told["found"]:
        yield from textwrap.wrap(told["reason"], 110)
        return
    for sentence in told["sentences"]:
        yield from textwrap.wrap(sentence["text"], 110, subsequent_indent="  ")
        more = ", ..." if len(sentence["records"]) > _SHOWN else ""
        yield f"  records {', '.join(map(str, sentence['records'][:_SHOWN]))}{more}"
    for area in told["areas"]:
        share = "" if area["share"] == 1 else f", {100 * area['share']:.0f} % of it"
        yield f"{area['name']}: {area['records']:,} records around {place_words(area['center'])}{share}"
    yield from evidence_lines(told["evidence"], 5)
