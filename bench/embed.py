"""How long a sentence takes on one core: MiniLM on ONNX Runtime and on torch (where it is installed), and hashing.

The faster runtime stands first in embodied_mem.inference.minilm.RUNTIMES, which is what `auto` takes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.harness import Options, Report, measure, memory_mb, parse
from embodied_mem.errors import UnavailableError
from embodied_mem.inference.cache import CachedEmbedder
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.inference.minilm import RUNTIMES, MiniLMEmbedder
from embodied_mem.inference.protocols import Embedder

_SEED = 20
_THINGS = ("mug", "chair", "lamp", "sofa", "plant", "door", "table", "bottle", "book", "laptop", "bicycle", "person")
_PLACES = ("kitchen", "hall", "bedroom", "office", "garden", "garage")
_SENTENCES = {
    "2 words": "a mug",
    "question, 6 words": "where is the red mug now?",
    "caption, 18 words": "I see a mug on the table and two chairs next to the window in the kitchen.",
    "caption, 60 words": "There is a lamp beside the door, " * 8 + "and nothing else.",
}


def captions(count: int, rng: np.random.Generator) -> list[str]:
    """Different captions of 6 to some 40 words."""
    texts = []
    for number in range(count):
        seen = rng.choice(_THINGS, size=rng.integers(1, 9))
        texts.append(f"I see {', '.join(f'a {thing}' for thing in seen)} in the {rng.choice(_PLACES)}, view {number}.")
    return texts


def load(report: Report) -> dict[str, Embedder]:
    """The embedders that can run here, by name; says how long each took to load."""
    embedders: dict[str, Embedder] = {}
    rows = []
    for runtime in RUNTIMES:
        before, begin = memory_mb(), time.perf_counter()
        try:
            embedders[f"MiniLM, {runtime}"] = MiniLMEmbedder(runtime=runtime)
        except UnavailableError as error:
            report.note(f"{runtime} is left out: {error}")
            continue
        rows.append([runtime, (time.perf_counter() - begin) * 1e3, memory_mb() - before])
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if rows:
        report.table("loading, imports included", ["runtime", "ms", "MB"], rows)
    return {**embedders, "hashing": HashingEmbedder()}


def run(options: Options) -> int:
    report = Report("embed", options, seeds={"captions": _SEED}, packages=("onnxruntime", "torch", "tokenizers"))
    embedders = load(report)
    repeats = 5 if options.quick else 100
    medians: dict[str, dict[str, float]] = {}
    for title, sentence in _SENTENCES.items():
        timings = measure({name: _one(embedder, sentence) for name, embedder in embedders.items()}, repeats)
        report.table(
            f"one sentence on one core, {title}",
            ["embedder", "CPU ms", "p95"],
            [[name, timing.median_ms, timing.quantile_ms(0.95)] for name, timing in timings.items()],
        )
        medians[title] = {name: timing.median_ms for name, timing in timings.items()}

    texts = captions(32 if options.quick else 512, np.random.default_rng(_SEED))
    batch = measure(
        {name: _all(embedder, texts) for name, embedder in embedders.items()}, 1 if options.quick else 3, warmup=0
    )
    report.table(
        f"a batch of {len(texts)} captions on one core",
        ["embedder", "CPU s", "texts a second"],
        [[name, timing.median_ms / 1e3, len(texts) / timing.median_ms * 1e3] for name, timing in batch.items()],
    )
    cached = CachedEmbedder(HashingEmbedder())
    again = measure({"cached": _one(cached, _SENTENCES["caption, 18 words"])}, repeats)["cached"]
    report.table("a sentence that was embedded before", ["embedder", "CPU ms"], [["cached", again.median_ms]])

    runtimes = [name for name in embedders if name.startswith("MiniLM")]
    if len(runtimes) == len(RUNTIMES):
        first, second = (batch[name].outputs[0] for name in runtimes)
        report.bar("largest difference between the runtimes", float(np.abs(first - second).max()), at_most=1e-5)
    if runtimes:
        missing = "" if len(runtimes) == len(RUNTIMES) else "a runtime is not installed, so there is nothing to compare"
        slow = "a quick run says nothing about speed" if options.quick else ""
        fastest = all(each[runtimes[0]] == min(each[name] for name in runtimes) for each in medians.values())
        report.bar(f"{runtimes[0]} is the fastest for one sentence of every length", fastest, why_open=missing or slow)
    return report.finish()


def _one(embedder: Embedder, sentence: str) -> Callable[[int], Any]:
    return lambda turn: embedder.embed([sentence])


def _all(embedder: Embedder, texts: list[str]) -> Callable[[int], Any]:
    return lambda turn: embedder.embed(texts)


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
