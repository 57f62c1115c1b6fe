"""The parts of bench/episodes that need no training: drives, latency, exactness, and the view of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.episodes_drives import (
    RAW_BYTES,
    Drive,
    asked_of,
    content_right,
    house,
    kept_by,
    kept_by_lru,
    memory_of,
    network_right,
    share_held,
    street_memory,
    streets,
)  # fmt: skip
from bench.harness import RESULTS, Options, Report, measure
from embodied_mem.episodes.allocator import FEATURES, STRATEGIES, retain
from embodied_mem.episodes.coding import BLOCKS, CODE, Moments, layer_norm, time_code
from embodied_mem.episodes.life import Life
from embodied_mem.episodes.memory import BYTES, EpisodicMemory
from embodied_mem.episodes.order import came_first
from embodied_mem.episodes.reading import Reading, load_reading
from embodied_mem.episodes.tasks import AGO, HAPPENED, KINDS, WHERE, rooms_batch
from embodied_mem.episodes.view import EpisodeView, OfPlace, rule_of
from embodied_mem.errors import NotFoundError
from embodied_mem.recall.moments import ENOUGH
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.memory import RecordMemory

HOUSES = range(101, 104)
SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)  # of a drive's records that the network's memory has room for
ARMS = (
    "flat log, exact search", "ring buffer, equal bytes", "FIFO, exact", "LRU, exact", "learned rule, exact",
    "network", "network, by coordinates", "network, most visited first",
)  # fmt: skip
_QUESTIONS = 150
_KNOWS = ("code", "time", "place", "origin", "visit")


# --- drives ------------------------------------------------------------------------------------------------------


def drives(report: Report, options: Options, *, houses: bool = False) -> None:
    """Questions about real material, and the accuracy against the budget. `houses`: these alone."""
    reader, learned = load_reading(), rule_of("learned")
    report.note(f"The learned rule: {dict(zip(FEATURES, learned.round(2).tolist(), strict=True))}.")
    for kind, found in _worlds(report, options, houses).items():
        if not found:
            continue
        right = np.zeros((len(found), len(ARMS), len(SHARES)))
        content: list[dict[str, float]] = []
        for number, drive in enumerate(found):
            right[number] = _by_budget(reader, learned, drive, number)
            life, lived, codes = drive.lived()
            memory = memory_of(drive, lived, life, codes, len(codes), STRATEGIES["fifo"])
            content.append(content_right(reader, memory, life, lived, drive, codes, number, 300))
        title = f"{kind}: what did I see here k visits ago, right % by share of the records that there is room for"
        mean = 100 * right.mean(axis=0)
        report.table(title, ["memory", *(f"{share:.0%}" for share in SHARES)], [
            [arm, *mean[i].tolist()] for i, arm in enumerate(ARMS)
        ])  # fmt: skip
        names = [name for name in content[0] if name != "questions"]
        report.table(
            f"{kind}: by content, with all moments in memory", ["question", "right %"],
            [[name, 100 * float(np.mean([one[name] for one in content]))] for name in names],
        )  # fmt: skip
        _compared(report, kind, mean)
        if not options.quick:
            _plot(kind, mean)
    if not houses:
        _order(report, 1 if options.quick else 3, 600 if options.quick else 1500)


def _worlds(report: Report, options: Options, houses: bool) -> dict[str, list[Drive]]:
    found: dict[str, list[Drive]] = {"streets": [], "houses": []}
    try:
        found["streets"] = (
            [] if houses else list(streets(range(1 if options.quick else 5), 600 if options.quick else 2000))
        )
    except NotFoundError as error:
        report.note(f"Streets skipped: {error}")
    if houses and not options.quick:
        found["houses"] = [house(seed) for seed in HOUSES]
    return found


def _by_budget(reader: Reading, learned: NDArray[np.float64], drive: Drive, seed: int) -> NDArray[np.float64]:
    life, lived, codes = drive.lived()
    asked, n = asked_of(lived, seed, _QUESTIONS), len(codes)
    right = np.zeros((len(ARMS), len(SHARES)))
    for column, share in enumerate(SHARES):
        room = max(int(n * share), 1)
        memory = memory_of(drive, lived, life, codes, room, learned)
        usual = memory_of(drive, lived, life, codes, room, STRATEGIES["most visited first"])
        right[:, column] = (
            1.0, share_held(lived, np.arange(n)[-room * BYTES // RAW_BYTES :], asked),
            share_held(lived, np.arange(n)[-room:], asked), share_held(lived, kept_by_lru(lived, room), asked),
            share_held(lived, kept_by(lived, room, learned), asked),
            network_right(reader, memory, life, lived, asked)[0],
            network_right(reader, memory, life, lived, asked, named=False)[0],
            network_right(reader, usual, life, lived, asked)[0],
        )  # fmt: skip
    return right


def _compared(report: Report, kind: str, mean: NDArray[np.float64]) -> None:
    """Say where the network is ahead of simple baselines, and where it is not."""
    network = mean[ARMS.index("network")]
    for arm in ("ring buffer, equal bytes", "FIFO, exact", "LRU, exact", "learned rule, exact"):
        gap = network - mean[ARMS.index(arm)]
        behind = [f"{share:.0%} ({one:+.1f})" for share, one in zip(SHARES, gap, strict=True) if one < 0]
        where = f"behind at {', '.join(behind)}" if behind else "ahead or level at every budget"
        report.note(f"{kind}: the network against '{arm}': {where}; {gap.mean():+.1f} points on average.")


def _order(report: Report, seeds: int, steps: int) -> None:
    """Which of two landmarks came first, from memories with gaps: is the probability right, does abstaining help?"""
    rows: list[list[Any]] = []
    try:
        memories = [street_memory(seed, steps) for seed in range(seeds)]
    except NotFoundError as error:
        report.note(f"Order skipped: {error}")
        return
    named = [_landmarks(memory) for memory in memories]
    for share in (1.0, 0.5, 0.25, 0.1):
        sure, right = [], []
        for seed, (memory, shown) in enumerate(zip(memories, named, strict=True)):
            view = EpisodeView(memory.index, budget_mb=max(len(memory.index) * share, 1) * BYTES / 1e6, spacing=15.0)
            rng, names = np.random.default_rng(seed), sorted(shown)
            for _ in range(100):
                one, other = (names[i] for i in rng.choice(len(names), 2, replace=False))
                if shown[one][0] == shown[other][0]:
                    continue
                seen = [view.sightings(dict.fromkeys(shown[name], 0.97))[0] for name in (one, other)]
                ahead, behind, _both = came_first(*seen)
                sure.append(max(ahead, behind))
                right.append((ahead > behind) == (shown[one][0] < shown[other][0]) and max(ahead, behind) > 0)
        chances, hits = np.array(sure), np.array(right)
        said = chances >= ENOUGH
        gap = _calibration(chances, hits)
        rows.append([
            f"{share:.0%}", 100 * float(hits.mean()), 100 * float(said.mean()),
            100 * float(hits[said].mean()) if said.any() else None, gap,
        ])  # fmt: skip
    report.table(
        "streets: which of two landmarks came first",
        ["room for", "right %", "answered %", "right of these %", "ECE"],
        rows,
    )
    report.bar(
        "order: what is answered is right, at any budget (%)", min(r[3] for r in rows if r[3] is not None), at_least=80
    )


def _landmarks(memory: RecordMemory) -> dict[str, list[int]]:
    """The records that name each landmark, in order."""
    found: dict[str, list[int]] = {}
    for seq in sorted(memory.index.table.seqs.data.tolist()):
        for part in memory.get(seq).observation.caption.split("; "):
            found.setdefault(part.split(",")[0], []).append(seq)
    return {name: seqs for name, seqs in found.items() if len(name) > 3}


def _calibration(chances: NDArray[np.float64], hits: NDArray[np.bool_]) -> float:
    """The expected calibration error over ten bins."""
    bins = np.minimum((chances * 10).astype(int), 9)
    gaps = [abs(chances[bins == b].mean() - hits[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(np.sum(gaps))


# --- speed and exactness -----------------------------------------------------------------------------------------


def _walked(n: int, side: int, capacity: int | None = None) -> tuple[EpisodicMemory, Life]:
    """A memory of n moments of a walk through side x side places."""
    rng = np.random.default_rng(n)
    turns = np.where(rng.random((n, 2)) < 0.3, rng.integers(-1, 2, (n, 2)), 0)
    cells = np.abs((np.cumsum(turns, axis=0) + side) % (2 * side) - side)
    life = Life(1.0)
    codes = layer_norm(rng.normal(size=(n, CODE)))
    positions = np.concatenate([cells * 1.5, np.zeros((n, 1))], axis=1)
    lived = life.extend(positions, np.zeros(n, np.int32), np.zeros(n, np.int64), codes)
    moments = Moments(
        codes, np.arange(n), life.cells(lived.places), life.cells(lived.origins), lived.visits, np.zeros(n, np.int64)
    )
    memory = EpisodicMemory(capacity or n, STRATEGIES["fifo"])
    memory.extend(moments.tokens(_KNOWS), lived.places, lived.stays, lived.visits, lived.surprise)
    return memory, life


def _questions(life: Life, count: int, now: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tokens (count, WIDTH) of questions about any place, the last visit but a few, and the places."""
    rng = np.random.default_rng(1)
    places = rng.integers(len(life.spots), size=count)
    visits = np.maximum(life.visits.data[places] - rng.integers(5, size=count), 1)
    nowhere, nothing = np.full((count, 2), np.nan), np.zeros(count, np.int64)
    asked = Moments(np.zeros((count, CODE), np.float32), nothing + now, life.cells(places), nowhere, visits, nothing)
    tokens = asked.tokens()
    tokens[:, BLOCKS["time"]] = 0
    return tokens, places


