"""x"""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console

HELP = "x"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """x"""


def run(args: argparse.Namespace, console: Console) -> int:
    return 1
