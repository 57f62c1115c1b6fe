"""A cache file: columns and facts of a view, checked when it is opened and mapped into memory instead of read.

    magic (8)   length of the header (4)   its CRC-32 (4)   header (msgpack)   columns

The header has the format's version, the facts, and for each column its name, type, row shape, place, number of rows
and the CRC-32 of every 16 MiB of them. Behind its rows a column has room to grow, which the file system keeps as a
hole that takes no space. The map is private: what the process changes or appends is never written to the file.

Whatever is in doubt raises DamagedError, and whoever asked makes the view again from the log.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.files import replace_atomically
from embodied_mem.records.growable import Growable

FORMAT = 1  # of the file; a view that changes its columns changes its own version among the facts
_MAGIC = b"EMEMview"
_START = struct.Struct("<8sII")
_ALIGNMENT = 4096  # bytes: columns begin at pages
_BLOCK = 1 << 24  # bytes that share a CRC


class DamagedError(Exception):
    """The file is missing, damaged, or of another format."""


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a column lies: `rows` of `shape` each from byte `offset` on, with room for `capacity`."""

    name: str
    dtype: str
    shape: Sequence[int]
    offset: int
    rows: int
    capacity: int
    crcs: Sequence[int]

    @property
    def row_bytes(self) -> int:
        return int(np.dtype(self.dtype).itemsize) * math.prod(self.shape)

    def in_header(self) -> tuple[Any, ...]:
        return self.name, self.dtype, self.shape, self.offset, self.rows, self.capacity, self.crcs


def save(path: Path, columns: Mapping[str, Growable], facts: Any) -> None:
    """Replace the file atomically. The columns must not change meanwhile. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = _placed(columns)
    header = msgpack.packb((FORMAT, facts, [place.in_header() for place in places]))
    start = _up(_START.size + len(header))

    def write(file: BinaryIO) -> None:
        file.write(_START.pack(_MAGIC, len(header), zlib.crc32(header)) + header)
        for place in places:
            file.seek(start + place.offset)
            file.write(_as_bytes(columns[place.name].data))
        file.truncate(start + _end(places))

    replace_atomically(path, write)


def load(path: Path) -> tuple[dict[str, Growable], Any]:
    """The columns by name, and the facts. Raises DamagedError."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _START.size:
                raise DamagedError(f"{path} is cut short.")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror}).") from error
    facts, places, start = _header(path, memoryview(mapped))
    if start + _end(places) != size:
        raise DamagedError(f"{path} has {size:,} bytes, not the {start + _end(places):,} that its header tells.")
    _check(path, memoryview(mapped), places, start)
    return {place.name: _column(mapped, place, start) for place in places}, facts


def _placed(columns: Mapping[str, Growable]) -> list[_Column]:
    places, offset = [], 0
    for name, column in columns.items():
        rows = column.data
        capacity = len(rows) + len(rows) // 2 + 16
        crcs = tuple(zlib.crc32(block) for block in _blocks(_as_bytes(rows)))
        place = _Column(name, rows.dtype.str, rows.shape[1:], offset, len(rows), capacity, crcs)
        places.append(place)
        offset = _up(offset + capacity * place.row_bytes)
    return places


def _end(places: list[_Column]) -> int:
    return max((place.offset + place.capacity * place.row_bytes for place in places), default=0)


def _header(path: Path, data: memoryview) -> tuple[Any, list[_Column], int]:
    magic, length, crc = _START.unpack(data[: _START.size])
    header = data[_START.size : _START.size + length]
    if magic != _MAGIC or len(header) != length or zlib.crc32(header) != crc:
        raise DamagedError(f"{path} has a damaged header.")
    version, facts, places = msgpack.unpackb(header, strict_map_key=False, use_list=True)
    if version != FORMAT:
        raise DamagedError(f"{path} has format {version}, this program reads {FORMAT}.")
    return facts, [_Column(*place) for place in places], _up(_START.size + length)


def _check(path: Path, data: memoryview, places: list[_Column], start: int) -> None:
    """Test every CRC; zlib lets other threads run meanwhile."""
    blocks: list[memoryview] = []
    told: list[int] = []
    names: list[str] = []
    for place in places:
        begin = start + place.offset
        own = list(_blocks(data[begin : begin + place.rows * place.row_bytes]))
        blocks += own
        told += place.crcs
        names += [place.name] * len(own)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        found = list(pool.map(zlib.crc32, blocks))
    if found != told:
        damaged = next((name for name, a, b in zip(names, found, told, strict=False) if a != b), "the file")
        raise DamagedError(f"{path} is damaged in {damaged}.")


def _column(mapped: mmap.mmap, place: _Column, start: int) -> Growable:
    count = place.capacity * math.prod(place.shape)
    buffer = np.frombuffer(mapped, np.dtype(place.dtype), count, start + place.offset)
    return Growable.over(buffer.reshape(place.capacity, *place.shape), place.rows)


def _as_bytes(rows: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data


def _blocks(data: memoryview) -> Iterator[memoryview]:
    return (data[begin : begin + _BLOCK] for begin in range(0, len(data), _BLOCK))


def _up(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
