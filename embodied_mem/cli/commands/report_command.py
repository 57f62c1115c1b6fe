"""Draw a memory: an HTML page with the map, the path and what was located, the same map as a picture, and a page on
which its summaries can be walked through, from the whole map down to single places.

embodied-mem report --memory runs/kitchen --out report
embodied-mem report --ask "where is a cup?" --ask "is there a chair?"
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

if TYPE_CHECKING:
    from embodied_mem.records.memory import RecordMemory

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
        summaries = _forest(backend.memory, args.out / "forest.html", report.title, args.map)
    finally:
        backend.close()
    report.files = [("map.png", "the map as a picture")]
    if summaries:
        report.files.append(("forest.html", "what the world is like at every scale, to walk through"))
    write_page(report, args.out / "index.html")
    write_picture(report, args.out / "map.png")
    files = [str(args.out / name) for name in ("index.html", "map.png", *(["forest.html"] if summaries else []))]
    console.result({"files": files, "things": len(report.things)}, f"Wrote {', '.join(files)}.")
    return Exit.OK


def _forest(memory: RecordMemory, path: Path, title: str, map_id: str) -> bool:
    """Write the page of the summaries; False where there is nothing to summarise."""
    from embodied_mem.errors import NotFoundError
    from embodied_mem.forest.view import ForestView
    from embodied_mem.report.forest_page import write_forest_page

    forest = ForestView(memory)
    forest.update()
    try:
        write_forest_page(forest, path, title, map_id=map_id)
    except NotFoundError:
        return False
    return True
