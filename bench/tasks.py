"""Tasks in houses, in the style of RoboCerebra: what does memory add to a planner that watches? Six suites, six arms.

Suites and seeds are drawn by sim/house/chores/tasks.py; their hashes stand in bench/tasks_suites.json, which was
committed before any arm was run on them; a full run refuses others. These figures are of our own house and not
comparable with those of RoboCerebra (NeurIPS 2025), whose suites they are modelled on. Track: continuous (the world
goes on; nothing is reset between steps).

Arms: an open-loop plan; closed loop without memory (sees what it sees, draws where to look); with the list of its own
steps, as the paper's memory bank; with object memory; with places searched, habits and success rates too; and one that
knows everything. Every arm gets the same map of places and the same knowledge of where such things usually are.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from bench.harness import ROOT, Report, parse
from bench.tasks_speed import nonsense, planning_times, tick_times
from embodied_mem.planner.knowledge import Uses
from sim.house.chores.play import ARMS, Played, play
from sim.house.chores.tasks import SUITES, Task, digest, make_suite
from sim.house.chores.visits import visits

SEEDS, EACH = (5001, 5002, 5003, 5004, 5005), 10
DEVELOPMENT = (101, 102)
HOUSEHOLDS = tuple(range(6001, 6025))
MANIFEST = ROOT / "bench" / "tasks_suites.json"
PROCESSES = 2
FULL, LIST, CLOSED, OPEN, PERFECT = (
    "+ space and episodes", "step list", "closed loop", "open loop", "perfect knowledge",
)  # fmt: skip


@dataclass(frozen=True)
class Life:
    """One task with every arm, and the CPU seconds of that."""

    suite: str
    seed: int
    index: int
    arms: dict[str, Played]
    cpu_s: float


def manifest() -> dict[str, Any]:
    """Seeds, and the hash of each suite."""
    return {
        "seeds": list(SEEDS), "tasks a seed": EACH,
        "sha256": {suite: digest(make_suite(suite, SEEDS, EACH)) for suite in SUITES},
    }  # fmt: skip


def live(task: Task) -> Life:
    begin = time.process_time()
    arms = {arm: play(task, arm) for arm in ARMS}
    return Life(task.suite, task.seed, task.index, arms, time.process_time() - begin)


def interval(values: Sequence[float], rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval."""
    data = np.asarray(values, dtype=np.float64)
    means = data[rng.integers(len(data), size=(4000, len(data)))].mean(axis=1)
    return float(data.mean()), float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def matched(done: list[list[str]], reference: list[list[str]]) -> float:
    """How much of the plan with perfect knowledge was done, in order: longest common subsequence over the longer."""
    shares = []
    for ours, best in zip(done, reference, strict=False):
        table = np.zeros((len(ours) + 1, len(best) + 1), dtype=int)
        for i, a in enumerate(ours):
            for j, b in enumerate(best):
                table[i + 1, j + 1] = table[i, j] + 1 if _alike(a, b) else max(table[i, j + 1], table[i + 1, j])
        shares.append(table[-1, -1] / max(len(ours), len(best), 1))
    return float(np.mean(shares)) if shares else 0.0


def _alike(a: str, b: str) -> bool:
    """The same skill to the same end: where a way began does not count."""
    return a == b or (a.startswith("go(") and b.startswith("go(") and a.split(", ")[-1] == b.split(", ")[-1])


def told(report: Report, lives: list[Life], rng: np.random.Generator) -> None:
    """The table of every suite."""
    for suite in SUITES:
        own = [life for life in lives if life.suite == suite]
        rows = []
        for arm in ARMS:
            played = [life.arms[arm] for life in own]
            mean, low, high = interval([p.changes for p in played], rng)
            sought = sum(p.sought for p in played)
            good = [p for p in played if p.success]
            best = [life.arms[PERFECT] for life in own if life.arms[arm].success]
            spent = sum(p.seconds for p in good)
            rows.append([
                arm, mean, f"{low:.2f}-{high:.2f}", float(np.mean([p.success for p in played])),
                float(np.mean([matched(p.done, p.reference) for p in played])),
                min(1.0, sum(p.seconds for p in best) / spent) if spent else None,
                sum(p.found for p in played) / sought if sought else None,
                float(np.mean([p.steps for p in played])), float(np.mean([p.replans for p in played])),
                float(np.mean([p.seconds for p in played])),
            ])  # fmt: skip
        columns = [
            "arm", "state changes", "95 %", "all done", "plan match", "efficiency", "found", "steps", "new plans", "s",
        ]  # fmt: skip
        report.table(suite, columns, rows)
        alone = float(np.mean([life.arms[CLOSED].success or life.arms[LIST].success for life in own]))
        report.note(f"{suite}: {100 * alone:.0f} % are solved without memory of what was seen.")


def compared(report: Report, lives: list[Life], better: str, worse: str, suite: str, goal: float, open_: str) -> None:
    """Paired difference of the share of state changes, with its interval."""
    own = [life for life in lives if life.suite == suite]
    gains = [life.arms[better].changes - life.arms[worse].changes for life in own]
    mean, low, high = interval(gains, np.random.default_rng(1))
    what = f"{suite}: {better!r} over {worse!r}"
    report.note(f"{what}: {100 * mean:.0f} points, 95 % {100 * low:.0f} to {100 * high:.0f} (goal {goal:.0f}).")
    report.bar(f"{what}, lower end of the paired interval (points)", 100 * low, at_least=1e-9, why_open=open_)
    report.bar(f"{what} (points)", 100 * mean, at_least=goal, why_open=open_)


