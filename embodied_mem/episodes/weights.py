"""Checkpoints of readers and rules: safetensors files, with what they are in the header, checked when they are read.

The format is eight bytes (the header's length), a header in JSON, and the arrays one after another; it holds no code.
It is read here without its package, so that a robot needs nothing but numpy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import ModelMismatchError, NotFoundError, StorageError

VERSION = 1  # of the layout of tokens and weights: coding.py, reading.py
FOLDER = Path(__file__).parent / "checkpoints"
Weights = dict[str, NDArray[Any]]

_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_NAMES = {kind: name for name, kind in _TYPES.items()}
_LARGEST = 50_000_000  # bytes of a checkpoint


def save(path: Path, kind: str, weights: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write weights (float32 or float64) by name, with JSON-able facts about them."""
    about = {"kind": kind, "version": str(VERSION), "facts": json.dumps(facts, sort_keys=True)}
    header: dict[str, Any] = {"__metadata__": about}
    blobs, end = [], 0
    for name, value in weights.items():
        blob = np.ascontiguousarray(value).tobytes()
        header[name] = {
            "dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [end, end + len(blob)]
        }  # fmt: skip
        blobs.append(blob)
        end += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def load(path: Path, kind: str) -> tuple[Weights, dict[str, Any]]:
    """Weights and facts of a checkpoint of this kind.

    Raises NotFoundError without the file, StorageError for one that is no checkpoint, ModelMismatchError for one of
    another kind or version or with weights that are not finite.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no checkpoint {path}: make it with `python -m embodied_mem.episodes.train`.")
    try:
        weights, about = _parsed(path)
        facts = json.loads(about.get("facts", "{}"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is no checkpoint that can be read ({error}): make it anew.") from error
    if about.get("kind") != kind:
        raise ModelMismatchError(f"{path} holds {about.get('kind', 'something else')!r}, and no {kind}.")
    if about.get("version") != str(VERSION):
        raise ModelMismatchError(
            f"{path} is of version {about.get('version', '?')}, this program reads version {VERSION}: "
            "train it anew with `python -m embodied_mem.episodes.train`."
        )
    spoilt = [name for name, value in weights.items() if not np.isfinite(value).all()]
    if spoilt:
        raise ModelMismatchError(f"{path} holds NaN or infinity in {spoilt[0]!r}: its training failed, train it anew.")
    return weights, facts


def _parsed(path: Path) -> tuple[Weights, dict[str, Any]]:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST:,} bytes")
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= len(content) - 8:
        raise ValueError("it is cut off, or something else")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = header.pop("__metadata__", {})
    weights = {}
    for name, entry in header.items():
        kind, shape, (start, stop) = _TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
        if not 0 <= start <= stop <= len(body) or stop - start != math.prod(shape) * kind.itemsize:
            raise ValueError(f"the array {name!r} is cut off")
        weights[name] = np.frombuffer(body[start:stop], dtype=kind).reshape(shape).copy()
    return weights, about


def arrays(
    weights: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """The weights as float32, if their names and sizes are those that are wanted. Raises ModelMismatchError."""
    if set(weights) != set(wanted):
        odd = sorted(set(weights) ^ set(wanted))[0]
        raise ModelMismatchError(f"The weights are not those of this reader: {odd!r} is on one side only.")
    for name, size in wanted.items():
        if weights[name].shape != size:
            raise ModelMismatchError(f"The weight {name!r} has the size {weights[name].shape}, not {size}.")
    return {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}
