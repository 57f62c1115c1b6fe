"""Ask memory a question in words.

embodied-mem ask "where is the mug?"
embodied-mem ask "how many chairs are in the kitchen?"
embodied-mem ask "what did you see near me in the last 5 minutes?" --at 1.0 2.5 0
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import BadInputError

HELP = "ask a question in words"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", nargs="+", help="the question; quotes may be left out")
    parser.add_argument("--map", default="", metavar="ID", help="which map is meant (default: the current one)")
    parser.add_argument(
        "--at", nargs=3, type=float, metavar=("X", "Y", "Z"), help='where "here" and "near me" are, metres'
    )
    parser.add_argument("--as-of", type=int, metavar="SEQ", help="answer as the log stood at this number")
    add_now(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading
    from embodied_mem.cli.shape import answer_lines

    question = " ".join(args.question).strip()
    if not question:
        raise BadInputError('The question is empty: ask, for example, "where is the mug?".')
    backend = reading(args, console)
    try:
        robot = None if args.at is None else tuple(args.at)
        answer = backend.ask(question, map_id=args.map, robot=robot, as_of=args.as_of)
    finally:
        backend.close()
    console.result({"question": question, **answer}, answer_lines(answer))
    return Exit.OK if answer["found"] else Exit.NOT_FOUND
