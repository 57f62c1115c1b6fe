"""Tensors in a file: the safetensors format, read and written with numpy alone.

    length of the header (8 bytes, little-endian)   header (JSON)   tensors, row-major

The header names each tensor's dtype, shape and place, and under __metadata__ texts by name; among these, as safetensors
has no checksum of its own, the CRC-32 of all tensors. A checkpoint is read where neither torch nor safetensors are.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.records.files import write_atomically

_DTYPES = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F16": "<f2", "F32": "<f4"}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], about: Mapping[str, str]) -> None:
    """Write tensors by name, and texts about them; the same ones give the same bytes. Raises StorageError."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name])
        raw = raw.astype(raw.dtype.newbyteorder("<"), copy=False)
        parts.append(raw.tobytes())
        header[name] = {
            "dtype": _NAMES[raw.dtype], "shape": list(raw.shape), "data_offsets": [at, at + len(parts[-1])]
        }  # fmt: skip
        at += len(parts[-1])
    body = b"".join(parts)
    header["__metadata__"] = {**about, "crc32": str(zlib.crc32(body))}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    try:
        write_atomically(path, len(text).to_bytes(8, "little") + text + body)
    except OSError as error:
        raise StorageError(f"The tensors could not be written to {path}: {error.strerror or error}.") from error


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors by name, and the texts about them. Raises NotFoundError, StorageError for a damaged file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path}.") from error
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error.strerror or error}.") from error
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        about = header.pop("__metadata__", {})
        body = data[8 + length :]
        if "crc32" in about and zlib.crc32(body) != int(about.pop("crc32")):
            raise ValueError("its checksum is wrong")
        return {name: _tensor(body, entry) for name, entry in header.items()}, about
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} is no whole safetensors file ({error}): install it again.") from error


def _tensor(body: bytes, entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    return np.frombuffer(body[begin:end], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
