"""The reader that comes with the package, and how it is made to carry over from rooms on a grid to real logs.

Trained like the others, it reads a log badly: its projections learn terms between blocks (a code against a visit) that
are harmless among random codes on a grid and are noise among captions that resemble each other. So this one has

- projections that stay block-diagonal: code is compared with code, place with place, visit with visit, and no more;
- one layer, since no kind of question needs two;
- lives of many lengths, in rooms anywhere, of any spacing and turned by any angle, with codes that have much in common;
- no time in a question that names a visit: the visit says it all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from embodied_mem.episodes.coding import BLOCKS, WIDTH, FloatArray, Moments, layer_norm
from embodied_mem.episodes.model import Reader
from embodied_mem.episodes.recipes import EVERY_KIND, SHIPPED
from embodied_mem.episodes.tasks import AGO, HAPPENED, Batch, rooms_batch
from embodied_mem.episodes.training import Curve, Plan, train

_PROJECTIONS = ("query", "key", "chunk", "value", "out")
_STRETCH = 0.8  # rooms are this much farther apart than a cell, at most
_JITTER = 0.15  # cells that a room stands off its grid
_COMMON = 1.0  # length of what all codes of a batch have in common, at most


@dataclass(frozen=True, slots=True, eq=False)
class Asked(Moments):
    """Questions, of which those that name a visit name no time."""

    def tokens(self, knows: tuple[str, ...] = tuple(BLOCKS)) -> FloatArray:
        found = Moments.tokens(self, knows)
        found[..., BLOCKS["time"]] *= (self.visits == 0)[..., None]
        return found


def shipped_reader(seed: int, steps: int) -> tuple[Reader, Curve]:
    """Trained on `steps` batches at most."""
    torch.manual_seed(seed)
    reader = Reader(replace(SHIPPED, layers=1))
    mask = torch.zeros(WIDTH, WIDTH)
    for block in BLOCKS.values():
        mask[block, block] = 1
    for name, weight in reader.named_parameters():
        if name == "head" or name.rsplit(".", 1)[-1] in _PROJECTIONS:
            weight.register_hook(lambda gradient: gradient * mask)
    return train(reader.shape, lives, seed, Plan(steps=steps, lr=8e-3, patience=steps), reader=reader)


def lives(rng: np.random.Generator) -> Batch:
    """Short lives in nine rooms, or longer ones in fewer or more: a robot on its rounds comes back many times."""
    if rng.random() < 0.5:
        return varied(rooms_batch(rng, 32, questions=16, kinds=EVERY_KIND), rng)
    side, kinds = int(rng.integers(2, 6)), (HAPPENED, AGO, *EVERY_KIND)
    return varied(rooms_batch(rng, 6, steps=256, side=side, questions=64, kinds=kinds, ticks=2), rng)


def varied(batch: Batch, rng: np.random.Generator) -> Batch:
    """The same lives elsewhere: rooms turned, stretched and a little off their grid; codes with something in common."""
    angle, stretch = rng.uniform(0, 2 * np.pi), rng.uniform(1, 1 + _STRETCH)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rooms = (batch.rooms @ turn.T) * stretch + rng.uniform(-_JITTER, _JITTER, size=batch.rooms.shape)
    direction = layer_norm(rng.normal(size=batch.codes.shape[-1]))
    common = np.asarray(direction * rng.uniform(0, _COMMON), dtype=np.float64)
    memories, questions = (_moved(part, batch.rooms, rooms, common) for part in (batch.memories, batch.questions))
    asked = Asked(*(getattr(questions, part.name) for part in fields(questions)))
    return replace(batch, memories=memories, questions=asked, rooms=rooms, codes=layer_norm(batch.codes + common))


def _moved(
    moments: Moments, before: NDArray[np.float64], after: NDArray[np.float64], common: NDArray[np.float64]
) -> Moments:
    side = round(len(before) ** 0.5)

    def there(cells: NDArray[np.float64]) -> NDArray[np.float64]:
        named = np.isfinite(cells).all(axis=-1, keepdims=True)
        steps = np.where(named, cells - before[0], 0).astype(np.int64)
        return np.where(named, after[steps[..., 0] * side + steps[..., 1]], np.nan)

    named = np.abs(moments.codes).sum(axis=-1, keepdims=True) > 0
    codes = layer_norm(np.where(named, moments.codes + common, 0))
    return replace(moments, codes=codes, cells=there(moments.cells), origins=there(moments.origins))
