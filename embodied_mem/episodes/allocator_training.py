"""Learning what to forget, by reinforcement from the loss of the questions that come afterwards (REINFORCE, 1992).

Two policies, both given the kind of episode. `EpisodeChoice` picks one of the usual rules for a whole episode; what it
learns is a table of preferences. `StepWeights` decides at every step which moment goes, by the features of each
(`allocator.FEATURES`); what it learns are their weights, and the usual rules are among what it could learn.
The reward is the negative loss, compared with the mean over the episodes of the same kind in the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from embodied_mem.episodes.allocator import FEATURES, STRATEGIES, retain
from embodied_mem.episodes.coding import IntArray
from embodied_mem.episodes.model import Reader
from embodied_mem.episodes.tasks import Batch
from embodied_mem.episodes.training import Curve, Make, losses_of

FloatArray = NDArray[np.float64]
_LOOK = 20


class Policy(Protocol):
    """Something that chooses what is kept, and learns from what came of it."""

    def keep(self, batch: Batch, rng: np.random.Generator | None) -> IntArray:
        """(B, capacity) steps kept; `rng` lets it try things out, None takes the best it knows."""

    def learn(self, batch: Batch, reward: FloatArray) -> None:
        """From the reward (B,) of what `keep` last chose with a generator."""


class Fixed:
    """One of the usual rules, or for each kind of episode one of them (the oracle)."""

    def __init__(self, names: tuple[str, ...], capacity: int) -> None:
        self._weights = np.array([STRATEGIES[name] for name in names])
        self._capacity = capacity

    def keep(self, batch: Batch, rng: np.random.Generator | None) -> IntArray:
        rows = self._weights[batch.context % len(self._weights)]
        noisy = np.random.default_rng(0) if rng is None else rng  # a random rule needs chance even when it is judged
        return _kept(batch, self._capacity, rows, noisy if not rows.any() else None)[0]

    def learn(self, batch: Batch, reward: FloatArray) -> None:
        pass


class EpisodeChoice:
    """A preference for each of the usual rules, by kind of episode."""

    def __init__(self, contexts: int, capacity: int, rate: float = 0.5) -> None:
        self._rules = list(STRATEGIES)
        self.preferences = np.zeros((contexts, len(self._rules)))
        self._capacity, self._rate = capacity, rate
        self._chosen = np.zeros(0, dtype=np.int64)

    def keep(self, batch: Batch, rng: np.random.Generator | None) -> IntArray:
        logits = self.preferences[batch.context]
        self._chosen = (logits + (0 if rng is None else rng.gumbel(size=logits.shape))).argmax(axis=1)
        kept = np.empty((len(logits), min(self._capacity, batch.places.shape[1])), dtype=np.int64)
        for number, name in enumerate(self._rules):
            some = np.flatnonzero(self._chosen == number)
            chance = np.random.default_rng(0) if rng is None else rng
            rows = np.tile(STRATEGIES[name], (len(some), 1))
            kept[some] = _kept(batch, self._capacity, rows, chance if name == "random" else None, some)[0]
        return kept

    def learn(self, batch: Batch, reward: FloatArray) -> None:
        logits = self.preferences[batch.context]
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        gradient = np.eye(len(self._rules))[self._chosen] - likely
        for kind, rows, gain in _gains(batch, reward):
            self.preferences[kind] += self._rate * (gain[:, None] * gradient[rows]).mean(axis=0) * len(self._rules)


class StepWeights:
    """Weights of the features of moments, by kind of episode; Adam (2015) on the policy's gradient."""

    def __init__(self, contexts: int, capacity: int, rate: float = 0.3) -> None:
        self.weights = np.zeros((contexts, len(FEATURES)))
        self._capacity, self._rate = capacity, rate
        self._gradients = np.zeros((0, len(FEATURES)))
        self._mean, self._square = np.zeros_like(self.weights), np.zeros_like(self.weights)
        self._turn = 0

    def keep(self, batch: Batch, rng: np.random.Generator | None) -> IntArray:
        kept, self._gradients = _kept(batch, self._capacity, self.weights[batch.context], rng)
        return kept

    def learn(self, batch: Batch, reward: FloatArray) -> None:
        step = np.zeros_like(self.weights)
        for kind, rows, gain in _gains(batch, reward):
            step[kind] = (gain[:, None] * self._gradients[rows]).mean(axis=0)
        self._turn += 1
        self._mean = 0.9 * self._mean + 0.1 * step
        self._square = 0.99 * self._square + 0.01 * step**2
        unbiased = self._mean / (1 - 0.9**self._turn)
        self.weights += self._rate * unbiased / (np.sqrt(self._square / (1 - 0.99**self._turn)) + 1e-8)


def train_policy(
    policy: Policy, reader: Reader, make: Make, seed: int, steps: int, *, lr: float = 1e-3,
    reward_of: Callable[[FloatArray], FloatArray] = lambda loss: -loss,
) -> Curve:  # fmt: skip
    """Let a policy and its reader learn together on the same batches. The reader is changed in place."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(reader.parameters(), lr=lr)
    curve, begin = Curve(), time.process_time()
    losses: list[float] = []
    rights: list[float] = []
    for step in range(1, steps + 1):
        batch = make(rng)
        loss, right, _ = losses_of(reader, batch, policy.keep(batch, rng))
        policy.learn(batch, reward_of(loss.detach().numpy().mean(axis=1).astype(np.float64)))
        optimiser.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.mean().detach()))
        rights.append(float(right.mean()))
        if step % _LOOK == 0:
            curve.steps.append(step)
            curve.loss.append(float(np.mean(losses[-_LOOK:])))
            curve.accuracy.append(float(np.mean(rights[-_LOOK:])))
    curve.cpu_s = time.process_time() - begin
    return curve


def retention(batch: Batch, kept: IntArray) -> NDArray[np.bool_]:
    """(B, Q) whether memory still holds a moment of the stay that a question asks for: no reader can do better."""
    stays = np.take_along_axis(batch.stays, kept, axis=1)
    return np.asarray((stays[:, None, :] == batch.wanted[:, :, None]).any(axis=2))


# --- inside ------------------------------------------------------------------------------------------------------


def _kept(
    batch: Batch, capacity: int, weights: FloatArray, rng: np.random.Generator | None, some: IntArray | None = None
) -> tuple[IntArray, FloatArray]:
    chosen = np.arange(len(batch.places)) if some is None else some
    visits, places = batch.memories.visits[chosen], batch.places[chosen]
    return retain(places, batch.stays[chosen], visits, capacity, weights, rng)


def _gains(batch: Batch, reward: FloatArray) -> list[tuple[int, IntArray, FloatArray]]:
    """For each kind of episode: its number, the rows of its episodes, and how much better than their mean they went."""
    found = []
    for kind in np.unique(batch.context):
        rows = np.flatnonzero(batch.context == kind)
        gain = reward[rows] - reward[rows].mean()
        found.append((int(kind), rows, gain / (gain.std() + 1e-6)))
    return found
