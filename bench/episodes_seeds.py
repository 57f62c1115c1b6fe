"""One seed of everything in bench/episodes that is trained: `python -m bench.episodes_seeds SEED`.

Each part is written as soon as it is done, to runs/episodes/SOURCES/seed_N.json (SOURCES: a hash of the code that it
depends on), so that an interrupted run goes on where it was, and is never taken for one of other code.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import ROOT

PARTS = ("in room", "every kind", "long stay", "mixed")
_SOURCES = (
    "coding", "tasks", "shape", "model", "training", "allocator", "allocator_training", "recipes",
)  # fmt: skip


def folder() -> Path:
    """Where results of the code as it is now are kept."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((ROOT / "embodied_mem" / "episodes" / f"{name}.py").read_bytes())
    digest.update(Path(__file__).read_bytes())
    return ROOT / "runs" / "episodes" / digest.hexdigest()[:12]


def results(seed: int, quick: bool = False) -> dict[str, Any]:
    """The results of a seed; what is missing is trained now. `quick`: far too short, and not kept."""
    path = folder() / f"seed_{seed}.json"
    done: dict[str, Any] = {} if quick or not path.is_file() else json.loads(path.read_text(encoding="utf-8"))
    if all(name in done for name in PARTS):
        return done
    import torch

    torch.set_num_threads(1)
    readers: dict[str, Any] = {}
    for name in PARTS:
        if name in done and not (name == "in room" and "long stay" not in done):
            continue  # the long stay goes on with a reader of the first part
        done[name] = _PARTS[name](seed, 0.02 if quick else 1.0, readers)
        if not quick:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(done), encoding="utf-8")
            print(f"seed {seed}: {name} done", flush=True)
    return done


def _in_room(seed: int, scale: float, readers: dict[str, Any]) -> dict[str, Any]:
    from embodied_mem.episodes import recipes
    from embodied_mem.episodes.shape import VARIANTS
    from embodied_mem.episodes.tasks import rooms_batch

    found = {}
    for name in VARIANTS:
        reader, curve = recipes.in_room(name, seed, _plan(800, scale))
        readers[name] = reader
        judged = recipes.judge(reader, lambda rng: rooms_batch(rng, 32, questions=16), seed, 16)
        found[name] = _told(judged, curve)
    return found


def _every_kind(seed: int, scale: float, readers: dict[str, Any]) -> dict[str, Any]:
    from embodied_mem.episodes import recipes
    from embodied_mem.episodes.tasks import rooms_batch

    kinds = recipes.EVERY_KIND
    reader, curve = recipes.every_kind(seed, _plan(800, scale))
    near = recipes.judge(reader, lambda rng: rooms_batch(rng, 32, questions=16, kinds=kinds), seed, 16)
    far = recipes.judge(
        reader, lambda rng: rooms_batch(rng, 8, questions=16, kinds=kinds, side=6, steps=400, ticks=1), seed, 24
    )
    return {"trained on": _told(near, curve), "larger": _told(far, curve)}


def _long_stay(seed: int, scale: float, readers: dict[str, Any]) -> dict[str, Any]:
    from embodied_mem.episodes import recipes
    from embodied_mem.episodes.allocator_training import Fixed

    rules = {"most visited first": ("place memory", 64), "fifo": ("space", 64), "unlimited": ("place memory", None)}
    found = {}
    for name, (variant, capacity) in rules.items():
        keep = None if capacity is None else Fixed((name,), capacity).keep
        reader, curve = recipes.long_stay(readers[variant], seed, _plan(120, scale, lr=2e-3), keep)
        found[name] = _told(recipes.judge(reader, recipes.long_stays, seed, 16, keep), curve)
    return found


def _mixed(seed: int, scale: float, readers: dict[str, Any]) -> dict[str, Any]:
    from embodied_mem.episodes import recipes

    found = {}
    for name, (policy, reader, curve) in recipes.mixed_arms(seed, _plan(250, scale), max(int(150 * scale), 5)).items():
        judged = recipes.judge(reader, recipes.mixed, seed, 16, lambda batch, _, one=policy: one.keep(batch, None))  # type: ignore[misc]
        found[name] = _told(judged, curve) | {"rule": np.round(_rule_of(policy), 3).tolist()}
    return found


def _plan(steps: int, scale: float, lr: float = 8e-3) -> Any:
    from embodied_mem.episodes.training import Plan

    return Plan(steps=max(int(steps * scale), 5), lr=lr)


def _rule_of(policy: Any) -> Any:
    return getattr(policy, "weights", getattr(policy, "preferences", np.zeros(0)))


def _told(judged: Any, curve: Any) -> dict[str, Any]:
    return {
        "accuracy": judged.accuracy, "mean": judged.mean, "retained": judged.retained,
        "tokens_read": judged.tokens_read, "most_read": judged.most_read, "cpu_s": curve.cpu_s,
        "converged": curve.converged, "steps": curve.steps, "loss": curve.loss, "curve": curve.accuracy,
    }  # fmt: skip


_PARTS: dict[str, Callable[[int, float, dict[str, Any]], dict[str, Any]]] = {
    "in room": _in_room, "every kind": _every_kind, "long stay": _long_stay, "mixed": _mixed,
}  # fmt: skip


if __name__ == "__main__":
    for number in sys.argv[1:]:
        results(int(number))
