"""Parts A and B of bench/street with tokens for a memory: what a robot sees is written, and is what it can read back.

A sighting is one write: the vector of "class name", at where the landmark seemed to stand, into the voxel there. Read
back, it goes by the known name whose vector is nearest; the list of names that were seen is free, as for every arm of
bench/street. Streets are those of the other arms. Instructions are those of the tuning pool, on which the follower was
tuned: these figures compare memories, and say nothing of how good the follower is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from bench.street_memory import City, Episode, EpisodeMemory, Kept, drive
from bench.street_metrics import Hops, scores
from bench.street_recall import Held, Sightings, arms, ask, drive_and_see, questions
from bench.street_tune import load_episodes, patrolled
from bench.tokens_world import embed, street_folder
from embodied_mem.inference.protocols import Embedder
from embodied_mem.inference.select import default_embedder
from embodied_mem.instructions.follower import Follower
from embodied_mem.instructions.weights import with_memory, without_memory
from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.store import ELEMENT_KEY, TokenStore
from embodied_mem.tokens.weights import TokenWeights
from sim.street.graph import load_touchdown
from sim.street.landmarks import load_landmarks

IntArray = NDArray[np.int64]
ENTRY_BYTES = 40
SHARES = (0.05, 0.2, 0.8)  # budgets, of the bytes of the full log of sightings
_VOXEL, _SAME_M = 40.0, 12.0
_POINTS = (4, 3, 2)
_STREAM = "full log of sightings"


def texts_of(city: City) -> list[str]:
    """What is said of each landmark."""
    pairs = zip(city.landmarks.classes, city.landmarks.names, strict=True)
    return [f"{sort} {name}".strip() or "landmark" for sort, name in pairs]


def remembered(
    city: City, stream: Sightings, weights: TokenWeights, embedder: Embedder, budget: int
) -> tuple[Held, int, int, int]:
    """The sightings that tokens within a budget give back, bytes, the grid's bits, and how many have the right name."""
    texts = texts_of(city)
    vectors = embed(embedder, texts)
    known = np.unique(stream.rows)
    cells = np.floor(stream.xy / _VOXEL).astype(np.int64) + (1 << 20)
    voxels, elements = np.unique(cells[:, 0] << 21 | cells[:, 1], return_inverse=True)
    keys = np.zeros(len(voxels), dtype=ELEMENT_KEY)
    keys["key"] = voxels
    positions = np.column_stack([stream.xy, np.zeros(len(stream.xy))])
    numbers = np.arange(1, len(stream.rows) + 1)
    for point in _POINTS:  # the finest grid at which half of the sightings are kept
        store = TokenStore(TokenCodec(weights, point))
        store.add(keys)
        store.write(elements, vectors[stream.rows], numbers, numbers * 10**9, positions)
        keep = store.wanted(budget)
        if int(store.halves.data[keep].sum()) * 2 >= len(stream.rows):
            break
    store.fold(keep)
    parts = [store.recent(element, 1 << 30) for element in range(len(store))]
    parts = [part for part in parts if len(part)]
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Held(nothing, np.zeros((0, 2)), nothing), store.nbytes, point, 0
    names = store.codec.descriptors(store.codec.latents(vectors[known]))
    rows = np.concatenate([known[np.argmax(part.descriptors @ names.T, axis=1)] for part in parts])
    xy = np.concatenate([part.positions[:, :2] for part in parts])
    truth = stream.rows[np.concatenate([part.records for part in parts]) - 1]
    right = int(sum(texts[a] == texts[b] for a, b in zip(rows.tolist(), truth.tolist(), strict=True)))
    return Held(rows, xy, rows), store.nbytes, point, right


def folded(held: Held, texts: Sequence[str]) -> tuple[Held, IntArray]:
    """Sightings by one name within some metres of each other made into one entry at their mean; how many each has."""
    numbers = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    name = np.array([numbers[texts[row]] for row in held.names.tolist()], dtype=np.int64)
    pairs = cKDTree(held.xy).query_pairs(_SAME_M, output_type="ndarray") if len(name) else np.zeros((0, 2), np.int64)
    pairs = pairs[name[pairs[:, 0]] == name[pairs[:, 1]]]
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(name), len(name)))
    count, which = connected_components(links, directed=False)
    sizes = np.bincount(which, minlength=count)
    xy = np.stack([np.bincount(which, held.xy[:, k], count) for k in range(2)], axis=1) / np.maximum(sizes, 1)[:, None]
    rows = np.zeros(count, np.int64)
    rows[which] = held.names
    return Held(rows, xy, rows), sizes


