"""The reversible network in floating point, to be trained: the formulas of coupling.py in torch.

It is as invertible as floating point lets it be: how far that is, by depth and type, `bench.tokens` measures. What
runs on a robot is the whole-number network that `to_fixed` makes of it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from embodied_mem.tokens.coupling import AGES, SEGMENT, Network, Reader, exponentials
from embodied_mem.tokens.weights import ATTENDED, DEPTH, HIDDEN, fixed


class Side(nn.Module):
    """F or G of every block: `read` of coupling.py. Nothing is said until training opens the gates, but `skip`."""

    def __init__(self, depth: int, x: int, y: int, skip: Tensor, generator: torch.Generator) -> None:
        super().__init__()

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator) / shape[-1] ** 0.5)

        self.query = normal(depth, ATTENDED, x)
        self.hidden = normal(depth, HIDDEN, x + ATTENDED)
        self.bias = nn.Parameter(torch.zeros(depth, HIDDEN))
        self.out = nn.Parameter(torch.zeros(depth, y, HIDDEN))
        self.gate = nn.Parameter(torch.ones(depth, AGES))
        self.skip = nn.Parameter(torch.cat([skip[None], torch.zeros(depth - 1, AGES)]))

    def read(self, block: int, ages: Tensor, x: Tensor, memories: Tensor) -> Tensor:
        """(n, y) for x (n, x), ages (n,) and the memories (n, known, ATTENDED) of earlier halves."""
        if memories.shape[1]:
            weights = torch.softmax((memories @ (x @ self.query[block].T)[:, :, None])[:, :, 0], dim=1)
            attended = (weights[:, None] @ memories)[:, 0]
        else:
            attended = x.new_zeros(len(x), memories.shape[2])
        hidden = torch.relu(torch.cat([x, attended], dim=1) @ self.hidden[block].T + self.bias[block])
        out = self.gate[block][ages][:, None] * (hidden @ self.out[block].T)
        kept = min(x.shape[1], out.shape[1])
        straight = self.skip[block][ages][:, None] * x[:, :kept]
        return out + nn.functional.pad(straight, (0, out.shape[1] - kept))


class ReversibleTokens(nn.Module):
    """Writes and inverts n elements at once. Starts as the running mean of what was written (weights.untrained)."""

    def __init__(self, latent: int, token: int, depth: int = DEPTH, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        ages = torch.arange(AGES)
        self.latent, self.token, self.depth = latent, token, depth
        self.predict = Side(depth, token, latent, (ages > 0).float(), generator)
        self.update = Side(depth, latent, token, 1 / (1 + ages), generator)
        self.memory = nn.Parameter(torch.randn((ATTENDED, latent), generator=generator) / latent**0.5)
        self.readout = nn.Parameter(torch.eye(latent, token))

    def write(self, token: Tensor, b: Tensor, memories: Tensor, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Token (n, w) and observation (n, r) become the token after it and the other half."""
        for block in range(self.depth):
            b = b - self.predict.read(block, ages, token, memories)
            token = token + self.update.read(block, ages, b, memories)
        return token, b

    def invert(self, token: Tensor, half: Tensor, memories: Tensor, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Token and other half become the token before and the observation."""
        for block in reversed(range(self.depth)):
            token = token - self.update.read(block, ages, half, memories)
            half = half + self.predict.read(block, ages, token, memories)
        return token, half

    def remembered(self, halves: list[Tensor], like: Tensor) -> Tensor:
        """(n, known, ATTENDED): what attention keeps of the halves (n, r) of a segment so far."""
        if not halves:
            return like.new_zeros(len(like), 0, ATTENDED)
        return torch.stack(halves, dim=1) @ self.memory.T

    def write_all(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Sequences (n, t, r) into empty tokens: (n, t, w) tokens after each write, and (n, t, r) the halves."""
        token = latents.new_zeros(len(latents), self.token)
        tokens: list[Tensor] = []
        halves: list[Tensor] = []
        for i in range(latents.shape[1]):
            memories = self.remembered(halves[i - i % SEGMENT :], token)
            ages = torch.full((len(latents),), min(i, AGES - 1))
            token, half = self.write(token, latents[:, i], memories, ages)
            tokens.append(token)
            halves.append(half)
        return torch.stack(tokens, dim=1), torch.stack(halves, dim=1)

    def invert_all(self, token: Tensor, halves: Tensor) -> tuple[Tensor, Tensor]:
        """The last tokens (n, w) and halves (n, t, r): the first tokens, and the sequences (n, t, r)."""
        given = list(halves.unbind(dim=1))
        found: list[Tensor] = []
        for i in reversed(range(len(given))):
            memories = self.remembered(given[i - i % SEGMENT : i], token)
            ages = torch.full((len(token),), min(i, AGES - 1))
            token, observation = self.invert(token, given[i], memories, ages)
            found.append(observation)
        return token, torch.stack(found[::-1], dim=1)

    def to_fixed(self) -> Network:
        """The network in whole numbers. Raises BadInputError for weights that do not fit."""

        def side(module: Side) -> Reader:
            return Reader(*(fixed(_array(getattr(module, name))) for name in Reader._fields))

        return Network(side(self.predict), side(self.update), fixed(_array(self.memory)), exponentials())


def _array(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.detach().cpu().double().numpy())
