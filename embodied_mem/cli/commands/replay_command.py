"""Replay a recording into memory, through perception: a bag (ROS 2 MCAP or db3, ROS 1), a folder of RGB-D frames in the
layout of 7-Scenes, a 2-D laser log (.dat), or an MCAP of exported records. Directly into the folder, or through running
nodes when these hold it.

    embodied-mem replay kitchen/ --detector nanodet.onnx --memory runs/kitchen
    embodied-mem ask "where is a cup?" --memory runs/kitchen --now last
"""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

HELP = "replay a bag, a folder of frames or a laser log into memory"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recording", type=Path, help="a bag, a folder of frames, a laser log")
    add("--detector", type=Path, metavar="ONNX", help="a NanoDet or YOLO model that finds things in the pictures")
    add("--names", type=Path, metavar="FILE", help="its classes, one a line (default: the .names file beside it)")
    add("--map", default="", metavar="ID", help="the map that the recording is in (default: the recording's name)")
    add("--robot", default="", metavar="ID", help="whose recording it is")
    add("--limit", type=int, metavar="N", help="stop after so many observations")


def run(args: argparse.Namespace, console: Console) -> int:
    import re

    from embodied_mem.cli.ingest import ingest
    from embodied_mem.cli.sinks import sink_for
    from embodied_mem.cli.sources import detector_of, source_of
    from embodied_mem.errors import BadInputError

    if args.limit is not None and args.limit < 1:
        raise BadInputError(f"--limit is 1 or more, not {args.limit}.")
    path: Path = args.recording.expanduser()
    map_id = args.map or re.sub(r"\W+", "_", path.resolve().stem) or "recording"
    detector = detector_of(args.detector, args.names)
    source = source_of(path, detector=detector, map_id=map_id, robot_id=args.robot, limit=args.limit)
    sink = sink_for(args, console, become=map_id)
    try:
        tally = ingest(source.observations(), sink, console, f"replaying {source.kind}", source.total, source.read)
    finally:
        sink.close()
    remarks = source.remarks()
    shape = {"recording": str(path), "kind": source.kind, "map_id": map_id, **tally.shape(), "remarks": remarks}
    console.result(shape, [*tally.lines(), *(f"  {remark}" for remark in remarks)])
    if not args.memory and not args.quiet:
        console.note('Ask with: embodied-mem ask "..." --now last   (ages count from the end of the recording)')
    return Exit.OK if tally.admitted or tally.folded else Exit.NOT_FOUND
