"""Which households bench/objects asks about: a list that is committed before any arm is run.

    python -m bench.objects_suite        # writes bench/objects_suite.json

The rule: of every evaluation floor plan, each task in which something that is the only one of its label is moved by
more than a metre to a place in the open, with four seeds (of where on its receptacle it is put, of the robot's looks,
and of the sensor's errors); and one further task, where there is none, so that every floor plan is among the scenes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.harness import ROOT
from sim.household.traces import Household, households

PATH = ROOT / "bench" / "objects_suite.json"
TRACES = Path(os.environ.get("EMBODIED_MEM_DATA", ROOT / ".." / "shared" / "data")) / "alfred" / "traces.jsonl"
SEEDS = (6, 7, 8, 9)
FAR = 1.0  # metres from the old place to the new one


def askable(home: Household) -> list[str]:
    """Names of the moved things that can be asked about: by a label of their own, and put in the open, elsewhere."""
    counts = Counter(item.label for item in home.stages[0])
    final = {item.name: item for item in home.stages[-1]}
    found = []
    for name, stage in {name: stage for stage, name in enumerate(home.moved)}.items():
        old = next(item for item in home.stages[stage] if item.name == name)
        new = final[name]
        away = float(np.linalg.norm(np.subtract(old.center, new.center)))
        if counts[new.label] == 1 and away > FAR and not new.inside:
            found.append(name)
    return found


def chosen(*, development: bool, seeds: tuple[int, ...] = SEEDS) -> Iterator[tuple[str, int, Household]]:
    """Task, seed and household by the rule above."""
    first: dict[str, str] = {}  # floor plan -> a task of it
    asked: dict[str, set[str]] = {}
    for seed in seeds:
        done: set[str] = set()
        for home in households(TRACES, seed, development=development):
            if home.task in done:  # the same task, annotated again
                continue
            done.add(home.task)
            if seed == seeds[0]:
                first.setdefault(home.scene, home.task)
                if askable(home):
                    asked.setdefault(home.scene, set()).add(home.task)
            if home.task in asked.get(home.scene, ()) or (
                seed == seeds[0] and home.task == first[home.scene] and home.scene not in asked
            ):
                yield home.task, seed, home


def read(path: Path = PATH) -> tuple[list[tuple[str, int]], str]:
    """The committed list, and the first digits of its SHA-256."""
    text = path.read_bytes()
    return [(task, seed) for task, seed in json.loads(text)], hashlib.sha256(text).hexdigest()[:12]


def suite() -> Iterator[tuple[int, Household]]:
    """Seed and household of everything on the committed list."""
    listed, _ = read()
    wanted = set(listed)
    for seed in sorted({seed for _, seed in listed}):
        for home in households(TRACES, seed, development=False):
            if (home.task, seed) in wanted:
                wanted.discard((home.task, seed))
                yield seed, home


def main() -> int:
    listed = [(task, seed) for task, seed, _ in chosen(development=False)]
    PATH.write_text("[\n" + ",\n".join(json.dumps(item) for item in listed) + "\n]\n", encoding="utf-8")
    print(f"{PATH.relative_to(ROOT)}: {len(listed)} households, sha256 {read()[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
