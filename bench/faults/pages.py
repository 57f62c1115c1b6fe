"""What each byte of a SQLite database is for, as far as damage to it matters.

The format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LEAF_INDEX, _LEAF_TABLE, _INNER_INDEX, _INNER_TABLE = 0x0A, 0x0D, 0x02, 0x05


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes [start, end) of the file; `what`: "rows NAME" for the cells of a table, or a kind of its bookkeeping."""

    start: int
    end: int
    what: str


def regions(path: Path) -> list[Region]:
    """Every byte of a closed database, in the order of the file; bytes that no table claims are "unused"."""
    data = path.read_bytes()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    roots = [("sqlite_schema", 1)]
    roots += connection.execute("SELECT tbl_name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
    connection.close()
    found = [Region(0, 100, "file header")]
    size = int.from_bytes(data[16:18], "big")
    size = 65536 if size == 1 else size
    for name, root in roots:
        found += _tree(data, size, root, name)
    return list(_with_gaps(sorted(found, key=lambda region: region.start), len(data)))


def _with_gaps(found: list[Region], length: int) -> Iterator[Region]:
    at = 0
    for region in found:
        if region.start > at:
            yield Region(at, region.start, "unused")
        yield region
        at = region.end
    if length > at:
        yield Region(at, length, "unused")


def _tree(data: bytes, size: int, number: int, name: str) -> Iterator[Region]:
    """The regions of the page `number` and all below it."""
    page = (number - 1) * size
    head = page + (100 if number == 1 else 0)
    kind = data[head]
    inner = kind in (_INNER_INDEX, _INNER_TABLE)
    count = int.from_bytes(data[head + 3 : head + 5], "big")
    pointers = head + (12 if inner else 8)
    yield Region(head, pointers, "page header")
    if count:
        yield Region(pointers, pointers + 2 * count, "cell pointers")
    for i in range(count):
        cell = page + int.from_bytes(data[pointers + 2 * i : pointers + 2 * i + 2], "big")
        if inner:
            yield from _tree(data, size, int.from_bytes(data[cell : cell + 4], "big"), name)
            yield Region(cell, cell + 4, "child pointers")
            cell += 4
        if kind == _INNER_TABLE:
            _, end = _varint(data, cell)
            yield Region(cell, end, "separators")
            continue
        yield from _payload(data, size, cell, kind, name)
    if inner:
        yield from _tree(data, size, int.from_bytes(data[head + 8 : head + 12], "big"), name)


def _payload(data: bytes, size: int, cell: int, kind: int, name: str) -> Iterator[Region]:
    """A cell with content, and the overflow pages that hold the rest of it."""
    total, at = _varint(data, cell)
    if kind == _LEAF_TABLE:
        _, at = _varint(data, at)
    most = size - 35 if kind == _LEAF_TABLE else (size - 12) * 64 // 255 - 23
    if total <= most:
        yield Region(cell, at + total, f"rows {name}")
        return
    least = (size - 12) * 32 // 255 - 23
    local = least + (total - least) % (size - 4)
    local = local if local <= most else least
    yield Region(cell, at + local, f"rows {name}")
    yield Region(at + local, at + local + 4, "overflow pointers")
    number, left = int.from_bytes(data[at + local : at + local + 4], "big"), total - local
    while number and left > 0:
        page, part = (number - 1) * size, min(left, size - 4)
        yield Region(page, page + 4, "overflow pointers")
        yield Region(page + 4, page + 4 + part, f"rows {name}")
        number, left = int.from_bytes(data[page : page + 4], "big"), left - part


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends."""
    value = 0
    for i in range(9):
        byte = data[at + i]
        if i == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + i + 1
    raise AssertionError("unreachable")
