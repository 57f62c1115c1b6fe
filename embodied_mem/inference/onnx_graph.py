"""An ONNX graph that is made in memory and executed by ONNX Runtime, with weights handed over as arrays.

The graph itself is some kilobytes: no second copy of a model lies on disk that could be stale or torn, and starting
takes no longer than reading a finished file would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnavailableError

FUSED = "com.microsoft"  # the domain of ONNX Runtime's own operators
_OPSET = 17
_IR_VERSION = 8


class OnnxGraph:
    """Nodes and weights, put in one after the other; `start` makes a session of them."""

    def __init__(self) -> None:
        """Raises UnavailableError when onnx or onnxruntime is not installed."""
        try:
            import onnx
        except ImportError as error:
            raise UnavailableError("The package onnx is not installed: pip install onnx.") from error
        try:
            import onnxruntime
        except ImportError as error:
            raise UnavailableError("The package onnxruntime is not installed: pip install onnxruntime.") from error
        self._onnx, self._runtime = onnx, onnxruntime
        self._nodes: list[Any] = []
        self._arrays: dict[str, NDArray[Any]] = {}
        self._constants: list[Any] = []

    def put(self, name: str, array: NDArray[Any]) -> str:
        """A weight; returns its name."""
        self._arrays[name] = np.ascontiguousarray(array)
        return name

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """A small array that stands in the graph itself, such as an axis; returns its name."""
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], *, domain: str = "", output: str = "", **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        output = output or f"{kind}_{len(self._nodes)}"
        self.nodes(kind, inputs, [output], domain=domain, **attributes)
        return output

    def nodes(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str, **attributes: Any) -> None:
        """Append a node with several outputs."""
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), list(outputs), domain=domain, **attributes))

    def start(
        self, inputs: Mapping[str, tuple[type, Sequence[Any]]], output: tuple[str, Sequence[Any]], threads: int
    ) -> Any:
        """A session. inputs: name -> (numpy type, shape, with names for what varies); output: name, shape, float32."""
        helper, runtime = self._onnx.helper, self._runtime
        graph = helper.make_graph(
            self._nodes, "network",
            [helper.make_tensor_value_info(name, self._type(kind), shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(output[0], self._type(np.float32), output[1])],
            [*self._constants, *(self._external(name, array) for name, array in self._arrays.items())],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(FUSED, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        values = [runtime.OrtValue.ortvalue_from_numpy(array) for array in self._arrays.values()]
        options.add_external_initializers(list(self._arrays), values)
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def _type(self, kind: Any) -> int:
        number: int = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return number

    def _external(self, name: str, array: NDArray[Any]) -> Any:
        """A tensor without content: the session is given the array under this name."""
        entries = {"location": "memory", "offset": "0", "length": str(array.nbytes)}
        return self._onnx.TensorProto(
            name=name,
            dims=array.shape,
            data_type=self._type(array.dtype),
            data_location=self._onnx.TensorProto.EXTERNAL,
            external_data=[self._onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items()],
        )
