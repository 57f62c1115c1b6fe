"""A persistent memory on real streets with real human instructions: `python -m bench.street [--quick] [--json FILE]`.

"full" is the full log: folding the sightings of a landmark into one entry loses nothing that a question needs, so that
only a budget drops anything.

A  landmark recall after many drives   B  following instructions with growing memory   C  going back to something
(C needs no instructions; `python -m bench.street_back` runs it alone)

The full run uses map2seq's unseen_dev split, once; --quick uses a few instructions of the tuning pool. Every arm has
the same parser, the same prior (ways are direct and 35 to 45 nodes long), the same budget of actions and the same eyes.
Published text-only networks: 27.9 TC on the same split (map2seq_vln, "no image", trained on 5,737 instances).
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import Options, Report, parse
from bench.street_back import return_to
from bench.street_memory import City, Episode, EpisodeMemory, Kept, drive, patrol
from bench.street_metrics import Hops, mcnemar, paired_interval, scores
from bench.street_recall import ENTRY_BYTES, arms, ask, drive_and_see, questions
from bench.street_tune import data_folder, load_episodes, patrolled
from embodied_mem.instructions.follower import Follower
from embodied_mem.instructions.weights import with_memory, without_memory
from sim.street.graph import load_touchdown
from sim.street.landmarks import load_landmarks

FloatArray = NDArray[np.float64]
_SEED = 11
_FULL_DRIVES = 600
_CURVE = (10, 30, 100, 300)
_QUICK = ("none", "streets only", "full", "shuffled", "patrols, 100", "own driving")
_METRICS = ("TC", "SPD", "SED", "nDTW")


@dataclass(frozen=True, slots=True)
class Arm:
    """drives: patrols before; which parts of the memory it uses; own: it also keeps what it sees in each episode."""

    name: str
    drives: int = 0
    streets: bool = True
    landmarks: bool = True
    shuffled: bool = False
    own: bool = False
    local: bool = False  # the weights tuned for a robot without memory
    budget: int = 0  # landmarks that it may keep, the same choice as in part A; 0 = all


ARMS = [
    Arm("none", streets=False, landmarks=False, local=True),
    Arm("short-term only", drives=2),
    Arm("streets only", drives=_FULL_DRIVES, landmarks=False),
    Arm("full", drives=_FULL_DRIVES),
    Arm("full, 500 landmarks", drives=_FULL_DRIVES, budget=500),
    Arm("shuffled", drives=_FULL_DRIVES, shuffled=True),
    *(Arm(f"patrols, {drives}", drives=drives) for drives in _CURVE),
    Arm("own driving", own=True),
]
_WORLD: tuple[City, list[Episode], Hops] | None = None  # of a worker process, inherited by fork


def run_arm(arm: Arm) -> dict[str, Any]:
    """Every episode in order. Memory is never cleared between them."""
    assert _WORLD is not None
    city, episodes, hops = _WORLD
    kept = patrolled(city, arm.drives, seed=_SEED) if arm.drives else Kept.nothing(city)
    if arm.budget:
        kept.keep(city, arm.budget)
    names = np.random.default_rng(_SEED + 1).permutation(len(city.landmarks)) if arm.shuffled else None
    follower = Follower(without_memory() if arm.local else with_memory())
    rows, micros = [], []
    for i, episode in enumerate(episodes):
        memory = EpisodeMemory(city, kept, arm.streets, arm.landmarks, names)
        begin = time.thread_time()
        done = drive(city, follower, memory, episode, np.random.default_rng([_SEED, i]))
        micros.append((time.thread_time() - begin) * 1e6 / max(1, done.plans))
        rows.append([scores(hops, done.path, episode.gold)[name] for name in _METRICS] + [done.confidence, done.plans])
        if arm.own:
            for node in done.path:
                kept.look(city, int(node), np.random.default_rng([_SEED, i, int(node)]))
    size = kept.bytes if arm.landmarks else 16 * int(kept.explored.sum())
    return {"rows": np.array(rows), "us": float(np.median(micros)), "bytes": size if arm.streets else 0}


def follow_instructions(report: Report, quick: bool) -> None:
    """Part B."""
    assert _WORLD is not None
    count = len(_WORLD[1])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        chosen = [arm for arm in ARMS if not quick or arm.name in _QUICK]
        results = dict(zip([arm.name for arm in chosen], pool.map(run_arm, chosen, chunksize=1), strict=True))
    none = results["none"]["rows"][:, 0]
    table = []
    for name, result in results.items():
        means = result["rows"][:, :4].mean(axis=0)
        mean, low, high = paired_interval(result["rows"][:, 0], none, _SEED)
        p = mcnemar(result["rows"][:, 0] > 0, none > 0)
        table.append([
            name, *(round(float(m * (1 if k == 1 else 100)), 2) for k, m in enumerate(means)),
            f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]", f"{p:.2g}", result["bytes"],
            round(result["us"]), round(float(result["rows"][:, 5].mean()), 1),
        ])  # fmt: skip
    columns = ["arm", "TC %", "SPD", "SED %", "nDTW %", "TC - none", "McNemar p", "bytes", "us a plan", "plans"]
    report.table(f"B: {count} instructions; nDTW = exp(-DTW / (2 |gold|))", columns, table)
    _quarters(report, results)
    _sure(report, results["full"]["rows"])
    why = "the tuning pool's few instructions say nothing about the evaluation split" if quick else ""
    _, low, _ = paired_interval(results["full"]["rows"][:, 0], none, _SEED)
    _, from_low, from_high = paired_interval(
        results["shuffled"]["rows"][:, 0], results["streets only"]["rows"][:, 0], _SEED
    )
    report.note(f"shuffled - streets only: 95 % interval [{100 * from_low:+.1f}, {100 * from_high:+.1f}] points")
    grown = [
        "short-term only",
        *(f"patrols, {drives}" for drives in _CURVE),
        "full, 500 landmarks",
        "full",
        "own driving",
    ]
    highs = [paired_interval(results[name]["rows"][:, 0], none, _SEED)[2] for name in grown if name in results]
    report.bar("B: no memory, TC %", 100 * float(none.mean()), at_least=12.6, why_open=why)
    report.bar("B: full - none, lower end of 95 % interval, points", 100 * low, at_least=5, why_open=why)
    report.bar("B: interval of shuffled - streets only includes 0", from_low <= 0 <= from_high, why_open=why)
    report.bar("B: no memory size is below no memory", min(highs) >= 0, why_open=why)
    report.bar("B: full, TC %", 100 * float(results["full"]["rows"][:, 0].mean()), at_least=28, why_open=why)


def _quarters(report: Report, results: dict[str, dict[str, Any]]) -> None:
    """How memory from one's own driving grows with the episodes."""
    parts = np.array_split(np.arange(len(results["none"]["rows"])), 4)
    rows = [
        [name, *(round(100 * float(results[name]["rows"][part, 0].mean()), 1) for part in parts)]
        for name in ("none", "own driving")
    ]
    report.table("B: TC % by quarter of the episodes", ["arm", "1st", "2nd", "3rd", "4th"], rows)


