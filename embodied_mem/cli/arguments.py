"""Options that several commands share and that are no filters."""

from __future__ import annotations

import argparse


def add_now(parser: argparse.ArgumentParser) -> None:
    """--now, for ages and words such as "yesterday" when the folder is opened directly."""
    parser.add_argument(
        "--now",
        metavar="TIME",
        help="the time from which ages and words such as 'yesterday' count, without nodes: a time, or 'last' for the "
        "newest record's (default: the clock; for simulated time, 'last')",
    )
