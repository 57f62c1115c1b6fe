"""An answer that can be checked: what is said, how sure it is, and the records that it rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One record behind an answer (msg/Evidence).

    sensor_position (3,), sensor_orientation (4,): from where; position (3,): of the thing, else of the sensor; metres
    age_s: seconds since it was last seen
    """

    seq: int
    stamp_ns: int
    map_id: str
    frame_id: str
    sensor_position: FloatArray
    sensor_orientation: FloatArray
    position: FloatArray
    score: float
    age_s: float
    caption: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The answer to a question (msg/Answer).

    kind         find, where, when, how_many, is_there, describe or search
    found        False: memory does not hold it; `reason` says why
    probability  that the sentence is true
    position     (3,) metres of what was asked for, or None; extent (3,) full size, or None
    age_s        seconds since the newest evidence, NaN without any
    count        how_many, else -1
    interpretation  the typed query that the question became
    """

    kind: str
    found: bool
    sentence: str
    probability: float
    position: FloatArray | None = None
    orientation: FloatArray | None = None
    extent: FloatArray | None = None
    age_s: float = float("nan")
    map_id: str = ""
    frame_id: str = "map"
    count: int = -1
    interpretation: str = ""
    reason: str = ""
    exact: bool = True
    evidence: tuple[Evidence, ...] = ()
