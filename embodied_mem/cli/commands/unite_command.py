"""Say that detections are of one thing, wherever it was: memory took one thing for two.

embodied-mem unite 12.0 40.2     record 12's first detection, and record 40's third

An id that `things` shows is one of the thing's detections. `undo` takes the command back.
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console
from embodied_mem.cli.sameness import add_arguments, change

__all__ = ["HELP", "add_arguments", "run"]

HELP = "say that detections are of one thing"


def run(args: argparse.Namespace, console: Console) -> int:
    return change(args, console, "unite", "of one thing")
