"""A BERT encoder in few bits: which matrices are coded, and how they are made from a source model and calibration.

The vectors of words and the four matrices of each layer are coded; positions, biases and norms, a fiftieth of the
whole, stay float32. `dequantized` gives ordinary weights, so that every runtime can execute it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import StorageError
from embodied_mem.inference.bert import LINEARS, BertLayer, BertWeights
from embodied_mem.inference.quantize.artefact import Artefact
from embodied_mem.inference.quantize.tensor import QuantizedTensor

Name = tuple[int, str]  # layer, part of LINEARS

_VECTORS = tuple(name for name in BertLayer.__slots__ if name not in LINEARS)
_OUTSIDE = ("positions", "scale", "shift")


@dataclass(frozen=True, eq=False)
class QuantizedBert:
    """words (v, d) and the matrices (out, in) by name, coded; `rest` holds biases, norms and positions.

    The matrices of `rest` are empty: they stand in `linears`.
    """

    words: QuantizedTensor
    linears: Mapping[Name, QuantizedTensor]
    rest: BertWeights

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and scales."""
        return self.words.nbytes + sum(tensor.nbytes for tensor in self.linears.values())

    def dequantized(self) -> BertWeights:
        """The same numbers as float32 weights."""
        layers = [
            replace(
                layer,
                **{part: np.ascontiguousarray(self.linears[number, part].dequantize().T) for part in LINEARS},
            )
            for number, layer in enumerate(self.rest.layers)
        ]
        return replace(self.rest, words=self.words.dequantize(), layers=tuple(layers))

    def parts(self) -> tuple[dict[str, QuantizedTensor], dict[str, NDArray[np.float32]]]:
        """Tensors and arrays by name, for an `Artefact`."""
        tensors = {"words": self.words}
        tensors |= {f"{number}.{part}": tensor for (number, part), tensor in self.linears.items()}
        arrays = {name: getattr(self.rest, name) for name in _OUTSIDE}
        for number, layer in enumerate(self.rest.layers):
            arrays |= {f"{number}.{name}": getattr(layer, name) for name in _VECTORS}
        return tensors, arrays


def without_matrices(weights: BertWeights, biases: Mapping[Name, NDArray[np.float32]] | None = None) -> BertWeights:
    """The rest of a model; `biases` replace its own."""
    empty = np.empty((0, 0), dtype=np.float32)
    layers = []
    for number, layer in enumerate(weights.layers):
        changed = {f"{part}_bias": bias for (at, part), bias in (biases or {}).items() if at == number}
        layers.append(replace(layer, **dict.fromkeys(LINEARS, empty), **changed))
    return replace(weights, words=empty, layers=tuple(layers))


def from_artefact(artefact: Artefact) -> QuantizedBert:
    """Raises StorageError when the artefact holds something else than such an encoder."""
    try:
        heads, count = int(artefact.settings["heads"]), int(artefact.settings["layers"])
        layers = tuple(
            BertLayer(
                **{part: np.empty((0, 0), dtype=np.float32) for part in LINEARS},
                **{name: artefact.arrays[f"{number}.{name}"] for name in _VECTORS},
            )
            for number in range(count)
        )
        return QuantizedBert(
            artefact.tensors["words"],
            {(number, part): artefact.tensors[f"{number}.{part}"] for number in range(count) for part in LINEARS},
            BertWeights(heads=heads, words=np.empty((0, 0), dtype=np.float32), layers=layers,
                        **{name: artefact.arrays[name] for name in _OUTSIDE}),
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise StorageError(
            f"The artefact {artefact.name!r} holds no sentence encoder ({error} is missing): quantise the model again."
        ) from error


def names(weights: BertWeights) -> Sequence[Name]:
    """The matrices in the order in which they are used."""
    return [(number, part) for number in range(len(weights.layers)) for part in LINEARS]
