"""Tune the instruction follower on map2seq's tuning pool, and on nothing else: `python -m bench.street_tune [--write]`.

One set of weights for every arm, and one for the robot without memory, which is tuned as long on as many examples.
Examples: each instruction with the whole city known, with a part of it (patrols), and from states along its own way
with only what the robot perceives. With --write the weights go to
embodied_mem/instructions/learned.py. Development held out the first of five folds of routes (`folds`).
"""

from __future__ import annotations

import json
import os
import pprint
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.street_memory import City, Episode, EpisodeMemory, Kept, patrol
from embodied_mem.instructions.parser import parse
from embodied_mem.instructions.problem import Lengths, Problem
from embodied_mem.instructions.tuning import Example, fit
from embodied_mem.instructions.weights import START, to_blocks
from sim.street.graph import TouchdownGraph, load_touchdown
from sim.street.landmarks import load_landmarks

FOLDS = 5
_PARTS = (30, 100, 300)  # patrols before an instruction is seen with a part of the city known
_STATES = 5  # states along each way of the robot without memory


def load_episodes(path: Path, graph: TouchdownGraph) -> list[Episode]:
    """Instructions of a map2seq file."""
    episodes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        gold = graph.nodes_of(row["route_panoids"])
        episodes.append(Episode(str(row["id"]), parse(row["navigation_text"]), gold, float(row["start_heading"])))
    return episodes


def folds(episodes: Sequence[Episode], seed: int = 0) -> NDArray[np.int64]:
    """(n,) the fold of each episode; instructions for one route are in one fold."""
    rng = np.random.default_rng(seed)
    of_route = {name: int(rng.integers(FOLDS)) for name in sorted({episode.name for episode in episodes})}
    return np.array([of_route[episode.name] for episode in episodes])


def example(
    city: City, memory: EpisodeMemory, episode: Episode, driven: NDArray[np.int32], share: float
) -> Example | None:
    """What is right from a state on the way: to stop at the goal or beside it, or to leave the known as it does."""
    problem = Problem.of(episode.instruction, memory, driven, Lengths())
    streets = memory.streets()
    right = np.zeros((len(problem.links), 2), bool)
    gold, ends = episode.gold, problem.links[:, 1]
    outside = np.flatnonzero(~streets.explored[gold[len(driven) - 1 :]])
    if len(outside):
        right[:, 1] = ends == gold[len(driven) - 1 + outside[0]]
    if not len(outside) or len(driven) - 1 + outside[0] == len(gold) - 1:
        beside = city.ends[city.graph.first[gold[-1]] : city.graph.first[gold[-1] + 1]]
        right[:, 0] = np.isin(ends, [gold[-1], *beside])
    return Example(problem, right, share) if right.any() else None


def with_city(
    city: City, kept: Kept, episodes: Sequence[Episode], share: float, *, names: bool = True
) -> list[Example]:
    """Each instruction from its start, with what was kept."""
    rng = np.random.default_rng(1)
    found = []
    for episode in episodes:
        memory = EpisodeMemory(city, kept, use_landmarks=names)
        memory.look(int(episode.gold[0]), rng)
        found.append(example(city, memory, episode, episode.gold[:2], share))
    return [each for each in found if each is not None]


def without_memory(city: City, episodes: Sequence[Episode], share: float) -> list[Example]:
    """States along each way, with only what was perceived on it."""
    rng = np.random.default_rng(2)
    found = []
    for episode in episodes:
        memory = EpisodeMemory(city, Kept.nothing(city), use_streets=False, use_landmarks=False)
        states = set(rng.choice(np.arange(1, len(episode.gold)), _STATES, replace=False).tolist())
        for k, node in enumerate(episode.gold):
            memory.look(int(node), rng)
            if k in states:
                each = example(city, _frozen(memory), episode, episode.gold[: max(2, k + 1)], share / _STATES)
                if each is not None:
                    found.append(each)
    return found


def _frozen(memory: EpisodeMemory) -> EpisodeMemory:
    copy = EpisodeMemory(memory.city, memory.kept, use_streets=False, use_landmarks=False)
    copy.own.explored[:] = memory.own.explored
    copy.own.seen[:], copy.own.where[:] = memory.own.seen, memory.own.where
    return copy


def patrolled(city: City, drives: int, seed: int = 3) -> Kept:
    """What is kept after so many patrols of 200 nodes."""
    kept, visits, rng = Kept.nothing(city), np.zeros(len(city.ends), np.int64), np.random.default_rng(seed)
    for _ in range(drives):
        patrol(city, kept, 200, rng, visits)
    return kept


def make_examples(city: City, episodes: Sequence[Episode]) -> tuple[list[Example], list[Example]]:
    """(for every arm with a memory, for the robot without)."""
    full = patrolled(city, 600)
    local = without_memory(city, episodes, 1.0)
    mixed = with_city(city, full, episodes, 1.0) + with_city(city, full, episodes, 0.3, names=False)
    for drives in _PARTS:
        mixed += with_city(city, patrolled(city, drives), episodes, 0.5)
    return mixed + without_memory(city, episodes, 0.5), local


def tune(city: City, episodes: Sequence[Episode]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weights with memory, weights without)."""
    mixed, local = make_examples(city, episodes)
    return fit(mixed, START)[0], fit(local, START)[0]


def data_folder() -> Path:
    """The folder touchdown/ of the development data: EMBODIED_MEM_DATA, or ../shared/data."""
    return Path(os.environ.get("EMBODIED_MEM_DATA", "../shared/data")) / "touchdown"


def _source(blocks: dict[str, dict[str, list[float]]]) -> str:
    """The module learned.py."""
    parts = ['"""Made by `python -m bench.street_tune --write`. See weights.py."""\n', "# fmt: off"]
    for name, part in blocks.items():
        made = pprint.pformat(part, width=110, compact=True, sort_dicts=False)
        parts.append(f"{name}: dict[str, list[float]] = {made}")
    return "\n".join(parts) + "\n"


def main() -> int:
    """Tune, and write the weights when asked to."""
    graph = load_touchdown(data_folder())
    city = City(graph, load_landmarks(data_folder(), graph))
    episodes = load_episodes(data_folder() / "map2seq" / "tuning_pool.jsonl", graph)
    memory, local = tune(city, episodes)
    source = _source({"WITH_MEMORY": to_blocks(memory), "WITHOUT_MEMORY": to_blocks(local)})
    if "--write" in sys.argv:
        target = Path(__file__).resolve().parents[1] / "embodied_mem" / "instructions" / "learned.py"
        target.write_text(source, encoding="utf-8")
    else:
        print(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
