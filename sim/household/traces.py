"""ALFRED's annotated tasks as worlds: things with places, and moves in order (Shridhar et al. 2020, MIT licence).

Coordinates become those of REP 103: ALFRED's z is x here, its -x is y, its y is z. A place where something is put is
known as the receptacle's; where on it is drawn at random, so a world has a seed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError

FloatArray = NDArray[np.float64]
Rng = np.random.Generator

SHUT = frozenset({"drawer", "cabinet", "fridge", "microwave", "safe", "box", "garbage can"})  # what hides what is in it
_GRID = 0.25  # metres: the unit of coordinates in plans
_MATCH = 0.2  # metres between a thing and the place that a plan says it has
_APART = 0.3  # metres between a thing that is put down and the others
_LARGE = {
    "box": 0.35, "laptop": 0.35, "pillow": 0.45, "television": 0.8, "pot": 0.25, "pan": 0.3, "plate": 0.25,
    "teddy bear": 0.35, "tennis racket": 0.5, "baseball bat": 0.6, "basket ball": 0.25, "desk lamp": 0.3,
    "houseplant": 0.3, "newspaper": 0.3, "painting": 0.5, "mirror": 0.5, "book": 0.25, "kettle": 0.2, "vase": 0.2,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """A thing: `center` (3,), `size` (3,) metres; `inside` what hides it, "" in the open."""

    name: str
    label: str
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Household:
    """One task: the things at first and after each move, with the names of those that were moved then."""

    task: str
    scene: str
    stages: tuple[tuple[Item, ...], ...]
    moved: tuple[str, ...]


def is_development(scene: str) -> bool:
    """Half of the floor plans are for development, chosen by a hash of their name; the others are for evaluation."""
    return hashlib.sha256(scene.encode()).digest()[0] % 2 == 0


def words(camel: str) -> str:
    """ "ButterKnife" -> "butter knife"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", camel).lower()


def households(path: Path, seed: int, *, development: bool) -> Iterator[Household]:
    """Every task of one half of the floor plans in which something is put somewhere. NotFoundError without the file."""
    if not path.is_file():
        raise NotFoundError(f"{path} is not here: it holds ALFRED's traces.")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        trace = json.loads(line)
        if is_development(trace["scene"]) != development:
            continue
        rng = np.random.default_rng([seed, number])
        stages, moved = _stages(trace, rng)
        if moved:
            yield Household(trace["task_id"], trace["scene"], tuple(stages), tuple(moved))


def vocabulary(path: Path) -> tuple[str, ...]:
    """Every label of every trace, in alphabetical order."""
    found = {
        words(pose["objectName"].split("_")[0])
        for line in path.read_text(encoding="utf-8").splitlines()
        for pose in json.loads(line)["object_poses"] or ()
    }
    return tuple(sorted(found))


def _stages(trace: dict[str, Any], rng: Rng) -> tuple[list[tuple[Item, ...]], list[str]]:
    items = {}
    origin: dict[str, FloatArray] = {}
    for i, pose in enumerate(trace["object_poses"] or ()):
        label = words(pose["objectName"].split("_")[0])
        place = pose["position"]
        center = np.array([place["z"], -place["x"], place["y"]])
        size = _LARGE.get(label, 0.12)
        name = f"{label} {i}"
        x, y, z = center.tolist()
        items[name] = Item(name, label, (x, y, z), (size, size, size))
        origin[name] = center
    stages, moved, held = [tuple(items.values())], [], ""
    for step in trace["plan"] or ():
        if step["action"] == "PickupObject" and step["objectId"]:
            held = _named(step["objectId"], items, origin)
        elif step["action"] == "PutObject" and held:
            items = _put(items, held, step["coord_recep"], rng)
            stages.append(tuple(items.values()))
            moved.append(held)
            held = ""
    return stages, moved


def _named(object_id: str, items: dict[str, Item], origin: dict[str, FloatArray]) -> str:
    kind, x, y, z = object_id.split("|")[:4]
    place = np.array([float(z), -float(x), float(y)])
    alike = [name for name, item in items.items() if item.label == words(kind)]
    apart = {name: float(np.linalg.norm(origin[name] - place)) for name in alike}
    best = min(apart, key=lambda name: apart[name], default="")
    return best if best and apart[best] < _MATCH else ""


def _put(items: dict[str, Item], held: str, target: list[Any], rng: Rng) -> dict[str, Item]:
    """The things after the one that is held was put on or in the receptacle `target`; what was in it comes along."""
    label = words(target[0])
    x, z, y = target[1][0] * _GRID, target[1][2] * _GRID, target[1][4] * _GRID
    goal = np.array([z, -x, y])
    own = items[held]
    others = np.array([item.center for name, item in items.items() if name != held]).reshape(-1, 3)
    hidden = label if label in SHUT else ""
    place = goal
    for _ in range(50):
        spread = 0.1 if hidden else 0.35
        place = goal + np.array([*rng.uniform(-spread, spread, 2), 0.06 + own.size[2] / 2])
        if hidden or not len(others) or np.linalg.norm(others - place, axis=1).min() > _APART:
            break
    shift = place - np.array(own.center)
    after = dict(items)
    for name, item in items.items():
        apart = np.abs(np.subtract(item.center, own.center))
        if name == held or (own.label in ("box", "pot", "pan", "plate", "bowl") and (apart < 0.12).all()):
            a, b, c = (np.array(item.center) + shift).tolist()
            after[name] = replace(item, center=(a, b, c), inside=hidden)
    return after
