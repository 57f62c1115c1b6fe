"""What stands along the streets: points of interest of OpenStreetMap, and what a robot perceives of them.

The files are extracts of the map as it was in a year; poi_2013.csv and poi_2017.csv are a real change log of the city.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.errors import BadInputError, NotFoundError
from sim.street.graph import TouchdownGraph

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RANGE_M = 40.0
_CLASS = re.compile(r"[a-z]{3,}(?:_[a-z]+)*")


@dataclass(frozen=True, eq=False)
class Landmarks:
    """n points, a row each.

    ids      (n,) int64 OpenStreetMap numbers: the same thing has the same number in two years
    names    n strings, "" for what has no name
    classes  n strings, lower case with spaces, such as "fire station"; "" where the map has none that is a word
    xy       (n, 2) metres in the graph's frame
    """

    ids: IntArray
    names: tuple[str, ...]
    classes: tuple[str, ...]
    xy: FloatArray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Noise:
    """How badly the robot perceives. dropout: share of landmarks that one look misses; metres, radians: one sigma."""

    dropout: float = 0.2
    position_m: float = 2.0
    bearing_rad: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.dropout <= 1 or self.position_m < 0 or self.bearing_rad < 0:
            raise BadInputError(f"Noise needs a dropout in 0..1 and sigmas that are not negative, not {self}.")


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What one look perceives: rows of `Landmarks`, nearest first.

    rows      (k,) landmark numbers
    bearings  (k,) radians, counter-clockwise from where the robot looks (REP 103), in (-pi, pi]
    distances (k,) metres
    """

    rows: IntArray
    bearings: FloatArray
    distances: FloatArray

    def __len__(self) -> int:
        return len(self.rows)


def load_landmarks(folder: str | Path, graph: TouchdownGraph, year: int = 2017) -> Landmarks:
    """Read osm/poi_YEAR.csv below `folder`. Raises NotFoundError without it, BadInputError for malformed rows."""
    path = Path(folder) / "osm" / f"poi_{year}.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise NotFoundError(f"The landmarks of {year} cannot be read: {error}.") from error
    try:
        latlng = np.array([[row["lat"], row["lon"]] for row in rows]).astype(np.float64)
        ids = np.array([int(row["osm_id"]) for row in rows], dtype=np.int64)
    except (KeyError, ValueError, TypeError) as error:
        raise BadInputError(
            f"{path} needs the columns osm_id, fclass, name, lon and lat with numbers: {error}."
        ) from error
    if not len(rows) or not np.isfinite(latlng).all():
        raise BadInputError(f"{path} has no rows, or a position that is not finite.")
    names = tuple((row["name"] or "").strip() for row in rows)
    return Landmarks(ids, names, tuple(_class(row["fclass"]) for row in rows), graph.to_xy(latlng))


class Eyes:
    """Perceives the landmarks around any point, with noise that follows from the seed alone."""

    def __init__(self, landmarks: Landmarks, noise: Noise | None = None, seed: int = 0, reach: float = RANGE_M) -> None:
        self.landmarks, self.noise, self.reach = landmarks, noise or Noise(), reach
        self._tree = cKDTree(landmarks.xy)
        self._rng = np.random.default_rng(seed)

    def look(self, xy: FloatArray, yaw: float) -> Sighting:
        """From (2,) metres, looking to `yaw` radians. One look after another draws new noise."""
        near = np.array(sorted(self._tree.query_ball_point(xy, self.reach)), dtype=np.int64)
        near = near[self._rng.random(len(near)) >= self.noise.dropout]
        away = self.landmarks.xy[near] - xy + self._rng.normal(0, self.noise.position_m, (len(near), 2))
        bearings = np.arctan2(away[:, 1], away[:, 0]) - yaw + self._rng.normal(0, self.noise.bearing_rad, len(near))
        bearings = -((-bearings + np.pi) % (2 * np.pi) - np.pi)
        distances = np.linalg.norm(away, axis=1)
        order = np.argsort(distances, kind="stable")
        return Sighting(near[order], bearings[order], distances[order])


def positions_of(sighting: Sighting, xy: FloatArray, yaw: float) -> FloatArray:
    """(k, 2) metres: where the robot believes that what it saw stands."""
    angles = sighting.bearings + yaw
    return np.asarray(xy + sighting.distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _class(text: str | None) -> str:
    """The map has cut words such as "re" and "post_offic" among its classes: short rests are no class."""
    text = (text or "").strip().lower().replace(" ", "_")
    return text.replace("_", " ") if _CLASS.fullmatch(text) else ""