def watched(report: Report, lives: list[Life]) -> None:
    """The monitor against the truth, with a tenth of the detections missed."""
    pairs: list[tuple[str, bool]] = []
    for life in lives:
        for arm, played in life.arms.items():
            if arm not in (OPEN, PERFECT):
                pairs += played.judged
    said = np.array([word for word, _ in pairs])
    true = np.array([truth for _, truth in pairs], dtype=bool)
    for word, right in (("done", true), ("failed", ~true)):
        chosen = said == word
        report.bar(
            f"monitor: precision of {word}", float(right[chosen].mean()) if chosen.any() else None, at_least=0.95
        )
        report.bar(f"monitor: recall of {word}", float(chosen[right].mean()) if right.any() else None, at_least=0.95)
    report.note(
        f"The monitor judged {len(pairs):,} steps; {100 * float((said == 'unknown').mean()):.1f} % stayed unknown."
    )


def repeated(report: Report, households: Sequence[int], open_: str) -> None:
    """The same task on five days."""
    arms = {"step list": Uses(True, False, False, False), "all memory": Uses()}
    lives = {name: [visits(seed, uses) for seed in households] for name, uses in arms.items()}
    rows = []
    for name, days in lives.items():
        for what in ("steps", "seconds", "done"):
            means = [float(np.mean([getattr(life[day], what) for life in days])) for day in range(5)]
            rows.append([f"{name}: {what}", *means])
    report.table("the same task on five days", ["arm", *(f"day {day}" for day in range(1, 6))], rows)
    gains = [float(life[0].seconds - life[4].seconds) for life in lives["all memory"]]
    mean, low, high = interval(gains, np.random.default_rng(2))
    report.note(f"Saved from the first to the fifth day: {mean:.0f} s, 95 % {low:.0f} to {high:.0f}.")
    report.bar("repeated tasks: seconds saved, lower end of the interval", low, at_least=1e-9, why_open=open_)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(__doc__, arguments)
    quick = options.quick
    report = Report("tasks", options, seeds={"first": SEEDS[0], "last": SEEDS[-1]}, packages=("py-trees",))
    seeds, each = (DEVELOPMENT[:1], 1) if quick else (SEEDS, EACH)
    if not quick and json.loads(MANIFEST.read_text(encoding="utf-8")) != manifest():
        print("The suites are not those that were committed (bench/tasks_suites.json).", file=sys.stderr)
        return 2
    tasks = [task for suite in SUITES for task in make_suite(suite, seeds, each)]
    begin, cpu = time.perf_counter(), time.process_time()
    if quick:
        lives = [live(task) for task in tasks]
    else:
        with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
            lives = list(pool.map(live, sorted(tasks, key=lambda task: (task.house, task.suite, task.index))))
    del cpu
    spent = sum(life.cpu_s for life in lives)
    told(report, lives, np.random.default_rng(0))
    why = "two tasks say nothing: only the full run does" if quick else ""
    compared(report, lives, FULL, LIST, "Memory Execution", 30, why)
    compared(report, lives, CLOSED, OPEN, "Random Disturbance", 25, why)
    compared(report, lives, CLOSED, OPEN, "Mix", 25, why)
    mix = [life for life in lives if life.suite == "Mix"]
    ours, bound = (float(np.mean([life.arms[arm].changes for life in mix])) for arm in (FULL, PERFECT))
    report.bar("Mix: state changes, as a share of the upper bound", ours / max(bound, 1e-9), at_least=0.9, why_open=why)
    watched(report, lives)
    report.bar("house: 6 suites x 50 tasks, minutes of CPU on each of 2 cores", spent / 120, at_most=15, why_open=why)
    report.note(
        f"{len(lives)} tasks with {len(ARMS)} arms took {spent:.0f} CPU s, {time.perf_counter() - begin:.0f} s."
    )
    repeated(report, HOUSEHOLDS[:2] if quick else HOUSEHOLDS, why)
    plans = planning_times(3 if quick else 30)
    report.bar("planning time of 20 steps, p95 (CPU s)", float(np.quantile(plans, 0.95)), at_most=2, why_open=why)
    ticks = tick_times()
    report.bar("tick, p95 (CPU ms)", 1e3 * float(np.quantile(ticks, 0.95)), at_most=1)
    ran, tried = nonsense(200)
    report.bar(f"a model that answers nonsense: invalid plans run, of {tried}", float(ran), at_most=0)
    report.bar("LIBERO: 30 episodes in real physics", None, at_least=1, why_open="there is no tabletop world yet")
    report.bar("learned controller at 20 Hz", None, at_least=1, why_open="there is no learned controller yet")
    report.bar(
        "ExecuteTask survives deaths in mid-task", None, at_least=1, why_open="tests/ros/test_planner_node.py shows it"
    )
    return report.finish()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
