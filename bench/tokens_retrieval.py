"""The retrieval part of bench/tokens: questions about drives, answered from what each arm keeps in the same bytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench import tokens_arms as kept_by
from bench.harness import Report
from bench.tokens_arms import Arm, Kept
from bench.tokens_world import Drive
from embodied_mem.tokens.weights import POINTS, TokenWeights, untrained

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Keep = Callable[[Drive, IntArray, float], Kept]  # a drive, its elements, a budget in bytes -> what is kept
BYTES = (12, 24, 48)  # a write: what product quantisation can be set to exactly
VOXEL = {"house": 2.0, "street": 40.0}  # metres
_K = (1, 5, 10)
_UNTRAINED = ("tokens, not trained, 128 random directions", "tokens, not trained, 384 numbers")


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Drives by kind, what arms are fitted on with its elements, and the trained weights."""

    drives: dict[str, list[Drive]]
    training: Float32Array
    training_elements: IntArray
    weights: TokenWeights


def elements_of(drive: Drive, size: float) -> IntArray:
    """(n,) the voxel of each record."""
    cells = np.floor(drive.positions / size).astype(np.int64) + (1 << 20)
    return np.asarray(cells[:, 0] << 42 | cells[:, 1] << 21 | cells[:, 2])


def retrieval(report: Report, world: World, quick: bool) -> None:
    """At equal bytes, on drives that training never saw."""
    budgets = BYTES[1:2] if quick else BYTES
    for kind, drives in world.drives.items():
        table: list[list[object]] = []
        found: dict[tuple[str, int], FloatArray] = {}
        for budget in budgets:
            for name, (keep, learnt) in _arms(world, budget).items():
                kept = [keep(drive, elements_of(drive, VOXEL[kind]), budget * len(drive)) for drive in drives]
                rows = [recalls(drive, each, world.weights if learnt else None)
                        for drive, each in zip(drives, kept, strict=True)]  # fmt: skip
                found[name, budget] = np.array(rows)
                size = np.mean([each.bytes / len(each.vectors) for each in kept])
                whole = np.mean([each.vectors.any(axis=1).mean() for each in kept])
                shares = [interval(found[name, budget][:, i]) for i in range(len(_K))]
                table.append([budget, name, *shares, round(float(size), 1), f"{whole:.0%}"])
        columns = ["budget, bytes a write", "arm", *(f"recall@{k} %" for k in _K), "bytes a write", "kept"]
        questions = sum(len(drive.asks) for drive in drives)
        report.table(f"retrieval: {kind}, {len(drives)} drives, {questions} questions", columns, table)
        why = "one drive of development says nothing" if quick else ""
        for budget in budgets:
            for other in _UNTRAINED:
                gain = found["tokens, trained", budget][:, 1] - found[other, budget][:, 1]
                name = (
                    f"retrieval, {kind}, {budget} bytes a write: recall@5 of trained - {other[8:]}, lower end, points"
                )
                report.bar(name, 100 * float(gain.mean() - half_interval(gain)), at_least=0, why_open=why)


def recalls(drive: Drive, kept: Kept, weights: TokenWeights | None) -> list[float]:
    """Share of the questions with a right record among the best k, by the learnt question projection or as they are."""
    memory, asked = kept.vectors, drive.asked
    if weights is not None:
        down = weights.down.astype(np.float32) / np.float32(1 << 14)
        memory, asked = _unit(memory @ down.T), _unit(asked @ weights.question.T)
    scores = asked @ memory.T
    scores[:, ~kept.vectors.any(axis=1)] = -np.inf  # what is gone is no answer
    best = np.argsort(-scores, axis=1, kind="stable")[:, : max(_K)]
    there = np.isfinite(np.take_along_axis(scores, best, axis=1))
    right = there & np.array([np.isin(row, mine) for row, mine in zip(best, drive.right, strict=True)])
    return [float(right[:, :k].any(axis=1).mean()) for k in _K]


def interval(values: FloatArray) -> str:
    """Mean and half of its 95 % interval, in per cent."""
    return f"{100 * values.mean():.1f} +- {100 * half_interval(values):.1f}"


def half_interval(values: FloatArray) -> float:
    """Half of the 95 % interval of the mean over drives, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return 0.0
    return float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def _arms(world: World, budget: int) -> dict[str, tuple[Keep, bool]]:
    """Every arm, and whether questions go through the learnt projection."""
    w, fit, groups = world.weights, world.training, world.training_elements
    plain = untrained(w.model, w.dimension)
    alone = [kept_by.transform(w, point, fit) for point in POINTS]
    differences = [kept_by.running(w, point, fit, groups) for point in POINTS]
    arms: dict[str, tuple[Keep, bool]] = {
        "tokens, trained": (partial(_tokens, lambda seed: w), True),
        "tokens, trained, questions as they are": (partial(_tokens, lambda seed: w), False),
        _UNTRAINED[0]: (partial(_tokens, partial(_directions, w)), False),
        _UNTRAINED[1]: (partial(_tokens, lambda seed: plain), False),
        "no network, trained projections": (partial(_fitted, alone), True),
        "differences, trained projections": (partial(_fitted, differences), True),
        "ring buffer, float16": (_ring, False),
        "raw log, float16 (all of its bytes)": (partial(_whole, kept_by.raw16), False),
    }  # fmt: skip
    if importlib.util.find_spec("faiss") is not None:
        coded = partial(_whole, kept_by.product(budget, fit))
        arms["product quantisation"] = coded, False
        arms["product quantisation, learnt questions"] = coded, True
    return arms


def _directions(like: TokenWeights, seed: int) -> TokenWeights:
    return untrained(like.model, like.dimension, latent=like.latent, seed=seed)


def _tokens(weights: Callable[[int], TokenWeights], drive: Drive, elements: IntArray, size: float) -> Kept:
    return kept_by.fitted_tokens(weights(int(drive.name.split()[-1])), drive.vectors, elements, size)[1]


def _fitted(arms: Sequence[Arm], drive: Drive, elements: IntArray, size: float) -> Kept:
    """The finest arm at which all fits; else the newest writes by the coarsest one."""
    found = kept_by.largest_that_fits(arms, drive.vectors, elements, size)
    if found is not None:
        return found[1]
    count = len(drive)
    while count:
        kept = arms[0](drive.vectors[-count:], elements[-count:])
        if kept.bytes <= size:
            out = np.zeros_like(drive.vectors)
            out[-count:] = kept.vectors
            return Kept(out, kept.bytes)
        count = min(count - 1, int(count * size / kept.bytes))
    return Kept(np.zeros_like(drive.vectors), 0)


def _ring(drive: Drive, elements: IntArray, size: float) -> Kept:
    return kept_by.ring(size)(drive.vectors, elements)


def _whole(arm: Arm, drive: Drive, elements: IntArray, size: float) -> Kept:
    del size
    return arm(drive.vectors, elements)


def _unit(rows: Float32Array) -> Float32Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)
