"""The spatially-aware reader, to be trained (torch). `reading.py` reads with its weights and needs no torch.

A question is a stream of its own: in each layer it attends to the memories, which are never rewritten, so the keys and
values of a memory are made once. Reading is flat (every memory), or by chunks of time or of place, coarse to fine: the
chunks' summaries first, then inside the best few, whose sums are weighted by the softmax over the chosen (Hierarchical
Chunk Attention Memory, NeurIPS 2021). Places as chunks make a place memory (Spatially-Aware Transformer, ICLR 2024).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from embodied_mem.episodes.coding import BLOCKS, CODE, PLACE, WIDTH
from embodied_mem.episodes.shape import FLAT, ReaderShape

_HIDDEN_SCALE = 0.02


class Layer(nn.Module):
    """One attention of the questions over the memories, and a small network after it."""

    def __init__(self, shape: ReaderShape) -> None:
        super().__init__()
        eye = torch.eye(WIDTH)
        self.query, self.key = nn.Parameter(eye * shape.sharpness**0.5), nn.Parameter(eye * shape.sharpness**0.5)
        self.chunk = nn.Parameter(eye * shape.sharpness**0.5)  # key of a chunk, from its mean token
        self.value, self.out = nn.Parameter(eye.clone()), nn.Parameter(eye.clone())
        self.into = nn.Parameter(torch.randn(WIDTH, shape.hidden) * WIDTH**-0.5)
        self.bias = nn.Parameter(torch.zeros(shape.hidden))
        self.back = nn.Parameter(torch.randn(shape.hidden, WIDTH) * _HIDDEN_SCALE)

    def forward(self, asked: Any, tokens: Any, chunks: Any, flat: Any, shape: ReaderShape) -> tuple[Any, Any]:
        """asked (B, Q, W), tokens (B, T, W), chunks (B, T, C) one-hot, flat (B, Q) -> asked, attention (B, Q, T)."""
        query = asked @ self.query
        logits = query @ self.key.T @ tokens.transpose(1, 2)  # the key projection taken into the question: less work
        if shape.reads == FLAT:
            attention = torch.softmax(logits, dim=-1)
        else:
            counts = chunks.sum(dim=1)
            means = chunks.transpose(1, 2) @ tokens / counts.clamp(min=1)[..., None]
            coarse = query @ self.chunk.T @ means.transpose(1, 2)
            coarse = coarse.masked_fill(counts[:, None] == 0, -torch.inf)
            top, which = coarse.topk(min(shape.top, coarse.shape[-1]), dim=-1)  # (B, Q, k)
            inside = torch.take_along_dim(
                chunks.transpose(1, 2)[:, None].expand(-1, which.shape[1], -1, -1), which[..., None], dim=2
            )
            fine = torch.softmax(logits[:, :, None].masked_fill(inside == 0, -1e9), dim=-1)
            attention = (torch.softmax(top, dim=-1)[..., None] * fine).sum(dim=2)
            if shape.flat_kinds:
                attention = torch.where(flat[..., None], torch.softmax(logits, dim=-1), attention)
        asked = asked + attention @ tokens @ self.value @ self.out
        return asked + F.gelu(asked @ self.into + self.bias, approximate="tanh") @ self.back, attention


class Reader(nn.Module):
    """Answers questions from memories; see the module docstring."""

    def __init__(self, shape: ReaderShape) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.kind = nn.Parameter(torch.zeros(shape.kinds, WIDTH))
        self.head = nn.Parameter(torch.eye(WIDTH))
        self.code_scale = nn.Parameter(torch.tensor(8.0))
        self.place_scale = nn.Parameter(torch.tensor(8.0))

    def forward(self, asked: Any, kinds: Any, tokens: Any, chunks: Any) -> tuple[Any, Any]:
        """asked (B, Q, W) tokens, kinds (B, Q), tokens (B, T, W), chunks (B, T, C) -> answer (B, Q, W), attention."""
        asked = asked + self.kind[kinds]
        attention = None
        flat = torch.isin(kinds, torch.tensor(self.shape.flat_kinds, dtype=torch.int64))
        for layer in self.layers:
            asked, attention = layer(asked, tokens, chunks, flat, self.shape)
        return asked @ self.head, attention

    def choose(self, answers: Any, codes: Any, places: Any) -> tuple[Any, Any]:
        """Logits over codes (E, CODE) and over places (R, PLACE), for answers (B, Q, W)."""
        code = answers[..., BLOCKS["code"]] @ codes.T * self.code_scale
        place = answers[..., BLOCKS["place"]] @ places.T * self.place_scale
        assert codes.shape[-1] == CODE and places.shape[-1] == PLACE
        return code, place


def weights_of(reader: Reader) -> dict[str, Any]:
    """The weights as numpy arrays by name, for `weights.save` and `reading.Reading`."""
    return {name: value.detach().numpy().copy() for name, value in reader.state_dict().items()}


def described(reader: Reader) -> dict[str, Any]:
    """The shape of a reader as plain facts."""
    return asdict(reader.shape)
