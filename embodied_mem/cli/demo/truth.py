"""Reads the truth that the simulator wrote at its end. Only questions, judging and the report use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embodied_mem.errors import StorageError
from sim.house.truth import Event, Stay, ThingTruth, TruthLog


def load_truth(path: Path) -> TruthLog:
    """Raises StorageError when the file is not there or not whole."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        truth = TruthLog()
        truth.things = {int(item["id"]): _thing(item) for item in tree["things"]}
        truth.events = [_event(item) for item in tree["events"]]
        truth.path = [(int(stamp), float(x), float(y), float(yaw)) for stamp, x, y, yaw in tree["path"]]
        truth.start_ns, truth.end_ns = int(tree["start_ns"]), int(tree["end_ns"])
        truth.vocabulary = tuple(tree["vocabulary"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"The simulator's truth {path} cannot be read ({error}): did the simulation end?") from error
    return truth


def _thing(item: dict[str, Any]) -> ThingTruth:
    stays = [Stay(**{**stay, "center": tuple(stay["center"]), "size": tuple(stay["size"])}) for stay in item["stays"]]
    return ThingTruth(**{**item, "stays": stays})


def _event(item: dict[str, Any]) -> Event:
    places = {name: None if item[name] is None else tuple(item[name]) for name in ("from_", "to")}
    return Event(**{**item, **places})
