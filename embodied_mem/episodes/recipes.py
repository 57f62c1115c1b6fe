"""What is trained, on what, and for how long: the recipes behind the checkpoints and the benchmark."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from embodied_mem.episodes.allocator_training import EpisodeChoice, Fixed, Policy, StepWeights, retention, train_policy
from embodied_mem.episodes.coding import IntArray
from embodied_mem.episodes.model import Reader
from embodied_mem.episodes.shape import FLAT, VARIANTS, ReaderShape
from embodied_mem.episodes.tasks import AGO, HAPPENED, MIXED, NEXT, WHERE, Batch, mixed_batch, rooms_batch
from embodied_mem.episodes.training import Curve, Keep, Make, Plan, losses_of, train

EVERY_KIND = (HAPPENED, AGO, WHERE, NEXT)
SHIPPED = replace(VARIANTS["place memory"], flat_kinds=(WHERE, NEXT))
OF_MIXED = ("fifo", "lifo", "most visited first", "least visited first")  # what is right for each of MIXED
TOUR, PARKED, LONG_CAPACITY = 64, 128, 64  # steps of a long stay, and what memory holds of them
MIXED_CAPACITY = 9
PATROL_STEPS, PATROL_CAPACITY = 96, 24
_JUDGED = 1_000_000  # seeds from here on are for judging only


@dataclass(frozen=True, slots=True)
class Judged:
    """Of questions that no training saw: how many were right, of each kind; the share that memory could still answer;
    and the tokens that were read, on average and at most."""

    accuracy: dict[int, float]
    retained: float
    tokens_read: float
    most_read: int

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.accuracy.values())))


def in_room(name: str, seed: int, plan: Plan) -> tuple[Reader, Curve]:
    """A variant of the reader (shape.VARIANTS), trained to say what happened last in a room."""
    return train(VARIANTS[name], lambda rng: rooms_batch(rng, 32, questions=16), seed, plan)


def every_kind(seed: int, plan: Plan) -> tuple[Reader, Curve]:
    """The reader that comes with the package: one for all kinds of questions."""
    return train(SHIPPED, lambda rng: rooms_batch(rng, 32, questions=16, kinds=EVERY_KIND), seed, plan)


def long_stay(reader: Reader, seed: int, plan: Plan, keep: Keep | None) -> tuple[Reader, Curve]:
    """A trained reader, trained further on lives that end with a long stay, with what memory holds of them."""
    return train(reader.shape, long_stays, seed, plan, keep=keep, reader=copy.deepcopy(reader))


def long_stays(rng: np.random.Generator) -> Batch:
    return rooms_batch(rng, 32, steps=TOUR, park=PARKED, questions=8)


def mixed(rng: np.random.Generator) -> Batch:
    return mixed_batch(rng, 128)


def mixed_arms(seed: int, plan: Plan, steps: int) -> dict[str, tuple[Policy, Reader, Curve]]:
    """Every rule of forgetting on the mixed tasks, each with a reader of its own, trained for as long as the others'.

    All readers begin as one that was trained with random forgetting, and go on with their own rule for `steps`.
    """
    chance = Fixed(("random",), MIXED_CAPACITY)
    shape = ReaderShape(reads=FLAT)
    first, _ = train(shape, mixed, seed, plan, keep=chance.keep)
    policies: dict[str, Policy] = {name: Fixed((name,), MIXED_CAPACITY) for name in (*OF_MIXED, "random")}
    policies["oracle"] = Fixed(OF_MIXED, MIXED_CAPACITY)
    policies["learned, per episode"] = EpisodeChoice(len(MIXED), MIXED_CAPACITY)
    policies["learned, per step"] = StepWeights(len(MIXED), MIXED_CAPACITY)
    arms = {}
    for name, policy in policies.items():
        reader = copy.deepcopy(first)
        arms[name] = policy, reader, train_policy(policy, reader, mixed, seed, steps)
    return arms


def patrols(rng: np.random.Generator) -> Batch:
    """Walks much longer than memory, and what was seen some visits ago: what a robot on its rounds is asked."""
    return rooms_batch(rng, 64, steps=PATROL_STEPS, questions=16, kinds=(HAPPENED, AGO))


def patrol_rule(reader: Reader, seed: int, steps: int) -> tuple[NDArray[np.float64], Curve]:
    """The rule of forgetting that comes with the package: per step, for patrols, with a reader that stays as it is."""
    policy = StepWeights(1, PATROL_CAPACITY)
    curve = train_policy(policy, copy.deepcopy(reader), patrols, seed, steps, lr=0.0)
    return policy.weights[0], curve


def judge(
    reader: Reader, make: Make, seed: int, batches: int = 8, keep: Keep | None = None, capacity: int | None = None
) -> Judged:
    """How a reader does on fresh batches; `keep` and `capacity` as in training."""
    right: dict[int, list[NDArray[Any]]] = {}
    held, read, most = [], [], 0
    for number in range(batches):
        rng = np.random.default_rng([_JUDGED + seed, number])
        batch = make(rng)
        kept: IntArray | None = None if keep is None else keep(batch, rng)
        with torch.no_grad():
            _, correct, looked = losses_of(reader, batch, kept)
        for kind in np.unique(batch.kinds):
            right.setdefault(int(kind), []).append(correct[batch.kinds == kind])
        held.append(1.0 if kept is None else float(retention(batch, kept).mean()))
        read.append(float(looked.mean()))
        most = max(most, int(looked.max()))
    accuracy = {kind: float(np.concatenate(parts).mean()) for kind, parts in sorted(right.items())}
    return Judged(accuracy, float(np.mean(held)), float(np.mean(read)), most)
