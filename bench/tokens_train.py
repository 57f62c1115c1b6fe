"""Train the tokens: `python -m bench.tokens_train [--write] [--blocks] [--embedder minilm|hashing]` (needs torch).

On drives that sim/house and sim/street make (bench/tokens_world.py), with fixed seeds, on one core in some CPU-minutes.
The projection is that of the principal components; the network is trained on sequences of writes to one voxel, and the
question projection on the questions. The loss is the sum of

    rate       bits of the other halves on the grid, under normal distributions whose scales are learnt along: the token
               must reconstruct what is masked from it, the next observation, or it is paid for
    mask       1 - cosine of what the token says (readout) and the next observation, which it has not seen
    cycle      what comes back when halves and tokens are disturbed by half a step: the inverse must be well conditioned
    size       of tokens: one that grows with every write would take in what it cannot hold for long
    retrieval  -log of the softmax weight of the right records among a drive's, by question (van den Oord et al., 2018)

Without --blocks, which is how the shipped checkpoint was made, the network is the first block alone: its two gains are
chosen by the bytes of a house's and a street's halves, and the blocks after it say nothing. Whether blocks that
gradients trained for longer need fewer has not been measured. With --write the checkpoint goes to embodied_mem/tokens/.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.tokens_world import HOUSE_TRAINING, STREET_TRAINING, Drive, house_drive, street_drive
from embodied_mem.inference.select import default_embedder
from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.coupling import AGES, remember_half, scratch, write
from embodied_mem.tokens.entropy import best_scales, code_length
from embodied_mem.tokens.model import ReversibleTokens
from embodied_mem.tokens.weights import (
    AGE_GROUPS,
    LATENT,
    POINTS,
    TOKEN,
    UNIT,
    TokenWeights,
    fixed,
    low_bits,
    save_weights,
    untrained,
)  # fmt: skip

FloatArray = NDArray[np.float64]
TARGET = Path(__file__).resolve().parents[1] / "embodied_mem" / "tokens"
HOUSE_VOXEL, STREET_VOXEL = 2.0, 40.0  # metres
_LONG = 20  # writes in a sequence: more than twice as many as there are ages
_BATCH, _STEPS = 32, 100
_LONGEST_ROW = 15.0  # sum of magnitudes
_LARGE = 0.5  # numbers of a token may be so large for nothing
_POINT = 5
_STEP = 2.0**-5  # of the grid that is trained for
_TEMPERATURE = 0.05
_WEIGHTS = {"rate": 1.0, "mask": 0.2, "cycle": 0.1, "size": 10.0, "retrieval": 0.1}


def voxel_sequences(drive: Drive, size: float) -> list[NDArray[np.int64]]:
    """The rows of each voxel's records, in order of time."""
    cells = np.floor(drive.positions / size).astype(np.int64)
    which = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(which, kind="stable")
    return [np.sort(part) for part in np.split(order, np.cumsum(np.bincount(which))[:-1])]


def principal(drives: Sequence[Drive], latent: int) -> FloatArray:
    """(latent, d) orthogonal directions: each drive, and its questions at a tenth, counts the same."""
    total = np.zeros((drives[0].vectors.shape[1],) * 2)
    for drive in drives:
        for rows, share in ((drive.vectors, 1.0), (drive.asked, 0.1)):
            total += share * (rows.T.astype(np.float64) @ rows) / max(1, len(rows))
    values, vectors = np.linalg.eigh(total)
    return np.asarray(vectors[:, np.argsort(-values)[:latent]].T)


