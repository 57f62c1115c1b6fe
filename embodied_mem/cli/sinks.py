"""Where replayed and imported observations go: running nodes, or the memory folder."""

from __future__ import annotations

import argparse

from embodied_mem.cli.backend import folder_of, is_held, require_nodes
from embodied_mem.cli.console import Console
from embodied_mem.cli.embedding import DeferredEmbedder
from embodied_mem.cli.ingest import FolderSink, Sink
from embodied_mem.errors import StorageError
from embodied_mem.records.memory import RecordMemory


def sink_for(args: argparse.Namespace, console: Console, become: str = "") -> Sink:
    """The sink of a command line; a folder that does not exist is made. Raises StorageError, UnavailableError."""
    folder = folder_of(args)
    held = folder.is_dir() and is_held(folder)
    if args.connect == "ros" or (args.connect == "auto" and held):
        from embodied_mem.cli.through_nodes import NodesSink

        if args.connect == "auto":
            require_nodes(folder)
        console.note("(sending to the running nodes)")
        return NodesSink(become)
    if not folder.exists():
        console.note(f"(making the memory {folder})")
    try:
        memory = RecordMemory.open(folder)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"The memory folder {folder} cannot be written ({error.strerror}).") from error
    memory.embedder = DeferredEmbedder(memory.index.model)
    return FolderSink(memory, become)
