"""Is the memory of things true? Households of ALFRED in which things are moved while nobody looks, and speed.

Every arm is given the same detections of a sensor that misses, confuses and measures with noise (sim/household). The
floor plans are split by a hash of their names; a full run asks about the households of objects_suite.json, all of
evaluation, a quick run about a few of development. Things are asked about whose label is the only one of its kind
there; a place is right within 0.5 m. A moved thing counts when it was in view at least once after the move, and before
it. Questions about one floor plan are alike, so intervals draw whole floor plans anew (bootstrap).
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import ROOT, Options, Report, parse
from bench.objects_arms import EMEM, Arm, Clusters, Emem, LastDetection, Ours
from bench.objects_speed import speed
from bench.objects_suite import TRACES, chosen, read, suite
from embodied_mem.inference.select import default_embedder
from sim.household.traces import Household, vocabulary
from sim.household.watching import Glance, Sensor, watch

_WITHIN = 0.5  # metres
_SEED, _QUICK = 6, 5
_DRAWS = 2000  # of floor plans, for an interval
_ABSENT = 6  # labels asked about in each household that are not there
_OURS, _BLIND = "ours", "ours, without negative evidence"


@dataclass
class Score:
    """Counts of one arm at one miss rate."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    ghosts: int = 0
    scenes: int = 0
    said: list[tuple[float, bool]] = field(default_factory=list)
    by_plan: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    plan: str = ""  # the floor plan that is asked about

    def note(self, kind: str, right: bool) -> None:
        self.asked[kind] += 1
        self.right[kind] += right
        self.by_plan[kind][self.plan].append(int(right))

    def share(self, kind: str) -> float | None:
        return self.right[kind] / self.asked[kind] if self.asked[kind] else None

    def interval(self, kind: str) -> str:
        """95 % of the share, from floor plans drawn anew with replacement (Efron 1979)."""
        plans = [(sum(own), len(own)) for own in self.by_plan[kind].values()]
        if len(plans) < 2:
            return ""
        drawn = np.random.default_rng(_SEED).integers(len(plans), size=(_DRAWS, len(plans)))
        counts = np.array(plans)[drawn].sum(axis=1)
        low, high = np.quantile(counts[:, 0] / counts[:, 1], [0.025, 0.975])
        return f"{low:.1%}-{high:.1%}"


def _arms() -> dict[str, Callable[[list[Any]], Arm]]:
    arms: dict[str, Callable[[list[Any]], Arm]] = {"last detection": LastDetection}
    if find_spec("emem") is not None:
        embedder = default_embedder("auto")
        known: dict[str, Any] = {}

        def embed(texts: list[str]) -> Any:
            for text in texts:
                if text not in known:
                    known[text] = embedder.embed([text])[0]
            return np.array([known[text] for text in texts])

        arms[EMEM] = lambda seen: Emem(seen, embed, embedder.dim)
    if find_spec("sklearn") is not None:
        arms["nearest cluster (DBSCAN)"] = Clusters
    arms[_BLIND] = lambda seen: Ours(seen, absence=False)
    arms[_OURS] = Ours
    return arms


def _ask(
    home: Household, glances: list[Glance], arms: dict[str, Any], scores: dict[str, Score], absent: list[str]
) -> None:
    last = len(home.stages) - 1
    counts = Counter(item.label for item in home.stages[0])
    looks: dict[str, Counter[int]] = defaultdict(Counter)
    for glance in glances:
        for name in glance.visible:
            looks[name][glance.stage] += 1
    first = [glance.observation for glance in glances if glance.stage == 0]
    every = [glance.observation for glance in glances]
    moves = {name: stage + 1 for stage, name in enumerate(home.moved)}  # the last move of each
    for arm_name, make in arms.items():
        arm, score = make(every), scores[arm_name]
        early = make(first) if moves else arm
        score.scenes, score.plan = score.scenes + 1, home.scene
        for item in home.stages[last]:
            if counts[item.label] != 1:
                continue
            seen_now = sum(n for stage, n in looks[item.name].items() if stage >= moves.get(item.name, 0))
            if item.name in moves:
                old = next(each for each in home.stages[moves[item.name] - 1] if each.name == item.name)
                seen_before = looks[item.name][moves[item.name] - 1]
                if np.linalg.norm(np.subtract(old.center, item.center)) <= 2 * _WITHIN or not seen_before:
                    continue
                if not seen_now:
                    said = arm.now(item.label)
                    wrong = said.position is not None and np.linalg.norm(said.position - item.center) > _WITHIN
                    score.note(
                        "moved, never seen since: not sure of the old place", not wrong or said.probability < 0.95
                    )
                    continue
                said = arm.now(item.label)
                right = said.position is not None and float(np.linalg.norm(said.position - item.center)) <= _WITHIN
                score.note("moved: where is it now", right)
                score.said.append((said.probability, right))
                was = arm.before(item.label).position
                score.note(
                    "moved: where was it before", was is not None and bool(np.linalg.norm(was - old.center) <= _WITHIN)
                )
                one, two = early.identity(item.label), arm.identity(item.label)
                if one and two:
                    score.note("identity switches", one != two)
            elif seen_now:
                said = arm.now(item.label)
                right = said.position is not None and float(np.linalg.norm(said.position - item.center)) <= _WITHIN
                score.note("unmoved: where is it", right)
                score.note("false 'not found'", said.position is None)
                score.said.append((said.probability, right))
        for label in absent:
            said = arm.now(label)
            score.note("absent: not found", said.position is None)
            score.said.append((said.probability, said.position is None))
        for label, place in arm.present():
            near = [item for item in home.stages[last] if item.label == label]
            score.ghosts += not any(np.linalg.norm(np.subtract(item.center, place)) <= _WITHIN for item in near)


