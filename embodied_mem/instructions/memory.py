"""What the follower asks of a memory: the streets it knows, and where something with a name was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.instructions.instruction import Phrase

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Streets:
    """A street graph in compressed sparse rows.

    first (n + 1,), ends (m,) int32: the links of node i lead to ends[first[i]:first[i + 1]]
    xy (n, 2) metres; explored (n,): whether all exits of a node are known. Links of other nodes are never read.
    """

    first: NDArray[np.int32]
    ends: NDArray[np.int32]
    xy: FloatArray
    explored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where k things stand that a phrase may mean: xy (k, 2) metres, similarity (k,) 0..1."""

    xy: FloatArray
    similarity: FloatArray

    def __len__(self) -> int:
        return len(self.similarity)


class RouteMemory(Protocol):
    """Any memory that can answer these two questions can be followed with."""

    def streets(self) -> Streets:
        """The streets as known now."""
        ...

    def named(self, phrase: Phrase) -> Places:
        """What may be meant by a phrase, everywhere in the memory."""
        ...
