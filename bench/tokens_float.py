"""The reversible network in floating point: how far its inverse is from exact (needs torch)."""

from __future__ import annotations

import torch

from embodied_mem.tokens.model import ReversibleTokens
from embodied_mem.tokens.weights import LATENT, TOKEN

_TYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def noisy_model(depth: int, seed: int) -> ReversibleTokens:
    """Random weights in every part, small enough that tokens stay of the size of observations."""
    model = ReversibleTokens(LATENT, TOKEN, depth, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "skip" not in name:
                values += 0.02 * torch.randn(values.shape, generator=generator)
    return model


def inverse_errors(depths: tuple[int, ...], writes: int, seed: int) -> tuple[list[str], list[list[float]]]:
    """Rows of depth, and for each type the largest error of any number of `writes` observations that come back."""
    generator = torch.Generator().manual_seed(seed)
    sequences = torch.nn.functional.normalize(torch.randn(2, writes, LATENT, generator=generator), dim=2)
    rows = []
    for depth in depths:
        row: list[float] = [depth]
        for kind in _TYPES.values():
            model, given = noisy_model(depth, seed).to(kind), sequences.to(kind)
            with torch.no_grad():
                tokens, halves = model.write_all(given)
                _, back = model.invert_all(tokens[:, -1], halves)
            row.append(float((back.double() - given.double()).abs().max()))
        rows.append(row)
    return ["depth", *_TYPES], rows


def rebuilt_difference(seed: int) -> float:
    """The largest difference of tokens and halves written one element at a time or all at once, single precision."""
    generator = torch.Generator().manual_seed(seed)
    sequences = torch.nn.functional.normalize(torch.randn(2, 64, LATENT, generator=generator), dim=2)
    model = noisy_model(6, seed)
    with torch.no_grad():
        tokens, halves = model.write_all(sequences)
        alone = [model.write_all(each[None]) for each in sequences]
    return max(
        float((torch.cat([token for token, _ in alone]) - tokens).abs().max()),
        float((torch.cat([half for _, half in alone]) - halves).abs().max()),
    )
