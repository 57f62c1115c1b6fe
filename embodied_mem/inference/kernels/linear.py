"""One matrix in few bits, executed by the back-end that was measured to be fastest for so many rows.

    linear = LowBitLinear(tensor, {"reference": Reference(tensor), "nbits": OnnxLinear(tensor, "nbits")})
    linear.measure()
    y = linear(x)                       # (m, k) -> (m, n)

Back-ends that code the inputs too are near the reference, and not equal to it: a caller who mixes them gets, for
different numbers of rows, slightly different numbers. So which ones may be mixed is the caller's choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.kernels.onnx_nodes import add_linear
from embodied_mem.inference.onnx_graph import OnnxGraph
from embodied_mem.inference.quantize.tensor import QuantizedTensor, Weights

BackEnd = Callable[[Weights], Weights]
_REPEATS = 5
_MOST_ROWS = 1024


class Reference:
    """What every back-end is held against: float32 weights, made once, and numpy's product."""

    def __init__(self, tensor: QuantizedTensor) -> None:
        self._weights = np.ascontiguousarray(tensor.dequantize().T)

    def __call__(self, x: Weights) -> Weights:
        return np.asarray(x @ self._weights)


class OnnxLinear:
    """ONNX Runtime, by one of the kinds of `onnx_nodes`."""

    def __init__(self, tensor: QuantizedTensor, kind: str, threads: int = 1) -> None:
        """Raises BadInputError for a kind that cannot execute it, UnavailableError without ONNX Runtime."""
        graph = OnnxGraph()
        output = add_linear(graph, "weights", tensor, "x", kind)
        rows, inputs = tensor.shape
        self._session = graph.start({"x": (np.float32, ("rows", inputs))}, (output, ("rows", rows)), threads)

    def __call__(self, x: Weights) -> Weights:
        return np.asarray(self._session.run(None, {"x": x})[0])


class LowBitLinear:
    """y = x @ wᵀ; see the module docstring. Before `measure`, the first back-end executes everything."""

    def __init__(self, tensor: QuantizedTensor, backends: Mapping[str, BackEnd]) -> None:
        """Raises BadInputError without a back-end."""
        if not backends:
            raise BadInputError("A product needs at least one back-end: give `Reference`, which runs anywhere.")
        self.tensor, self.backends = tensor, dict(backends)
        first = next(iter(self.backends))
        self.chosen = [first] * (_MOST_ROWS.bit_length())

    def measure(self, clock: Callable[[], float] = time.thread_time, seed: int = 0) -> dict[int, dict[str, float]]:
        """Time every back-end at 1, 2, 4, ... rows and keep the fastest for each; returns the medians, seconds.

        Explicit, never on the way of a request.
        """
        rng = np.random.default_rng(seed)
        table: dict[int, dict[str, float]] = {}
        for place in range(len(self.chosen)):
            x = rng.normal(size=(2**place, self.tensor.shape[1])).astype(np.float32)
            table[2**place] = {name: _median(backend, x, clock) for name, backend in self.backends.items()}
            self.chosen[place] = min(table[2**place], key=table[2**place].__getitem__)
        return table

    def backend_for(self, rows: int) -> str:
        """The name of the one that executes so many rows."""
        return self.chosen[min(max(rows - 1, 0).bit_length(), len(self.chosen) - 1)]

    def __call__(self, x: NDArray[np.floating]) -> Weights:
        """(m, k) -> (m, n) float32. Raises BadInputError for another shape."""
        if x.ndim != 2 or x.shape[1] != self.tensor.shape[1]:
            raise BadInputError(f"Inputs (m, {self.tensor.shape[1]}) are wanted, not an array of shape {x.shape}.")
        return self.backends[self.backend_for(len(x))](np.ascontiguousarray(x, dtype=np.float32))


def _median(backend: BackEnd, x: Weights, clock: Callable[[], float]) -> float:
    backend(x)
    seconds = []
    for _ in range(_REPEATS):
        begin = clock()
        backend(x)
        seconds.append(clock() - begin)
    return float(np.median(seconds))
