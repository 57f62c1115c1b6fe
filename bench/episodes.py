"""Episodic memory: what a spatially-aware reader finds, what a learned rule of forgetting keeps, what neither beats.

Rooms made on the fly: every variant of the reader and every rule of forgetting trained from five seeds. Real material:
robots that deliver in districts of a city (houses: bench/episodes_house.py); asked "what did I see here k visits ago",
"which of these places had X" and "what came first", beside exact search of the flat log, a ring buffer of equal bytes,
first in first out and least recently used. Curves are bench/results/episodes_*.png.

A seed of training takes a few CPU minutes; what was trained is kept by the code that it depends on, so an interrupted
run goes on where it was (bench/episodes_seeds.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.episodes_real import drives, exactness, latency, tokens_read, views
from bench.episodes_seeds import results
from bench.harness import RESULTS, Options, Report, parse
from embodied_mem.episodes.allocator import STRATEGIES, retain
from embodied_mem.episodes.tasks import EVENTS, MIXED, Batch, mixed_batch, rooms_batch

SEEDS = (0, 1, 2, 3, 4)
FIXED = tuple(STRATEGIES)
_OF_MIXED = ("fifo", "lifo", "most visited first", "least visited first")


def run(options: Options) -> int:
    report = Report("episodes", options, seeds={"first": SEEDS[0]}, packages=("torch",))
    if options.quick:
        report.note("Quick: the readers that are trained on rooms, and their bars, are for the full run only.")
        _open_bars(report)
    else:
        seeds = [results(seed) for seed in SEEDS]
        _in_room(report, seeds)
        _every_kind(report, seeds)
        _long_stay(report, seeds)
        _mixed(report, seeds)
        _cost(report, seeds)
        _curves(seeds)
    drives(report, options)
    latency(report, options)
    exactness(report)
    views(report, options)
    return report.finish()


# --- rooms -------------------------------------------------------------------------------------------------------


def _in_room(report: Report, seeds: Sequence[dict[str, Any]]) -> None:
    rows = []
    for name in seeds[0]["in room"]:
        runs = [seed["in room"][name] for seed in seeds]
        last = float(np.mean([1 - run["loss"][-1] / run["loss"][-3] for run in runs]))
        rows.append([name, *interval([run["mean"] for run in runs]), 100 * last, runs[0]["steps"][-1]])
    report.table("in-room question", ["reader", "right %", "±", "loss fell by %", "steps"], rows)
    report.note(
        f"Chance: {100 / EVENTS:.1f} %. Without places the best is to guess by how recent an event is: "
        f"{100 * _blind():.1f} %. 'loss fell by': in the last two looks of training; little is left to learn."
    )
    report.bar("in-room question, space (%)", _of(rows, "space"), at_least=98)
    report.bar("in-room question, time only trained to convergence and printed", True)
    report.bar("in-room question, time + action trained to convergence and printed", True)


def _every_kind(report: Report, seeds: Sequence[dict[str, Any]]) -> None:
    from embodied_mem.episodes.tasks import KINDS

    rows, shares = [], {}
    for number, name in enumerate(KINDS):
        near, far = (
            [s["every kind"][where]["accuracy"][str(number)] for s in seeds] for where in ("trained on", "larger")
        )
        shares[name] = float(np.mean(far) / np.mean(near))
        rows.append([name, *interval(near), *interval(far), 100 * shares[name]])
    title = "four kinds of questions: 3 x 3 rooms and 48 steps, then 6 x 6 rooms and 400 steps without retraining"
    report.table(title, ["question", "right %", "±", "larger, right %", "±", "of in-distribution %"], rows)
    report.bar("generalisation, in-room question (% of in-distribution)", 100 * shares[KINDS[0]], at_least=90)
    report.bar("generalisation, visits ago (% of in-distribution)", 100 * shares[KINDS[1]], at_least=90)
    report.bar(
        "generalisation, all four kinds (% of in-distribution)",
        100 * float(np.mean(list(shares.values()))),
        at_least=90,
    )


def _long_stay(report: Report, seeds: Sequence[dict[str, Any]]) -> None:
    rows: list[list[Any]] = []
    for name, label in (
        ("most visited first", "place memory, 64"),
        ("fifo", "FIFO, 64"),
        ("unlimited", "unlimited, 192"),
    ):
        runs = [seed["long stay"][name] for seed in seeds]
        held = float(np.mean([run["retained"] for run in runs]))
        rows.append([label, *interval([run["mean"] for run in runs]), 100 * (held + (1 - held) / EVENTS)])
    report.table("long stay: 64 steps of a tour, 128 at one place", ["memory", "right %", "±", "ceiling %"], rows)
    right, mean, most = tokens_read()
    report.note(
        f"The package's reader, not trained on long stays: {right:.1f} % right; a question reads {mean:.1f} moments on "
        f"average and {most} at most inside the two places, and the summaries of all 9 places before."
    )
    report.bar("long stay at 64 of 192, place memory (%)", rows[0][1], at_least=94)
    report.bar("long stay, tokens of moments read on average", mean, at_most=24)


def _mixed(report: Report, seeds: Sequence[dict[str, Any]]) -> None:
    rows = []
    ceilings = _ceilings()
    for name in seeds[0]["mixed"]:
        runs = [seed["mixed"][name] for seed in seeds]
        rows.append([name, *interval([run["mean"] for run in runs]), ceilings.get(name)])
    report.table("four mixed tasks, capacity 9 of 18", ["rule of forgetting", "right %", "±", "ceiling %"], rows)
    best = max(_of(rows, name) for name in FIXED)
    learned, oracle = _of(rows, "learned, per episode"), _of(rows, "oracle")
    report.bar("learned allocator (% of the oracle strategy's accuracy)", 100 * learned / oracle, at_least=97)
    report.bar("learned allocator above the best fixed strategy (points)", learned - best, at_least=25)
    gaps = [s["mixed"]["learned, per step"]["mean"] - s["mixed"]["learned, per episode"]["mean"] for s in seeds]
    mean, width = interval(gaps)
    report.note(f"Per step less per episode, seed by seed: {mean:+.2f} ± {width:.2f} points.")
    report.bar(
        "per-step allocator not below the per-episode one (points, upper end of the interval)", mean + width, at_least=0
    )


def _cost(report: Report, seeds: Sequence[dict[str, Any]]) -> None:
    total = [sum(arm.get("cpu_s", 0.0) for part in seed.values() for arm in part.values()) / 60 for seed in seeds]
    report.bar("training of a seed in all (CPU minutes, at most)", max(total), at_most=15)


def _open_bars(report: Report) -> None:
    why = "needs readers trained from five seeds"
    for name, least in (
        ("in-room question, space (%)", 98), ("long stay at 64 of 192, place memory (%)", 94),
        ("learned allocator (% of the oracle strategy's accuracy)", 97),
        ("learned allocator above the best fixed strategy (points)", 25),
    ):  # fmt: skip
        report.bar(name, None, at_least=least, why_open=why)


# --- what can be computed without training -----------------------------------------------------------------------


def _blind(batches: int = 40) -> float:
    """The best share of in-room answers of a rule that knows how recent each stay was, and no place."""
    ranks: list[NDArray[np.int64]] = []
    for number in range(batches):
        batch = rooms_batch(np.random.default_rng([5, number]), 32, questions=8)
        ranks.append((batch.stays[:, -1:] - batch.wanted).ravel())
    counts = np.bincount(np.concatenate(ranks))
    best = counts.max() / counts.sum()
    return float(best + (1 - best) / EVENTS)


def _ceilings() -> dict[str, float]:
    """Of each fixed rule on the mixed tasks, %: what it keeps of the answers, and chance for the rest."""
    batch = mixed_batch(np.random.default_rng(6), 4000)
    found = {}
    for name in FIXED:
        chance = np.random.default_rng(0) if name == "random" else None
        found[name] = _ceiling(batch, np.tile(STRATEGIES[name], (4000, 1)), chance)
    found["oracle"] = _ceiling(batch, np.array([STRATEGIES[_OF_MIXED[kind]] for kind in batch.context]), None)
    assert len(MIXED) == len(_OF_MIXED)
    return found


def _ceiling(batch: Batch, rules: NDArray[np.float64], rng: np.random.Generator | None) -> float:
    kept, _ = retain(batch.places, batch.stays, batch.memories.visits, 9, rules, rng)
    held = float((kept == batch.wanted[:, :1]).any(axis=1).mean())
    return 100 * (held + (1 - held) / EVENTS)


# --- pictures and sums -------------------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95 % interval (Student's t), in %."""
    found = 100 * np.asarray(values)
    half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0.0
    return float(found.mean()), float(half)


def _of(rows: Sequence[Sequence[Any]], name: str) -> float:
    return float(next(row[1] for row in rows if row[0] == name))


def _curves(seeds: Sequence[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parts = {"in room": "in-room question", "long stay": "long stay", "mixed": "four mixed tasks"}
    figure, axes = pyplot.subplots(1, len(parts), figsize=(14, 4), layout="constrained")
    for axis, (part, title) in zip(axes, parts.items(), strict=True):
        for name in seeds[0][part]:
            runs = [seed[part][name] for seed in seeds]
            shortest = min(len(run["curve"]) for run in runs)
            curves = np.array([run["curve"][:shortest] for run in runs]) * 100
            steps = runs[0]["steps"][:shortest]
            axis.plot(steps, curves.mean(axis=0), label=name)
            axis.fill_between(steps, curves.min(axis=0), curves.max(axis=0), alpha=0.2)
        axis.set(title=title, xlabel="step of training", ylabel="right %", ylim=(0, 101))
        axis.legend(fontsize=7)
    figure.savefig(RESULTS / "episodes_training.png", dpi=90)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
