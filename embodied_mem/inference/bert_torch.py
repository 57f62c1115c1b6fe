"""A BERT encoder on torch, for machines that have torch but no ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnavailableError
from embodied_mem.inference.bert import LAYER_NORM_EPSILON, BertWeights


class TorchEncoder:
    """Runs a `BertWeights` by plain torch functions on the CPU. See `Encoder`.

    The number of threads is torch's own setting, which belongs to the process and is left alone.
    """

    def __init__(self, weights: BertWeights) -> None:
        """Raises UnavailableError when torch is not installed."""
        try:
            import torch
        except ImportError as error:
            raise UnavailableError("The package torch is not installed: pip install torch.") from error
        self._torch = torch
        self._heads = weights.heads
        self._words = torch.from_numpy(weights.words)
        self._positions = torch.from_numpy(weights.positions)
        self._norm = (torch.from_numpy(weights.scale), torch.from_numpy(weights.shift))
        # torch.nn.functional.linear multiplies by the transpose: these are views, the memory stays as it is read best.
        self._layers = [
            {name: torch.from_numpy(getattr(layer, name)) for name in layer.__slots__} for layer in weights.layers
        ]

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        torch = self._torch
        functional = torch.nn.functional
        batch, tokens = ids.shape
        width = self._words.shape[1]
        padded = bool((mask == 0).any())
        visible = torch.from_numpy(mask.astype(bool))[:, None, None, :] if padded else None

        def norm(value: Any, scale: Any, shift: Any) -> Any:
            return functional.layer_norm(value, (width,), scale, shift, LAYER_NORM_EPSILON)

        def linear(value: Any, layer: dict[str, Any], name: str) -> Any:
            return functional.linear(value, layer[name].T, layer[f"{name}_bias"])

        with torch.inference_mode():
            hidden = self._words[torch.from_numpy(ids.astype(np.int64))] + self._positions[:tokens]
            hidden = norm(hidden, *self._norm)
            for layer in self._layers:
                qkv = linear(hidden, layer, "qkv").view(batch, tokens, 3, self._heads, width // self._heads)
                queries, keys, values = qkv.permute(2, 0, 3, 1, 4)
                seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=visible)
                seen = seen.transpose(1, 2).reshape(batch, tokens, width)
                hidden = norm(
                    hidden + linear(seen, layer, "attended"), layer["attended_scale"], layer["attended_shift"]
                )
                inner = functional.gelu(linear(hidden, layer, "inner"))
                hidden = norm(hidden + linear(inner, layer, "outer"), layer["outer_scale"], layer["outer_shift"])
            sums = (hidden * torch.from_numpy(mask.astype(np.float32))[:, :, None]).sum(dim=1)
        result: NDArray[np.float32] = sums.numpy()
        return result
