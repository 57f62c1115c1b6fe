"""A BERT encoder in numpy, piece by piece: the reference of the other runtimes, and what calibration looks into."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from embodied_mem.inference.bert import LAYER_NORM_EPSILON, LINEARS, BertLayer, BertWeights, Weights

Linear = Callable[[Weights], Weights]  # (m, in) -> (m, out), without bias
_MASKED = -1e9


class NumpyEncoder:
    """Runs a `BertWeights` in numpy. See `Encoder`.

    linears  by (layer, part of LINEARS): executes that product instead of numpy, so that any back-end can be held
             against the others inside a whole network
    """

    def __init__(self, weights: BertWeights, linears: dict[tuple[int, str], Linear] | None = None) -> None:
        self._weights = weights
        given = linears or {}
        self._layers = [
            {part: given.get((number, part)) or _product(getattr(layer, part)) for part in LINEARS}
            for number, layer in enumerate(weights.layers)
        ]

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        hidden = embed_tokens(self._weights, ids)
        for layer, linears in zip(self._weights.layers, self._layers, strict=True):
            hidden = run_layer(layer, linears, hidden, mask, self._weights.heads)
        return np.asarray((hidden * mask[:, :, None]).sum(axis=1), dtype=np.float32)


def embed_tokens(weights: BertWeights, ids: NDArray[np.int32]) -> Weights:
    """(b, s) -> (b, s, d), the input of the first layer."""
    return layer_norm(weights.words[ids] + weights.positions[: ids.shape[1]], weights.scale, weights.shift)


def run_layer(
    layer: BertLayer, linears: dict[str, Linear], hidden: Weights, mask: NDArray[np.int32], heads: int
) -> Weights:
    """One layer: (b, s, d) -> (b, s, d)."""
    qkv = linears["qkv"](hidden) + layer.qkv_bias
    seen = linears["attended"](attention(qkv, mask, heads)) + layer.attended_bias
    hidden = layer_norm(hidden + seen, layer.attended_scale, layer.attended_shift)
    inner = gelu(linears["inner"](hidden) + layer.inner_bias)
    outer = linears["outer"](inner) + layer.outer_bias
    return layer_norm(hidden + outer, layer.outer_scale, layer.outer_shift)


def attention(qkv: Weights, mask: NDArray[np.int32], heads: int) -> Weights:
    """Queries, keys and values (b, s, 3 d) -> (b, s, d): softmax of scaled dot products, padding left out."""
    batch, tokens, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    parts = qkv.reshape(batch, tokens, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    logits = parts[0] @ parts[1].transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // heads))
    logits += np.where(mask, np.float32(0), np.float32(_MASKED))[:, None, None, :]
    logits -= logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits)
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.ascontiguousarray((weights @ parts[2]).transpose(0, 2, 1, 3)).reshape(batch, tokens, width)


def layer_norm(hidden: Weights, scale: Weights, shift: Weights) -> Weights:
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + np.float32(LAYER_NORM_EPSILON)) * scale + shift)


def gelu(x: Weights) -> Weights:
    """x times the normal distribution function of x."""
    return np.asarray(x * 0.5 * (1 + erf(x * np.float32(np.sqrt(0.5)))), dtype=np.float32)


def _product(weights: Weights) -> Linear:
    return lambda x: np.asarray(x @ weights)