def landmark_recall(
    city: City, episodes: Sequence[Episode], weights: TokenWeights, embedder: Embedder, drives: int, seed: int
) -> tuple[list[str], list[list[object]], list[tuple[Held, IntArray, int]]]:
    """Part A: columns, rows, and what tokens held at each budget (for part B)."""
    stream = drive_and_see(city, drives, seed)
    asked, whole = questions(episodes), ENTRY_BYTES * len(stream.rows)
    budgets = [int(share * whole) for share in SHARES]
    held: dict[str, tuple[Held, int, str]] = {}
    others = arms(city, stream, [budget // ENTRY_BYTES for budget in budgets], np.random.default_rng(seed))
    sizes = [budget // ENTRY_BYTES for budget in budgets]
    for name in ["full log", "ours, all", *(f"{arm}, {size}" for size in sizes for arm in ("ours", "ring buffer"))]:
        label = name.replace("ours", "entries folded by landmark").replace("full log", _STREAM)
        held[label] = others[name], len(others[name].rows) * ENTRY_BYTES, ""
    texts = texts_of(city)
    kept = []
    for budget in budgets:
        found, size, point, right = remembered(city, stream, weights, embedder, budget)
        share = right / max(1, len(found.rows))
        note = f"{len(found.rows):,} of {len(stream.rows):,} sightings, {point} bits, {share:.1%} by their right name"
        entries, counts = folded(found, texts)
        held[f"tokens, {budget // 1000} kB"] = entries, size, note
        kept.append((entries, counts, size))
    rows: list[list[object]] = []
    for name, (found, size, note) in held.items():
        answers = ask(city, found, asked)
        ranks, errors = answers[:, 0], answers[:, 1]
        away = errors[np.isfinite(errors)]
        rows.append([
            name, round(100 * float((ranks <= 1).mean()), 1), round(100 * float((ranks <= 5).mean()), 1),
            round(float((1 / ranks).mean()), 3), round(float(np.median(away)), 1) if len(away) else None, size, note,
        ])  # fmt: skip
    columns = ["arm", "recall@1 %", "recall@5 %", "MRR", "median error m", "bytes", "what is kept"]
    return columns, rows, kept


def following(
    city: City, episodes: Sequence[Episode], kept: Sequence[tuple[Held, IntArray, int]], drives: int, seed: int
) -> dict[str, tuple[NDArray[np.float64], int]]:
    """Part B: for each arm the task completion of every instruction, and the bytes of its landmarks."""
    hops = Hops(len(city.graph), city.graph.links)
    seen = patrolled(city, drives, seed=seed)
    worlds: dict[str, tuple[Kept, bool, bool, IntArray | None, int]] = {
        "no memory": (Kept.nothing(city), False, False, None, 0),
        "streets only": (seen, True, False, None, 0),
        "entries folded by landmark": (seen, True, True, None, ENTRY_BYTES * int((seen.seen > 0).sum())),
    }
    for (entries, counts, size), share in zip(kept, SHARES, strict=True):
        mine = Kept(seen.explored.copy(), np.zeros_like(seen.seen), np.zeros_like(seen.where))
        best = np.argsort(-counts, kind="stable")[: len(mine.seen)]
        names = np.zeros(len(mine.seen), np.int64)
        slots = np.arange(len(best))
        mine.seen[slots], names[slots] = counts[best], entries.names[best]
        mine.where[slots] = entries.xy[best] * counts[best][:, None]
        worlds[f"tokens, {share:.0%} of the log"] = mine, True, True, names, size
    found = {}
    for arm, (memory, streets, landmarks, names_, size) in worlds.items():
        follower = Follower(without_memory() if arm == "no memory" else with_memory())
        done = []
        for i, episode in enumerate(episodes):
            rng = np.random.default_rng([seed, i])
            path = drive(city, follower, EpisodeMemory(city, memory, streets, landmarks, names_), episode, rng).path
            done.append(scores(hops, path, episode.gold)["TC"])
        found[arm] = np.array(done), size
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Streets:
    """Part A as a table, part B as `following` gives it, and how many instructions they are about."""

    columns: list[str]
    rows: list[list[object]]
    done: dict[str, tuple[NDArray[np.float64], int]]
    instructions: int


def measure_streets(weights: TokenWeights, instructions: int, drives: int, seed: int) -> Streets:
    """Both parts, on instructions of the tuning pool drawn by seed."""
    graph = load_touchdown(street_folder())
    city = City(graph, load_landmarks(street_folder(), graph))
    pool = load_episodes(street_folder() / "map2seq" / "tuning_pool.jsonl", graph)
    episodes = [pool[i] for i in np.random.default_rng(seed).permutation(len(pool))[:instructions]]
    columns, rows, kept = landmark_recall(city, episodes, weights, default_embedder("minilm"), drives, seed)
    return Streets(columns, rows, following(city, episodes, kept, drives, seed), len(episodes))
