"""The runtimes that bench/inference compares: each an `Encoder` of the same MiniLM, on one core."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnavailableError
from embodied_mem.inference.bert import LAYER_NORM_EPSILON, BertWeights, Encoder
from embodied_mem.inference.minilm import onnx_encoder, torch_encoder


def peers(source: BertWeights) -> tuple[dict[str, Encoder], list[str]]:
    """Those that are installed, by name, and a sentence for each that is not."""
    makers: dict[str, Callable[[BertWeights], Encoder]] = {
        "torch fp32": _torch_on_one_thread,
        "ONNX Runtime fp32": onnx_encoder,
        "torch dynamic int8": TorchModules.quantized,
        "OpenVINO fp32, static shapes": OpenVinoEncoder,
    }
    found, missing = {}, []
    for name, make in makers.items():
        try:
            found[name] = make(source)
        except (UnavailableError, ImportError) as error:
            missing.append(f"{name} is left out: {error}")
    return found, missing


def _torch_on_one_thread(source: BertWeights) -> Encoder:
    encoder = torch_encoder(source)
    _torch().set_num_threads(1)
    return encoder


def _torch() -> Any:
    import torch

    return torch


class TorchModules:
    """The encoder with its products as torch.nn.Linear, which torch's own dynamic quantisation replaces."""

    def __init__(self, source: BertWeights) -> None:
        torch = _torch()
        torch.set_num_threads(1)
        self._source = source
        self.linears = torch.nn.ModuleList()
        for layer in source.layers:
            for part in ("qkv", "attended", "inner", "outer"):
                matrix = getattr(layer, part)
                linear = torch.nn.Linear(*matrix.shape)
                linear.weight.data = torch.from_numpy(np.ascontiguousarray(matrix.T))
                linear.bias.data = torch.from_numpy(getattr(layer, f"{part}_bias"))
                self.linears.append(linear)
        self._norms = [
            tuple(torch.from_numpy(getattr(layer, f"{part}_{what}")) for what in ("scale", "shift"))
            for layer in source.layers
            for part in ("attended", "outer")
        ]
        self._tables = (torch.from_numpy(source.words), torch.from_numpy(source.positions))
        self._first = (torch.from_numpy(source.scale), torch.from_numpy(source.shift))

    @classmethod
    def quantized(cls, source: BertWeights) -> TorchModules:
        made = cls(source)
        torch = _torch()
        made.linears = torch.ao.quantization.quantize_dynamic(made.linears, {torch.nn.Linear}, dtype=torch.qint8)
        return made

    def forward(self, ids: Any, mask: Any) -> Any:
        """(b, s) int64 and float32 tensors -> (b, d) sums over each text's tokens."""
        torch = _torch()
        functional = torch.nn.functional
        heads, width = self._source.heads, self._source.words.shape[1]

        def norm(value: Any, pair: Any) -> Any:
            return functional.layer_norm(value, (width,), *pair, LAYER_NORM_EPSILON)

        hidden = norm(self._tables[0][ids] + self._tables[1][: ids.shape[1]], self._first)
        visible = (mask > 0)[:, None, None, :]
        for number in range(len(self._source.layers)):
            qkv, attended, inner, outer = self.linears[4 * number : 4 * number + 4]
            parts = qkv(hidden).view(*ids.shape, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=visible)
            hidden = norm(hidden + attended(seen.transpose(1, 2).reshape(*ids.shape, width)), self._norms[2 * number])
            hidden = norm(hidden + outer(functional.gelu(inner(hidden))), self._norms[2 * number + 1])
        return (hidden * mask[:, :, None]).sum(dim=1)

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        torch = _torch()
        with torch.inference_mode():
            sums = self.forward(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(mask.astype(np.float32)))
        result: NDArray[np.float32] = sums.numpy()
        return result


class OpenVinoEncoder:
    """OpenVINO on one thread, compiled anew for every shape (warm-up pays for that)."""

    def __init__(self, source: BertWeights) -> None:
        openvino: Any = importlib.import_module("openvino")

        torch = _torch()
        modules = TorchModules(source)

        class Module(torch.nn.Module):  # type: ignore[name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.linears = modules.linears

            def forward(self, ids: Any, mask: Any) -> Any:
                return modules.forward(ids, mask)

        self._openvino, self._module = openvino, Module().eval()
        self._core = openvino.Core()
        self._compiled: dict[tuple[int, ...], Any] = {}

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        inputs = (ids.astype(np.int64), mask.astype(np.float32))
        if ids.shape not in self._compiled:
            torch = _torch()
            with torch.inference_mode():
                model = self._openvino.convert_model(
                    self._module,
                    example_input=tuple(torch.from_numpy(value) for value in inputs),
                    input=[list(ids.shape), list(ids.shape)],
                )
            options = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
            self._compiled[ids.shape] = self._core.compile_model(model, "CPU", options)
        result: NDArray[np.float32] = next(iter(self._compiled[ids.shape](inputs).values())).copy()
        return result
