"""See the whole thing work: real nodes over real DDS, a robot that explores a simulated house in which things are moved
behind its back, 20 questions about it through the ROS services, and a report folder to look at.

    embodied-mem demo --seed 3
    embodied-mem demo --kill          each node is killed once on the way, and started again

The simulator's truth only judges the answers; memory sees the house through the noisy sensors.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

if TYPE_CHECKING:
    from sim.house.truth import TruthLog

HELP = "run everything in a simulated house, with a report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--seed", type=int, default=1, help="of the house, the noise, the changes and the questions (default 1)")
    add("--out", type=Path, metavar="DIR", help="folder of the report (default runs/demo-seedN)")
    add("--questions", type=int, default=20, metavar="N", help="how many questions (default 20)")
    add("--kill", action="store_true", help="kill each node once on the way")
    add("--domain", type=int, metavar="ID", help="ROS domain (default: a random one, of this machine alone)")
    add("--house", type=Path, metavar="YAML", help="settings of the house and its robot")


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.commands.up_command import require_ros
    from embodied_mem.cli.demo.outcome import prepare
    from embodied_mem.errors import BadInputError

    if args.seed < 0 or not 1 <= args.questions <= 200:
        raise BadInputError("--seed is 0 or more, --questions between 1 and 200.")
    require_ros()
    folder = (args.out or Path("runs") / f"demo-seed{args.seed}").resolve()
    prepare(folder, args.seed)
    return _run(args, console, folder)


def _run(args: argparse.Namespace, console: Console, folder: Path) -> int:
    import time

    from embodied_mem.cli.demo.outcome import write_outcome
    from embodied_mem.cli.demo.quiz import ask_all, asked_lines
    from embodied_mem.cli.demo.run import NODES, drive, running_nodes
    from embodied_mem.nodes.private_domain import private_domain

    began = time.monotonic()
    with private_domain(args.domain) as domain:
        console.note(f"Starting the nodes (house {args.seed}, ROS domain {domain}) ...")
        with running_nodes(folder, args.seed, args.house, console) as supervisor:
            from embodied_mem.nodes.client import MemoryClient
            from embodied_mem.nodes.onlooking import Watcher

            with Watcher() as watcher, MemoryClient(timeout_s=30.0) as client:
                driven = drive(supervisor, watcher, console, kill=args.kill)
                client.wrote = driven.watermark
                console.note(f"The house is explored: {driven.frames} frames, log at {driven.watermark}. Asking ...")
                truth, questions = _questions(folder, args)
                asked, start = [], time.monotonic()
                for number, item in enumerate(ask_all(client, questions), start=1):
                    asked.append(item)
                    if not console.machine:
                        for line in asked_lines(number, item):
                            console.out.write(line + "\n")
                        console.out.flush()
                driven.phases.append(("ask", time.monotonic() - start))
                watcher.listen(1.5)
                driven.health = dict(watcher.health)
            driven.restarts = {name: supervisor.status(name).starts - 1 for name in (*NODES, "manager")}
    console.note("Writing the report ...")
    report = write_outcome(folder, args.seed, driven, truth, asked)
    seconds = time.monotonic() - began
    shape = {"seed": args.seed, "folder": str(folder), "right": report.right, "asked": len(asked), "seconds": seconds}
    text = f"{report.right} of {len(asked)} answers right, {seconds:.0f} s. Look at {folder / 'index.html'}"
    console.result(shape, text)
    return Exit.OK


def _questions(folder: Path, args: argparse.Namespace) -> tuple[TruthLog, list[Any]]:
    """What really happened, and questions about it: the same for a seed."""
    from embodied_mem.cli.demo.truth import load_truth
    from sim.house.questions import make_questions

    truth = load_truth(folder / "truth.json")
    return truth, make_questions(truth, args.seed, args.questions)