def train_gains(
    drives: Sequence[tuple[Drive, float]], name: str, *, seed: int = 0, steps: int = _STEPS
) -> TokenWeights:
    """Projections, gains of the first block and entropy tables from drives with their voxel sizes."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    down = principal([drive for drive, _ in drives], LATENT)
    latents = [torch.tensor(drive.vectors @ down.T, dtype=torch.float32) for drive, _ in drives]
    question = nn.Parameter(torch.tensor(down, dtype=torch.float32))
    optimiser = torch.optim.Adam([question], lr=1e-3)
    for _ in range(steps):
        at = int(rng.integers(len(drives)))
        loss = _retrieval(question, latents[at], drives[at][0], rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    chosen, found = [drives[0], drives[-2]], []  # a house and a street
    for g, f in itertools.product((0.8, 0.9), (0.5, 0.7)):
        weights = _first_block(name, down, question.detach().numpy(), g, f)
        halves = [part for part in halves_by_age(weights, chosen, _POINT) if len(part)]
        size = sum(code_length(part, low_bits(_POINT)) for part in halves) / 8 / sum(map(len, halves))
        print(f"g {g}  f {f}  {size:.1f} bytes a write", flush=True)
        found.append((size, weights))
    return with_scales(min(found, key=lambda pair: pair[0])[1], drives)


def _first_block(name: str, down: FloatArray, question: NDArray[np.float32], g: float, f: float) -> TokenWeights:
    """b <- x - g a, a <- a + f b; the first write is taken whole."""
    bare = untrained(name, down.shape[1], latent=LATENT)
    old = np.arange(AGES) > 0
    bare.network.predict.skip[0] = fixed(g * old)
    bare.network.update.skip[0] = fixed(np.where(old, f, 1.0))
    return TokenWeights(name, fixed(down, UNIT), bare.network, bare.scales, question, bare.readout)


def train(
    drives: Sequence[tuple[Drive, float]], model_name: str, *, seed: int = 0, steps: int = _STEPS
) -> TokenWeights:
    """The weights of every block, learnt by gradients from drives with their voxel sizes."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    down = principal([drive for drive, _ in drives], LATENT)
    latents = [torch.tensor(drive.vectors @ down.T, dtype=torch.float32) for drive, _ in drives]
    sequences = [
        (i, rows) for i, (drive, size) in enumerate(drives) for rows in voxel_sequences(drive, size) if len(rows) > 1
    ]
    long = np.array([len(rows) for _, rows in sequences], dtype=np.float64)
    model = ReversibleTokens(LATENT, TOKEN, seed=seed)
    spread = nn.Parameter(torch.full((AGES, LATENT), -2.5))  # log of the scales of the halves
    question = nn.Parameter(torch.tensor(down, dtype=torch.float32))
    optimiser = torch.optim.Adam([
        {"params": [p for n, p in model.named_parameters() if "skip" not in n], "lr": 2e-3},
        {"params": [model.predict.skip, model.update.skip, spread], "lr": 1e-2}, {"params": [question], "lr": 1e-3},
    ])  # fmt: skip
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [2e-3, 1e-2, 1e-3], total_steps=steps, pct_start=0.1)
    for step in range(steps):
        batch = []
        for at in rng.choice(len(sequences), _BATCH, p=long / long.sum()):
            i, rows = sequences[at]
            begin = int(rng.integers(max(1, len(rows) - _LONG + 1)))
            batch.append(latents[i][torch.tensor(rows[begin : begin + _LONG])])
        losses = _losses(model, spread, batch)
        drive = int(rng.integers(len(drives)))
        losses["retrieval"] = _retrieval(question, latents[drive], drives[drive][0], rng)
        loss = torch.stack([_WEIGHTS[name] * value for name, value in losses.items()]).sum()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
        optimiser.step()
        schedule.step()
        _bound(model)
        if step % 50 == 0 or step == steps - 1:
            told = "  ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            print(f"{step:5d}  {told}  {time.process_time():.0f} CPU-s", flush=True)
    return _weights(model, down, question, model_name, drives)


def _bound(model: ReversibleTokens) -> None:
    """Keep sums within 32 bits (weights.py), and tokens stable however many writes come.

    Only the first block writes into tokens, a <- a + f (x - g a), with 0 <= f, g <= 1: a contraction.
    """
    with torch.no_grad():
        for side in (model.predict, model.update):
            for rows in (side.query, side.hidden, side.out, model.memory):
                rows *= (_LONGEST_ROW / rows.abs().sum(dim=-1, keepdim=True).clamp(min=1e-9)).clamp(max=1.0)
            side.skip.clamp_(0.0, 1.0)
        model.update.out.zero_()
        model.update.skip[1:] = 0
        model.predict.out[0] = 0


def _losses(model: ReversibleTokens, spread: Tensor, batch: Sequence[Tensor]) -> dict[str, Tensor]:
    """rate (bits a latent), mask, cycle and size. Shorter sequences are padded, and the padding does not count."""
    longest = max(len(rows) for rows in batch)
    padded = torch.stack([nn.functional.pad(rows, (0, 0, 0, longest - len(rows))) for rows in batch])
    there = torch.stack([torch.arange(longest) < len(rows) for rows in batch])
    padded = padded + _STEP * (torch.rand(padded.shape) - 0.5)
    tokens, halves = model.write_all(padded)
    ages = torch.arange(longest).clamp(max=AGES - 1)
    scale = torch.sqrt(torch.exp(2 * spread[ages]) + _STEP**2 / 12)
    bits = (0.5 * (halves / scale) ** 2 + torch.log(scale / _STEP) + 0.919) / 0.6931
    said = tokens[:, :-1] @ model.readout.T
    ahead = 1 - nn.functional.cosine_similarity(said, padded[:, 1:], dim=2)
    noisy = halves[:, :2] + _STEP * (torch.rand(halves[:, :2].shape) - 0.5)
    token, back = model.invert_all(tokens[:, 1] + 0.1 * _STEP * torch.randn_like(tokens[:, 1]), noisy)
    cycle = ((back - padded[:, :2]) ** 2).mean() / _STEP**2 + (token**2).mean() / _STEP**2
    size = (torch.relu(tokens.abs() - _LARGE) ** 2).mean(dim=2)[there].mean()
    return {"rate": bits.mean(dim=2)[there].mean(), "mask": ahead[there[:, 1:]].mean(), "cycle": cycle, "size": size}


