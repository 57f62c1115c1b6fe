"""Correct a record: its caption, the sensor's position and heading, or the labels of its detections.

embodied-mem correct 17 --caption "the green mug on the desk"
embodied-mem correct 17 --labels mug lamp
embodied-mem correct 17 --position 1.0 2.0 0.5 --yaw 1.57
"""

from __future__ import annotations

import argparse
from typing import Any

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import BadInputError

HELP = "correct a record's caption, pose or labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("seq", type=int, metavar="SEQ", help="the record's number")
    parser.add_argument("--caption", help="its new caption")
    parser.add_argument("--labels", nargs="+", metavar="WORD", help="new labels, one for each of its detections")
    parser.add_argument(
        "--position", nargs=3, type=float, metavar=("X", "Y", "Z"), help="new position of the sensor, metres"
    )
    turn = parser.add_mutually_exclusive_group()
    turn.add_argument("--yaw", type=float, metavar="RAD", help="new heading of a level sensor, radians")
    turn.add_argument("--orientation", nargs=4, type=float, metavar=("QX", "QY", "QZ", "QW"), help="new orientation")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import changing

    changes: dict[str, Any] = {}
    if args.caption is not None:
        changes["caption"] = args.caption
    if args.labels is not None:
        changes["labels"] = tuple(args.labels)
    if args.position is not None:
        changes["position"] = tuple(args.position)
    if args.orientation is not None:
        changes["orientation"] = tuple(args.orientation)
    if args.yaw is not None:
        from embodied_mem.geometry import quaternion_from_yaw

        changes["orientation"] = tuple(quaternion_from_yaw(args.yaw).tolist())
    if not changes:
        raise BadInputError("Nothing to correct: give --caption, --labels, --position or --yaw.")
    backend = changing(args, console)
    try:
        done = backend.correct(args.seq, **changes)
    finally:
        backend.close()
    console.result(done, f"Record {args.seq} was corrected (command {done['command_seq']}; `undo` takes it back).")
    return Exit.OK
