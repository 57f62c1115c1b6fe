"""Draw a memory: an HTML page with the map, the path and what was located, and the same map as a picture.

embodied-mem report --memory runs/kitchen --out report
embodied-mem report --ask "where is a cup?" --ask "is there a chair?"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

HELP = "draw a memory as an HTML page and a picture"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("report"), metavar="DIR", help="folder to write (default: report)"
    )
    parser.add_argument("--map", default="", metavar="ID", help="which map (default: the current one)")
    parser.add_argument(
        "--ask", action="append", default=[], metavar="QUESTION", help="answer this too; may be repeated"
    )
    parser.add_argument("--title", default="", help="of the page")
    add_now(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    import time

    from embodied_mem.cli.backend import direct
    from embodied_mem.report.gather import gather
    from embodied_mem.report.located import located_things
    from embodied_mem.report.model import Asked
    from embodied_mem.report.page import write_page
    from embodied_mem.report.picture import write_picture
    from embodied_mem.report.ways import way_to_answer

    backend = direct(args, read_only=True)
    try:
        report = gather(
            backend.memory, args.title or f"Memory of {backend.folder.name}", map_id=args.map, locate=located_things
        )
        for question in args.ask:
            start = time.perf_counter()
            answer = backend.ask(question, map_id=args.map, robot=None, as_of=None)
            report.asked.append(Asked(question, answer, milliseconds=(time.perf_counter() - start) * 1000))
        report.way = way_to_answer(backend.memory, report.asked)
    finally:
        backend.close()
    report.files = [("map.png", "the map as a picture")]
    write_page(report, args.out / "index.html")
    write_picture(report, args.out / "map.png")
    files = [str(args.out / name) for name in ("index.html", "map.png")]
    console.result({"files": files, "things": len(report.things)}, f"Wrote {' and '.join(files)}.")
    return Exit.OK
