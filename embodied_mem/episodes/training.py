"""Training a reader: questions made on the fly, the answer's cross-entropy as loss, until it no longer falls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from embodied_mem.episodes.coding import IntArray, place_code
from embodied_mem.episodes.model import Reader
from embodied_mem.episodes.shape import PLACE_CHUNKS, ReaderShape
from embodied_mem.episodes.tasks import NEXT, WHERE, Batch

Make = Callable[[np.random.Generator], Batch]
Keep = Callable[[Batch, np.random.Generator], IntArray]  # (B, capacity) steps that memory still holds
_LOOK = 50  # steps between looks at the loss


@dataclass(frozen=True, slots=True)
class Plan:
    """steps at most; lr: of Adam, falling as a cosine; patience: looks without a loss 1 % lower that end it early."""

    steps: int = 600
    lr: float = 3e-3
    patience: int = 6
    clip: float = 1.0


@dataclass(slots=True)
class Curve:
    """Of a training: step, loss and accuracy of each look, and the CPU seconds that it took."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    converged: bool = False


def train(
    shape: ReaderShape, make: Make, seed: int, plan: Plan | None = None, *, keep: Keep | None = None,
    reader: Reader | None = None,
) -> tuple[Reader, Curve]:  # fmt: skip
    """A reader trained on batches from `make`; `keep` says what memory still holds when the questions come.

    reader  one to train on; default: a new one of this shape
    """
    plan = plan or Plan()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    reader = reader or Reader(shape)
    optimiser = torch.optim.Adam(reader.parameters(), lr=plan.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps, eta_min=plan.lr / 20)
    curve, begin = Curve(), time.process_time()
    losses: list[float] = []
    rights: list[float] = []
    best, waited = np.inf, 0
    for step in range(1, plan.steps + 1):
        batch = make(rng)
        loss, right, _ = losses_of(reader, batch, None if keep is None else keep(batch, rng))
        optimiser.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(reader.parameters(), plan.clip)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.mean().detach()))
        rights.append(float(right.mean()))
        if step % _LOOK == 0:
            now = float(np.mean(losses[-_LOOK:]))
            curve.steps.append(step)
            curve.loss.append(now)
            curve.accuracy.append(float(np.mean(rights[-_LOOK:])))
            waited = 0 if now < 0.99 * best else waited + 1
            best = min(best, now)
            if waited >= plan.patience:
                curve.converged = True
                break
    curve.cpu_s = time.process_time() - begin
    return reader, curve


def losses_of(
    reader: Reader, batch: Batch, kept: IntArray | None = None
) -> tuple[torch.Tensor, NDArray[np.float64], NDArray[np.float64]]:
    """Loss (B, Q) with gradients, whether the answer is right (B, Q), and how many tokens were read (B, Q)."""
    shape = reader.shape
    memories = batch.memories if kept is None else batch.memories.at(kept)
    places = batch.places if kept is None else np.take_along_axis(batch.places, kept, axis=1)
    rooms = len(batch.rooms)
    if shape.reads == PLACE_CHUNKS:
        chunk = places
    else:
        chunk = np.broadcast_to(np.arange(places.shape[1]) // shape.chunk, places.shape)
    chunks = F.one_hot(torch.from_numpy(np.ascontiguousarray(chunk)), max(rooms, int(chunk.max()) + 1)).float()
    tokens = torch.from_numpy(memories.tokens(shape.knows))
    asked = torch.from_numpy(batch.questions.tokens())
    answers, attention = reader(asked, torch.from_numpy(batch.kinds), tokens, chunks)
    codes, rooms_codes = torch.from_numpy(batch.codes), torch.from_numpy(place_code(batch.rooms))
    by_code, by_place = reader.choose(answers, codes, rooms_codes)
    target = torch.from_numpy(batch.answers)
    of_place = torch.from_numpy(np.isin(batch.kinds, (WHERE, NEXT)))
    as_code, as_place = torch.where(of_place, 0, target), torch.where(of_place, target, 0)
    loss = torch.where(of_place, _entropy(by_place, as_place), _entropy(by_code, as_code))
    chosen = torch.where(of_place, by_place.argmax(dim=-1), by_code.argmax(dim=-1))
    right = (chosen == target).numpy().astype(np.float64)
    return loss, right, (attention.detach().numpy() > 1e-9).sum(axis=-1)


def _entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(target.shape)