def latency(report: Report, options: Options) -> None:
    """One read, on CPU time of one thread, and how it grows."""
    reader, rows = load_reading(), list[list[Any]]()
    for n, side in ((1_000, 8), (10_000, 16), (100_000, 32)):
        memory, life = _walked(n, side)
        timings = measure(_reads(reader, memory, *_questions(life, 64, n)), 50 if options.quick else 300)
        for name, timing in timings.items():
            rows.append([f"{n:,}", len(life.spots), name, timing.median_ms, timing.quantile_ms(0.95)])
    report.table("one read (CPU ms)", ["memories", "places", "reading", "p50", "p95"], rows)
    why = "a quick run says nothing about speed" if options.quick else ""
    report.bar(
        "read latency at 100,000 memories, p95 (CPU ms)", max(row[4] for row in rows[-3:-1]), at_most=5, why_open=why
    )
    report.bar("the same by content, over every memory, p95 (CPU ms)", rows[-1][4], at_most=5, why_open=why)


def _reads(
    reader: Reading, memory: EpisodicMemory, tokens: NDArray[np.float32], places: NDArray[np.int64]
) -> dict[str, Callable[[int], Any]]:
    seen = np.zeros_like(tokens)  # what was seen in some moment, and now
    rows = np.random.default_rng(2).integers(len(memory), size=len(seen))
    seen[:, BLOCKS["code"]] = memory.tokens[rows][:, BLOCKS["code"]]
    seen[:, BLOCKS["time"]] = time_code(np.array([len(memory)]))
    return {
        "a place that is known": lambda i: reader.read(tokens[i % 64], AGO, OfPlace(memory, int(places[i % 64]))),
        "by coordinates": lambda i: reader.read(tokens[i % 64], AGO, memory),
        "every moment (by content)": lambda i: reader.read(seen[i % 64], WHERE, memory),
    }


