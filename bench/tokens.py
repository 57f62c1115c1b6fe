"""Memory tokens: what they keep, at what price, beside simpler ways to keep it: `python -m bench.tokens [--quick]`.

exact      the whole-number network gives back 64 writes at depth 6, on other threads and without vector units
float      how far the same network in floating point is from exact, by depth and type (needs torch)
fidelity   n writes to one element: recovered, error, bytes; beside logs, codes, a ring buffer, a recurrent token
retrieval  questions about drives that training never saw, at equal bytes, with and without training
street     parts A and B of bench/street with tokens for a memory, at three budgets
speed      tokens written and read back a second, on one core
forget     chains after Forget, and rebuilt stores, byte by byte

Recovered: the vector that comes back has a cosine of at least 0.95 with what was written.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import tokens_arms as kept_by
from bench.harness import ROOT, Options, Report, measure, parse
from bench.street_metrics import paired_interval
from bench.tokens_arms import Arm, Kept
from bench.tokens_forget import forgetting
from bench.tokens_retrieval import BYTES, VOXEL, World, elements_of, retrieval
from bench.tokens_street import Streets, measure_streets
from bench.tokens_world import (
    HOUSE_MEASURING,
    HOUSE_TRAINING,
    STREET_MEASURING,
    STREET_TRAINING,
    house_drive,
    street_drive,
)
from embodied_mem.inference.select import default_embedder
from embodied_mem.tokens.weights import TokenWeights, untrained, weights_for
from tests.tokens.digest import digest
from tests.tokens.networks import random_weights

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
_SEED = 5
_RECOVERED = 0.95
_WRITES = (8, 64, 512)
_SETTINGS = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_NUM_THREADS": "2"}


def exactness(report: Report, weights: TokenWeights) -> None:
    """Bit by bit, with the shipped weights and with random ones, of which every part says something."""
    noisy = random_weights(weights.dimension, weights.latent, weights.token)
    told = [digest(each) for each in (weights, noisy)]
    report.bar("bit-exact inverse over 64 writes at depth 6 (integer codec)", noisy.depth == weights.depth == 6)
    with ThreadPoolExecutor(4) as pool:
        report.bar("the same bits on 1 and on 4 threads", set(pool.map(digest, [noisy] * 8)) == {told[1]})
    code = (
        "from tests.tokens.digest import digest; from tests.tokens.networks import random_weights; "
        "from embodied_mem.tokens.weights import weights_for; "
        f"print(digest(weights_for({weights.model!r}, {weights.dimension})), "
        f"digest(random_weights({weights.dimension}, {weights.latent}, {weights.token})))"
    )
    rows = [["as compiled for this processor", " ".join(each[:16] for each in told)]]
    for name, settings in (("generic x86-64, 2 threads", _SETTINGS),):
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, cwd=ROOT,
            check=False,
        )  # fmt: skip
        rows.append([name, " ".join(each[:16] for each in done.stdout.split()) or done.stderr[-200:]])
    report.table("exact: digests of 64 tokens and halves, shipped and random weights", ["setting", "SHA-256"], rows)
    report.bar(
        "the same bits with another CPU instruction setting and thread count", len({row[1] for row in rows}) == 1
    )


def float_errors(report: Report, quick: bool) -> None:
    """The inverse in floating point: largest error over 64 writes."""
    name = "float inverse: largest error in double precision at depth 6"
    if importlib.util.find_spec("torch") is None:
        report.bar(name, None, at_most=1e-9, why_open="torch is not installed")
        return
    from bench.tokens_float import inverse_errors, rebuilt_difference

    columns, rows = inverse_errors((2, 6) if quick else (1, 2, 4, 6, 8, 12), 16 if quick else 64, _SEED)
    report.table("float: largest error of what comes back, after 64 writes", columns, rows)
    at_six = next(row for row in rows if row[0] == 6)
    report.bar(name, at_six[1], at_most=1e-9)
    report.bar("rebuild of the float network in other batches: largest difference, single precision",
               rebuilt_difference(_SEED), at_most=1e-4)  # fmt: skip


def all_arms(world: World, quick: bool) -> dict[str, Arm]:
    """Everything that fidelity compares, in order."""
    w, plain, fit, groups = world.weights, untrained(world.weights.model, 384), world.training, world.training_elements
    arms: dict[str, Arm] = {}
    for point in (2, 3, 4, 5, 6):
        arms[f"tokens, {point} bits"] = kept_by.with_tokens(w, point)
    for point in (3, 4, 5):
        arms[f"no network, {point} bits"] = kept_by.transform(w, point, fit)
        arms[f"differences, no network, {point} bits"] = kept_by.running(w, point, fit, groups)
    for point in (3, 5, 8):
        arms[f"tokens, not trained, {point} bits"] = kept_by.with_tokens(plain, point)
    for step in (0.04, 0.02, 0.01):
        arms[f"zlib, grid of {step}"] = kept_by.zipped_steps(step)
    if importlib.util.find_spec("faiss") is not None:
        for parts in BYTES[1:2] if quick else BYTES:
            arms[f"product quantisation, {parts} bytes"] = kept_by.product(parts, fit)
    arms |= {"raw log, float16": kept_by.raw16, "zlib, float16": kept_by.zipped16,
             "recurrent token": kept_by.recurrent(w)}  # fmt: skip
    return arms


def fidelity(report: Report, world: World, quick: bool) -> None:
    """n writes to one element."""
    for drives in world.drives.values():
        drive = max(drives, key=len)
        for n in _WRITES[:2] if quick else _WRITES:
            vectors, one = drive.vectors[:n], np.zeros(min(n, len(drive)), np.int64)
            rows: list[list[Any]] = []
            for name, arm in all_arms(world, quick).items():
                rows.append(_fidelity_row(name, arm(vectors, one), vectors))
                if name == "tokens, 5 bits":
                    size = arm(vectors, one).bytes
            rows.append(
                _fidelity_row("ring buffer, bytes of tokens, 5 bits", kept_by.ring(size)(vectors, one), vectors)
            )
            columns = ["arm", "recovered", "mean 1 - cosine", "largest", "bytes a write", "bytes"]
            report.table(f"fidelity: {len(vectors)} writes to one element, {drive.name}", columns, rows)


def _fidelity_row(name: str, kept: Kept, vectors: Float32Array) -> list[Any]:
    cosines = (kept.vectors.astype(np.float64) * vectors).sum(axis=1)
    back = kept.vectors.any(axis=1)
    off = 1 - cosines[back]
    return [
        name, int((cosines >= _RECOVERED).sum()), float(off.mean()) if back.any() else None,
        float(off.max()) if back.any() else None, round(kept.bytes / len(vectors), 1), int(kept.bytes),
    ]  # fmt: skip


def speed(report: Report, world: World, quick: bool) -> None:
    """One core; CPU time."""
    drive = max((drive for drives in world.drives.values() for drive in drives), key=len)
    n = 500 if quick else 4_000
    vectors = np.resize(drive.vectors, (n, drive.vectors.shape[1]))
    rng = np.random.default_rng(_SEED)
    many, one = rng.integers(0, n // 40, n), np.zeros(64, np.int64)
    store, _ = kept_by.filled(world.weights, 5, vectors[:64], one)

    def one_by_one(turn: int) -> None:
        for i in range(50):
            store.write(one[:1], vectors[i : i + 1], one[:1], one[:1], np.zeros((1, 3)))

    timings = measure(
        {
            "write, 40 to an element, at random": lambda _: kept_by.filled(world.weights, 5, vectors, many),
            "write, one at a time": one_by_one,
            "read 64 back": lambda _: store.recent(0, 64),
            "descriptors of 5 elements": lambda _: store.descriptors(),
        },
        repeats=5 if quick else 9,
    )
    write_rate = n / float(np.median(timings["write, 40 to an element, at random"].seconds))
    alone = 50 / float(np.median(timings["write, one at a time"].seconds))
    back = timings["read 64 back"]
    rows = [
        ["tokens written a second, in batches", round(write_rate)],
        ["tokens written a second, one at a time", round(alone)],
        ["64 writes read back, ms (median)", back.median_ms],
        ["64 writes read back, ms (95 %)", back.quantile_ms(0.95)],
    ]
    report.table("speed, one core", ["what", "value"], rows)
    report.bar("tokens written a second on one core", write_rate, at_least=20_000)
    report.bar("64 writes read back on one core (ms, median)", back.median_ms, at_most=5)


def on_streets(report: Report, found: Streets, drives: int, quick: bool) -> None:
    """Parts A and B of bench/street."""
    title = f"street A: landmark phrases of {found.instructions} instructions after {drives} patrols"
    report.table(title, found.columns, found.rows)
    none = found.done["no memory"][0]
    table = []
    for arm, (completed, size) in found.done.items():
        mean, low, high = paired_interval(completed, none, _SEED)
        gain = f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        table.append([arm, round(100 * float(completed.mean()), 1), gain, size])
    title = f"street B: {found.instructions} instructions of the tuning pool after {drives} patrols"
    report.table(title, ["arm", "TC %", "TC - no memory", "bytes of landmarks"], table)
    why = "a few instructions say nothing" if quick else ""
    for arm in [name for name in found.done if name.startswith("tokens")]:
        _, low, high = paired_interval(found.done[arm][0], none, _SEED)
        report.bar(f"street B: {arm}: TC - no memory, lower end, points", 100 * low, at_least=0, why_open=why)
        _, low, high = paired_interval(found.done[arm][0], found.done["entries folded by landmark"][0], _SEED)
        report.note(f"street B: {arm} - folded entries: [{100 * low:+.1f}, {100 * high:+.1f}] points")


def make_world(quick: bool) -> World:
    """Drives and weights. A quick run measures on drives of training."""
    embedder = default_embedder("minilm")
    houses, streets = (HOUSE_TRAINING[:1], STREET_TRAINING[-1:]) if quick else (HOUSE_TRAINING, STREET_TRAINING)
    fit = [("house", house_drive(seed, embedder)) for seed in houses]
    fit += [("street", street_drive(seed, embedder, east=False)) for seed in streets]
    if quick:
        drives = {kind: [drive] for kind, drive in fit}
    else:
        drives = {
            "house": [house_drive(seed, embedder) for seed in HOUSE_MEASURING],
            "street": [street_drive(seed, embedder, east=True) for seed in STREET_MEASURING],
        }
    groups = [elements_of(drive, VOXEL[kind]) + (i << 58) for i, (kind, drive) in enumerate(fit)]
    vectors = np.concatenate([drive.vectors for _, drive in fit])
    return World(drives, vectors, np.concatenate(groups), weights_for(embedder.name, embedder.dim))


def run(options: Options) -> int:
    report = Report("tokens", options, seeds={"all": _SEED}, packages=("torch", "faiss-cpu"))
    world = make_world(options.quick)
    report.note(f"weights for {world.weights.model}: depth {world.weights.depth}, {world.weights.latent} latents")
    exactness(report, world.weights)
    drives, instructions = (20, 20) if options.quick else (100, 120)
    sizes = BYTES[1:2] if options.quick else BYTES
    with multiprocessing.get_context("fork").Pool(2) as pool:  # what takes longest goes on beside the rest
        streets = pool.apply_async(measure_streets, (world.weights, instructions, drives, _SEED))
        if importlib.util.find_spec("faiss") is not None:
            learnt = pool.apply_async(kept_by.learn_quantisers, (sizes, world.training))
        float_errors(report, options.quick)
        speed(report, world, options.quick)
        with tempfile.TemporaryDirectory() as folder:
            forgetting(report, world.drives["house"][0], world.weights, Path(folder))
        on_streets(report, streets.get(), drives, options.quick)
        if importlib.util.find_spec("faiss") is not None:
            kept_by.use_quantisers(learnt.get())
        fidelity(report, world, options.quick)
        retrieval(report, world, options.quick)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
