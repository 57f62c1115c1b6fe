"""What is near, on, under or in what: relations between things in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.geometry import rotation_matrices
from embodied_mem.objects.locate import Located
from embodied_mem.objects.things import Thing
from embodied_mem.records.tables import ViewTable

FloatArray = NDArray[np.float64]
NEAR = 1.5  # metres between the sides of two things that are near each other
_ON_SIDE = 0.25  # metres beyond an anchor's sides, since sizes are seen from one side
_ON_HEIGHT = 0.35  # metres around an anchor's top
_LANDMARK = 0.15  # m^2 of floor from which a thing is a landmark


def gap(position: FloatArray, anchor: FloatArray, extent: FloatArray) -> float:
    """Horizontal metres from a point to the sides of an axis-aligned box; 0 inside."""
    away = np.maximum(np.abs(position[:2] - anchor[:2]) - extent[:2] / 2, 0)
    return float(np.linalg.norm(away))


def is_upright(views: ViewTable) -> bool:
    """Whether the map's z axis is up, as the sensors' upper sides tell: that of hand-held recordings often is not."""
    return not len(views) or bool(np.median(rotation_matrices(views.orientation)[:, 2, 2]) > 0.5)


def holds(relation: str, thing: FloatArray, anchor: Thing, radius: float | None = None) -> bool:
    """Whether something at `thing` (3,) stands in the relation to the anchor, in a map whose z axis is up."""
    if radius is not None:
        return float(np.linalg.norm(thing[:2] - anchor.position[:2])) <= radius
    apart = gap(thing, anchor.position, anchor.extent)
    top = anchor.position[2] + anchor.extent[2] / 2
    bottom = anchor.position[2] - anchor.extent[2] / 2
    if relation == "on":
        return apart <= _ON_SIDE and abs(thing[2] - top) <= _ON_HEIGHT + 0.1 * anchor.extent[2]
    if relation == "under":
        return apart <= _ON_SIDE and thing[2] < top
    if relation == "in":
        return apart <= 0.05 and bottom - 0.1 <= thing[2] <= top + 0.1
    return apart <= NEAR


def landmark(thing: Thing, everything: Sequence[Located], upright: bool = True) -> tuple[str, Thing] | None:
    """How a thing is best placed for a person: on or near the closest piece of furniture that is there now.

    Where the map is not `upright`, nothing is said to be on anything.
    """
    best: tuple[float, str, Thing] | None = None
    for located in everything:
        for other in located.here:
            floor = float(np.prod(other.extent[:2]))
            if other is thing or other.label == thing.label or floor < max(_LANDMARK, float(np.prod(thing.extent[:2]))):
                continue
            if np.linalg.norm(other.position - thing.position) < 1e-6:
                continue
            apart = gap(thing.position, other.position, other.extent)
            relation = "on" if upright and holds("on", thing.position, other) else "near"
            rank = apart - (1.0 if relation == "on" else 0.0)
            if apart <= NEAR and (best is None or rank < best[0]):
                best = (rank, relation, other)
    return None if best is None else best[1:]