def exactness(report: Report) -> None:
    """The cached reading against one that makes every key and value anew, in double precision."""
    reader, worst = load_reading(), 0.0
    memory, life = _walked(3_000, 8, 2_000)  # a third of it came and went
    tokens, _ = _questions(life, 64, 3_000)
    for kind in (HAPPENED, AGO, WHERE):
        for token in tokens[:32]:
            answer = reader.read(token, kind, memory).answer
            worst = max(worst, float(np.abs(answer - _uncached(reader, token, kind, memory)).max()))
    report.note(f"Cached and uncached reads of {len(KINDS) - 1} kinds differ by {worst:.1e} at most.")
    report.bar("cached against uncached reads, largest difference", worst, at_most=1e-5)


def _uncached(reader: Reading, asked: NDArray[np.float32], kind: int, memory: EpisodicMemory) -> NDArray[np.float64]:
    w = {name: value.astype(np.float64) for name, value in reader.weights.items()}
    numbers, _ = memory.chunks
    stream, tokens = asked + w["kind"][kind], memory.tokens.astype(np.float64)
    for i in range(reader.shape.layers):
        part = {name.split(".")[-1]: value for name, value in w.items() if name.startswith(f"layers.{i}.")}
        query, keys, values = stream @ part["query"], tokens @ part["key"], tokens @ part["value"]
        if kind in reader.shape.flat_kinds:
            attention = _softmax(keys @ query)
        else:
            means = np.array([tokens[memory.members(int(n))].mean(axis=0) for n in numbers])
            coarse = means @ part["chunk"] @ query
            best = np.argsort(-coarse)[: reader.shape.top]
            attention = np.zeros(len(tokens))
            for number, share in zip(numbers[best], _softmax(coarse[best]), strict=True):
                rows = memory.members(int(number))
                attention[rows] = share * _softmax(keys[rows] @ query)
        stream = stream + attention @ values @ part["out"]
        x = stream @ part["into"] + part["bias"]
        stream = stream + 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) @ part["back"]
    return np.asarray(stream @ w["head"])


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(x - x.max())
    return np.asarray(e / e.sum())


