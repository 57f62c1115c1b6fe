"""How much each matrix of an encoder suffers from each scheme, and the mixture of widths for a budget of bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.inference.bert import BertWeights
from embodied_mem.inference.bert_numpy import NumpyEncoder
from embodied_mem.inference.bert_quantized import Name, names
from embodied_mem.inference.calibrate import Batch
from embodied_mem.inference.quantize.budget import Cost
from embodied_mem.inference.quantize.tensor import Scheme, quantize


def sensitivity(
    source: BertWeights,
    schemes: Sequence[Scheme],
    batches: Sequence[Batch],
    *,
    progress: Callable[[Name], None] = lambda name: None,
) -> dict[Name, list[Cost]]:
    """1 - mean cosine to the source's vectors when one matrix alone is rounded to nearest in each scheme."""
    true = _vectors(source, batches)
    table: dict[Name, list[Cost]] = {}
    for number, part in names(source):
        progress((number, part))
        matrix = getattr(source.layers[number], part).T
        table[number, part] = []
        for scheme in schemes:
            made = quantize(matrix, scheme, search=True)
            changed = list(source.layers)
            changed[number] = replace(changed[number], **{part: np.ascontiguousarray(made.dequantize().T)})
            ours = _vectors(replace(source, layers=tuple(changed)), batches)
            loss = 1 - float(np.einsum("nd,nd->n", true, ours).mean())
            table[number, part].append(Cost(scheme, made.nbytes, max(loss, 0.0)))
    return table


def _vectors(weights: BertWeights, batches: Sequence[Batch]) -> NDArray[np.float64]:
    encode = NumpyEncoder(weights)
    sums = np.concatenate([encode(ids, mask) for ids, mask in batches]).astype(np.float64)
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True))
