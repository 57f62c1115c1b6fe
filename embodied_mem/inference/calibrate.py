"""Quantises a BERT encoder layer by layer, each on what the coded layers before it really give it.

A matrix is made to give what the source model gives, not what its own weights would: with t what the source computes
and x what comes in after the coded layers, the weights are first fitted anew,
W = (sum of t xᵀ) (sum of x xᵀ + damping)⁻¹, and then coded with compensation (`compensated`). Where a product is
added to the stream that runs past it, t includes what that stream is off by so far. What is left of the mean error
goes into the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.bert import BertLayer, BertWeights, Weights
from embodied_mem.inference.bert_numpy import attention, embed_tokens, gelu, layer_norm
from embodied_mem.inference.bert_quantized import Name, QuantizedBert, names, without_matrices
from embodied_mem.inference.quantize.compensate import (
    activation_columns,
    compensated,
    smoothing_columns,
    with_columns,
)
from embodied_mem.inference.quantize.tensor import QuantizedTensor, Scheme, quantize

_REFIT_DAMPING = 0.05  # of the mean second moment, towards the source's own weights
Batch = tuple[NDArray[np.int32], NDArray[np.int32]]  # ids, mask (b, s)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the matrices are coded.

    compensate   spread each rounding error over the columns to come
    columns      factors of the inputs: "" none, "error" those by which the coded weights lose least, "peaks" those that
                 even out the inputs' peaks, for arithmetic that codes the inputs as well
    refit        fit the weights to the source's outputs first
    correct      put the mean error into the bias
    """

    compensate: bool = True
    columns: str = ""
    refit: bool = True
    correct: bool = True


NEAREST = Recipe(compensate=False, columns="", refit=False, correct=False)


def quantize_bert(
    source: BertWeights,
    words: Scheme,
    linears: Mapping[Name, Scheme],
    batches: Sequence[Batch] = (),
    recipe: Recipe | None = None,
    *,
    progress: Callable[[Name], None] = lambda name: None,
) -> QuantizedBert:
    """The source in few bits.

    words    scheme of the words' vectors, rounded to nearest
    linears  a scheme for each of `names(source)`
    batches  calibration texts as tokens; needed unless the recipe (None = the default one) is NEAREST
    Raises BadInputError for a scheme that is missing, without texts, or for weights that are not finite.
    """
    recipe = recipe or Recipe()
    missing = [name for name in names(source) if name not in linears]
    if missing:
        raise BadInputError(f"Layer {missing[0][0]}, {missing[0][1]}: no type is given for it.")
    coded_words = quantize(source.words, words, search=True)
    if recipe == NEAREST:
        made = {name: quantize(_matrix(source, name).T, linears[name]) for name in names(source)}
        return QuantizedBert(coded_words, made, without_matrices(source))
    if not batches:
        raise BadInputError("Calibration needs texts: give some, or round to nearest.")
    return _Run(source, coded_words, linears, batches, recipe, progress).run()


