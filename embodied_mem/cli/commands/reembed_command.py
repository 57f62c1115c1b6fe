"""Migrate a memory to another embedder. Queries go on with the old vectors until all new ones are there; a migration
that was interrupted goes on where it stopped.

    embodied-mem reembed minilm
"""

from __future__ import annotations

import argparse

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

HELP = "migrate to another embedder, resumably"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "embedder",
        nargs="?",
        default="auto",
        choices=("auto", "minilm", "hashing"),
        help="default: the best that is installed",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import existing_folder
    from embodied_mem.inference.select import default_embedder
    from embodied_mem.records.memory import RecordMemory
    from embodied_mem.records.reembed import reembed

    embedder = default_embedder(args.embedder)
    memory = RecordMemory.open(existing_folder(args))
    try:
        before = memory.index.model
        done, bar = 0, None
        try:
            for now, total in reembed(memory, embedder):
                bar = bar or console.bar(total, "embedding", "text")
                bar.update(now - done)
                done = now
        finally:
            if bar is not None:
                bar.close()
        after = memory.index.model
    finally:
        memory.close()
    text = (
        f"The vectors of {done:,} texts were made by {after}."
        if done
        else f"Every vector is there already, by {after}."
    )
    console.result({"before": before, "after": after, "texts": done}, text)
    return Exit.OK
