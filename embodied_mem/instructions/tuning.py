"""Learning the weights: a conditional random field over what the robot can aim at, trained on described routes.

The likelihood of a route is the softmax probability of the candidates that count as right (for a goal: stopping there
or on a node beside it; for a goal that is not known yet: the frontier where its way leaves what is known). Its
gradient is the difference of the expected features among the right candidates and among all (Lafferty et al., 2001);
alignments are latent and taken at their best (Felzenszwalb et al., 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from embodied_mem.errors import BadInputError
from embodied_mem.instructions.alignment import FEATURES
from embodied_mem.instructions.problem import Problem

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A problem and which of its candidates are right, (e, 2) bool. share: how much it counts."""

    problem: Problem
    right: NDArray[np.bool_]
    share: float = 1.0


def loss(
    weights: FloatArray, examples: Sequence[Example], prior: FloatArray, strength: float
) -> tuple[float, FloatArray]:
    """Mean negative log-likelihood with a Gaussian prior around `prior`, and its gradient."""
    value, gradient, total = 0.0, np.zeros(FEATURES), 0.0
    for example in examples:
        solution = example.problem.solve(weights)
        chances = solution.probabilities()
        right = np.where(example.right, chances, 0.0)
        mass = right.sum()
        total += example.share
        if mass <= 0:
            continue
        value -= example.share * np.log(mass)
        gradient += example.share * example.problem.features(solution, chances - right / mass)
    away = weights - prior
    return value / total + strength * float(away @ away), gradient / total + 2 * strength * away


def fit(
    examples: Sequence[Example], start: FloatArray, *, strength: float = 2e-4, rounds: int = 60
) -> tuple[FloatArray, float]:
    """Weights by L-BFGS from `start`, which is also the centre of the prior; and the loss that they reach.

    Raises BadInputError without examples.
    """
    if not examples:
        raise BadInputError("Tuning needs examples: none of the routes can be found in the memory.")
    found = minimize(
        loss, start, args=(examples, start, strength), jac=True, method="L-BFGS-B", options={"maxiter": rounds}
    )
    return np.asarray(found.x), float(found.fun)