class _Run:
    """One pass through the layers, with both models' streams at hand: lists of (b, s, ...) arrays, one a batch."""

    def __init__(
        self,
        source: BertWeights,
        words: QuantizedTensor,
        linears: Mapping[Name, Scheme],
        batches: Sequence[Batch],
        recipe: Recipe,
        progress: Callable[[Name], None],
    ) -> None:
        self._source, self._words, self._schemes = source, words, linears
        self._recipe, self._progress = recipe, progress
        self._masks = [mask for _, mask in batches]
        self._ids = [ids for ids, _ in batches]
        self._made: dict[Name, QuantizedTensor] = {}
        self._biases: dict[Name, Weights] = {}

    def run(self) -> QuantizedBert:
        source = self._source
        true = [embed_tokens(source, ids) for ids in self._ids]
        table = self._words.dequantize()
        ours = [
            layer_norm(table[ids] + source.positions[: ids.shape[1]], source.scale, source.shift) for ids in self._ids
        ]
        del table
        for number, layer in enumerate(source.layers):
            true, ours = self._layer(number, layer, true, ours)
        return QuantizedBert(self._words, self._made, without_matrices(source, self._biases))

    def _layer(
        self, number: int, layer: BertLayer, true: list[Weights], ours: list[Weights]
    ) -> tuple[list[Weights], list[Weights]]:
        heads = self._source.heads
        qkv, our_qkv = self._product((number, "qkv"), layer.qkv, layer.qkv_bias, true, ours)
        seen = [attention(value, mask, heads) for value, mask in zip(qkv, self._masks, strict=True)]
        our_seen = [attention(value, mask, heads) for value, mask in zip(our_qkv, self._masks, strict=True)]
        attended = self._product((number, "attended"), layer.attended, layer.attended_bias, seen, our_seen, true, ours)
        true, ours = _normed(layer.attended_scale, layer.attended_shift, (true, ours), attended)
        inner, our_inner = self._product((number, "inner"), layer.inner, layer.inner_bias, true, ours)
        acted, our_acted = [gelu(value) for value in inner], [gelu(value) for value in our_inner]
        outer = self._product((number, "outer"), layer.outer, layer.outer_bias, acted, our_acted, true, ours)
        return _normed(layer.outer_scale, layer.outer_shift, (true, ours), outer)

    def _product(
        self,
        name: Name,
        matrix: Weights,
        bias: Weights,
        inputs: list[Weights],
        ours: list[Weights],
        past: list[Weights] | None = None,
        our_past: list[Weights] | None = None,
    ) -> tuple[list[Weights], list[Weights]]:
        """Code one matrix (in, out); returns what the source computes and what the coded one does, biases included."""
        self._progress(name)
        targets = [value @ matrix + bias for value in inputs]
        off: list[Weights] | None = None
        if past is not None and our_past is not None:
            off = [one - other for one, other in zip(past, our_past, strict=True)]
        wanted = self._tokens(targets) if off is None else self._tokens(targets) + self._tokens(off)
        got = self._tokens(ours)
        moments = (got.T @ got).astype(np.float64)
        weights = matrix.T
        if self._recipe.refit:
            weights = _refitted(weights, wanted - bias, got, moments)
        scheme = self._schemes[name]
        columns = None
        if self._recipe.columns == "error":
            columns = activation_columns(weights, moments, scheme)
        elif self._recipe.columns == "peaks":
            columns = smoothing_columns(weights, np.abs(got).max(axis=0))
        if self._recipe.compensate:
            made = compensated(weights, moments, scheme, columns=columns)
        else:
            made = with_columns(weights, scheme, columns, np.diag(moments))
        dequantized = made.dequantize().T
        if self._recipe.correct:
            bias = (wanted.mean(axis=0) - got.mean(axis=0) @ dequantized).astype(np.float32)
            self._biases[name] = bias
        self._made[name] = made
        return targets, [value @ dequantized + bias for value in ours]

    def _tokens(self, values: list[Weights]) -> Weights:
        """(tokens, d) without padding."""
        return np.concatenate([value[mask.astype(bool)] for value, mask in zip(values, self._masks, strict=True)])


def _normed(
    scale: Weights,
    shift: Weights,
    past: tuple[list[Weights], list[Weights]],
    added: tuple[list[Weights], list[Weights]],
) -> tuple[list[Weights], list[Weights]]:
    sides = [
        [layer_norm(one + other, scale, shift) for one, other in zip(stream, more, strict=True)]
        for stream, more in zip(past, added, strict=True)
    ]
    return sides[0], sides[1]


def _refitted(weights: Weights, wanted: Weights, inputs: Weights, moments: NDArray[np.float64]) -> Weights:
    """Weights (n, k) for which `inputs` (t, k) give `wanted` (t, n); the old ones where the inputs say little."""
    damping = _REFIT_DAMPING * float(np.diag(moments).mean())
    crossed = (wanted.T @ inputs).astype(np.float64) + damping * weights
    return np.linalg.solve(moments + np.eye(len(moments)) * damping, crossed.T).T.astype(np.float32)


def _matrix(source: BertWeights, name: Name) -> Weights:
    matrix: Weights = getattr(source.layers[name[0]], name[1])
    return matrix
