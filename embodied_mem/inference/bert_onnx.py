"""A BERT encoder on ONNX Runtime: its graph is made here, of ONNX Runtime's fused nodes (attention, skip + layer norm,
bias + gelu), which is what its optimiser would make of an exported graph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embodied_mem.inference.bert import LAYER_NORM_EPSILON, BertWeights
from embodied_mem.inference.onnx_graph import FUSED, OnnxGraph


class OnnxEncoder:
    """Runs a `BertWeights` on the CPU by ONNX Runtime. See `Encoder`."""

    def __init__(self, weights: BertWeights, threads: int = 1) -> None:
        """Raises UnavailableError when onnx or onnxruntime is not installed."""
        graph = OnnxGraph()
        norm = [graph.put("scale", weights.scale), graph.put("shift", weights.shift)]
        tables = [graph.put("words", weights.words), graph.put("positions", weights.positions)]
        graph.nodes(
            "EmbedLayerNormalization", ["ids", "", *tables, "", *norm], ["embedded", "unused"], FUSED,
            epsilon=LAYER_NORM_EPSILON,
        )  # fmt: skip
        hidden = "embedded"
        for number in range(len(weights.layers)):
            hidden = _add_layer(graph, weights, number, hidden)
        output = add_sums(graph, hidden)
        shape = ("batch", "tokens")
        inputs = {name: (np.int32, shape) for name in ("ids", "mask")}
        self._session = graph.start(inputs, (output, ("batch", weights.words.shape[1])), threads)

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        sums: NDArray[np.float32] = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return sums


def add_sums(graph: OnnxGraph, hidden: str) -> str:
    """Append the sum of the last hidden state (b, s, d) over each text's own tokens: (b, d)."""
    axis = graph.constant("axis", np.array([1], dtype=np.int64))
    ones = graph.node("Unsqueeze", [graph.node("Cast", ["mask"], to=1), axis])  # 1: float32
    return graph.node("Squeeze", [graph.node("MatMul", [ones, hidden]), axis], output="sums")


def add_and_norm(graph: OnnxGraph, weights: BertWeights, number: int, value: str, skip: str, part: str) -> str:
    """Append `skip` + value + bias, and the layer norm of that."""
    layer = weights.layers[number]
    named = [
        graph.put(f"{part}_{what}_{number}", getattr(layer, f"{part}_{what}")) for what in ("scale", "shift", "bias")
    ]
    return graph.node("SkipLayerNormalization", [value, skip, *named], domain=FUSED, epsilon=LAYER_NORM_EPSILON)


def _add_layer(graph: OnnxGraph, weights: BertWeights, number: int, hidden: str) -> str:
    """Append one layer; returns the name of its output."""
    layer = weights.layers[number]

    def named(part: str) -> str:
        return graph.put(f"{part}_{number}", getattr(layer, part))

    inputs = [hidden, named("qkv"), named("qkv_bias"), "mask"]
    attention = graph.node("Attention", inputs, domain=FUSED, num_heads=weights.heads)
    seen = graph.node("MatMul", [attention, named("attended")])
    attended = add_and_norm(graph, weights, number, seen, hidden, "attended")
    inner = graph.node("MatMul", [attended, named("inner")])
    acted = graph.node("BiasGelu", [inner, named("inner_bias")], domain=FUSED)
    return add_and_norm(graph, weights, number, graph.node("MatMul", [acted, named("outer")]), attended, "outer")
