"""One file for a model in few bits: codes, scales, shapes, where it came from, and how accurate it was found to be.

The container is that of safetensors (eight bytes of length, a JSON header, the arrays), so other tools can look inside.
The header's metadata hold `sha256`, the digest of everything else in the file: a file that was cut, torn or changed is
refused before anything of it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.inference.quantize.tensor import QuantizedTensor, Scheme

FORMAT = "embodied_mem.lowbit.1"
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 16 * 2**20
_ALIGNED = 8
_DTYPES: dict[str, np.dtype[Any]] = {"U8": np.dtype("u1"), "F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_PARTS = ("codes", "scales", "zeros", "columns")


@dataclass(frozen=True, eq=False)
class Artefact:
    """A quantised model.

    name         of the model that it is, such as all-MiniLM-L6-v2/fp6_e2m3
    source       name of the model that it was made from, and the SHA-256 of that model's weights
    tensors      matrices in few bits, by name
    arrays       what is kept in full, by name
    settings     what a runtime has to know besides, such as the number of heads
    report       how accurate it was found to be, and on what
    """

    name: str
    source: str
    source_sha256: str
    tensors: Mapping[str, QuantizedTensor]
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    settings: Mapping[str, int | str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)


def file_sha256(path: Path) -> str:
    """Raises StorageError when the file cannot be read."""
    try:
        with path.open("rb") as file:
            return _digest(file)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}).") from error


def save(artefact: Artefact, path: Path) -> int:
    """Write the file; returns its bytes. It is there whole or not at all. Raises StorageError, BadInputError (NaN)."""
    arrays = _flat(artefact)
    header, blocks, at = {"__metadata__": _metadata(artefact)}, [], 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):  # aligned without gaps
        array = np.ascontiguousarray(arrays[name])
        entry = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        header[name] = entry  # type: ignore[assignment]
        blocks.append(array.tobytes())
        at += array.nbytes
    body = b"".join(blocks)
    header["__metadata__"]["sha256"] = _seal(header, body)
    content = _head(header) + body
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written ({error.strerror}).") from error
    return len(content)


def load(path: Path) -> Artefact:
    """Read and check a file. Raises StorageError that says what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(f"The model in {path} cannot be read ({error.strerror}).") from error
    header, body = _opened(content, path)
    metadata = header["__metadata__"]
    try:
        arrays = {name: _array(entry, body) for name, entry in header.items() if name != "__metadata__"}
        schemes: dict[str, dict[str, Any]] = json.loads(metadata["tensors"])
        tensors = {name: _tensor(name, entry, arrays) for name, entry in schemes.items()}
        coded = {f"{name}.{part}" for name in schemes for part in _PARTS}
        return Artefact(
            metadata["name"], metadata["source"], metadata["source_sha256"], tensors,
            {name: array for name, array in arrays.items() if name not in coded},
            json.loads(metadata["settings"]), json.loads(metadata["report"]),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        why = str(error) if isinstance(error, BadInputError) else f"{type(error).__name__}: {error}"
        raise StorageError(f"The model in {path} was made by another version ({why}): quantise it again.") from error


# --- inside ------------------------------------------------------------------------------------------------------


def _flat(artefact: Artefact) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in artefact.tensors.items():
        parts = (tensor.packed, tensor.scales, tensor.zeros, tensor.columns)
        arrays |= {f"{name}.{part}": array for part, array in zip(_PARTS, parts, strict=True) if array is not None}
    for name, array in artefact.arrays.items():
        if not np.isfinite(array).all():
            raise BadInputError(f"The source's {name!r} holds NaN or infinity: take the model from its source again.")
        arrays[name] = array.astype(np.float32)
    return arrays


def _metadata(artefact: Artefact) -> dict[str, str]:
    schemes = {
        name: {
            "shape": list(tensor.shape), "type": tensor.scheme.type, "group": tensor.scheme.group,
            "asymmetric": tensor.scheme.asymmetric,
        }
        for name, tensor in artefact.tensors.items()
    }  # fmt: skip
    return {
        "format": FORMAT, "name": artefact.name, "source": artefact.source, "source_sha256": artefact.source_sha256,
        "tensors": json.dumps(schemes), "settings": json.dumps(dict(artefact.settings)),
        "report": json.dumps(dict(artefact.report)), "sha256": "",
    }  # fmt: skip


def _seal(header: Mapping[str, Any], body: bytes) -> str:
    """The digest of a file whose own digest is blank."""
    blank = {**header, "__metadata__": {**header["__metadata__"], "sha256": ""}}
    return hashlib.sha256(json.dumps(blank, sort_keys=True).encode() + body).hexdigest()


def _head(header: Mapping[str, Any]) -> bytes:
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return _LENGTH.pack(len(text)) + text


def _opened(content: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and body. Raises StorageError."""
    again = "copy it again, or make it with `embodied-mem quantize`."
    if len(content) < _LENGTH.size:
        raise StorageError(f"{path} is cut off or no quantised model: {again}")
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    if length > min(_LONGEST_HEADER, len(content) - _LENGTH.size):
        raise StorageError(f"{path} is cut off or no quantised model: {again}")
    body = content[_LENGTH.size + length :]
    try:
        header: dict[str, Any] = json.loads(content[_LENGTH.size : _LENGTH.size + length])
        metadata = header["__metadata__"]
        known, digest = metadata["format"] == FORMAT, metadata["sha256"]
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StorageError(f"{path} is no quantised model, or its header is broken: {again}") from error
    if not known:
        raise StorageError(f"{path} has the format {metadata['format']!r}, not {FORMAT!r}: quantise the model again.")
    if max(ends, default=0) > len(body):
        raise StorageError(f"{path} is cut off: {max(ends) - len(body)} bytes are missing; {again}")
    if _seal(header, body) != digest:
        raise StorageError(f"{path} was changed after it was made (its SHA-256 does not fit): {again}")
    return header, body


def _array(entry: Mapping[str, Any], body: bytes) -> NDArray[Any]:
    start, stop = entry["data_offsets"]
    dtype: Any = _DTYPES[entry["dtype"]]
    return np.frombuffer(body[start:stop], dtype=dtype).reshape(entry["shape"])


def _tensor(name: str, entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> QuantizedTensor:
    codes, scales, zeros, columns = (arrays.get(f"{name}.{part}") for part in _PARTS)
    if codes is None or scales is None:
        raise KeyError(f"codes of {name}")
    rows, inputs = entry["shape"]
    scheme = Scheme(entry["type"], int(entry["group"]), bool(entry["asymmetric"]))
    return QuantizedTensor((int(rows), int(inputs)), scheme, codes, scales, zeros, columns)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while part := file.read(2**20):
        digest.update(part)
    return digest.hexdigest()
