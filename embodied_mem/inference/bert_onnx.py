"""A BERT encoder on ONNX Runtime: its graph is made here, in memory, from the weights.

The graph is some kilobytes: weights are handed to the session as arrays, so no second copy of a model lies on disk that
could be stale or torn, and starting takes no longer than reading a finished file would. Its nodes are ONNX Runtime's
fused ones (attention, skip + layer norm, bias + gelu): what its optimiser would make of an exported graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnavailableError
from embodied_mem.inference.bert import LAYER_NORM_EPSILON, BertWeights

_FUSED = "com.microsoft"  # the domain of ONNX Runtime's own operators
_OPSET = 17
_IR_VERSION = 8


class OnnxEncoder:
    """Runs a `BertWeights` on the CPU by ONNX Runtime. See `Encoder`."""

    def __init__(self, weights: BertWeights, threads: int = 1) -> None:
        """Raises UnavailableError when onnx or onnxruntime is not installed."""
        try:
            import onnxruntime
        except ImportError as error:
            raise UnavailableError("The package onnxruntime is not installed: pip install onnxruntime.") from error
        model, arrays = _graph(weights)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
        options.add_external_initializers(list(arrays), values)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        sums: NDArray[np.float32] = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return sums


def _graph(weights: BertWeights) -> tuple[bytes, dict[str, NDArray[np.float32]]]:
    """The serialised model, and by name the arrays that it refers to."""
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise UnavailableError("The package onnx is not installed: pip install onnx.") from error

    nodes: list[Any] = []
    arrays: dict[str, NDArray[np.float32]] = {}

    def put(name: str, array: NDArray[np.float32]) -> str:
        arrays[name] = array
        return name

    def node(kind: str, inputs: list[str], domain: str = _FUSED, **attributes: Any) -> str:
        output = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    words, positions = put("words", weights.words), put("positions", weights.positions)
    norm = [put("scale", weights.scale), put("shift", weights.shift)]
    embedded = helper.make_node(
        "EmbedLayerNormalization",
        ["ids", "", words, positions, "", *norm],
        ["embedded", "unused"],
        domain=_FUSED,
        epsilon=LAYER_NORM_EPSILON,
    )
    nodes.append(embedded)
    hidden = "embedded"
    for number in range(len(weights.layers)):
        hidden = _add_layer(weights, number, hidden, put, node)
    axis = onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")
    ones = node("Unsqueeze", [node("Cast", ["mask"], "", to=TensorProto.FLOAT), "axis"], "")
    node("Squeeze", [node("MatMul", [ones, hidden], ""), "axis"], "")
    nodes[-1].output[0] = "sums"

    width = weights.words.shape[1]
    graph = helper.make_graph(
        nodes,
        "bert",
        [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"]) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["batch", width])],
        [axis, *(_external(name, array) for name, array in arrays.items())],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
    return model, arrays


def _add_layer(
    weights: BertWeights,
    number: int,
    hidden: str,
    put: Callable[[str, NDArray[np.float32]], str],
    node: Callable[..., str],
) -> str:
    """Append one layer to the graph; returns the name of its output."""
    layer = weights.layers[number]

    def named(part: str) -> str:
        return put(f"{part}_{number}", getattr(layer, part))

    def add_and_norm(value: str, skip: str, part: str) -> str:
        inputs = [value, skip, named(f"{part}_scale"), named(f"{part}_shift"), named(f"{part}_bias")]
        return node("SkipLayerNormalization", inputs, epsilon=LAYER_NORM_EPSILON)

    attention = node("Attention", [hidden, named("qkv"), named("qkv_bias"), "mask"], num_heads=weights.heads)
    attended = add_and_norm(node("MatMul", [attention, named("attended")], ""), hidden, "attended")
    inner = node("BiasGelu", [node("MatMul", [attended, named("inner")], ""), named("inner_bias")])
    return add_and_norm(node("MatMul", [inner, named("outer")], ""), attended, "outer")


def _external(name: str, array: NDArray[np.float32]) -> Any:
    """A tensor without content: the session is given the array under this name."""
    from onnx import StringStringEntryProto, TensorProto

    entries = {"location": "memory", "offset": "0", "length": str(array.nbytes)}
    return TensorProto(
        name=name,
        dims=array.shape,
        data_type=TensorProto.FLOAT,
        data_location=TensorProto.EXTERNAL,
        external_data=[StringStringEntryProto(key=key, value=value) for key, value in entries.items()],
    )
