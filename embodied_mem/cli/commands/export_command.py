"""Export records: as JSON lines (comes back with `import`), as MCAP (for Foxglove, rosbags; comes back too), or as .rrd
for the Rerun viewer. Records are exported as they stand: corrected, without what was forgotten.

    embodied-mem export memory.jsonl
    embodied-mem export memory.mcap --when "today"
    embodied-mem export memory.rrd --map ground_floor
    embodied-mem export - --label mug | jq .caption
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.cli.arguments import add_now
from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.cli.filters import add_filter_arguments, where_of
from embodied_mem.errors import BadInputError

if TYPE_CHECKING:
    from embodied_mem.records.memory import RecordMemory
    from embodied_mem.records.observation import Record

HELP = "export records as JSON lines, MCAP or .rrd"

_ENDINGS = {".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".mcap": "mcap", ".rrd": "rrd"}
_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", help="the file to write; its ending names the format; - is standard output (JSON lines)"
    )
    parser.add_argument("--format", choices=("jsonl", "mcap", "rrd"), help="when the ending does not say it")
    parser.add_argument("--no-clouds", action="store_true", help="leave out clouds and pictures")
    add_now(parser)
    add_filter_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import direct

    kind = "jsonl" if args.file == "-" else args.format or _ENDINGS.get(Path(args.file).suffix.lower())
    if kind is None:
        raise BadInputError(
            f"{args.file} has no ending that names a format: end it in .jsonl, .mcap or .rrd, or give --format."
        )
    if args.map == "":
        args.map = "*" if not (args.near or args.box or args.near_record) else ""
    backend = direct(args, read_only=True)
    try:
        seqs = backend.memory.select(backend.typed(where_of(args))).tolist()
        records = _records(backend.memory, seqs, blobs=not args.no_clouds)
        shown = console.progress(records, len(seqs), "exporting", "record")
        count = _write(kind, args.file, shown, console)
    finally:
        backend.close()
    if args.file != "-":
        console.result(
            {"file": args.file, "format": kind, "records": count}, f"Wrote {count:,} records to {args.file}."
        )
    return Exit.OK


def _write(kind: str, file: str, records: Iterator[Record], console: Console) -> int:
    if file == "-":
        from embodied_mem.exchange.jsonl import write_records

        return write_records(records, console.out)
    path = Path(file)
    if kind == "mcap":
        from embodied_mem.exchange.mcap_file import write_mcap

        return write_mcap(records, path)
    if kind == "rrd":
        from embodied_mem.exchange.rerun_file import write_rrd

        return write_rrd(records, path)
    from embodied_mem.exchange.jsonl import write_records
    from embodied_mem.exchange.output import whole_file

    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        return write_records(records, out)


def _records(memory: RecordMemory, seqs: list[int], *, blobs: bool) -> Iterator[Record]:
    for start in range(0, len(seqs), _BATCH):
        yield from memory.records(seqs[start : start + _BATCH], blobs=blobs)
