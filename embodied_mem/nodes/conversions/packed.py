"""Entries of the log as bytes, for GetRecords.packed: the rows as the log stores them, without nested messages."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np

from embodied_mem.errors import BadInputError, EmbodiedMemError
from embodied_mem.nodes.conversions.basics import typed_array
from embodied_mem.records.entry import Entry, Row, pack, unpack, without_cloud

_VERSION = 1


def pack_entries(entries: Sequence[Entry], *, blobs: bool) -> array[Any]:
    """As an array field takes it. Vectors always travel, clouds and thumbnails when `blobs`."""
    items = []
    for entry in entries:
        obs = entry.observation
        vector, model = b"", ""
        if obs is not None and obs.vector is not None:
            vector, model = np.asarray(obs.vector, dtype="<f4").tobytes(), obs.vector_model
        row, files = pack(entry if blobs else without_cloud(entry))
        items.append((row, files, vector, model))
    return typed_array("B", msgpack.packb((_VERSION, items)))


def unpack_entries(field: Any) -> list[Entry]:
    """What `pack_entries` wrote. Raises BadInputError."""
    try:
        version, items = msgpack.unpackb(bytes(field))
        if version != _VERSION:
            raise BadInputError(
                f"Packed records are of version {version}, this program reads {_VERSION}: update the older one."
            )
        return [_entry(*item) for item in items]
    except BadInputError:
        raise
    except (ValueError, TypeError, KeyError, msgpack.UnpackException, EmbodiedMemError) as error:
        raise BadInputError(f"Packed records cannot be read: {error}") from error


def _entry(columns: list[Any], files: dict[str, bytes], vector: bytes, model: str) -> Entry:
    entry = unpack(Row(*columns), files)
    if entry.observation is None or not vector:
        return entry
    numbers = np.frombuffer(vector, dtype="<f4")
    return replace(entry, observation=replace(entry.observation, vector=numbers, vector_model=model))
