"""Checkpoints of readers and rules: safetensors with what they are in the header, checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import ModelMismatchError, NotFoundError, StorageError, UnavailableError

VERSION = 1  # of the layout of tokens and weights: coding.py, reading.py
FOLDER = Path(__file__).parent / "checkpoints"
Weights = dict[str, NDArray[Any]]


def save(path: Path, kind: str, weights: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write weights by name, with JSON-able facts about them. UnavailableError without the package safetensors."""
    header = {"kind": kind, "version": str(VERSION), "facts": json.dumps(facts, sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    _safetensors().save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, path, header)


def load(path: Path, kind: str) -> tuple[Weights, dict[str, Any]]:
    """Weights and facts of a checkpoint of this kind.

    Raises NotFoundError without the file, StorageError for one that is no checkpoint, ModelMismatchError for one of
    another kind or version or with weights that are not finite, UnavailableError without the package safetensors.
    """
    package = _safetensors()
    if not path.is_file():
        raise NotFoundError(f"There is no checkpoint {path}: make it with `python -m embodied_mem.episodes.train`.")
    try:
        with package.safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            names: list[str] = file.keys()  # the file is no mapping
            weights = {name: file.get_tensor(name) for name in names}
        facts = json.loads(header.get("facts", "{}"))
    except Exception as error:  # of whatever the package finds wrong
        raise StorageError(f"{path} is no checkpoint that can be read ({error}): make it anew.") from error
    if header.get("kind") != kind:
        raise ModelMismatchError(f"{path} holds {header.get('kind', 'something else')!r}, and no {kind}.")
    if header.get("version") != str(VERSION):
        raise ModelMismatchError(
            f"{path} is of version {header.get('version', '?')}, this program reads version {VERSION}: "
            "train it anew with `python -m embodied_mem.episodes.train`."
        )
    spoilt = [name for name, value in weights.items() if not np.isfinite(value).all()]
    if spoilt:
        raise ModelMismatchError(f"{path} holds NaN or infinity in {spoilt[0]!r}: its training failed, train it anew.")
    return weights, facts


def _safetensors() -> Any:
    try:
        import safetensors
        from safetensors import numpy as tensors
    except ImportError as error:
        raise UnavailableError(
            "Checkpoints of the episodic memory need the package safetensors: pip install 'embodied_mem[models]'."
        ) from error

    class Package:
        save_file = staticmethod(tensors.save_file)
        safe_open = staticmethod(safetensors.safe_open)

    return Package


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
