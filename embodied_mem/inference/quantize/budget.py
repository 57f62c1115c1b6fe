"""Which matrix gets how many bits, when all of them together may take so many bytes.

A sensitivity table says of each matrix what is lost when it alone is coded in each of the schemes. Losses are taken to
add up; then the best choice for any budget lies near the lower convex hull of loss over bytes, and is found greedily:
always the step that saves most loss for a byte.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from embodied_mem.errors import BadInputError
from embodied_mem.inference.quantize.tensor import Scheme

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a scheme costs one matrix: bytes, and loss (1 - mean cosine, say)."""

    scheme: Scheme
    nbytes: int
    loss: float


def allocate(table: Mapping[K, list[Cost]], budget: int) -> dict[K, Cost]:
    """A choice for each matrix that takes at most `budget` bytes. Raises BadInputError when none is small enough."""
    hulls = {name: hull(costs) for name, costs in table.items()}
    at = dict.fromkeys(hulls, 0)
    used = sum(costs[0].nbytes for costs in hulls.values())
    if used > budget:
        raise BadInputError(f"The smallest types take {used:,} bytes, more than the {budget:,} allowed: allow more.")
    while True:
        steps = [
            (_gain(costs[at[name]], costs[at[name] + 1]), name)
            for name, costs in hulls.items()
            if at[name] + 1 < len(costs) and used + costs[at[name] + 1].nbytes - costs[at[name]].nbytes <= budget
        ]
        if not steps:
            return {name: costs[at[name]] for name, costs in hulls.items()}
        _, name = max(steps, key=lambda step: step[0])
        used += hulls[name][at[name] + 1].nbytes - hulls[name][at[name]].nbytes
        at[name] += 1


def hull(costs: list[Cost]) -> list[Cost]:
    """The lower convex hull, from the smallest on: each further step saves less loss for a byte."""
    kept: list[Cost] = []
    for cost in sorted(costs, key=lambda cost: (cost.nbytes, cost.loss)):
        if kept and cost.loss >= kept[-1].loss:
            continue
        while len(kept) > 1 and _gain(kept[-2], kept[-1]) <= _gain(kept[-1], cost):
            kept.pop()
        kept.append(cost)
    return kept


def _gain(small: Cost, large: Cost) -> float:
    """Loss saved for a byte."""
    return (small.loss - large.loss) / (large.nbytes - small.nbytes)