def calibration(said: list[tuple[float, bool]]) -> tuple[float, list[list[Any]]]:
    """Expected calibration error over ten bins (Naeini et al. 2015), and the reliability table."""
    probability, right = np.array([p for p, _ in said]), np.array([r for _, r in said], dtype=float)
    bins = np.minimum((probability * 10).astype(int), 9)
    rows, error = [], 0.0
    for b in np.unique(bins).tolist():
        own = bins == b
        mean, share = float(probability[own].mean()), float(right[own].mean())
        error += abs(mean - share) * float(own.mean())
        rows.append([f"{b / 10:.1f}-{(b + 1) / 10:.1f}", int(own.sum()), round(mean, 3), round(share, 3)])
    return error, rows


def _plot(rows: list[list[Any]], path: Path) -> None:
    if find_spec("matplotlib") is None:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(4, 4))
    axis.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axis.plot([row[2] for row in rows], [row[3] for row in rows], marker="o")
    axis.set_xlabel("probability said")
    axis.set_ylabel("share right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, bbox_inches="tight")
    print(f"drawn: {path.relative_to(ROOT)}")


def _homes(quick: bool) -> list[Household]:
    if not quick:
        return [home for _, home in suite()]
    plans: dict[str, Household] = {}
    for _, _, home in chosen(development=True, seeds=(_SEED,)):
        plans.setdefault(home.scene, home)
    return list(plans.values())[:_QUICK]


def alfred(report: Report) -> None:
    path = TRACES
    small = "a quick run asks about a few floor plans of development" if report.options.quick else ""
    if not path.is_file():
        small = f"{path.name} of ALFRED is not here"
    else:
        report.note("Worlds: ALFRED's annotated tasks (MIT). Arms that are not installed are left out.")
    for rate, bar in ((0.1, 0.95), (0.3, 0.85)):
        scores: dict[str, Score] = defaultdict(Score)
        if path.is_file():
            classes, arms = vocabulary(path), _arms()
            for number, home in enumerate(_homes(report.options.quick)):
                glances = list(watch(home, replace(Sensor(), miss=rate), classes, _SEED + number))
                there = {item.label for item in home.stages[0]}
                rng = np.random.default_rng([_SEED, number, 1])
                absent = rng.permutation([label for label in classes if label not in there])[:_ABSENT].tolist()
                _ask(home, glances, arms, scores, absent)
        _tell(report, rate, bar, scores, small)


def _tell(report: Report, rate: float, bar: float, scores: dict[str, Score], small: str) -> None:
    at = f"at {rate:.0%} misses"
    kinds = sorted({kind for score in scores.values() for kind in score.asked})
    rows = []
    for name, score in scores.items():
        rows += [[name, kind, score.right[kind], score.asked[kind], score.interval(kind)] for kind in kinds]
        rows.append([name, "ghosts", score.ghosts, score.scenes, ""])
    report.table(f"households {at}", ["arm", "question", "yes", "of", "95 %"], rows)
    ours = scores.get(_OURS, Score())
    for kind in ("moved: where is it now", "moved: where was it before"):
        report.bar(f"{kind}, {at}", ours.share(kind), at_least=bar, why_open=small)
    report.bar(f"ghosts per scene {at}", ours.ghosts / max(ours.scenes, 1), at_most=0.1, why_open=small)
    report.bar(f"absent answered not found {at}", ours.share("absent: not found"), at_least=0.95, why_open=small)
    report.bar(f"false not found {at}", ours.share("false 'not found'"), at_most=0.03, why_open=small)
    error, table = calibration(ours.said) if ours.said else (None, [])
    report.table(f"reliability {at}", ["probability", "answers", "mean said", "share right"], table)
    if table:
        _plot(table, ROOT / "runs" / "objects" / f"reliability_{rate:.0%}.png".replace("%", ""))
    report.bar(f"expected calibration error {at}", error, at_most=0.05, why_open=small)


def run(options: Options) -> int:
    report = Report("objects", options, seeds={"worlds": _SEED}, packages=("emem", "scikit-learn"))
    report.note(f"The committed list of households: sha256 {read()[1]}.")
    alfred(report)
    speed(report)
    report.bar("house demo: right of 100", None, at_least=95, why_open="python -m bench.house asks them, through nodes")
    report.bar(
        "kitchen cups within 0.15 m", None, at_most=0.15, why_open="python -m bench.objects_kitchen needs the frames"
    )
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
