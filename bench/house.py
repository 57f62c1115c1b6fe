"""Questions about houses: is what the memory answers right, and does it know when it does not know?

A full run is the demo itself, through real nodes and services, once for each of ten houses that were never looked at
while the code was written: `embodied-mem demo --seed N`, 20 questions each (about half an hour). A quick run needs no
ROS: one house of development, its frames handed from function to function.

An answer counts as right as sim/house/judging.py says; the questions are made by sim/house/questions.py from what
really happened. Shares have 95 % Wilson intervals.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import ROOT, Options, Report, parse
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings
from embodied_mem.nodes.stack import OF_THE_SIMULATOR
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.recall.answer import Answer
from embodied_mem.recall.recall import Recall
from embodied_mem.records.memory import RecordMemory
from sim.house.questions import Question, make_questions
from sim.house.simulator import HouseSimulator, SimFrame

EVALUATION = tuple(range(4001, 4011))
DEVELOPMENT = 101
SURE = 0.8
_ABOUT_MOVED = ("moved", "before")
_ABOUT_NOTHING = ("removed", "absent", "is there, no")
_DEMO_LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question and what became of it."""

    seed: int
    kind: str
    question: str
    expected: str
    said: str
    probability: float
    right: bool


def through_ros(seed: int, folder: Path) -> list[Outcome]:
    """The demo as a user starts it."""
    command = [sys.executable, "-m", "embodied_mem", "demo", "--seed", str(seed), "--out", str(folder), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_DEMO_LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"The demo of house {seed} failed: {done.stderr[-500:]}")
    rows = json.loads((folder / "answers.json").read_text(encoding="utf-8"))["questions"]
    return [
        Outcome(
            seed, row["kind"], row["question"], row["expected"], row["answer"]["sentence"],
            row["answer"]["probability"], row["right"],
        )
        for row in rows
    ]  # fmt: skip


def remember(simulator: HouseSimulator, memory: RecordMemory) -> None:
    """Drive the robot to its end and remember what it perceives, as the nodes do."""
    perceiver = Perceiver(PerceptionSettings(**OF_THE_SIMULATOR))
    while not simulator.done:
        frame = simulator.step()
        seen = perceiver.camera(
            frame.stamp_ns, frame.rgb, frame.depth, frame.camera, _pose(frame), frame.boxes, frame.detector,
            frame.classes,
        )  # fmt: skip
        if seen is not None:
            memory.remember_many([seen])


def _pose(frame: SimFrame) -> PoseSample:
    x, y, yaw = frame.base
    turn = np.array([0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)])
    return PoseSample(frame.stamp_ns, np.array([x, y, 0.0]), turn, frame.covariance, frame.frame_id)


def answer(memory: RecordMemory, questions: Iterable[Question], seed: int, now_ns: int) -> list[tuple[Outcome, Answer]]:
    """Every question with its answer."""
    recall, found = Recall(memory), []
    for question in questions:
        given = recall.ask(question.text, now_ns=now_ns)
        outcome = Outcome(
            seed, question.kind, question.text, question.expected, given.sentence, given.probability,
            question.judge(given),
        )  # fmt: skip
        found.append((outcome, given))
    return found


def in_process(seed: int, count: int) -> list[Outcome]:
    simulator = HouseSimulator(seed=seed)
    memory = RecordMemory.in_memory(None)
    remember(simulator, memory)
    questions = make_questions(simulator.truth, seed, count)
    return [outcome for outcome, _ in answer(memory, questions, seed, simulator.truth.end_ns)]


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    z, share = 1.959964, hits / n
    middle, spread = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((middle - spread) / (1 + z * z / n)), float((middle + spread) / (1 + z * z / n))


def tell(report: Report, outcomes: list[Outcome]) -> None:
    """Tables and bars."""
    small = "a quick run asks too few questions, about a house of development" if report.options.quick else ""
    report.table("each kind of question", ["kind", "right", "of", "share", "95 %"], _by_kind(outcomes))
    wrong = [[o.seed, o.kind, o.question, o.expected, o.said, round(o.probability, 2)] for o in outcomes if not o.right]
    report.table("wrong answers", ["house", "kind", "question", "expected", "said", "probability"], wrong)
    sure = [o for o in outcomes if o.probability >= SURE]
    mistaken = sum(not o.right for o in sure)
    report.note(f"\nprobability >= {SURE}: {len(sure)} answers, {mistaken} wrong")
    bins = [(low, low + 0.2) for low in (0.0, 0.2, 0.4, 0.6, 0.8)]
    rows = []
    for low, high in bins:
        own = [o for o in outcomes if low <= o.probability < high + (high == 1.0)]
        if own:
            said, was = np.mean([o.probability for o in own]), np.mean([o.right for o in own])
            rows.append([f"{low:.1f}-{high:.1f}", len(own), round(float(said), 2), round(float(was), 2)])
    report.table("is the probability true?", ["probability", "answers", "mean said", "share right"], rows)
    right = float(np.mean([o.right for o in outcomes]))
    report.bar("share of questions answered right", right, at_least=0.9, why_open=small)
    share = mistaken / max(len(sure), 1)
    report.bar(f"share wrong of answers with probability >= {SURE}", share, at_most=0.02, why_open=small)
    nothing = sum(o.kind in _ABOUT_NOTHING for o in outcomes)
    moved = sum(o.kind in _ABOUT_MOVED for o in outcomes)
    report.bar("questions whose right answer is not found", nothing, at_least=30, why_open=small)
    report.bar("questions about moved things, now and before", moved, at_least=30, why_open=small)


def _by_kind(outcomes: list[Outcome]) -> list[list[Any]]:
    rows = []
    for kind in [*sorted({o.kind for o in outcomes}), "all"]:
        own = [o for o in outcomes if kind in (o.kind, "all")]
        hits = sum(o.right for o in own)
        low, high = wilson(hits, len(own))
        rows.append([kind, hits, len(own), f"{hits / len(own):.0%}", f"{low:.0%}-{high:.0%}"])
    return rows


def run(options: Options) -> int:
    seeds = (DEVELOPMENT,) if options.quick else EVALUATION
    report = Report("house", options, seeds={f"house {i}": seed for i, seed in enumerate(seeds, 1)})
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            found = in_process(seed, 20) if options.quick else through_ros(seed, Path(folder) / str(seed))
            outcomes += found
            print(f"house {seed}: {sum(o.right for o in found)} of {len(found)} right", flush=True)
    tell(report, outcomes)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
