"""The command line: common options, and one subcommand for each module in `commands`."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from embodied_mem import __version__
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import table

# In the order of --help.
COMMANDS = (
    "up",
    "demo",
    "simulate",
    "ask",
    "query",
    "locate",
    "things",
    "goto",
    "describe",
    "records",
    "replay",
    "import",
    "export",
    "report",
    "info",
    "check",
    "repair",
    "backup",
    "forget",
    "undo",
    "compact",
    "correct",
    "unite",
    "part",
    "reembed",
    "quantize",
)

MEMORY_VARIABLE = "EMBODIED_MEM_LOG"

_EPILOG = f"""\
A memory is a folder. Without --memory it is ${MEMORY_VARIABLE}, else ~/.embodied_mem. A command without --memory looks
for running nodes first and opens that folder when there are none. With --memory it reads the folder directly, also
while nodes write it; changes to a folder that running nodes hold go through these nodes.

{table()}
"""


class Command(Protocol):
    """What a module in `commands` offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace, console: Console) -> int: ...


def default_memory() -> Path:
    """The memory folder when none is named."""
    return Path(os.environ.get(MEMORY_VARIABLE) or "~/.embodied_mem").expanduser()


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="embodied-mem",
        description="A robot's long-term spatial memory: ask it what was where, and when.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"embodied-mem {__version__}")
    parser.set_defaults(memory=None, connect="auto", json=False, quiet=False, debug=False)
    _add_common(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module: Command = importlib.import_module(f"embodied_mem.cli.commands.{name}_command")
        description = module.__doc__ or module.HELP
        sub = subparsers.add_parser(
            name, help=module.HELP, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_common(sub)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Options that may stand before and after the command (hence no defaults here)."""
    group = parser.add_argument_group("common options")
    add = group.add_argument
    suppress = argparse.SUPPRESS
    add(
        "--memory",
        metavar="FOLDER",
        type=Path,
        default=suppress,
        help=f"the memory's folder (default ${MEMORY_VARIABLE}, else ~/.embodied_mem)",
    )
    force = group.add_mutually_exclusive_group()
    force.add_argument(
        "--ros", dest="connect", action="store_const", const="ros", default=suppress, help="only through running nodes"
    )
    force.add_argument(
        "--direct",
        dest="connect",
        action="store_const",
        const="direct",
        default=suppress,
        help="only by opening the folder",
    )
    add("--json", action="store_true", default=suppress, help="print one JSON document for machines")
    add("-q", "--quiet", action="store_true", default=suppress, help="no notes, no progress bars")
    add("--debug", action="store_true", default=suppress, help="show the traceback of an error")


Handler = Callable[[argparse.Namespace, Console], int]
