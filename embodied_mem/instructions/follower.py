"""The instruction follower: from a description and a memory to the next thing to aim at, and how sure that is.

It holds a belief over all direct ways at once (see `alignment`) and aims where most of the belief is *reached*: a stop
gathers the belief in its node and the nodes beside it, since that is where a person would say "here". A frontier is
aimed at when more belief lies beyond it than any stop gathers. As the robot drives it learns more, and asks again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.instructions.alignment import FEATURES
from embodied_mem.instructions.instruction import Instruction
from embodied_mem.instructions.memory import RouteMemory, Streets
from embodied_mem.instructions.problem import Lengths, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What to aim at.

    route       (k,) the nodes from the start of the way to the aim, those driven already included
    stop        whether the way is believed to end there; else it is a frontier, and the robot should ask again there
    confidence  the belief (0..1) that the way ends within one node of the aim, or leads over this frontier
    why         a sentence, for people and logs
    """

    route: IntArray
    stop: bool
    confidence: float
    why: str


class Follower:
    """Follows descriptions with any memory (`RouteMemory`).

    weights       (FEATURES,) from `weights.load` or `tuning.fit`
    caution       how much belief beyond a frontier is worth, against belief in a stop, 0..1
    least_sure    a stop that is believed less is no answer: `choose` then says that it does not know
    """

    def __init__(
        self, weights: ArrayLike, *, lengths: Lengths | None = None, caution: float = 1.0, least_sure: float = 0.0
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        if self.weights.shape != (FEATURES,) or not np.isfinite(self.weights).all():
            raise BadInputError(f"The weights must be {FEATURES} finite numbers: take those of weights.py.")
        if not 0 <= caution <= 1 or not 0 <= least_sure <= 1:
            raise BadInputError("caution and least_sure are shares of belief, 0 to 1.")
        self.lengths, self.caution, self.least_sure = lengths or Lengths(), caution, least_sure

    def choose(
        self, instruction: Instruction, memory: RouteMemory, driven: ArrayLike, streets: Streets | None = None
    ) -> Choice | None:
        """The aim after driving over the nodes `driven` (k >= 2: the start and where the robot heads), or None.

        None: nothing that is known, and no frontier, fits the description. `least_sure` is for the caller to compare
        where a wrong stop costs more than none (see `knows`). Raises BadInputError for a way that is too short.
        """
        nodes = np.ascontiguousarray(driven, dtype=np.int32)
        if nodes.ndim != 1 or len(nodes) < 2:
            raise BadInputError("The way driven needs its first node and the next one, which the robot faces.")
        problem = Problem.of(instruction, memory, nodes, self.lengths, streets)
        chances = problem.solve(self.weights).probabilities()
        s, links = problem.streets, problem.links
        gathered = _gathered(s.first, s.ends, s.explored, links, chances[:, 0])
        values = np.stack([gathered, self.caution * chances[:, 1]], axis=1)
        values[: problem.driven - 1] = 0  # behind the robot
        best = int(np.argmax(values))
        if values.flat[best] <= 0:
            return None
        e, beyond = divmod(best, 2)
        sure = float(chances[e, 1] if beyond else gathered[e])
        what = "go on from the edge of what is known" if beyond else "the description ends here"
        return Choice(_way(links, e), not beyond, sure, f"{what}: belief {sure:.2f} among {len(links)} links")

    def knows(self, choice: Choice | None) -> bool:
        """Whether a choice is sure enough to act on without asking a person."""
        return choice is not None and choice.confidence >= self.least_sure


@njit(cache=True, nogil=True)
def _gathered(
    first: IntArray, ends: IntArray, explored: NDArray[np.bool_], links: IntArray, chances: FloatArray
) -> FloatArray:
    """(e,) the chances of stopping at the end of each link or at a node beside it; 0 where stopping has no chance."""
    mass = np.zeros(len(explored))
    for e in range(len(links)):
        mass[links[e, 1]] += chances[e]
    out = np.zeros(len(links))
    for e in range(len(links)):
        if chances[e] <= 0.0:
            continue
        node = links[e, 1]
        out[e] = mass[node]
        if explored[node]:
            for k in range(first[node], first[node + 1]):
                out[e] += mass[ends[k]]
        else:
            out[e] += mass[links[e, 0]]
    return out


def _way(links: IntArray, e: int) -> IntArray:
    nodes = [int(links[e, 1])]
    while e >= 0:
        nodes.append(int(links[e, 0]))
        e = int(links[e, 3])
    return np.array(nodes[::-1], dtype=np.int32)
