"""What a memory holds: records, time, maps, robots, sessions, labels, models, size on disk."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit

if TYPE_CHECKING:
    from embodied_mem.records.memory import RecordMemory

HELP = "what a memory holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import existing_folder, is_held
    from embodied_mem.records.memory import RecordMemory

    folder = existing_folder(args)
    memory = RecordMemory.open(folder, read_only=True)
    try:
        facts = {"folder": str(folder), "being_written": is_held(folder), **_facts(memory, folder)}
    finally:
        memory.close()
    console.result(facts, _lines(facts))
    return Exit.OK


def _facts(memory: RecordMemory, folder: Path) -> dict[str, Any]:
    from embodied_mem.cli.shape import iso
    from embodied_mem.records.retention import dropped

    index, table = memory.index, memory.index.table
    first, last = (int(table.first_seen.data.min()), int(table.last_seen.data.max())) if len(table) else (0, 0)
    return {
        "records": len(index),
        "entries": memory.watermark,
        "first_stamp_ns": first,
        "last_stamp_ns": last,
        "first": iso(first) if first else "",
        "last": iso(last) if last else "",
        "current_map": memory.map_id,
        "maps": memory.maps,
        "robots": index.robots.all(),
        "sessions": index.sessions.all(),
        "labels": dict(sorted(index.labels("*").items(), key=lambda item: (-item[1], item[0]))),
        "model": index.model,
        "dimension": index.vector_width,
        **dropped(memory),
        "erased_records": len(index.history.erased()),
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    }


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    size = f"{facts['bytes'] / 1e6:.1f} MB"
    yield f"{facts['folder']}: {facts['records']:,} records in {facts['entries']:,} entries, {size}"
    if facts["being_written"]:
        yield "  being written by a running process"
    if facts["first"]:
        yield f"  time      {facts['first'][:19].replace('T', ' ')} to {facts['last'][:19].replace('T', ' ')}"
    yield f"  maps      {', '.join(facts['maps']) or 'none'} (current: {facts['current_map'] or 'none'})"
    yield f"  robots    {', '.join(facts['robots']) or 'none'}"
    yield f"  sessions  {len(facts['sessions'])}"
    shown = [f"{label} {count}" for label, count in list(facts["labels"].items())[:15]]
    more = f", and {len(facts['labels']) - 15} more labels" if len(facts["labels"]) > 15 else ""
    yield f"  labels    {', '.join(shown) or 'none'}{more}"
    yield f"  vectors   {facts['model'] or 'none'}{' x ' + str(facts['dimension']) if facts['dimension'] else ''}"
    if facts["dropped_bytes"]:
        yield (
            f"  dropped   {facts['dropped_clouds']:,} clouds, {facts['dropped_thumbnails']:,} pictures and "
            f"{facts['dropped_records']:,} records, {facts['dropped_bytes'] / 1e6:.1f} MB, to keep the disk budget"
        )
