"""Which maps share a tree: those whose coordinates can be expressed in one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.index import RecordIndex


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The map in whose coordinates a tree stands, and (4, 4) from the record's map into it."""

    name: str
    into: NDArray[np.float64]


def frames_of(index: RecordIndex) -> dict[int, Frame]:
    """By the code of a map; of maps that are connected, the one that was known first gives the frame."""
    found: dict[str, Frame] = {}
    for name in index.maps.known:
        if name not in found:
            for other, into in index.maps.connected(name).items():
                found.setdefault(other, Frame(name, into))
    codes = {name: index.map_names.find(name) for name in found}
    return {code: found[name] for name, code in codes.items() if code is not None}


def same_frames(one: dict[int, Frame], two: dict[int, Frame]) -> bool:
    """Whether every map of `one` has the same place in `two`."""
    return all(
        code in two and two[code].name == frame.name and np.array_equal(two[code].into, frame.into)
        for code, frame in one.items()
    )
