"""Octrees as files: blocks by ascending Morton code, in pages with a CRC each, mapped into memory when opened.

    header       page 0 ..: "EMOCTREE", length and CRC of a JSON text, the text
    scans        stamp and record, 8 bytes each
    index        first Morton code of each page of blocks, CRC-32 of every page of blocks and voxels
    blocks       64 bytes each (embodied_mem/octree/arrays.py), sorted
    voxels       12 bytes each, in the order of their blocks

Each part begins a page of 16 KiB. Header, scans and index are checked when a file is opened, every other page when it
is first read. A file is written beside, synced and renamed: it is the old one or the new one, and never changes.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.octree.arrays import BLOCKS, COUNTS, KEY, ROWS, VOXELS, Arrays
from embodied_mem.octree.content import Content
from embodied_mem.octree.find import PAGE, ROWS_A_PAGE
from embodied_mem.octree.morton import decode
from embodied_mem.octree.occupancy import OccupancyModel
from embodied_mem.octree.regions import make_regions
from embodied_mem.octree.store import empty_extent
from embodied_mem.records.files import replace_atomically

MAGIC = b"EMOCTREE"
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class OpenedFile:
    """A file that was opened: its arrays as kernels want them, the scans, and what the header says."""

    arrays: Arrays
    stamps: NDArray[np.int64]
    records: NDArray[np.int64]
    resolution: float
    model: OccupancyModel
    watermark: int
    meta: Any


def write_file(
    path: Path, content: Content, resolution: float, model: OccupancyModel, watermark: int, meta: Any
) -> None:
    """Write a content; the same one gives the same bytes. Raises StorageError, BadInput (TypeError) for odd meta."""
    rows, links = content.rows.tobytes(), content.links.tobytes()
    scans = np.stack([content.stamps, content.records], axis=1).tobytes()
    sums = np.array([zlib.crc32(page) for part in (rows, links) for page in _pages(part)], np.uint32)
    index = np.ascontiguousarray(content.rows[::ROWS_A_PAGE, KEY]).tobytes() + sums.tobytes()
    keys = decode(content.rows[:, KEY])
    extent = np.stack([keys.min(axis=0), keys.max(axis=0)]) if len(keys) else empty_extent()
    header = {
        "version": VERSION,
        "resolution": resolution,
        "model": asdict(model),
        "watermark": watermark,
        "meta": meta,
        "blocks": len(content.rows),
        "voxels": len(content.links),
        "scans": len(content.stamps),
        "extent": extent.tolist(),
        "scans_crc": zlib.crc32(scans),
        "index_crc": zlib.crc32(index),
    }
    text = json.dumps(header, sort_keys=True).encode()
    head = MAGIC + np.array([len(text), zlib.crc32(text)], "<u4").tobytes() + text

    def write(file: BinaryIO) -> None:
        for part in (head, scans, index, rows, links):
            file.write(part)
            file.write(bytes(-len(part) % PAGE))

    try:
        replace_atomically(path, write)
    except OSError as error:
        raise StorageError(f"The octree could not be written to {path}: {error.strerror or error}.") from error


def read_file(path: Path) -> OpenedFile:
    """Map a file. Raises NotFoundError, StorageError for one that is damaged, cut short or of another version."""
    try:
        data = np.asarray(np.memmap(path, np.uint8, mode="c")).view(np.ndarray)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no octree at {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise StorageError(f"The octree at {path} could not be opened: {error}.") from error
    try:
        return _read(path, data)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its header does not make sense") from error


def _read(path: Path, data: NDArray[np.uint8]) -> OpenedFile:
    if data[:8].tobytes() != MAGIC or len(data) < PAGE:
        raise StorageError(f"{path} is no octree of embodied_mem (OctoMap's files are read by read_octomap).")
    length, crc = data[8:16].view("<u4").tolist()
    text = data[16 : 16 + length].tobytes()
    if len(text) != length or zlib.crc32(text) != crc:
        raise _damaged(path, "its header is damaged")
    header = json.loads(text)
    if header["version"] != VERSION:
        raise StorageError(f"{path} has version {header['version']}, this is {VERSION}: rebuild it from the log.")
    blocks, voxels, scans = header["blocks"], header["voxels"], header["scans"]
    row_pages = -(-blocks // ROWS_A_PAGE)
    link_pages = -(-voxels * 12 // PAGE)
    index_size = row_pages * 8 + (row_pages + link_pages) * 4
    scans_at = -(-(16 + length) // PAGE) * PAGE
    index_at = scans_at + -(-scans * 16 // PAGE) * PAGE
    rows_at = index_at + -(-index_size // PAGE) * PAGE
    links_at = rows_at + row_pages * PAGE
    if len(data) != links_at + link_pages * PAGE:
        raise _damaged(path, "it is cut short")
    scan_bytes, index = data[scans_at : scans_at + scans * 16], data[index_at : index_at + index_size]
    if zlib.crc32(scan_bytes.tobytes()) != header["scans_crc"] or zlib.crc32(index.tobytes()) != header["index_crc"]:
        raise _damaged(path, "its index is damaged")
    pages = len(data) // PAGE
    checked, sums = np.ones(pages, np.uint8), np.zeros(pages, np.uint32)
    body = slice(rows_at // PAGE, pages)
    checked[body] = 0
    sums[body] = index[row_pages * 8 :].view("<u4")
    links = data[links_at : links_at + voxels * 12].view(np.uint32).reshape(-1, 3)
    counts = np.zeros(COUNTS, np.int64)
    counts[[ROWS, BLOCKS, VOXELS]] = blocks, blocks, voxels
    arrays = Arrays(
        rows=data[rows_at : rows_at + blocks * 64].view(np.uint64).reshape(-1, 8),
        links=links,
        odds=links.view(np.float32),
        table=np.zeros(1, np.uint64),
        old=np.zeros(1, np.uint64),
        spare=np.zeros(1, np.int64),
        regions=make_regions(0),
        counts=counts,
        extent=np.array(header["extent"], np.int64),
        firsts=index[: row_pages * 8].view(np.uint64),
        file=data,
        checked=checked,
        sums=sums,
        places=np.array([rows_at, links_at], np.int64),
    )
    pairs = scan_bytes.view(np.int64).reshape(-1, 2)
    model = OccupancyModel(**header["model"])
    return OpenedFile(
        arrays, pairs[:, 0].copy(), pairs[:, 1].copy(), header["resolution"], model, header["watermark"], header["meta"]
    )


def _pages(part: bytes) -> list[bytes]:
    return [part[at : at + PAGE].ljust(PAGE, b"\0") for at in range(0, len(part), PAGE)]


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError(f"The octree at {path} cannot be used: {what}. Remove it and rebuild the map from the log.")
