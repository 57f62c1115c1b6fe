"""Search records exactly: what x where x when. The filters restrict first, the text ranks what is left.

embodied-mem query "a red mug" --near 1 2 0 --radius 3 --when "last 10 min"
embodied-mem query --label chair --box 0 0 0 4 4 2 --explain
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.cli.filters import add_filter_arguments, where_of

HELP = "search records by meaning, place, time and label"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", help="what to rank by; without, the newest come first")
    parser.add_argument("-k", type=int, default=10, help="how many at most (default 10)")
    parser.add_argument("--min-score", type=float, metavar="COS", help="cosine below which nothing is found (-1: none)")
    parser.add_argument("--explain", action="store_true", help="say how many candidates each filter left")
    add_now(parser)
    add_filter_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading

    where = where_of(args)
    backend = reading(args, console)
    try:
        result = backend.query(args.text, where, k=args.k, min_score=args.min_score, explain=args.explain)
    finally:
        backend.close()
    console.result(result, _lines(result))
    return Exit.OK if result["found"] else Exit.NOT_FOUND


def _lines(result: dict[str, Any]) -> Iterator[str]:
    from embodied_mem.cli.shape import evidence_lines

    if not result["found"]:
        yield result["reason"]
    yield from evidence_lines(result["hits"], limit=len(result["hits"]))
    if result["explanation"]:
        yield f"  candidates: {result['explanation']}"