def tokens_read() -> tuple[float, float, int]:
    """The package's reader on long stays at 64 of 192: right %, and moments read inside places, mean and most."""
    reader, rng = load_reading(), np.random.default_rng(7)
    right, read = [], []
    for _ in range(8):
        batch = rooms_batch(rng, 32, steps=64, park=128, questions=8, ticks=2)
        rules = np.tile(STRATEGIES["most visited first"], (32, 1))
        kept, _gradients = retain(batch.places, batch.stays, batch.memories.visits, 64, rules)
        tokens, asked = batch.memories.at(kept).tokens(_KNOWS), batch.questions.tokens()
        for i in range(32):
            places = batch.places[i, kept[i]]
            memory = EpisodicMemory(64, STRATEGIES["fifo"])
            memory.extend(tokens[i], places, np.arange(64), np.ones(64, np.int64), np.zeros(64))
            for question, answer in zip(asked[i], batch.answers[i].tolist(), strict=True):
                found = reader.read(question, HAPPENED, memory)
                right.append(reader.choose(found, codes=batch.codes).argmax() == answer)
                read.append(found.tokens_read)
    return 100 * float(np.mean(right)), float(np.mean(read)), max(read)


# --- the view ----------------------------------------------------------------------------------------------------


def views(report: Report, options: Options) -> None:
    """After every change of memory, the view that lived through it equals one made anew from the log."""
    try:
        memory = street_memory(0, 300 if options.quick else 1500)
    except NotFoundError as error:
        report.bar("after Forget, undo and re-anchor the view equals a rebuild", None, why_open=f"skipped: {error}")
        return
    seqs = np.sort(memory.index.table.seqs.data)
    view = EpisodeView(memory.index, budget_mb=200 * BYTES / 1e6, spacing=15.0)
    same = {"as it is": _as_rebuilt(view, memory)}
    for name in _changes(memory, seqs):
        same[name] = _as_rebuilt(view, memory)
    report.table("the view after a change", ["change", "equals a rebuild"], list(same.items()))
    report.bar("after Forget, undo and re-anchor the view equals a rebuild", all(same.values()))


def _changes(memory: RecordMemory, seqs: NDArray[np.int64]) -> Iterator[str]:
    memory.forget(seqs[100:140].tolist())
    yield "forget"
    memory.undo()
    yield "undo"
    memory.correct(int(seqs[50]), position=np.array([5.0, 5.0, 1.5]))
    yield "correct"
    stamps = [memory.get(int(seqs[i])).observation.stamp_ns for i in (0, -1)]
    turned = (0.0, 0.0, np.sin(0.05), np.cos(0.05))
    before = [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)] * 2
    memory.reanchor(memory.map_id, stamps, before, [(3.0, -2.0, 0.0, *turned)] * 2)
    yield "re-anchor"


def _as_rebuilt(view: EpisodeView, memory: RecordMemory) -> bool:
    index = RecordIndex()
    index.apply(memory.entries(1, 10**6))
    numbers = np.flatnonzero(memory.index.table.slot_of_text.data >= 0)
    vectors = np.array([memory.index.vector_of(int(seq)) for seq in numbers])
    index.set_vectors(numbers, vectors, memory.index.model)
    other = EpisodeView(index, budget_mb=view.capacity * BYTES / 1e6, spacing=15.0)
    if not np.array_equal(view.retained(), other.retained()):
        return False
    tokens = [one.memory.tokens[np.argsort(one.memory.steps_of(np.arange(len(one.memory))))] for one in (view, other)]
    answers = [[one.happened(place).seqs.tolist() for place in range(20)] for one in (view, other)]
    return bool(np.array_equal(tokens[0], tokens[1])) and answers[0] == answers[1]


def _plot(kind: str, mean: NDArray[np.float64]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure: Any
    figure, axis = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for arm, values in zip(ARMS, mean, strict=True):
        axis.plot([100 * share for share in SHARES], values, marker="o", label=arm)
    axis.set(
        xscale="log", xlabel="room for % of the records", ylabel="right %", ylim=(0, 103), title=f"{kind}: k visits ago"
    )
    axis.legend(fontsize=7)
    figure.savefig(RESULTS / f"episodes_{kind}.png", dpi=90)
    pyplot.close(figure)