def _retrieval(question: Tensor, latents: Tensor, drive: Drive, rng: np.random.Generator) -> Tensor:
    chosen = rng.permutation(len(drive.asks))[:64]
    asked = nn.functional.normalize(torch.tensor(drive.asked[chosen]) @ question.T, dim=1)
    noisy = nn.functional.normalize(latents + _STEP * (torch.rand(latents.shape) - 0.5), dim=1)
    scores = asked @ noisy.T / _TEMPERATURE
    right = torch.full(scores.shape, -torch.inf)
    for row, i in enumerate(chosen):
        right[row, torch.tensor(drive.right[i])] = 0.0
    return (torch.logsumexp(scores, dim=1) - torch.logsumexp(scores + right, dim=1)).mean()


def _weights(
    model: ReversibleTokens, down: FloatArray, question: Tensor, name: str, drives: Sequence[tuple[Drive, float]]
) -> TokenWeights:
    """The whole-number network, with entropy tables chosen on the halves that it makes of the training drives."""
    bare = untrained(name, down.shape[1], latent=LATENT)
    weights = TokenWeights(
        name, fixed(down, UNIT), model.to_fixed(), bare.scales, question.detach().numpy(),
        model.readout.detach().numpy(),
    )  # fmt: skip
    return with_scales(weights, drives)


def with_scales(weights: TokenWeights, drives: Sequence[tuple[Drive, float]]) -> TokenWeights:
    """The weights with the entropy tables that need fewest bits for these drives."""
    scales = weights.scales.copy()
    for at, point in enumerate(POINTS):
        groups = halves_by_age(weights, drives, point)
        for group, halves in enumerate(groups):
            if len(halves):
                scales[at, group] = best_scales(halves, low_bits(point))
    return TokenWeights(weights.model, weights.down, weights.network, scales, weights.question, weights.readout)


def halves_by_age(weights: TokenWeights, drives: Sequence[tuple[Drive, float]], point: int) -> list[NDArray[np.int64]]:
    """The other halves of every write, for each group of ages (n, r)."""
    codec, net, room = TokenCodec(weights, point), weights.network, scratch(weights.network)
    found: list[list[NDArray[np.int64]]] = [[] for _ in range(AGE_GROUPS)]
    for drive, size in drives:
        latents = codec.latents(drive.vectors)
        for rows in voxel_sequences(drive, size):
            token = np.zeros(weights.token, np.int16)
            memories = np.zeros((8, net.memory.shape[0]), np.int16)
            for age, row in enumerate(rows):
                half = latents[row].copy()
                write(net, token, half, memories, age % 8, age, point, room)
                remember_half(net, half, point, room, memories[age % 8])
                found[min(AGE_GROUPS - 1, age.bit_length())].append(half)
    return [np.array(part).reshape(-1, weights.latent) for part in found]


def main() -> int:
    """Train, and write the checkpoint when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--blocks", action="store_true", help="train every block by gradients")
    parser.add_argument("--embedder", default="minilm", choices=("minilm", "hashing"))
    parser.add_argument("--steps", type=int, default=_STEPS)
    options = parser.parse_args()
    embedder = default_embedder(options.embedder)
    drives = [(house_drive(seed, embedder), HOUSE_VOXEL) for seed in HOUSE_TRAINING]
    drives += [(street_drive(seed, embedder, east=False), STREET_VOXEL) for seed in STREET_TRAINING]
    made = (train if options.blocks else train_gains)(drives, embedder.name, steps=options.steps)
    print(f"{time.process_time():.0f} CPU-s")
    if options.write:
        about = {"made by": "python -m bench.tokens_train --write", "embedder": embedder.name, "seed": "0"}
        save_weights(TARGET / f"{embedder.name}.safetensors", made, about)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