def _sure(report: Report, rows: FloatArray) -> None:
    """Does it know what it does not know? TC among the most confident."""
    order = np.argsort(-rows[:, 4], kind="stable")
    table = []
    for share in (0.25, 0.5, 0.75, 1.0):
        chosen = order[: max(1, int(share * len(order)))]
        table.append([f"{share:.0%}", float(rows[chosen[-1], 4]), 100 * float(rows[chosen, 0].mean())])
    report.table("B: full memory, the most confident answers", ["share answered", "least belief", "TC %"], table)


def recall_landmarks(report: Report, city: City, episodes: Sequence[Episode], drives: int) -> None:
    """Part A."""
    stream = drive_and_see(city, drives, _SEED)
    asked = questions(episodes)
    found = {
        name: (held, ask(city, held, asked))
        for name, held in arms(city, stream, (250, 500, 1000), np.random.default_rng(_SEED)).items()
    }
    rows = []
    for name, (held, answers) in found.items():
        begin = time.thread_time()
        ask(city, held, asked[:50])
        micros = (time.thread_time() - begin) * 1e6 / min(50, len(asked))
        ranks, errors = answers[:, 0], answers[:, 1]
        rows.append([
            name, 100 * float((ranks <= 1).mean()), 100 * float((ranks <= 5).mean()), float((1 / ranks).mean()),
            float(np.median(errors[np.isfinite(errors)])) if np.isfinite(errors).any() else None,
            100 * float(np.isfinite(errors).mean()), len(held.rows) * ENTRY_BYTES, round(micros),
        ])  # fmt: skip
    title = f"A: {len(asked)} landmark phrases after {drives} patrols of 200 nodes; right within 50 m of the way"
    report.table(title, ["arm", "recall@1 %", "recall@5 %", "MRR", "median error m", "answered %", "bytes", "us"], rows)


def run(options: Options) -> int:
    global _WORLD
    report = Report("street", options, seeds={"all": _SEED}, packages=("rustworkx",))
    folder = data_folder()
    graph = load_touchdown(folder)
    city = City(graph, load_landmarks(folder, graph))
    split = "tuning_pool" if options.quick else "unseen_dev"
    episodes = load_episodes(folder / "map2seq" / f"{split}.jsonl", graph)
    episodes = episodes[:24] if options.quick else episodes
    _WORLD = (city, episodes, Hops(len(graph), graph.links))
    city.near, city.sight  # noqa: B018 - made once, before the workers are forked
    patrol(city, Kept.nothing(city), 10, np.random.default_rng(0), np.zeros(len(city.ends), np.int64))
    recall_landmarks(report, city, episodes, 60 if options.quick else _FULL_DRIVES)
    follow_instructions(report, options.quick)
    return_to(report, city, 30 if options.quick else 300)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
