"""Where should the robot go to see a thing, and how does it get there?

embodied-mem goto mug
embodied-mem goto "coffee table" --from 1 2 0 --robot-radius 0.3
"""

from __future__ import annotations

import argparse
import math
import textwrap
from typing import Any

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import BadInputError

HELP = "a pose near a thing, from which it is seen, and the way there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("thing", nargs="+", help="its label as the detector writes it; quotes may be left out")
    add(
        "--from",
        dest="start",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="where the robot is (default: where it last remembered something)",
    )
    add("--map", default="", metavar="ID", help="which map (default: the current one)")
    add(
        "--robot-radius",
        type=float,
        default=0.25,
        metavar="M",
        help="metres that must be free around it (default 0.25)",
    )
    add("--eye", type=float, default=1.0, metavar="M", help="height of its sensor above the floor (default 1.0)")
    add_now(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import reading
    from embodied_mem.recall.grammar import bare

    label = bare(" ".join(args.thing).lower())
    if not label:
        raise BadInputError("Go where? Give a label such as mug.")
    numbers = [*(args.start or ()), args.robot_radius, args.eye]
    if not all(map(math.isfinite, numbers)) or args.robot_radius <= 0 or args.eye <= 0:
        raise BadInputError("Positions must be finite; the robot's radius and the height of its eye are above 0 m.")
    if args.robot_radius >= 2.5:
        raise BadInputError("The robot's radius must be below 2.5 m, the farthest from which a thing is looked at.")
    start = None if args.start is None else tuple(args.start)
    backend = reading(args, console)
    try:
        found = backend.goto(label, start=start, map_id=args.map, radius=args.robot_radius, eye=args.eye)
    finally:
        backend.close()
    console.result({"label": label, **found}, _lines(found))
    return Exit.OK if found["found"] else Exit.NOT_FOUND


def _lines(found: dict[str, Any]) -> list[str]:
    if not found["found"]:
        return textwrap.wrap(f"No way: {found['reason']}", 110)
    x, y, z = found["position"]
    lines = [f"Go to ({x:.2f}, {y:.2f}, {z:.2f}) and look along {math.degrees(found['heading']):.0f} degrees."]
    lines += textwrap.wrap(str(found["reason"]), 110, initial_indent="  ", subsequent_indent="  ")
    if found["instructions"]:
        lines += textwrap.wrap(f"Way: {found['instructions']}", 110, initial_indent="  ", subsequent_indent="  ")
    return lines
