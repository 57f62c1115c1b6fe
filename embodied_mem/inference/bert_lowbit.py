"""A quantised BERT encoder on ONNX Runtime, in a few kinds of arithmetic (kernels/onnx_nodes.py).

The vectors of words are looked up in their codes, so the table of float32, two thirds of such a small model, is never
made.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.bert import LAYER_NORM_EPSILON
from embodied_mem.inference.bert_onnx import add_and_norm, add_sums
from embodied_mem.inference.bert_quantized import QuantizedBert
from embodied_mem.inference.kernels.onnx_nodes import KINDS, add_linear, can_nbits
from embodied_mem.inference.onnx_graph import FUSED, OnnxGraph


class LowBitOnnxEncoder:
    """Runs a `QuantizedBert` on the CPU. See `Encoder`.

    `kinds` says how each matrix is executed: `kind`, or "float" where that cannot.
    """

    def __init__(self, model: QuantizedBert, kind: str = "int8", threads: int = 1) -> None:
        """Raises BadInputError for another kind than those of onnx_nodes, UnavailableError without ONNX Runtime."""
        if kind not in KINDS:
            raise BadInputError(f"There is no kind of product {kind!r}: choose one of {', '.join(KINDS)}.")
        self._words, self._positions = model.words, model.rest.positions
        self.kinds: Mapping[tuple[int, str], str] = {
            name: "float" if kind == "nbits" and not can_nbits(tensor) else kind
            for name, tensor in model.linears.items()
        }
        graph = OnnxGraph()
        norm = [graph.put("scale", model.rest.scale), graph.put("shift", model.rest.shift)]
        hidden = graph.node("LayerNormalization", ["vectors", *norm], axis=-1, epsilon=LAYER_NORM_EPSILON)
        for number in range(len(model.rest.layers)):
            hidden = self._add_layer(graph, model, number, hidden)
        output = add_sums(graph, hidden)
        width = model.words.shape[1]
        inputs: dict[str, tuple[type, tuple[str | int, ...]]] = {
            "vectors": (np.float32, ("batch", "tokens", width)),
            "mask": (np.int32, ("batch", "tokens")),
        }
        self._session = graph.start(inputs, (output, ("batch", width)), threads)

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        vectors = self._words.rows(ids.reshape(-1)).reshape(*ids.shape, -1)
        vectors += self._positions[: ids.shape[1]]
        sums: NDArray[np.float32] = self._session.run(None, {"vectors": vectors, "mask": mask})[0]
        return sums

    def _add_layer(self, graph: OnnxGraph, model: QuantizedBert, number: int, hidden: str) -> str:
        layer = model.rest.layers[number]

        def linear(part: str, value: str) -> str:
            name = (number, part)
            return add_linear(graph, f"{part}_{number}", model.linears[name], value, self.kinds[name])

        parts = [f"{which}_{number}" for which in ("queries", "keys", "values")]
        graph.nodes("Split", [linear("qkv", hidden)], parts, "", axis=2)
        bias = graph.put(f"qkv_bias_{number}", layer.qkv_bias)
        seen = graph.node("MultiHeadAttention", [*parts, bias, "mask"], domain=FUSED, num_heads=model.rest.heads)
        attended = add_and_norm(graph, model.rest, number, linear("attended", seen), hidden, "attended")
        inner_bias = graph.put(f"inner_bias_{number}", layer.inner_bias)
        acted = graph.node("BiasGelu", [linear("inner", attended), inner_bias], domain=FUSED)
        return add_and_norm(graph, model.rest, number, linear("outer", acted), attended, "outer")
